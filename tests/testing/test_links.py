"""Links and latencies."""

from __future__ import annotations

import random

import attrs
import pytest

from trioserf.testing import Constant, Link, LongTail, Normal, Uniform
from trioserf.testing.links import LatencyLike, as_latency


def draws(latency: LatencyLike, count: int = 2000) -> list[float]:
    rng, draw = random.Random(1), as_latency(latency)
    return sorted(draw(rng) for _ in range(count))


def test_seconds_are_a_constant_latency() -> None:
    assert Constant(0.5) == as_latency(0.5)
    assert {0.5} == set(draws(0.5))


def test_a_pair_is_a_range() -> None:
    assert Uniform(1.0, 2.0) == as_latency((1.0, 2.0))
    drawn = draws((1.0, 2.0))
    assert 1.0 <= drawn[0] < 1.01
    assert 1.99 < drawn[-1] <= 2.0


def test_a_normal_latency_has_its_mean_and_its_floor() -> None:
    drawn = draws(Normal(1.0, 0.5, least=0.9))
    assert 0.9 == drawn[0]
    assert 1.0 == pytest.approx(drawn[1000], abs=0.05)


def test_a_long_tail_has_its_median_its_tail_and_its_end() -> None:
    drawn = draws(LongTail(0.1, sigma=0.5, most=0.4), 20_000)
    assert 0.1 == pytest.approx(drawn[10_000], rel=0.05)
    assert 0.32 == pytest.approx(drawn[19_800], rel=0.1)
    assert 0.4 == drawn[-1]


def test_a_function_is_a_latency_of_its_own() -> None:
    assert {7.0} == set(draws(lambda rng: 7.0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss", 1.5),
        ("loss", -0.1),
        ("duplicate", 2),
        ("corrupt", float("nan")),
        ("bandwidth", 0),
        ("queue", -1),
        ("reorder_by", -1.0),
    ],
)
def test_an_impossible_link_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field}="):
        Link(**{field: value})  # type: ignore[arg-type]


def test_a_link_knows_whether_it_does_more_than_delay_and_lose() -> None:
    assert Link(latency=1.0, loss=0.5).simple
    for change in ({"duplicate": 0.1}, {"corrupt": 0.1}, {"bandwidth": 10.0}, {"mtu": 100}):
        assert not attrs.evolve(Link(), **change).simple
