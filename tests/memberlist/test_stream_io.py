"""Where CPU-bound work is done."""

import threading
import time

import pytest
import trio
import trio.testing

from trioserf._memberlist.metrics import Metrics
from trioserf._memberlist.node_log import node_log
from trioserf._memberlist.stream_io import (
    CATCH_UP_TURNS,
    CHUNK,
    FREE_SIZE,
    INLINE_FRAME,
    MAX_WAITING,
    STRANGER_BURST,
    STRANGER_RATE,
    WAIT_LIMIT,
    ByteBudget,
    Holding,
    let_readers_catch_up,
    make_way,
    read_message,
    run_cpu_bound,
    spend_of_strangers,
)
from trioserf._swim.token_bucket import TokenBucket
from trioserf._wire.codec import encode
from trioserf._wire.keyring import Keyring
from trioserf._wire.limits import RECORD_SIZE, THREAD_THRESHOLD
from trioserf._wire.messages import Compressed, NodeRecord, PushPullHeader
from trioserf._wire.streams import (
    PushPullState,
    StreamCodec,
    StreamError,
    UserMessageStream,
    frame,
    push_pull_bytes,
    user_message_bytes,
)
from trioserf.testing.determinism import threads_in_place

METRICS = Metrics(None, {}, node_log("memberlist", "test"))
RECORD = NodeRecord("n9", bytes((10, 0, 0, 9)), 7946, b"", 1, 0, b"\x01\x05\x02\x00\x00\x00")


def test_heavy_work_goes_to_a_thread_and_light_work_does_not():
    async def main():
        here = threading.current_thread()
        assert here is await run_cpu_bound(threading.current_thread, THREAD_THRESHOLD - 1)
        assert here is not await run_cpu_bound(threading.current_thread, THREAD_THRESHOLD)
        assert here is not await run_cpu_bound(threading.current_thread, THREAD_THRESHOLD)

    trio.run(main)


async def test_in_a_simulation_no_thread_lets_time_run_away(autojump_clock):
    here = threading.current_thread()
    with threads_in_place(), trio.fail_after(1):
        assert here is await run_cpu_bound(threading.current_thread, THREAD_THRESHOLD)


async def test_small_work_of_many_tasks_does_not_add_up(autojump_clock):
    turns = []

    async def work(number):
        await run_cpu_bound(lambda: turns.append(number), THREAD_THRESHOLD - 1)

    async def tick():
        while True:
            await trio.lowlevel.checkpoint()
            turns.append("tick")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        async with trio.open_nursery() as workers:
            for number in range(20):
                workers.start_soon(work, number)
        nursery.cancel_scope.cancel()
    numbers = [turns.index(number) for number in range(20)]
    numbers.sort()
    assert all("tick" in turns[a:b] for a, b in zip(numbers[:-2], numbers[2:], strict=True))


async def test_what_many_streams_bring_at_once_is_parsed_one_after_the_other(autojump_clock):
    turns, data = [], b"\x06" + encode(PushPullHeader(1000, 0, False)) + 300 * encode(RECORD)

    class Stream:
        def __init__(self, number):
            self.number, self.pieces = number, [data[:CHUNK], b""]

        async def receive_some(self, _size):
            await ready.wait()
            turns.append(self.number)
            return self.pieces.pop(0)

    async def read(number):
        with pytest.raises(StreamError):
            await read_message(Stream(number), StreamCodec(), accept_side=True, metrics=METRICS)

    async def tick():
        while True:
            await trio.lowlevel.checkpoint()
            turns.append("tick")

    ready = trio.Event()
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as readers:
            for number in range(20):
                readers.start_soon(read, number)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(tick)
            ready.set()
        nursery.cancel_scope.cancel()
    second = sorted(len(turns) - 1 - turns[::-1].index(number) for number in range(20))
    assert all("tick" in turns[a:b] for a, b in zip(second[:-2], second[2:], strict=True))


