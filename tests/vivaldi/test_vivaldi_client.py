"""One node learning from probes: the numbers of Go, and what it refuses."""

from __future__ import annotations

import math
import random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioserf._exceptions import CoordinateError
from trioserf._vivaldi.client import MAX_EXTENT, CoordinateStats, VivaldiClient
from trioserf._vivaldi.coordinate import Coordinate, CoordinateConfig

DEFAULT = CoordinateConfig()
THREE = CoordinateConfig(dimensionality=3)


def client(config: CoordinateConfig = THREE) -> VivaldiClient:
    return VivaldiClient(config, random.Random(1))


def at(*vec: float, config: CoordinateConfig = THREE) -> Coordinate:
    return attrs.evolve(Coordinate.origin(config), vec=vec)


def eight(values: dict[int, float]) -> tuple[float, ...]:
    return tuple(values.get(index, 0.0) for index in range(8))


def test_a_history_ends_in_the_bits_that_go_ends_in() -> None:
    """Made by running serf v0.9.4, coordinate/client.go, Client.Update."""
    b = attrs.evolve(Coordinate.origin(DEFAULT), vec=eight({2: 0.001}))
    c = Coordinate(eight({0: 0.020}), error=0.3, adjustment=0.0005, height=0.001)
    steps = [
        ("b", b, 0.002, {2: -0.00012249999877047386},
         1.37375, 2.1376250000000001e-05, 1.2449999774670516e-05),
        ("b", b, 0.004, {2: -0.00046114806217961154},
         1.294237242442366, 8.4116974046911087e-05, 1.9222960346128287e-05),
        ("b", b, 0.003, {2: -0.0006262156239752061},
         1.1993932883486844, 0.00011764847497736585, 2.2524310625032169e-05),
        ("b", b, 0.0025, {2: -0.0007621342763293495},
         1.1114710389195992, 0.00014771404996891422, 2.5242682475369549e-05),
        ("c", c, 0.030, {0: -0.0016352500046886084, 2: -0.000824448184200754},
         0.94721036564949668, 0.00032871349702150811, 0.00010906908309887149),
    ]  # fmt: skip
    node = client(DEFAULT)
    for name, other, rtt, vec, error, adjustment, height in steps:
        expected = Coordinate(eight(vec), error, adjustment, height)
        assert expected == node.update(name, other, rtt)
        assert expected == node.coordinate
    assert 0.023588735 == node.distance_to(c)
    assert 0.002897813 == node.distance_to(b)
    assert CoordinateStats(resets=0) == node.stats


def test_a_fresh_client_sits_at_the_origin() -> None:
    """Checklist of Serf, item 114."""
    assert Coordinate.origin(THREE) == client().coordinate


def test_a_client_moves_away_from_a_peer_that_is_farther_than_it_seems() -> None:
    """Checklist of Serf, item 115."""
    node = client()
    assert node.update("node", at(0, 0, 0.001), 0.002).vec[2] < 0.0
    elsewhere = at(0, 0, 99.0)
    node.set(elsewhere)
    assert elsewhere == node.coordinate


@pytest.mark.parametrize("rtt", [2.0**63 - 1, -35.0, 11.0, -1e-9, 10.000001, math.nan, math.inf])
def test_times_that_cannot_be_are_refused_and_change_nothing(rtt: float) -> None:
    """Checklist of Serf, item 116."""
    node = client()
    node.set(at(0, 0, 0.5))
    before = node.coordinate
    with pytest.raises(CoordinateError, match="round trip time not in valid range"):
        node.update("node", at(0, 0, 0.001), rtt)
    assert before == node.coordinate
    assert {} == node._latencies


@pytest.mark.parametrize("rtt", [0.0, 10.0])
def test_both_bounds_of_the_time_are_allowed(rtt: float) -> None:
    node = client()
    assert node.update("node", at(0, 0, 0.001), rtt).is_valid


def test_the_distance_without_heights_is_that_of_the_vectors() -> None:
    """Checklist of Serf, item 117."""
    config = CoordinateConfig(dimensionality=3, height_min=0.0)
    assert 12.345 == client(config).distance_to(at(0, 0, 12.345, config=config))


def test_the_latency_filter_gives_the_upper_median_of_each_peer() -> None:
    """Checklist of Serf, item 118."""
    node = client()
    for rtt, expected in [
        (0.201, 0.201),
        (0.200, 0.201),
        (0.207, 0.201),
        (1.9, 0.207),
        (0.203, 0.207),
        (0.199, 0.203),
        (0.211, 0.203),
    ]:
        assert expected == node._filter("alice", rtt)
    assert 0.310 == node._filter("bob", 0.310)
    assert 0.210 == node._filter("alice", 0.210)
    node.forget("alice")
    node.forget("nobody")
    assert 0.888 == node._filter("alice", 0.888)


