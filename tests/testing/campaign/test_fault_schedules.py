"""Schedules are drawn from a seed alone, and any part of one is a schedule."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf.testing.campaign.fault_schedules import OF_LINKS, FaultKind, Schedule, draw_schedule
from trioserf.testing.links import Link


def test_one_seed_gives_one_schedule() -> None:
    first = draw_schedule(1, nodes=5, minutes=3)
    assert first == draw_schedule(1, nodes=5, minutes=3)
    assert first != draw_schedule(2, nodes=5, minutes=3)
    assert 18 == len(first.faults)


@given(st.integers(0, 10**6), st.integers(2, 12))
def test_faults_end_in_time_and_enough_nodes_remain(seed: int, nodes: int) -> None:
    schedule = draw_schedule(seed, nodes=nodes, minutes=2)
    gone = {fault.nodes[0] for fault in schedule.faults if fault.lasts == math.inf}
    assert len(gone) < nodes / 2
    assert sum(fault.kind is FaultKind.MOVE for fault in schedule.faults) <= 1
    for fault in schedule.faults:
        assert 0 <= fault.at <= schedule.length
        assert fault.lasts == math.inf or fault.at + fault.lasts <= schedule.length + 1e-6
        assert set(fault.nodes) <= set(range(nodes))


def many() -> list[Schedule]:
    return [draw_schedule(seed, nodes=5, minutes=3) for seed in range(40)]


def test_every_kind_is_drawn() -> None:
    assert set(FaultKind) == {fault.kind for schedule in many() for fault in schedule.faults}


def test_faults_of_links_change_every_quality_there_is_and_no_other_fault_does() -> None:
    faults = [fault for schedule in many() for fault in schedule.faults]
    changed = {name for fault in faults for name in fault.changes}
    assert {"latency", "loss", "duplicate", "reorder", "corrupt", "bandwidth"} <= changed
    for fault in faults:
        assert bool(fault.changes) == (fault.kind in OF_LINKS)
        Link(**fault.changes)
    of_links = [fault for fault in faults if fault.kind in OF_LINKS]
    assert {True, False} == {bool(fault.nodes) for fault in of_links}  # some, and all
    latencies = {type(each.changes.get("latency")).__name__ for each in of_links}
    assert {"Constant", "Uniform", "Normal", "LongTail"} < latencies


@pytest.mark.parametrize("flag", ["disks", "encrypted", "compressed", "coalescing"])
def test_clusters_of_every_setup_are_drawn(flag: str) -> None:
    assert {True, False} == {getattr(schedule.setup, flag) for schedule in many()}


def test_the_clocks_of_some_clusters_drift() -> None:
    drifts = [schedule.setup.drifts for schedule in many()]
    assert all(5 == len(each) for each in drifts)
    assert {True, False} == {any(each) for each in drifts}
    assert all(abs(drift) <= 0.02 for each in drifts for drift in each)


def test_faults_can_be_left_out() -> None:
    schedule = draw_schedule(1, nodes=5, minutes=3)
    part = schedule.only(schedule.faults[2:4])
    assert part.faults == schedule.faults[2:4]
    assert part == schedule.only_numbers({2, 3})
    assert schedule.seed == part.seed
    assert 3 == len(str(part).splitlines())


@pytest.mark.parametrize(("nodes", "minutes"), [(1, 3.0), (3, 0.0)])
def test_a_schedule_for_nobody_or_no_time_is_refused(nodes: int, minutes: float) -> None:
    with pytest.raises(ValueError, match="expected at least 2"):
        draw_schedule(1, nodes=nodes, minutes=minutes)
