"""Queues of records: bounds, turns, gaps."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from trioserf._rpc.outbox import MAX_BATCH, Outbox, RecordQueue, Turns
from trioserf._rpc.records import QueryRecord
from trioserf._wire.rpc_messages import pack_reply_header


class Waker:
    """Counts wake-ups of the writer, and gaps."""

    def __init__(self) -> None:
        self.woken = 0
        self.gaps = 0

    def wake(self) -> None:
        self.woken += 1

    def gap(self) -> None:
        self.gaps += 1


def opened(waker: Waker, *, size: int = 3, held: bool = False) -> tuple[Outbox, RecordQueue]:
    outbox = Outbox(waker.wake)
    queue = outbox.open(7, waker.gap, size=size)
    if not held:
        queue.release()
    return outbox, queue


HEADER = pack_reply_header("", 7)


def test_records_come_with_their_header() -> None:
    outbox, queue = opened(Waker())
    queue.put(b"one")
    queue.put(b"two")
    assert HEADER + b"one" + HEADER + b"two" == outbox.take(100)
    assert b"" == outbox.take(100)


def test_nothing_comes_before_the_command_is_answered() -> None:
    waker = Waker()
    outbox, queue = opened(waker, held=True)
    queue.put(b"one")
    assert (b"", 0) == (outbox.take(100), waker.woken)
    queue.release()
    assert (HEADER + b"one", 1) == (outbox.take(100), waker.woken)


def test_the_writer_is_woken_once_for_what_it_has_not_taken() -> None:
    waker = Waker()
    outbox, queue = opened(waker)
    queue.put(b"one")
    queue.put(b"two")
    assert 1 == waker.woken
    outbox.take(100)
    queue.put(b"three")
    assert 2 == waker.woken


def test_a_full_queue_drops_and_tells_of_each_gap_once() -> None:
    waker = Waker()
    outbox, queue = opened(waker)
    assert [True] * 3 + [False] * 2 == [queue.put(b"x") for _ in range(5)]
    assert (2, 1, True) == (queue.dropped, waker.gaps, queue.full)
    outbox.take(1)  # one of three: still the same gap
    assert [True, False] == [queue.put(b"x") for _ in range(2)]
    assert (3, 1) == (queue.dropped, waker.gaps)
    outbox.take(1000)
    assert [True] * 3 + [False] == [queue.put(b"x") for _ in range(4)]
    assert (4, 2) == (queue.dropped, waker.gaps)


def test_queues_take_turns() -> None:
    outbox = Outbox(lambda: None)
    queues = [outbox.open(seq, lambda: None) for seq in (1, 2)]
    for queue in queues:
        queue.release()
        for _ in range(3):
            queue.put(b"x" * 10)
    one, two = (pack_reply_header("", seq) + b"x" * 10 for seq in (1, 2))
    assert [one, two, one, two, one, two] == [outbox.take(1) for _ in range(6)]
    assert b"" == outbox.take(1)


def test_a_closed_queue_is_skipped() -> None:
    outbox, queue = opened(Waker())
    queue.put(b"one")
    queue.close()
    assert b"" == outbox.take(100)


def test_a_query_is_encoded_when_it_is_written() -> None:
    outbox, queue = opened(Waker())
    record = QueryRecord(300, b"...")
    queue.put(record)
    assert HEADER + record.encode() == outbox.take(100)


async def test_writers_are_woken_a_few_at_a_time() -> None:
    turns, events = Turns(), [trio.Event() for _ in range(3 * MAX_BATCH)]
    woken = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        for event in events:
            turns.add(event)
        while not woken or woken[-1] < len(events):
            await trio.lowlevel.checkpoint()
            woken.append(sum(event.is_set() for event in events))
        turns.add(last := trio.Event())
        await wait_all_tasks_blocked()
        assert last.is_set()
        nursery.cancel_scope.cancel()
    assert {0, MAX_BATCH, 2 * MAX_BATCH, 3 * MAX_BATCH} >= set(woken)
    assert {MAX_BATCH, 2 * MAX_BATCH} & set(woken), "there were pauses in between"