def test_coordinates_that_are_not_finite_are_refused() -> None:
    """Checklist of Serf, item 119."""
    node = client()
    before = node.coordinate
    bad = at(0, math.nan, 0)
    with pytest.raises(CoordinateError, match="coordinate is invalid"):
        node.update("node", bad, 0.005)
    with pytest.raises(CoordinateError, match="coordinate is invalid"):
        node.set(bad)
    assert before == node.coordinate


def test_coordinates_of_another_dimension_are_refused() -> None:
    """Checklist of Serf, item 119."""
    node = client()
    bad = at(0, 0, 0, 0, 0, 0)
    with pytest.raises(CoordinateError, match="dimensions aren't compatible"):
        node.update("node", bad, 0.005)
    with pytest.raises(CoordinateError, match="dimensions aren't compatible"):
        node.set(bad)


def test_a_poisoned_local_coordinate_is_reset_by_the_next_update() -> None:
    """Checklist of Serf, item 119."""
    node = client()
    node._coordinate = at(math.nan, 0, 0)
    assert Coordinate.origin(THREE) == node.update("node", at(0, 0, 0.001), 0.002)
    assert CoordinateStats(resets=1) == node.stats


@pytest.mark.parametrize(
    "absurd",
    [
        {"vec": (1e308, 0.0, 0.0)},
        {"vec": (0.0, -1e12, 0.0)},
        {"vec": (0.0, 0.0, 1000.1)},
        {"adjustment": 1e12},
        {"adjustment": -1e12},
        {"height": 1e12},
        {"height": -1e-5},
        {"error": -1.0},
    ],
    ids=str,
)
def test_a_coordinate_that_no_correct_node_sends_is_refused(absurd: dict[str, object]) -> None:
    node = client()
    before = node.update("node", at(0, 0, 0.001), 0.002)
    with pytest.raises(CoordinateError, match="implausible"):
        node.update("node", attrs.evolve(at(0, 0, 0.001), **absurd), 0.002)
    assert before == node.coordinate
    assert CoordinateStats(resets=0) == node.stats


def test_bad_samples_do_not_outlive_a_reset() -> None:
    """In Go one such sample makes the next 19 updates reset as well."""
    node = client()
    node._coordinate = at(1e308, 0, 0)
    node.update("node", at(0, 0, 0.001), 0.002)
    assert CoordinateStats(resets=1) == node.stats
    for _ in range(40):
        assert node.update("node", at(0, 0, 0.001), 0.002).is_valid
    assert CoordinateStats(resets=1) == node.stats


def test_a_lever_that_throws_the_height_out_of_all_measure_ends_at_the_origin() -> None:
    """Nearly the same place, a large height and an adjustment that hides it."""
    node = client()
    lever = Coordinate((1.1e-6, 0.0, 0.0), error=0.0, adjustment=-999.9, height=1000.0)
    assert Coordinate.origin(THREE) == node.update("node", lever, 10.0)
    assert CoordinateStats(resets=1) == node.stats


def test_the_window_holds_the_newest_samples_each_in_its_turn() -> None:
    node = client(CoordinateConfig(dimensionality=3, adjustment_window_size=3))
    for turn in range(7):
        before = list(node._samples)
        after = node.update("node", at(0, 0, 0.001), 0.002 + 0.001 * turn)
        changed = [i for i in range(3) if before[i] != node._samples[i]]
        assert [turn % 3] == changed
        a, b, c = node._samples
        assert (a + b + c) / 6 == after.adjustment


def test_without_a_window_there_is_no_adjustment() -> None:
    node = client(CoordinateConfig(dimensionality=3, adjustment_window_size=0))
    assert 0.0 == node.update("node", at(0, 0, 0.001), 0.002).adjustment


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(), min_size=3, max_size=3),
            st.floats(),
            st.floats(),
            st.floats(),
            st.floats(min_value=-1, max_value=11),
        ),
        max_size=12,
    )
)
def test_the_coordinate_stays_plausible_for_any_input_of_peers(
    peers: list[tuple[list[float], float, float, float, float]],
) -> None:
    node = client()
    for vec, error, adjustment, height, rtt in peers:
        other = Coordinate(tuple(vec), error, adjustment, height)
        try:
            node.update("peer", other, rtt)
        except CoordinateError:
            continue
    own = node.coordinate
    assert own.is_valid
    assert max(map(abs, own.vec)) <= MAX_EXTENT
    assert 0.0 < own.error <= 1.5
    assert node.update("good", at(0, 0, 0.001), 0.002).is_valid
