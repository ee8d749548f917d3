"""The heap of what is under way, and how its task wakes up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from trioserf.testing.deliveries import Deliveries
from trioserf.testing.jump_sleeper import JumpSleeper, ScopeSleeper, sleeper_for_this_run


def jumping() -> MockClock:
    return MockClock(autojump_threshold=0)


def waiting_a_moment() -> MockClock:
    """Jumps too, but only the kind of wake-up for every clock can be used with it."""
    return MockClock(autojump_threshold=0.0001)


CLOCKS = pytest.mark.parametrize("make_clock", [jumping, waiting_a_moment])


def run_with(clock: MockClock, body: Callable[[Deliveries], object], **settings: float) -> None:
    async def main() -> None:
        deliveries = Deliveries(**settings)
        async with trio.open_nursery() as nursery:
            await nursery.start(deliveries.run)
            await body(deliveries)  # type: ignore[misc]
            nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)


@CLOCKS
def test_calls_are_made_when_due_in_the_order_of_their_times(
    make_clock: Callable[[], MockClock],
) -> None:
    async def body(deliveries: Deliveries) -> None:
        made = []

        def note(name: str) -> None:
            made.append((name, round(trio.current_time(), 6)))

        deliveries.push(2.0, note, "late")
        deliveries.push(1.0, note, "early")
        deliveries.push(1.0, note, "second of two")
        await trio.sleep(0.5)
        deliveries.push(0.75, note, "earliest")
        assert 4 == len(deliveries)
        await trio.sleep(2)
        expected = [("earliest", 0.75), ("early", 1.0), ("second of two", 1.0), ("late", 2.0)]
        assert expected == made
        assert 3 == deliveries.wake_ups

    run_with(make_clock(), body)


@CLOCKS
def test_a_call_may_push_calls(make_clock: Callable[[], MockClock]) -> None:
    async def body(deliveries: Deliveries) -> None:
        times = []

        def again() -> None:
            times.append(round(trio.current_time(), 6))
            if len(times) < 4:
                deliveries.push(trio.current_time() + 0.25, again)

        deliveries.push(0.25, again)
        await trio.sleep(10)
        assert [0.25, 0.5, 0.75, 1.0] == times

    run_with(make_clock(), body)


@CLOCKS
def test_what_is_overdue_is_called_at_once(make_clock: Callable[[], MockClock]) -> None:
    async def body(deliveries: Deliveries) -> None:
        called = trio.Event()
        await trio.sleep(5)
        deliveries.push(1.0, called.set)
        with trio.move_on_after(0.001):
            await called.wait()
        assert called.is_set()

    run_with(make_clock(), body)


def test_what_was_pushed_before_running_is_called() -> None:
    async def main() -> None:
        deliveries, called = Deliveries(), []
        deliveries.push(0.0, called.append, 1)
        deliveries.push(3.0, called.append, 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deliveries.run)
            await trio.sleep(1)
            assert [1] == called
            await trio.sleep(5)
            assert [1, 2] == called
            nursery.cancel_scope.cancel()

    trio.run(main, clock=jumping())


def test_a_flood_leaves_room_for_others() -> None:
    async def body(deliveries: Deliveries) -> None:
        made, seen = [], []

        async def look() -> None:
            await trio.sleep(1.0)
            while len(made) < 5000:
                seen.append(len(made))
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            for number in range(5000):
                deliveries.push(1.0, made.append, number)
        assert list(range(5000)) == made
        assert len(seen) > 2

    run_with(jumping(), body)


def test_each_clock_gets_the_cheapest_sleeper_it_allows() -> None:
    async def kind() -> type:
        return type(sleeper_for_this_run())

    assert JumpSleeper is trio.run(kind, clock=jumping())
    assert ScopeSleeper is trio.run(kind, clock=waiting_a_moment())
    assert ScopeSleeper is trio.run(kind, clock=MockClock(rate=10, autojump_threshold=0))
    assert ScopeSleeper is trio.run(kind)


def test_deadlines_and_wake_ups_keep_their_order() -> None:
    async def body(deliveries: Deliveries) -> None:
        made: list[object] = []

        async def sleeper(seconds: float) -> None:
            await trio.sleep(seconds)
            made.append(seconds)

        async with trio.open_nursery() as nursery:
            for seconds in (1.0, 3.0, 5.0):
                nursery.start_soon(sleeper, seconds)
            for due in (2.0, 4.0, 6.0):
                deliveries.push(due, made.append, f"call {due}")
            nursery.start_soon(sleeper, 7.0)
        assert [1.0, "call 2.0", 3.0, "call 4.0", 5.0, "call 6.0", 7.0] == made
        assert 7.0 == trio.current_time()

    run_with(jumping(), body)


def test_two_heaps_share_one_clock() -> None:
    async def body(first: Deliveries) -> None:
        second, made = Deliveries(), []
        async with trio.open_nursery() as nursery:
            await nursery.start(second.run)
            for due in (1.0, 2.0, 3.0):
                first.push(due, made.append, ("first", due))
                second.push(due + 0.5, made.append, ("second", due))
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        expected = [(name, due) for due in (1.0, 2.0, 3.0) for name in ("first", "second")]
        assert expected == made

    run_with(jumping(), body)


def test_a_jump_by_hand_passes_calls_too() -> None:
    clock = jumping()

    async def body(deliveries: Deliveries) -> None:
        made: list[float] = []
        deliveries.push(5.0, lambda: made.append(trio.current_time()))
        await trio.lowlevel.checkpoint()
        clock.jump(7)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        assert [7.0] == made
        with pytest.raises(ValueError, match="backwards"):
            clock.jump(-1)

    run_with(clock, body)


def test_a_cancelled_run_can_be_followed_by_another() -> None:
    async def body(deliveries: Deliveries) -> None:
        with pytest.raises(trio.BusyResourceError):
            await deliveries.run()

    run_with(jumping(), body)

    async def twice() -> None:
        deliveries, made = Deliveries(), []
        for _ in range(2):
            with trio.move_on_after(1):
                await deliveries.run()
            deliveries.push(trio.current_time() + 0.5, made.append, trio.current_time())
        with trio.move_on_after(1):
            await deliveries.run()
        assert [1.0, 2.0] == made

    trio.run(twice, clock=jumping())
