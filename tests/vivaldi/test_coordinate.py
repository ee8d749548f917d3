"""Coordinates as values: validity, distance, force."""

from __future__ import annotations

import math
import random
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import ConfigError, CoordinateError
from trioserf._vivaldi.coordinate import (
    Coordinate,
    CoordinateConfig,
    add,
    difference,
    magnitude,
    unit_vector_at,
)

FLAT = CoordinateConfig(dimensionality=3, height_min=0.0)
TALL = CoordinateConfig(dimensionality=3, height_min=1.0e-5)


def at(*vec: float, config: CoordinateConfig = FLAT) -> Coordinate:
    return attrs.evolve(Coordinate.origin(config), vec=vec)


def near(vec: tuple[float, ...], tolerance: float = 1e-6) -> object:
    return pytest.approx(vec, abs=tolerance)


def test_a_new_coordinate_is_at_the_origin_and_knows_nothing() -> None:
    expected = Coordinate(vec=(0.0,) * 8, error=1.5, adjustment=0.0, height=1.0e-5)
    assert expected == Coordinate.origin(CoordinateConfig())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["vec", "error", "adjustment", "height"])
def test_a_number_that_is_not_finite_makes_a_coordinate_invalid(place: str, bad: float) -> None:
    """Checklist of Serf, item 120."""
    value = (0.0, bad, 0.0) if place == "vec" else bad
    assert not attrs.evolve(at(0, 0, 0), **{place: value}).is_valid
    value = (0.0, 0.0, 0.0) if place == "vec" else 0.0
    assert attrs.evolve(at(0, 0, 0), **{place: value}).is_valid


def test_compatibility_is_equality_of_dimension() -> None:
    """Checklist of Serf, item 121."""
    three, other_three, two = at(0, 0, 0), at(1, 2, 3), at(0, 0)
    assert three.is_compatible(three)
    assert three.is_compatible(other_three)
    assert two.is_compatible(two)
    assert not three.is_compatible(two)
    assert not two.is_compatible(three)


def test_force_pushes_away_along_the_line_between_both() -> None:
    """Checklist of Serf, item 122."""
    rng = random.Random(1)
    above = at(0.0, 0.0, 2.9)
    moved = Coordinate.origin(FLAT).apply_force(FLAT, 5.3, above, rng)
    assert near((0.0, 0.0, -5.3)) == moved.vec
    right = at(3.4, 0.0, -5.3)
    moved = moved.apply_force(FLAT, 2.0, right, rng)
    assert near((-2.0, 0.0, -5.3)) == moved.vec
    moved = Coordinate.origin(FLAT).apply_force(FLAT, 1.0, Coordinate.origin(FLAT), rng)
    assert math.isclose(1.0, moved.distance_to(Coordinate.origin(FLAT)), abs_tol=1e-6)


def test_force_raises_the_height_and_never_below_the_minimum() -> None:
    """Checklist of Serf, item 122."""
    rng = random.Random(1)
    above = at(0.0, 0.0, 2.9)
    moved = Coordinate.origin(TALL).apply_force(TALL, 5.3, above, rng)
    assert near((0.0, 0.0, -5.3)) == moved.vec
    assert math.isclose(1.0e-5 + 5.3 * 1.0e-5 / 2.9, moved.height, abs_tol=1e-6)
    moved = Coordinate.origin(TALL).apply_force(TALL, -5.3, above, rng)
    assert near((0.0, 0.0, 5.3)) == moved.vec
    assert 1.0e-5 == moved.height


def test_force_keeps_error_and_adjustment() -> None:
    start = attrs.evolve(at(0, 0, 0), error=0.7, adjustment=0.3)
    moved = start.apply_force(FLAT, 1.0, at(1, 0, 0), random.Random(1))
    assert (0.7, 0.3) == (moved.error, moved.adjustment)


def test_other_dimensions_are_refused() -> None:
    """Checklist of Serf, items 122 and 123."""
    own, other = at(0.0, 0.0, 0.0), at(0.0, 0.0)
    mismatch = "dimensionality does not match"
    with pytest.raises(CoordinateError, match=mismatch):
        own.distance_to(other)
    with pytest.raises(CoordinateError, match=mismatch):
        own.raw_distance(other)
    with pytest.raises(CoordinateError, match=mismatch):
        own.apply_force(FLAT, 1.0, other, random.Random(1))


