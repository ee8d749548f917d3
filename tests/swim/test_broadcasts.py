from __future__ import annotations

import random
import sys
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trioserf._swim.broadcasts import FEW_TRANSMITS, QueueStatistics, TransmitLimitedQueue
from trioserf._swim.scaling import retransmit_limit


def queue_for(n: int = 1, mult: int = 4) -> TransmitLimitedQueue:
    return TransmitLimitedQueue(mult, lambda: n)


def one(queue: TransmitLimitedQueue, limit: int = 100) -> list[bytes]:
    return queue.take(0, limit)


def test_an_empty_queue_gives_nothing() -> None:
    queue = queue_for()
    assert [] == queue.take(2, 1400)
    assert 0 == len(queue)
    assert 0 == queue.prune(0)
    assert not queue.discard("b")
    queue.clear()


def test_longer_messages_go_first_and_among_equals_the_newest() -> None:
    queue = queue_for()
    for message in [b"aa", b"bbbb", b"cc", b"d"]:
        queue.queue(message)
    assert [b"bbbb", b"cc", b"aa", b"d"] == one(queue)


def test_messages_sent_less_often_go_before_longer_ones() -> None:
    queue = queue_for()
    queue.queue(b"longer")
    assert [b"longer"] == one(queue)
    queue.queue(b"new")
    assert [b"new", b"longer"] == one(queue)


def test_overhead_counts_for_each_message() -> None:
    queue = queue_for()
    for message in [b"aaa", b"bbb", b"ccc"]:
        queue.queue(message)
    assert [b"ccc", b"bbb"] == queue.take(2, 14)
    assert [b"aaa"] == queue.take(2, 9)
    assert [] == queue.take(2, 4)


def test_a_message_that_does_not_fit_lets_shorter_ones_pass() -> None:
    queue = queue_for()
    queue.queue(b"x" * 50)
    queue.queue(b"y" * 5)
    assert [b"y" * 5] == one(queue, 10)
    assert [b"x" * 50, b"y" * 5] == one(queue, 100)


def test_what_never_fits_is_never_finished() -> None:
    finished = []
    queue = queue_for()
    queue.queue(b"x" * 50, on_finished=lambda: finished.append(1))
    for _ in range(20):
        assert [] == one(queue, 49)
    assert 1 == len(queue)
    assert [] == finished


@pytest.mark.parametrize(("n", "times"), [(0, 1), (1, 4), (9, 4), (10, 8), (100, 12), (1000, 16)])
def test_each_message_is_sent_its_number_of_times_and_then_finished(n: int, times: int) -> None:
    finished = []
    queue = queue_for(n)
    queue.queue(b"x", on_finished=lambda: finished.append(1))
    for _ in range(times):
        assert [] == finished
        assert [b"x"] == one(queue)
    assert [1] == finished
    assert [] == one(queue)


def test_one_packet_carries_a_message_once() -> None:
    queue = queue_for()
    queue.queue(b"x")
    assert [b"x"] == queue.take(0, 10_000, local_share=0.5)


def test_a_newer_message_of_the_same_name_replaces_the_older_one() -> None:
    finished = []
    queue = queue_for()
    queue.queue(b"old", name="b", on_finished=lambda: finished.append("old"))
    one(queue)
    queue.queue(b"other", name="c")
    queue.queue(b"new", name="b", on_finished=lambda: finished.append("new"))
    assert ["old"] == finished
    assert [b"other", b"new"] == one(queue)


def test_messages_without_a_name_replace_nothing() -> None:
    queue = queue_for()
    queue.queue(b"x")
    queue.queue(b"x")
    assert [b"x", b"x"] == one(queue)


def test_pruning_drops_what_was_sent_most_then_the_shortest_then_the_oldest() -> None:
    queue = queue_for()
    dropped: list[bytes] = []

    def add(message: bytes, local: bool = False) -> None:
        queue.queue(message, local=local, on_finished=lambda: dropped.append(message))

    add(b"sent-once")
    one(queue)
    for message in [b"short-old", b"short-new", b"a-longer-one"]:
        add(message, local=message == b"short-new")
    assert 0 == queue.prune(4)
    assert 1 == queue.prune(3)
    assert [b"sent-once"] == dropped
    assert 2 == queue.prune(1)
    assert [b"sent-once", b"short-old", b"short-new"] == dropped
    assert [b"a-longer-one"] == one(queue)
    assert 1 == queue.prune(0)
    assert 0 == len(queue)


