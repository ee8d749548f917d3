from __future__ import annotations

from trioserf._swim.awareness import Awareness


def test_a_node_starts_healthy_and_its_times_are_as_configured() -> None:
    awareness = Awareness(8)
    assert 0 == awareness.score
    assert 0.5 == awareness.scale(0.5)


def test_the_score_stretches_times_by_itself_plus_one() -> None:
    awareness = Awareness(8)
    assert awareness.apply_delta(3)
    assert 3 == awareness.score
    assert 2.0 == awareness.scale(0.5)


def test_the_score_stays_within_zero_and_one_below_the_multiplier() -> None:
    awareness = Awareness(8)
    assert not awareness.apply_delta(-1)
    assert 0 == awareness.score
    assert awareness.apply_delta(100)
    assert 7 == awareness.score
    assert not awareness.apply_delta(1)
    assert awareness.apply_delta(-100)
    assert 0 == awareness.score


def test_a_multiplier_of_one_turns_it_off() -> None:
    awareness = Awareness(1)
    assert not awareness.apply_delta(5)
    assert 1.0 == awareness.scale(1.0)