def test_distance_adds_heights_and_believable_adjustments() -> None:
    """Checklist of Serf, item 123."""
    a, b = at(-0.5, 1.3, 2.4), at(1.2, -2.3, 3.4)
    flat = 4.104875150354758
    assert near((a.distance_to(a),)) == (0.0,)
    assert near((a.distance_to(b),)) == (flat,)
    assert a.distance_to(b) == b.distance_to(a)
    wild = attrs.evolve(a, adjustment=-1.0e6)
    assert near((wild.distance_to(b),)) == (flat,)
    adjusted = attrs.evolve(a, adjustment=0.1), attrs.evolve(b, adjustment=0.2)
    assert near((adjusted[0].distance_to(adjusted[1]),)) == (flat + 0.3,)
    assert near((adjusted[0].raw_distance(adjusted[1]),)) == (flat,)
    tall = attrs.evolve(a, height=0.7), attrs.evolve(b, height=0.1)
    assert near((tall[0].distance_to(tall[1]),)) == (flat + 0.8,)
    assert near((tall[0].raw_distance(tall[1]),)) == (flat + 0.8,)


def test_distance_is_cut_to_whole_nanoseconds() -> None:
    assert 0.001234567 == at(0, 0, 0).distance_to(at(0.0012345678999, 0, 0))
    deep = attrs.evolve(at(0, 0, 0), height=-1.5000000019)
    assert -1.500000001 == deep.distance_to(at(0, 0, 0))


@pytest.mark.parametrize("far", [1e10, 1e12, 1e308, math.inf, math.nan])
def test_a_distance_beyond_all_measure_is_the_longest_duration(far: float) -> None:
    assert 9223372036.854775807 == at(far, 0, 0).distance_to(at(-far, 0, 0))


@given(st.lists(st.floats(), min_size=12, max_size=12))
def test_any_two_coordinates_have_a_finite_distance(numbers: list[float]) -> None:
    a = Coordinate((numbers[0], numbers[1], numbers[2]), *numbers[3:6])
    b = Coordinate((numbers[6], numbers[7], numbers[8]), *numbers[9:12])
    assert math.isfinite(a.distance_to(b))


def test_vector_helpers() -> None:
    """Checklist of Serf, item 124."""
    rng = random.Random(1)
    assert (5, 3, 9) == add((1, -2, 3), (4, 5, 6))
    assert (-3, -7, -3) == difference((1, -2, 3), (4, 5, 6))
    assert 3.7416573867739413 == magnitude((1.0, -2.0, 3.0))
    assert 0.0 == magnitude(())
    vec, length = unit_vector_at((1.0, 2.0, 3.0), (0.5, 0.6, 0.7), rng)
    assert near((0.18257418583505536, 0.511207720338155, 0.8398412548412546)) == vec
    assert math.isclose(2.7386127875258306, length)
    vec, length = unit_vector_at((1.0, 2.0, 3.0), (1.0, 2.0, 3.0), rng)
    assert 0.0 == length
    assert math.isclose(1.0, magnitude(vec))


def test_a_direction_is_found_even_if_chance_gives_none() -> None:
    class Unlucky(random.Random):
        def random(self) -> float:
            return 0.5

    assert ((1.0, 0.0), 0.0) == unit_vector_at((1.0, 1.0), (1.0, 1.0), Unlucky())


# --- the constants ------------------------------------------------------------------------


def test_the_defaults_are_those_of_go() -> None:
    expected = CoordinateConfig(
        dimensionality=8,
        vivaldi_error_max=1.5,
        vivaldi_ce=0.25,
        vivaldi_cc=0.25,
        adjustment_window_size=20,
        height_min=1.0e-5,
        latency_filter_size=3,
        gravity_rho=150.0,
    )
    assert expected == CoordinateConfig()


def test_a_space_without_dimensions_is_refused_by_name() -> None:
    """Checklist of Serf, item 114."""
    with pytest.raises(ConfigError, match="dimensionality"):
        CoordinateConfig(dimensionality=0)


@pytest.mark.parametrize(
    "setting",
    [
        {"dimensionality": 2.0},
        {"dimensionality": True},
        {"vivaldi_error_max": 0.0},
        {"vivaldi_ce": -0.1},
        {"vivaldi_cc": math.nan},
        {"adjustment_window_size": -1},
        {"height_min": math.inf},
        {"latency_filter_size": 0},
        {"gravity_rho": 0},
        {"gravity_rho": "150"},
    ],
    ids=str,
)
def test_settings_outside_their_bounds_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        CoordinateConfig(**setting)
