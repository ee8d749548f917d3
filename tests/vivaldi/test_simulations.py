"""Whole clouds of nodes that find their places: how good the estimates become.

The bounds are those of Go's tests with some slack, for they depend on the order in which
nodes are drawn.

Source: hashicorp/serf v0.9.4, coordinate/performance_test.go (what is measured, and how
good it must be).
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import attrs
import pytest

from trioserf._vivaldi.client import VivaldiClient
from trioserf._vivaldi.coordinate import CoordinateConfig, magnitude

pytestmark = pytest.mark.slow

Truth = Callable[[int, int], float]
"""The true round-trip time between two nodes (seconds)."""

SLACK = 1.5


def cloud(count: int, config: CoordinateConfig | None = None) -> list[VivaldiClient]:
    rng = random.Random(42)
    return [VivaldiClient(config or CoordinateConfig(), rng) for _ in range(count)]


def simulate(clients: list[VivaldiClient], truth: Truth, cycles: int) -> None:
    """In each cycle every node observes one random other."""
    rng = random.Random(1)
    for _ in range(cycles):
        for i, client in enumerate(clients):
            j = rng.randrange(len(clients))
            if j != i:
                client.update(f"node-{j}", clients[j].coordinate, truth(i, j))


def errors(clients: list[VivaldiClient], truth: Truth) -> tuple[float, float]:
    """The mean and the largest relative error over all pairs."""
    found = [
        abs(a.distance_to(b.coordinate) - truth(i, j)) / truth(i, j)
        for (i, a), (j, b) in itertools.combinations(enumerate(clients), 2)
    ]
    return sum(found) / len(found), max(found)


def line(i: int, j: int) -> float:
    return abs(i - j) * 0.010


def grid(i: int, j: int) -> float:
    return math.hypot(i % 5 - j % 5, i // 5 - j // 5) * 0.010


def split(i: int, j: int) -> float:
    return 0.001 if (i <= 12) == (j <= 12) else 0.011


def circle(i: int, j: int) -> float:
    """Node 0 is in the centre, and behind a last mile as long as the radius."""
    if 0 in (i, j):
        return 0.200
    angle = 2.0 * math.pi * (i - j) / 25
    return 2.0 * abs(math.sin(angle / 2.0)) * 0.100


def noise() -> Truth:
    rng = random.Random(7)
    table = {pair: rng.gauss(0.100, 0.010) for pair in itertools.combinations(range(25), 2)}
    return lambda i, j: table[min(i, j), max(i, j)]


@pytest.mark.parametrize(
    ("count", "truth", "mean", "largest"),
    [
        pytest.param(10, line, 0.0031, 0.0130, id="line"),
        pytest.param(25, grid, 0.0016, 0.0230, id="grid"),
        pytest.param(25, split, 0.000060, 0.00048, id="split"),
        pytest.param(25, noise(), 0.075, 0.33, id="random"),
    ],
)
def test_estimates_come_close_to_the_truth(
    count: int, truth: Truth, mean: float, largest: float
) -> None:
    """Checklist of Serf, item 125."""
    clients = cloud(count)
    simulate(clients, truth, 1000)
    found_mean, found_largest = errors(clients, truth)
    assert found_mean < mean * SLACK
    assert found_largest < largest * SLACK


def test_a_node_behind_a_long_last_mile_gets_height_and_others_do_not() -> None:
    """Checklist of Serf, item 125."""
    clients = cloud(25, CoordinateConfig(dimensionality=2))
    simulate(clients, circle, 1000)
    mean, largest = errors(clients, circle)
    assert mean < 0.0028 * SLACK
    assert largest < 0.064 * SLACK
    centre, *others = [client.coordinate.height for client in clients]
    assert centre >= 0.097
    assert max(others) <= 0.003 * SLACK


def test_gravity_brings_a_cloud_back_to_the_origin() -> None:
    """Checklist of Serf, item 126."""
    side = 0.500
    corners = [(0.0, 0.0), (0.0, side), (side, side), (side, side)]
    clients = cloud(4, CoordinateConfig(dimensionality=2))
    for client, vec in zip(clients, corners, strict=True):
        client.set(attrs.evolve(client.coordinate, vec=vec))

    def square(i: int, j: int) -> float:
        """All sides are equal and so is one diagonal; 0 and 2 are farther apart."""
        return side * math.sqrt(2.0) if {i, j} == {0, 2} else side

    def off_centre() -> float:
        axes = list(zip(*(client.coordinate.vec for client in clients), strict=True))
        return magnitude(tuple((min(axis) + max(axis)) / 2.0 for axis in axes))

    simulate(clients, square, 1000)
    before = off_centre()
    simulate(clients, square, 10_000)
    assert off_centre() <= 0.8 * before