def test_discarding_drops_a_message_by_name_and_finishes_it() -> None:
    finished = []
    queue = queue_for()
    queue.queue(b"x", name="b", on_finished=lambda: finished.append(1))
    assert queue.discard("b")
    assert not queue.discard("b")
    assert [1] == finished
    assert [] == one(queue)


def test_clearing_finishes_everything() -> None:
    finished = []
    queue = queue_for()
    for local in (False, True):
        queue.queue(b"x", name=str(local), local=local, on_finished=lambda: finished.append(1))
    queue.clear()
    assert [1, 1] == finished
    assert 0 == len(queue)
    queue.queue(b"y", name="True")
    assert [b"y"] == one(queue)


def test_a_callback_may_queue_again() -> None:
    queue = queue_for(0)
    queue.queue(b"x", name="b", on_finished=lambda: queue.queue(b"again", name="b"))
    assert [b"x"] == one(queue)
    assert [b"again"] == one(queue)
    queue.queue(b"y", name="c", on_finished=lambda: queue.queue(b"third"))
    queue.queue(b"z", name="c")
    assert {b"z", b"third"} == set(one(queue))


def test_an_empty_message_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="empty message"):
        queue_for().queue(b"")


# --- shares -------------------------------------------------------------------------------


def test_without_a_share_messages_that_began_here_wait_as_any_other() -> None:
    queue = queue_for()
    queue.queue(b"local", local=True)
    queue.queue(b"relayed, longer")
    assert [b"relayed, longer"] == queue.take(0, 16)


def test_messages_that_began_here_keep_their_share_of_a_packet() -> None:
    queue = queue_for(1000)
    for _ in range(100):
        queue.queue(b"r" * 50)
    for _ in range(10):
        queue.queue(b"o" * 20, local=True)
    for _ in range(16):
        taken = queue.take(2, 400, local_share=0.25)
        assert 4 <= taken.count(b"o" * 20)
        assert 5 <= taken.count(b"r" * 50)


def test_the_share_goes_to_others_when_nothing_began_here() -> None:
    queue = queue_for()
    for _ in range(10):
        queue.queue(b"r" * 50)
    assert 7 == len(queue.take(2, 400, local_share=0.5))


def test_one_message_that_began_here_may_exceed_the_share() -> None:
    queue = queue_for()
    queue.queue(b"r" * 390)
    queue.queue(b"o" * 300, local=True)
    queue.queue(b"p" * 300, local=True)
    assert [b"p" * 300] == queue.take(0, 400, local_share=0.1)
    assert [b"o" * 300] == queue.take(0, 400, local_share=0.1)


def test_a_message_that_began_here_may_use_more_than_the_share_if_there_is_room() -> None:
    queue = queue_for()
    for _ in range(4):
        queue.queue(b"o" * 100, local=True)
    assert 4 == len(queue.take(0, 400, local_share=0.1))


# --- statistics ---------------------------------------------------------------------------


def test_statistics_show_the_moment_and_the_past() -> None:
    queue = queue_for(1, mult=2)
    queue.queue(b"12345", name="b")
    queue.queue(b"123", name="b", local=True)
    queue.queue(b"12", name="c")
    one(queue)
    queue.queue(b"1")
    assert (
        QueueStatistics(
            depth=3,
            local=1,
            size=6,
            by_transmits=(1, 2),
            queued=4,
            replaced=1,
            finished=0,
            pruned=0,
            discarded=0,
        )
        == queue.statistics()
    )
    one(queue)
    queue.prune(0)
    queue.queue(b"x", name="d")
    queue.discard("d")
    queue.queue(b"y")
    queue.clear()
    assert (
        QueueStatistics(
            depth=0,
            local=0,
            size=0,
            by_transmits=(),
            queued=6,
            replaced=1,
            finished=2,
            pruned=1,
            discarded=2,
        )
        == queue.statistics()
    )


def test_statistics_say_how_long_the_oldest_message_has_waited() -> None:
    now = 10.0
    queue = TransmitLimitedQueue(4, lambda: 1, lambda: now)
    assert 0.0 == queue.statistics().oldest
    queue.queue(b"1", name="a")
    now = 12.0
    queue.queue(b"2", name="b")
    now = 15.0
    assert 5.0 == queue.statistics().oldest
    queue.queue(b"3", name="a")
    assert 3.0 == queue.statistics().oldest
    queue.clear()
    assert 0.0 == queue.statistics().oldest


