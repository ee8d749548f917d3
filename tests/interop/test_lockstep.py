"""A faithful node and an agent get the same messages, and have the same state after each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.waiting import limit
from trioserf.testing.campaign import lockstep

STEPS = 60


@pytest.mark.parametrize("seed", [101, 102, 103])
@limit(90)
async def test_the_same_messages_make_the_same_state(binary: Path, seed: int) -> None:
    found = await lockstep.series(str(binary), seed, STEPS)
    assert found is None, str(found)


async def test_a_difference_is_found_and_named(binary: Path) -> None:
    """Each of the two is asked, and its own answer is taken."""
    one = {"times": (1, 2, 3), "records": {"a": 1, "b": 2}, "left": ["a"]}
    assert () == lockstep.differences(one, dict(one))
    other = {"times": (1, 2, 4), "records": {"a": 1, "b": 3, "c": 4}, "left": ["a"]}
    assert (
        "times: Go (1, 2, 3), trioserf (1, 2, 4)",
        "records of 'b': Go 2, trioserf 3",
        "records of 'c': Go None, trioserf 4",
    ) == lockstep.differences(one, other)
