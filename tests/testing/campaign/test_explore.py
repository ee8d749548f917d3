"""Campaigns: quiet about what is right; a broken rule is found, shrunk and replayed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.source_tree import ROOT
from trioserf._cluster.members import MemberRegistry
from trioserf.testing import SimCluster
from trioserf.testing.campaign import FaultKind, draw_schedule, explore, run_schedule
from trioserf.testing.invariants import Invariant, all_invariants

SMALL = ("--nodes=4", "--minutes=0.5")


@pytest.mark.slow
def test_a_few_seeds_violate_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == explore.main(["--seeds=1-5", *SMALL])
    *lines, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"5 seeds in \d+ s, 0 failed", last)
    assert 5 == sum(": ok, 3 faults, agreed after " in line for line in lines)


@pytest.mark.slow
def test_one_seed_gives_one_run_in_every_process() -> None:
    command = (sys.executable, "-m", "trioserf.testing.explore", "--seeds=3-4", *SMALL, "--verbose")
    printed = {
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
            text=True,
            timeout=100,
        ).stdout.rpartition("2 seeds in")[0]
        for seed in ("1", "2")
    }
    (text,) = printed
    first, second = re.findall(r"run ([0-9a-f]{16})", text)
    assert first != second


class NoNodeFails:
    """An invariant that every crash and stop of some length breaks."""

    def complaints(self, cluster: SimCluster, now: float) -> Iterator[str]:
        for node in cluster.running:
            for name, status in node.view().items():
                if str(status) == "failed":
                    yield f"{node.name} sees {name} failed"


def with_one_more() -> tuple[Invariant, ...]:
    return (*all_invariants(), NoNodeFails())


@pytest.mark.slow
def test_a_violation_is_shrunk_to_the_faults_that_cause_it() -> None:
    failures = (
        run_schedule(draw_schedule(seed, nodes=4, minutes=1.5), invariants=with_one_more)
        for seed in range(1, 9)
    )
    failure = next(outcome for outcome in failures if not outcome.ok)
    assert 9 == len(failure.schedule.faults)
    smallest = explore.shrink_failure(failure, invariants=with_one_more)
    faults = smallest.schedule.faults
    assert 1 <= len(faults) <= 3
    assert not {FaultKind.TAGS, FaultKind.EVENT} & {fault.kind for fault in faults}
    for fault in faults:  # none of them can be missed
        fewer = smallest.schedule.only(each for each in faults if each is not fault)
        assert run_schedule(fewer, invariants=with_one_more).ok
    assert "InvariantViolation" == smallest.kind == failure.kind
    # What the shrunk schedule shows is shown again by the command that is printed.
    assert smallest == run_schedule(smallest.schedule, invariants=with_one_more)


@pytest.mark.slow
def test_a_broken_rule_is_found_and_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nodes that learn new tags and report no event."""
    on_node_update = MemberRegistry.on_node_update

    def silent(self: MemberRegistry, *arguments: Any) -> list[Any]:
        on_node_update(self, *arguments)
        return []

    monkeypatch.setattr(MemberRegistry, "on_node_update", silent)
    assert 1 == explore.main(["--seeds=1-3", "--nodes=3", "--minutes=1"])
    text = capsys.readouterr().out
    assert "do not add up to its members" in text
    assert "1 of 6 faults are enough:" in text
    assert re.search(r"tags of node-\d$", text, re.MULTILINE)
    command = text.partition("replay with:\n")[2].splitlines()[0]
    assert 1 == explore.main(shlex.split(command)[3:])
    assert "InvariantViolation, 1 faults" in capsys.readouterr().out


@given(st.sets(st.integers(0, 40)))
def test_shrinking_keeps_what_is_needed(needed: set[int]) -> None:
    assert sorted(needed) == explore.shrink(
        range(41), lambda items: needed <= set(items), tries=10**6
    )


def test_a_failure_that_needs_nothing_shrinks_to_nothing() -> None:
    assert [] == explore.shrink(range(9), lambda items: True)


def test_shrinking_gives_up_after_so_many_tries_and_keeps_what_fails() -> None:
    asked: list[Sequence[int]] = []

    def still_fails(items: Sequence[int]) -> bool:
        asked.append(items)
        return {3, 17} <= set(items)

    kept = explore.shrink(range(40), still_fails, tries=5)
    assert 5 == len(asked)
    assert {3, 17} <= set(kept)