# --- properties ---------------------------------------------------------------------------


class Model:
    """The queue as a plain list, by the letter of Go's description."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.items: list[list[object]] = []  # [transmits, message, number, name]
        self.number = 0

    def queue(self, message: bytes, name: str | None) -> None:
        if name is not None:
            self.items = [item for item in self.items if item[3] != name]
        self.number += 1
        self.items.append([0, message, self.number, name])

    def take(self, overhead: int, limit: int) -> list[bytes]:
        aside: list[list[object]] = []
        used = 0
        order = sorted(self.items, key=lambda i: (i[0], -len(i[1]), -i[2]))  # type: ignore[operator, arg-type]
        for item in order:
            message = item[1]
            assert isinstance(message, bytes)
            if limit - used - overhead <= 0:
                break
            if len(message) <= limit - used - overhead:
                used += overhead + len(message)
                aside.append(item)
        for item in aside:
            item[0] += 1  # type: ignore[operator]
        self.items = [item for item in self.items if item[0] < self.limit]  # type: ignore[operator]
        return [item[1] for item in aside]  # type: ignore[misc]


MESSAGES = st.builds(lambda n, c: bytes([c]) * n, st.integers(1, 30), st.integers(97, 122))
NAMES = st.none() | st.sampled_from("abcdef")


class QueueMachine(RuleBasedStateMachine):
    """The queue and its model get the same calls."""

    def __init__(self) -> None:
        super().__init__()
        self.real = queue_for(50)
        self.model = Model(retransmit_limit(4, 50))
        self.finished = 0
        self.added = 0

    def _count(self) -> None:
        self.finished += 1

    @rule(message=MESSAGES, name=NAMES, local=st.booleans())
    def add(self, message: bytes, name: str | None, local: bool) -> None:
        self.added += 1
        self.real.queue(message, name=name, local=local, on_finished=self._count)
        self.model.queue(message, name)

    @rule(overhead=st.integers(0, 3), limit=st.integers(0, 120))
    def take(self, overhead: int, limit: int) -> None:
        assert self.model.take(overhead, limit) == self.real.take(overhead, limit)

    @rule(depth=st.integers(0, 10))
    def prune(self, depth: int) -> None:
        self.real.prune(depth)
        self.model.items.sort(key=lambda i: (i[0], -len(i[1]), -i[2]))  # type: ignore[operator, arg-type]
        del self.model.items[depth:]

    @rule(name=st.sampled_from("abcdef"))
    def discard(self, name: str) -> None:
        known = any(item[3] == name for item in self.model.items)
        assert known == self.real.discard(name)
        self.model.items = [item for item in self.model.items if item[3] != name]

    @invariant()
    def depths_agree(self) -> None:
        assert len(self.model.items) == len(self.real) == self.real.statistics().depth
        assert sum(len(item[1]) for item in self.model.items) == self.real.size  # type: ignore[arg-type]

    @invariant()
    def every_message_is_queued_or_finished(self) -> None:
        assert self.added == self.finished + len(self.real)


QueueMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
QueueMachine.TestCase.pytestmark = [pytest.mark.slow]
TestQueueAgainstItsModel = QueueMachine.TestCase


@given(
    st.lists(st.tuples(MESSAGES, st.booleans()), max_size=40),
    st.integers(0, 3),
    st.integers(0, 200),
    st.floats(0, 0.9),
)
@settings(deadline=None, max_examples=40)
def test_a_packet_is_never_overfilled_nor_left_empty_without_need(
    messages: list[tuple[bytes, bool]], overhead: int, limit: int, share: float
) -> None:
    queue = queue_for(1000)
    for message, local in messages:
        queue.queue(message, local=local)
    waiting = len(queue)
    taken = queue.take(overhead, limit, local_share=share)
    room = limit - sum(len(message) + overhead for message in taken)
    assert room >= 0
    left_over = [m for m, _ in messages]
    for message in taken:
        left_over.remove(message)
    assert waiting - len(taken) == len(left_over)
    assert all(len(message) + overhead > room for message in left_over)


def test_the_queue_has_at_most_one_message_for_each_name() -> None:
    rng = random.Random(1)
    queue = queue_for(1000)
    for i in range(5000):
        queue.queue(rng.randbytes(rng.randrange(50, 200)), name=str(i % 500))
        if i % 7 == 0:
            queue.take(2, 1400)
    assert len(queue) <= 500


# --- queues of events ---------------------------------------------------------------------


def bulk(mult: int = 4, n: int = 16) -> TransmitLimitedQueue:
    return TransmitLimitedQueue(mult, lambda: n, bulk=True)


def test_a_queue_of_events_has_the_oldest_first() -> None:
    queue = bulk()
    for number in range(5):
        queue.queue(b"%d" % number)
    assert [b"0", b"1"] == queue.take(2, 6)
    assert [b"2", b"3"] == queue.take(2, 6)
    flooded = bulk()
    for number in range(5):
        flooded.queue(b"%d" % number)
    assert 2 == flooded.prune(3)
    assert [b"0", b"1", b"2"] == flooded.take(2, 100), "what is dropped is the newest"


def test_short_events_among_long_ones_are_not_left_behind() -> None:
    queue = bulk()
    queue.queue(b"short")
    for number in range(9):
        queue.queue(b"%02d" % number * 10)
    assert [b"short", b"00" * 10] == queue.take(2, 50, copies=6)
    queue = bulk()
    queue.queue(b"x" * 90)
    queue.queue(b"long" * 5)
    queue.queue(b"y")
    assert [b"long" * 5, b"y"] == queue.take(2, 50, copies=6), "what fits goes, whatever is older"


def test_every_copy_counts() -> None:
    queue = bulk(4, 9)  # four times
    queue.queue(b"a")
    assert [b"a"] == queue.take(2, 100, copies=3)
    assert (0, 0, 0, 1) == queue.statistics().by_transmits
    assert [] == queue.take(2, 100, copies=3), "those nodes have it"
    assert [b"a"] == queue.take(2, 100)
    assert 0 == len(queue)


def test_a_burst_of_events_is_sent_in_full_packets_once() -> None:
    queue = bulk()
    for number in range(50):
        queue.queue(b"%02d" % number)
    packets = []
    while packet := queue.take(2, 80, copies=6):
        packets.append(packet)
    assert [20, 20, 10] == [len(packet) for packet in packets]
    assert 0 == len(queue)
    assert 50 == queue.statistics().finished


def test_a_few_events_get_their_further_copies_later() -> None:
    queue = bulk()
    for number in range(9):
        queue.queue(b"%02d" % number)
    assert 9 == len(queue.take(2, 80, copies=6))
    assert 9 == len(queue)
    assert 9 == len(queue.take(2, 80)) == len(queue.take(2, 80))
    assert 0 == len(queue)


def test_events_that_come_faster_than_further_copies_get_none() -> None:
    queue = bulk()  # eight times
    sent = 0
    for number in range(100):
        queue.queue(b"%03d" % number)
        sent += len(queue.take(2, 80, copies=FEW_TRANSMITS))
        assert queue.size < 80 + 3, "no more than a packet waits for further copies"
    assert 100 == sent


def test_single_events_to_fewer_nodes_get_ample_copies_however_many_wait() -> None:
    queue = bulk()  # eight times
    sent = {b"%03d" % number: 0 for number in range(100)}
    for message in sent:
        queue.queue(message)
        assert [message] == queue.take(2, 80, copies=4)
        sent[message] += 4
        if len(queue) > 30:
            for other in queue.take(2, 80):
                sent[other] += 1
    while taken := queue.take(2, 80):
        for message in taken:
            sent[message] += 1
    assert {FEW_TRANSMITS, 8} == set(sent.values())


def test_where_others_are_few_a_burst_is_sent_in_several_rounds() -> None:
    queue = bulk(4, 2)
    for number in range(20):
        queue.queue(b"%02d" % number)
    for left in (40, 40, 0):
        assert 20 == len(queue.take(2, 80, copies=1))
        assert left == queue.unsent
    assert 0 == len(queue)


def test_where_others_are_few_a_single_event_is_sent_once_at_first() -> None:
    queue = bulk(4, 2)  # four times
    queue.queue(b"alone")
    assert [b"alone"] == queue.take(2, 80, copies=1)
    assert 0 == queue.unsent
    assert [] == queue.take(2, 80, copies=1), "that node has it"
    queue.queue(b"the next")
    assert [b"the next", b"alone"] == queue.take(2, 80, copies=1), "there is room beside it"
    assert [] == queue.take(2, 80, copies=1)
    for _ in range(2):
        assert {b"alone", b"the next"} == set(queue.take(2, 80))
    assert [b"the next"] == queue.take(2, 80)
    assert 0 == len(queue)


def test_what_is_new_is_counted() -> None:
    queue = bulk()
    queue.queue(b"1234", name="x")
    queue.queue(b"12")
    assert 6 == queue.unsent == queue.size
    queue.queue(b"x" * 20, name="x")
    assert 22 == queue.unsent
    assert [b"12"] == queue.take(2, 20, copies=5)
    assert (20, 22) == (queue.unsent, queue.size)
    queue.discard("x")
    assert (0, 2) == (queue.unsent, queue.size)
    queue.queue(b"123")
    queue.prune(0)
    assert (0, 0) == (queue.unsent, queue.size)
    queue.queue(b"1")
    queue.clear()
    assert (0, 0) == (queue.unsent, queue.size)


def test_what_was_not_spread_yet_is_in_no_packet_to_one_node() -> None:
    queue = TransmitLimitedQueue(4, lambda: 9, bulk=True, spread_first=True)
    queue.queue(b"a")
    assert [] == queue.take(2, 100)
    queue.queue(b"b")
    assert [] == queue.take(2, 100)
    assert [b"a", b"b"] == queue.take(2, 100, copies=3)
    queue.queue(b"c")
    assert [b"a", b"b"] == queue.take(2, 100)
    assert [] == queue.take(2, 100)
    assert [b"c"] == queue.take(2, 100, copies=3)


@pytest.mark.parametrize("count", [1, 2, 30, 60])
def test_further_packets_to_one_node_bring_it_nothing_twice(count: int) -> None:
    queue = bulk()  # eight times
    for number in range(count):
        queue.queue(b"%02d" % number)
    for _ in range(8):
        got = queue.take(2, 80)
        while more := queue.take(2, 80, copies=-1):
            got += more
        assert count == len(got) == len(set(got))
    assert 0 == len(queue)


def test_what_a_node_got_may_leave_the_queue_meanwhile() -> None:
    queue = TransmitLimitedQueue(4, lambda: 9)
    queue.queue(b"a", name="x")
    queue.queue(b"b", name="y")
    assert [b"b", b"a"] == queue.take(2, 100)
    queue.queue(b"A", name="x")
    queue.discard("y")
    assert [b"A"] == queue.take(2, 100, copies=-1)
    assert [] == queue.take(2, 100, copies=-1)
    assert [b"A"] == queue.take(2, 100)


def test_messages_about_nodes_get_all_copies_whatever_the_packet() -> None:
    queue = TransmitLimitedQueue(4, lambda: 16)
    for number in range(20):
        queue.queue(b"%02d" % number)
    assert 20 == len(queue.take(2, 80, copies=6))
    assert 20 == len(queue)


def test_what_fits_no_packet_can_be_dropped() -> None:
    queue = bulk()
    done: list[int] = []
    for size in (10, 20, 30):
        queue.queue(bytes([size]) * size, on_finished=lambda size=size: done.append(size))  # type: ignore[misc]
    assert 2 == queue.discard_longer(19)
    assert [20, 30] == sorted(done)
    assert 10 == queue.size
    assert 0 == queue.discard_longer(19)
    assert 2 == queue.statistics().discarded


@pytest.mark.parametrize("copies", [0, 6])
def test_a_queue_at_rest_keeps_nothing_of_what_it_had(copies: int) -> None:
    class Waiter:
        def __call__(self) -> None: ...

    queue, waiter = queue_for(mult=1), Waiter()
    kept = weakref.ref(waiter)
    queue.queue(b"message", on_finished=waiter)
    del waiter
    assert kept() is not None
    assert [b"message"] == queue.take(0, 100, copies=copies)
    assert kept() is None


def test_a_queue_at_rest_gives_back_the_room_that_a_burst_took() -> None:
    queue = queue_for(mult=1)
    for number in range(1000):
        queue.queue(b"x", name=str(number))
    assert sys.getsizeof(queue.entries) > 10_000
    assert 1000 == len(queue.take(0, 1000))
    assert sys.getsizeof({}) == sys.getsizeof(queue.entries)
