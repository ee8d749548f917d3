"""The programs of the documentation run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.source_tree import ROOT


def program(page: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    assert blocks, page
    return str(blocks[0])


@pytest.mark.slow
def test_an_asyncio_program_has_a_node_as_described() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program("asyncio.md")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "('one', 'two')\n" == done.stdout, done.stderr
    assert 0 == done.returncode


def test_the_notebook_page_names_what_there_is() -> None:
    import trioserf.notebook as notebook

    text = (ROOT / "docs" / "notebook.md").read_text()
    for name in (
        "keep",
        "release",
        "live",
        "record",
        "timeline",
        "coordinate_map",
        "in_trio",
        "figure",
    ):
        assert name in text
        assert hasattr(notebook, name)
