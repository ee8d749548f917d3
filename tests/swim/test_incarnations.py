from __future__ import annotations

import pytest

from trioserf._swim.incarnations import (
    ALIVE_BAND,
    MAX_INCARNATION,
    STEP,
    SUSPECT_BAND,
    plausible_alive,
    plausible_suspect,
    successor,
    wrapped_successor,
)


@pytest.mark.parametrize(
    ("local", "refuted", "following"), [(1, 0, 2), (1, 1, 2), (1, 7, 8), (9, 7, 10)]
)
def test_the_next_incarnation_is_above_the_present_and_the_refuted_one(
    local: int, refuted: int, following: int
) -> None:
    assert following == successor(local, refuted) == wrapped_successor(local, refuted)


def test_the_last_incarnation_does_not_wrap() -> None:
    assert MAX_INCARNATION == successor(MAX_INCARNATION - 1)
    assert MAX_INCARNATION == successor(MAX_INCARNATION)
    assert MAX_INCARNATION == successor(3, MAX_INCARNATION)


def test_the_last_incarnation_wraps_in_go() -> None:
    assert 0 == wrapped_successor(MAX_INCARNATION)
    assert 0 == wrapped_successor(3, MAX_INCARNATION)


@pytest.mark.parametrize("known", [0, 1, 1000])
def test_below_the_band_every_jump_is_plausible(known: int) -> None:
    assert plausible_suspect(SUSPECT_BAND - 1, known)
    assert plausible_alive(ALIVE_BAND - 1, known)


def test_in_the_band_only_short_steps_are_plausible() -> None:
    assert not plausible_suspect(SUSPECT_BAND, 1)
    assert not plausible_alive(ALIVE_BAND, 1)
    for known in (SUSPECT_BAND, ALIVE_BAND, MAX_INCARNATION - 2 * STEP):
        assert plausible_suspect(known + STEP, known)
        assert not plausible_suspect(known + STEP + 1, known)
    assert plausible_alive(ALIVE_BAND + STEP, ALIVE_BAND)
    assert not plausible_alive(ALIVE_BAND + STEP + 1, ALIVE_BAND)


def test_the_refutation_of_the_highest_plausible_suspicion_is_plausible_to_all() -> None:
    refutation = successor(1, SUSPECT_BAND - 1)
    assert plausible_alive(refutation, 1)


def test_a_single_forged_message_cannot_bring_a_node_near_the_end() -> None:
    local = 1
    forged = 0
    while local < MAX_INCARNATION:
        local = successor(local, min(max(SUSPECT_BAND - 1, local + STEP), MAX_INCARNATION))
        forged += 1
    assert forged > 10_000
