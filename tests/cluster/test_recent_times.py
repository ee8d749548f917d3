"""Memory of messages by Lamport time: bounded, and nothing forgotten is taken for new."""

from __future__ import annotations

import attrs

from trioserf._cluster.lamport import WINDOW, LamportClock
from trioserf._cluster.recent_times import RecentTimes


@attrs.define(eq=False)
class One:
    ltime: int


def test_what_has_become_stale_is_dropped() -> None:
    clock = LamportClock()
    times: RecentTimes[One] = RecentTimes(clock, 4)
    for ltime in range(100):
        clock.witness(ltime)
        times.put(One(ltime))
        assert len(list(times)) <= 8
        assert all(times.get(one) is not None for one in range(max(0, clock.time - 4), ltime + 1))
    assert -1 == times.floor


def test_too_many_times_drop_the_lowest_and_raise_the_floor() -> None:
    clock = LamportClock()
    times: RecentTimes[One] = RecentTimes(clock, 4)
    for ltime in range(WINDOW, 20 * WINDOW, WINDOW + 10):
        assert clock.observe(ltime, 0.0) is not None
        times.put(One(ltime))
    kept = sorted(one.ltime for one in times)
    assert len(kept) <= 8
    assert -1 < times.floor < kept[0]


def test_two_times_of_one_place_in_the_ring_show_the_higher() -> None:
    clock = LamportClock(1)
    times: RecentTimes[One] = RecentTimes(clock, 4)
    for ltime in (2, 1002, 6):
        times.put(One(ltime))
    shown = [None if one is None else one.ltime for one in times.in_ring()]
    assert [None, None, 1002, None] == shown


def test_in_go_a_slot_belongs_to_the_time_that_used_it_last() -> None:
    times: RecentTimes[One] = RecentTimes(LamportClock(1, faithful=True), 4)
    times.put(One(6))
    times.put(One(2))
    assert times.get(6) is None
    assert times.get(2) is not None
