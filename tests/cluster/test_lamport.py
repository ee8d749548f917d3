"""Clocks move past what they see, as far as it can be accepted."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.effects import ExchangeState
from trioserf._cluster.lamport import (
    EPOCH,
    GAP_BURST,
    GAP_RATE,
    LIMIT,
    PRIVATE_COST,
    STEP,
    WINDOW,
    LamportClock,
    RecentTimes,
)

TIMES = st.integers(min_value=0, max_value=2**64 - 1)


def test_a_new_clock_reads_0_and_increments_to_1() -> None:
    """Checklist 1."""
    clock = LamportClock()
    assert 0 == clock.time
    assert 1 == clock.increment()
    assert 1 == clock.time


def test_witnessing_moves_past_what_was_seen_and_never_back() -> None:
    """Checklist 2."""
    clock = LamportClock()
    for seen, after in [(41, 42), (41, 42), (30, 42), (42, 43)]:
        clock.witness(seen)
        assert after == clock.time


def test_in_go_the_last_time_is_followed_by_0() -> None:
    clock = LamportClock(2**64 - 2, faithful=True)
    assert 2**64 - 1 == clock.increment()
    assert 0 == clock.increment()
    clock.witness(2**64 - 1)
    assert 0 == clock.time


@given(start=TIMES, seen=TIMES)
def test_a_clock_of_go_is_past_what_it_saw_unless_it_wrapped(start: int, seen: int) -> None:
    clock = LamportClock(start, faithful=True)
    assert () == clock.observe(seen, 0.0)
    assert clock.time > seen or clock.time == 0
    assert clock.time >= start or clock.time == 0
    assert clock.time < 2**64


@given(start=st.integers(0, LIMIT - 1), seen=st.lists(TIMES))
def test_a_clock_never_wraps(start: int, seen: list[int]) -> None:
    clock = LamportClock(start)
    for now, time in enumerate(seen):
        before = clock.time
        if clock.observe(time, float(now)) is None:
            assert before == clock.time
        else:
            middle = (before // EPOCH + 1) * EPOCH + EPOCH // 2
            stays = 0 <= time - before <= WINDOW  # without an allowance for what was skipped
            assert stays or clock.time > min(time, middle - 1, LIMIT - 2)
        clock.increment()
        assert before <= clock.time < LIMIT


@pytest.mark.parametrize("seen", [2 * EPOCH, 2**40, LIMIT - 1, LIMIT, 2**64 - 1])
def test_an_implausible_time_is_not_seen(seen: int) -> None:
    for start in (1, 100, EPOCH - 1):
        clock = LamportClock(start)
        assert clock.observe(seen, 0.0) is None
        assert start == clock.time


def test_what_is_plausible_is_the_same_for_all_nodes_of_an_epoch() -> None:
    last = 2 * EPOCH - 1
    for start in (0, 1000, EPOCH - 1):
        clock = LamportClock(start)
        assert clock.observe(last + 1, 0.0) is None
        assert clock.observe(last, 0.0) is not None


@pytest.mark.parametrize("start", [1, EPOCH - 1, EPOCH, 5 * EPOCH + 7])
def test_after_a_jump_peers_can_follow(start: int) -> None:
    """A forged time at the very edge must not make its receiver one to whom no peer listens."""
    for seen in ((start // EPOCH + 2) * EPOCH - 1, (start // EPOCH + 1) * EPOCH + EPOCH // 2):
        clock = LamportClock(start)
        assert clock.observe(seen, 0.0) is not None
        for own in (clock.time, clock.time + 10**6, clock.time + EPOCH // 4):
            assert LamportClock(start).observe(own, 0.0) is not None


def test_jumps_are_rate_limited() -> None:
    clock = LamportClock(1)
    assert clock.observe(10**6, 0.0)
    assert clock.observe(2 * 10**6, 15.9) is None
    assert clock.observe(10**6 + 1, 15.9) == (), "one that is no jump"
    assert clock.observe(2 * 10**6, 16.1)
    assert clock.observe(3 * 10**6, 18.0) is None


def test_who_missed_some_gaps_can_follow_at_the_same_cost() -> None:
    one, other = LamportClock(1), LamportClock(1)
    for now in range(40):
        while one.observe(one.time + STEP, float(now)):
            pass
        seen = one.time - 1
        assert any(other.observe(seen, now + later) for later in (0.0, 0.05)), now
        assert one.time == other.time


def test_gaps_are_rate_limited_but_let_an_honest_burst_pass() -> None:
    clock = LamportClock(1)
    for _ in range(GAP_BURST):
        assert clock.observe(clock.time + STEP, 5.0)
    assert clock.observe(clock.time + WINDOW + 1, 5.0) is None
    assert () == clock.observe(clock.time + WINDOW, 5.0)
    assert clock.observe(clock.time + WINDOW + 1, 5.3)


@pytest.mark.parametrize("step", [1, 7, WINDOW])
def test_small_steps_add_up_to_a_gap(step: int) -> None:
    clock, gaps = LamportClock(1000), 0
    for number in range(3 * WINDOW // step):
        before = clock.time
        effects = clock.observe(before + step, 1.0)
        assert effects is not None, number
        assert before + step + 1 == clock.time
        gaps += ExchangeState() in effects
    assert 1 <= gaps <= 2
    # A node that does not know of it yet is between the time before and that of now.
    assert clock.is_current(1000)


def test_times_that_are_filled_later_are_not_skipped() -> None:
    clock = LamportClock(1000)
    for _ in range(100):
        assert () == clock.observe(clock.time + 20, 1.0)
        for _ in range(20):
            clock.fill()
    assert 0 == clock.skipped


def test_what_others_never_see_moves_a_clock_slowly() -> None:
    clock = LamportClock(1000)
    for number in range(100_000):
        assert clock.observe(clock.time, number / 10_000, private=True) is not None
    most = (GAP_BURST + 10 * GAP_RATE) / PRIVATE_COST + 1
    assert (most - 1) * WINDOW < clock.time - 1000 <= most * (WINDOW + 1)
    time = clock.time
    assert () == clock.observe(time, 10.0)
    assert time + 1 == clock.time, "what others see moves it as before"


def test_a_message_without_an_allowance_counts_although_the_clock_stays() -> None:
    clock = LamportClock(1)
    while clock.observe(clock.time + STEP, 5.0):
        pass
    clock.skipped = WINDOW
    before = clock.time
    assert () == clock.observe(before + 5, 5.0)
    assert before == clock.time
    assert () == clock.observe(before, 5.0)
    assert before + 1 == clock.time


def test_a_gap_asks_for_a_push_pull() -> None:
    effects = LamportClock(1).observe(WINDOW + 2, 0.0)
    assert effects is not None
    assert ExchangeState() in effects


def test_the_times_before_a_jump_stay_current() -> None:
    clock = LamportClock(1000)
    assert not clock.is_current(1000)
    assert clock.observe(10**9, 0.0)
    for time in (1000 - WINDOW, 1000, 1000 + WINDOW):
        assert clock.is_current(time)
    for time in (1000 - WINDOW - 1, 1000 + WINDOW + 1):
        assert not clock.is_current(time)


def test_in_its_first_exchange_a_node_accepts_its_peer() -> None:
    clock = LamportClock(1)
    assert () == clock.catch_up(2**62, 0.0, first=True)
    assert 2**62 == clock.time
    other = LamportClock(1)
    assert other.catch_up(2**62, 0.0) is None
    assert other.catch_up(LIMIT + 1, 0.0, first=True) is None
    assert () == other.catch_up(0, 0.0)
    assert 1 == other.time


# --- what was received lately -----------------------------------------------------------


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
