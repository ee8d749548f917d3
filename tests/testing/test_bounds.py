"""The bound of agreement follows the settings."""

from __future__ import annotations

import pytest

from trioserf import Config
from trioserf.testing.bounds import agreement_bound

LAN = Config.lan(node_name="x")


def test_its_parts_are_those_of_a_local_network() -> None:
    bound = agreement_bound(LAN, 3)
    # 2n - 1 = 5 intervals of 1 s, stretched 8 times; twice 6 * 4 s; 4 transmissions each 0.2 s.
    assert 40.0 == bound.probing
    assert 48.0 == bound.suspicion
    assert 0.0 == bound.reunion
    assert pytest.approx(0.8 + 3 * 30.0) == bound.spreading
    assert bound.probing + bound.suspicion + bound.spreading == bound.total


def test_partitions_loss_and_size_make_it_longer() -> None:
    plain = agreement_bound(LAN, 30)
    assert agreement_bound(LAN, 30, parted=True).reunion > 0
    assert agreement_bound(LAN, 30, loss=0.3).spreading > plain.spreading
    assert agreement_bound(LAN, 200).total > plain.total
    assert agreement_bound(LAN, 200, risk=0.01).total < agreement_bound(LAN, 200).total


def test_without_a_healer_reunion_takes_longer() -> None:
    go = Config.lan(node_name="x", memberlist=LAN.memberlist.__class__(faithful_go=True))
    trioserf, faithful = (agreement_bound(config, 3, parted=True).reunion for config in (LAN, go))
    assert pytest.approx(2 * trioserf) == faithful
