"""Token buckets."""

from __future__ import annotations

from trioserf._cluster.allowance import Allowance


def test_an_allowance_fills_up_to_its_burst_and_no_further() -> None:
    allowance = Allowance(100, 10)
    assert 100 == allowance.left(5.0)
    allowance.spend(100)
    assert 0 == allowance.left(5.0)
    assert 50 == allowance.left(10.0)
    assert 100 == allowance.left(500.0)
    assert 100 == allowance.left(5.0), "an older time fills nothing"


def test_what_is_not_there_cannot_be_taken() -> None:
    allowance = Allowance(2, 1)
    assert [True, True, False] == [allowance.take(1.0) for _ in range(3)]
    assert not allowance.take(1.5)
    assert allowance.take(2.0)
    assert not allowance.take(100.0, 3)
    assert allowance.take(100.0, 2)


def test_what_was_overspent_is_made_good_first() -> None:
    allowance = Allowance(10, 10)
    assert 10 == allowance.left(0.0)
    allowance.spend(15)
    assert 0 == allowance.left(0.0)
    assert 5 == allowance.left(1.0)
