"""Shrinking keeps what a failure needs, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from trioserf.testing.shrinking import shrink


@given(st.sets(st.integers(0, 40)))
def test_what_is_needed_is_what_remains(needed: set[int]) -> None:
    assert sorted(needed) == shrink(range(41), lambda items: needed <= set(items), tries=10**6)


def test_a_failure_that_needs_nothing_shrinks_to_nothing() -> None:
    assert [] == shrink(range(9), lambda items: True)


def test_it_gives_up_after_so_many_tries_and_keeps_what_fails() -> None:
    asked: list[Sequence[int]] = []

    def still_fails(items: Sequence[int]) -> bool:
        asked.append(items)
        return {3, 17} <= set(items)

    kept = shrink(range(40), still_fails, tries=5)
    assert 5 == len(asked)
    assert {3, 17} <= set(kept)