# --- the budget of bytes


async def test_what_is_free_is_not_charged():
    budget = ByteBudget(100)
    holding = Holding(budget)
    await holding.resize(FREE_SIZE)
    assert 0 == budget.used
    await holding.grow(100)
    assert 100 == budget.used
    await holding.resize(FREE_SIZE + 40)
    assert 40 == budget.used
    holding.release()
    assert 0 == budget.used


async def test_who_needs_least_is_served_first(autojump_clock):
    budget, served = ByteBudget(100), []
    await budget.take(100)

    async def wait(size):
        await budget.take(size)
        served.append(size)

    async with trio.open_nursery() as nursery:
        for size in (60, 20, 50):
            nursery.start_soon(wait, size)
        await trio.sleep(0.5)
        budget.give_back(45)
        await trio.sleep(0.01)
        assert [20] == served
        budget.give_back(25)
        await trio.sleep(0.01)
        assert [20, 50] == served
        budget.give_back(70)
    assert 100 - 45 + 20 - 25 + 50 - 70 + 60 == budget.used


async def test_nobody_waits_for_ever_for_room(autojump_clock):
    budget = ByteBudget(100)
    await budget.take(90)
    start = trio.current_time()
    with pytest.raises(StreamError, match="busy: requests hold 90 of 100 bytes, 20 more"):
        await budget.take(20)
    assert WAIT_LIMIT == pytest.approx(trio.current_time() - start)
    with pytest.raises(StreamError, match="101 bytes: expected at most 100"):
        await budget.take(101)
    assert 90 == budget.used


async def test_few_wait_and_the_largest_gives_up(autojump_clock):
    budget, ends = ByteBudget(100), []
    await budget.take(100)

    async def wait(size):
        try:
            await budget.take(size)
        except StreamError:
            ends.append(size)

    async with trio.open_nursery() as nursery:
        for size in range(10, 10 + MAX_WAITING + 1):
            nursery.start_soon(wait, size)
        await trio.sleep(0.1)
        assert [10 + MAX_WAITING] == ends
        nursery.cancel_scope.cancel()
    budget.give_back(100)
    assert 0 == budget.used


