"""The page about testing keeps its promises: its code runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source_tree import ROOT
from tests.testing.test_testing_plugin import run_pytest

PAGE = ROOT / "docs" / "howto" / "testing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
TESTS = [block for block in BLOCKS if "async def test_" in block]
COUNT = sum(block.count("async def test_") for block in TESTS)
PROGRAMS = [block for block in BLOCKS if block not in TESTS]


@pytest.mark.slow
def test_every_recipe_passes_as_it_stands(tmp_path: Path) -> None:
    assert len(TESTS) >= 5
    for number, block in enumerate(TESTS):
        (tmp_path / f"test_recipe_{number}.py").write_text(block)
    done = run_pytest(tmp_path, "")
    assert f"{COUNT} passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_recipes_do_not_hang_on_one_lucky_seed(tmp_path: Path, seed: str) -> None:
    for number, block in enumerate(TESTS):
        (tmp_path / f"test_recipe_{number}.py").write_text(block)
    done = run_pytest(tmp_path, "", f"--serf-seed={seed}")
    assert f"{COUNT} passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("block", PROGRAMS)
def test_every_program_runs_as_it_stands(block: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "agreed after" in done.stdout, done.stderr
    assert "is stopped" in done.stdout
    assert "member-failed: node-4" in done.stdout
