from __future__ import annotations

import pytest

from trioserf._swim.scaling import push_pull_scale, retransmit_limit, suspicion_timeout


@pytest.mark.parametrize(
    ("n", "lan", "wan", "local"),
    [
        (0, 4.0, 30.0, 3.0),
        (1, 4.0, 30.0, 3.0),
        (10, 4.0, 30.0, 3.0),
        (11, 4.164, 31.23, 3.123),
        (50, 6.792, 50.94, 5.094),
        (100, 8.0, 60.0, 6.0),
        (1000, 12.0, 90.0, 9.0),
    ],
)
def test_the_shortest_suspicion_grows_with_the_logarithm(
    n: int, lan: float, wan: float, local: float
) -> None:
    assert lan == pytest.approx(suspicion_timeout(4, n, 1.0))
    assert wan == pytest.approx(suspicion_timeout(6, n, 5.0))
    assert local == pytest.approx(suspicion_timeout(3, n, 1.0))


@pytest.mark.parametrize(
    ("n", "limit"), [(0, 0), (1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16)]
)
def test_messages_are_sent_in_proportion_to_the_logarithm(n: int, limit: int) -> None:
    assert limit == retransmit_limit(4, n)


@pytest.mark.parametrize(
    ("n", "factor"),
    [
        (1, 1),
        (32, 1),
        (33, 2),
        (64, 2),
        (65, 3),
        (128, 3),
        (129, 4),
        (256, 4),
        (1000, 6),
        (10_000, 10),
    ],
)
def test_the_push_pull_interval_grows_with_each_doubling_above_32(n: int, factor: int) -> None:
    assert factor * 30.0 == push_pull_scale(30.0, n)
