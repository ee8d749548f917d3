"""Clocks move past whatever they see, and wrap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.lamport import LamportClock

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


def test_the_last_time_is_followed_by_0() -> None:
    clock = LamportClock(2**64 - 2)
    assert 2**64 - 1 == clock.increment()
    assert 0 == clock.increment()
    clock.witness(2**64 - 1)
    assert 0 == clock.time


@given(start=TIMES, seen=TIMES)
def test_a_clock_is_past_what_it_saw_unless_it_wrapped(start: int, seen: int) -> None:
    clock = LamportClock(start)
    clock.witness(seen)
    assert clock.time > seen or clock.time == 0
    assert clock.time >= start or clock.time == 0
    assert clock.time < 2**64