async def test_one_that_is_cancelled_when_it_was_served_gives_back(autojump_clock):
    budget = ByteBudget(100)
    await budget.take(100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(budget.take, 50)
        await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
        budget.give_back(100)
    assert 0 == budget.used


async def test_one_that_is_cancelled_when_it_had_to_give_up_leaves_the_others_their_turns(
    autojump_clock,
):
    budget, served = ByteBudget(100), []
    await budget.take(100)

    async def wait(size):
        await budget.take(size)
        served.append(size)

    async with trio.open_nursery() as nursery:
        largest = trio.CancelScope()

        async def wait_for_much():
            with largest:
                await wait(90)

        nursery.start_soon(wait_for_much)
        for _ in range(MAX_WAITING - 1):
            nursery.start_soon(wait, 2)
        await trio.sleep(0.1)
        largest.cancel()
        with trio.move_on_after(0.1):  # one too many: the largest gives up, before it runs again
            await wait(1)
        budget.give_back(100)
    assert [2] * (MAX_WAITING - 1) == served
    assert 2 * (MAX_WAITING - 1) == budget.used


def test_what_strangers_may_send_is_spent_and_comes_back():
    bucket = TokenBucket(STRANGER_BURST, STRANGER_RATE)
    spend_of_strangers(bucket, STRANGER_BURST - 1, 10.0)
    spend_of_strangers(bucket, STRANGER_RATE, 10.0)
    for now in (10.0, 10.9):
        with pytest.raises(StreamError, match="busy"):
            spend_of_strangers(bucket, 1, now)
    spend_of_strangers(bucket, STRANGER_BURST, 11.1)
    with pytest.raises(StreamError, match="busy"):
        spend_of_strangers(bucket, 1, 14.0)
    spend_of_strangers(bucket, STRANGER_BURST, 1000.0)
    with pytest.raises(StreamError, match="busy"):
        spend_of_strangers(bucket, 1, 1000.0)


async def test_only_what_is_charged_is_rate_limited():
    taken = []
    holding = Holding(ByteBudget(10 * FREE_SIZE), taken.append)
    for size in (FREE_SIZE, FREE_SIZE + 10, FREE_SIZE + 5, FREE_SIZE + 25, 0):
        await holding.resize(size)
    assert [10, 20] == taken


# --- short frames --------------------


class Whole:
    """A stream that has one piece."""

    def __init__(self, data):
        self.data = data

    async def receive_some(self, _size):
        return self.data


async def read_one(data, codec):
    """What is read, what is charged for it at last, and how often others ran meanwhile."""
    holding, turns = Holding(ByteBudget(1 << 30)), 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        request = await read_message(
            Whole(data), codec, accept_side=True, metrics=METRICS, holding=holding
        )
        ran = turns
        nursery.cancel_scope.cancel()
    return request, holding, ran


CODECS = {
    "compressed": StreamCodec(compress=True),
    "encrypted": StreamCodec(keyring=Keyring([bytes(range(16))])),
    "both": StreamCodec(compress=True, keyring=Keyring([bytes(range(16))])),
}


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
async def test_a_short_frame_is_read_at_once(codec):
    nonce = bytes(12)
    short = frame(push_pull_bytes(True, [RECORD] * 2, b"state"), codec, nonce)
    assert len(short) <= INLINE_FRAME
    request, holding, turns = await read_one(short, codec)
    assert PushPullState(True, (RECORD, RECORD), b"state") == request
    assert not turns
    assert not holding.charged
    long = frame(push_pull_bytes(True, [RECORD] * 400, b"state"), codec, nonce)
    request, holding, turns = await read_one(long, codec)
    assert PushPullState(True, (RECORD,) * 400, b"state") == request
    assert turns
    assert holding.charged > 0


async def test_a_short_frame_may_have_a_long_text():
    codec = CODECS["compressed"]
    short = frame(user_message_bytes(bytes(20_000)), codec, None)
    assert len(short) <= INLINE_FRAME
    request, holding, turns = await read_one(short, codec)
    assert UserMessageStream(bytes(20_000)) == request
    assert turns
    assert holding.size >= 20_000


async def test_many_records_in_a_short_frame_are_charged():
    nothing = b"\x06" + encode(PushPullHeader(1000, 0, True)) + 1000 * b"\x80"
    short = frame(nothing, CODECS["compressed"], None)
    assert len(short) <= INLINE_FRAME
    request, holding, _ = await read_one(short, CODECS["compressed"])
    assert 1000 == len(request.records)
    assert holding.charged > 1000 * RECORD_SIZE - FREE_SIZE


@pytest.mark.parametrize("data", [b"abc", bytes(2 * INLINE_FRAME)], ids=["short", "long"])
async def test_what_is_wrong_in_a_frame_is_replied_to(data):
    stream = Whole(b"\x09" + encode(Compressed(7, data)))
    with pytest.raises(StreamError, match="algorithm 7") as caught:
        await read_message(stream, CODECS["compressed"], accept_side=True, metrics=METRICS)
    assert caught.value.reply


async def test_only_a_thread_makes_way_for_the_loop():
    """The loop would hold itself up."""

    def timed():
        start = time.perf_counter()
        for _ in range(10):
            make_way()
        return time.perf_counter() - start

    assert 0.001 <= await trio.to_thread.run_sync(timed)
    assert timed() < 0.001


async def test_a_reader_that_never_catches_up_is_waited_for_a_while_only():
    looks = []

    def is_behind():
        looks.append(1)
        return True

    await let_readers_catch_up(is_behind)
    assert CATCH_UP_TURNS == len(looks)
