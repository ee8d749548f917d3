"""The timer that can be moved, and the clock of the run."""

import math

import pytest
import trio
import trio.testing

from trioserf._memberlist.alarm import Alarm, run_clock


async def test_it_rings_at_its_deadline(autojump_clock):
    alarm = Alarm()
    alarm.set(5.0)
    await alarm.wait()
    assert 5.0 == trio.current_time()
    assert math.inf == alarm.deadline


async def test_setting_it_moves_the_deadline_of_a_sleeper(autojump_clock, nursery):
    alarm = Alarm()
    alarm.set(100.0)

    async def move():
        await trio.sleep(1)
        alarm.set(3.0)
        alarm.set(7.0)

    nursery.start_soon(move)
    await alarm.wait()
    assert 7.0 == trio.current_time()


async def test_advancing_never_delays(autojump_clock):
    alarm = Alarm()
    alarm.set(2.0)
    alarm.advance(9.0)
    assert 2.0 == alarm.deadline
    alarm.advance(1.0)
    await alarm.wait()
    assert 1.0 == trio.current_time()


async def test_a_deadline_set_while_it_rings_is_not_lost(autojump_clock):
    async def set_at(time, later):
        await trio.sleep_until(time)
        alarm.set(later)

    for _ in range(30):  # whichever of the two tasks runs first
        now = trio.current_time()
        alarm = Alarm()
        alarm.set(now + 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(set_at, now + 1, now + 4)
            await trio.lowlevel.checkpoint()
            while alarm.deadline != math.inf:
                await alarm.wait()
        assert now + 4 in (trio.current_time(), alarm.deadline)


async def test_a_past_deadline_rings_at_once(mock_clock):
    alarm = Alarm()
    alarm.set(trio.current_time() - 1)
    await alarm.wait()
    assert math.inf == alarm.deadline


async def test_two_sleepers_are_one_too_many(autojump_clock, nursery):
    alarm = Alarm()
    nursery.start_soon(alarm.wait)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(trio.BusyResourceError):
        await alarm.wait()
    alarm.set(0)


async def test_a_cancelled_sleeper_leaves_the_alarm_usable(autojump_clock):
    alarm = Alarm()
    alarm.set(10.0)
    with trio.move_on_after(1):
        await alarm.wait()
    assert 10.0 == alarm.deadline
    await alarm.wait()
    assert 10.0 == trio.current_time()


async def test_the_clock_of_a_run_is_that_of_trio(autojump_clock):
    clock = run_clock()
    for _ in range(2):
        assert trio.current_time() == clock()
        await trio.sleep(1)
