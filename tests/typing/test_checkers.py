"""What type checkers say of programs that use the public names."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.source_tree import ROOT

HERE = ROOT / "tests" / "typing"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("mypy") is None, reason="needs the extra trioserf[check]"),
]


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    return done.stdout + done.stderr


def mypy(name: str) -> str:
    options = ("--strict", "--config-file", "", "--follow-imports", "silent")
    return run("mypy", *options, str(HERE / name))


def lines_found(said: str, name: str) -> set[int]:
    return {int(number) for number in re.findall(rf"{name}:(\d+)(?::\d+)?(?: -|:) error", said)}


def wrong_lines() -> set[int]:
    lines = (HERE / "mistakes.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def test_obvious_programs_pass_mypy_strict() -> None:
    assert "Success: no issues found in 1 source file\n" == mypy("first_hour.py")


def test_each_mistake_is_found_by_mypy() -> None:
    said = mypy("mistakes.py")
    assert wrong_lines() == lines_found(said, "mistakes.py"), said


def test_pyright_says_the_same() -> None:
    if find_spec("pyright") is None or not run("pyright", "--version").startswith("pyright "):
        pytest.skip("pyright cannot be had on this machine")
    said = run("pyright", "--pythonpath", sys.executable, str(HERE))
    assert set() == lines_found(said, "first_hour.py"), said
    assert wrong_lines() == lines_found(said, "mistakes.py"), said
