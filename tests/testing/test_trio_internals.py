"""What a simulation needs of trio's private parts, and what it does without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from trio.testing import MockClock

from tests.source_tree import ROOT, modules
from trioserf.testing import SimNetwork, trio_internals
from trioserf.testing.jump_sleeper import JumpSleeper, sleeper_for_this_run

WITHOUT = """
import sys, warnings
import trio
sys.modules["trio._core._run"] = sys.modules["trio._core._mock_clock"] = None
import trioserf._seams
from trioserf.testing import SimCluster
from trioserf.testing.determinism import run
from trioserf.testing.jump_sleeper import sleeper_for_this_run

async def main():
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        await cluster.crash(2)
        await cluster.converged()
        print(type(sleeper_for_this_run()).__name__)
        try:
            cluster.stop(1)
        except RuntimeError as error:
            print(error)
        print(len(cluster[0].serf.members().alive))

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    run(1, main)
print(*[warning.message for warning in caught], sep="\\n")
"""


def test_private_names_of_trio_stand_in_one_file() -> None:
    assert {"testing/trio_internals.py"} == {
        module.path
        for module in modules()
        for line, name in module.imports()
        if name.startswith("trio._")
    } | {module.path for module in modules() if '"trio._' in module.text}


def test_this_version_of_trio_has_all_of_them() -> None:
    assert trio_internals.scheduler_random() is not None


async def test_this_version_of_trio_shows_its_run(autojump_clock: MockClock) -> None:
    assert trio_internals.MockClock is MockClock
    assert trio_internals.run_queue() is not None
    async with SimNetwork():
        assert isinstance(sleeper_for_this_run(), JumpSleeper)


def test_without_them_a_cluster_lives_but_is_not_repeatable(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert "" == done.stderr
    sleeper, stopping, alive, warning = done.stdout.splitlines()
    assert "ScopeSleeper" == sleeper
    assert "no process can be stopped: this trio does not show its run queue" == stopping
    assert "2" == alive
    assert "the order of tasks cannot be made deterministic" in warning
