"""Every notebook runs from top to bottom on its own, and is committed with clean outputs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.source_tree import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(/home/|/root/|/work/|/tmp/|/usr/|/Users/|[A-Z]:\\\\)")
CELL_LIMIT = 60
"""Seconds that one cell may take."""

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def test_there_is_a_first_notebook() -> None:
    assert "quickstart" in [path.stem for path in NOTEBOOKS]


@pytest.mark.slow
@each_notebook
def test_notebooks_run_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    """In a process of its own: the kernel's client brings its own event loop and warnings."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "jupyter", "execute", f"--timeout={CELL_LIMIT}"),
            *(f"--output={tmp_path / path.name}", str(path)),
        ],
        capture_output=True,
        text=True,
        timeout=5 * CELL_LIMIT,
        check=False,
    )
    assert 0 == done.returncode, done.stderr


@each_notebook
def test_notebooks_are_committed_with_their_outputs_and_no_path_of_a_machine(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert [] == [output for output in outputs if output.output_type == "error"]
    assert list(range(1, len(cells) + 1)) == [cell.execution_count for cell in cells]
    assert [] == MACHINE_PATH.findall(path.read_text())
