"""Figures of matplotlib: drawn whatever names there are, and only where it is installed."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source_tree import ROOT
from trioserf.notebook import figure

WITHOUT = """
import sys
sys.modules["matplotlib"] = None
from trioserf.notebook import figure
try:
    figure({})
except ModuleNotFoundError as error:
    print(error)
"""


def test_a_figure_has_the_curves_and_can_be_saved() -> None:
    pytest.importorskip("matplotlib")
    drawn = figure({"a": [(0.1, 1), (10, 2)], "b": [(1, 3)]}, title="t", y_label="%", log_x=True)
    (axes,) = drawn.axes  # type: ignore[attr-defined]
    assert ["a", "b"] == [text.get_text() for text in axes.get_legend().get_texts()]
    assert ("t", "seconds", "%", "log") == (
        axes.get_title(),
        axes.get_xlabel(),
        axes.get_ylabel(),
        axes.get_xscale(),
    )
    file = io.BytesIO()
    drawn.savefig(file, format="svg")  # type: ignore[attr-defined]
    assert b"<svg" in file.getvalue()


@pytest.mark.parametrize("name", ["$\\frac{", "_hidden", "a\x1b[2J\nb", "<svg>", "x" * 5000])
def test_a_hostile_name_is_only_drawn(name: str) -> None:
    pytest.importorskip("matplotlib")
    drawn = figure({name: [(0, 1), (1, 2)]}, title=name, x_label=name)
    (axes,) = drawn.axes  # type: ignore[attr-defined]
    assert 1 == len(axes.get_legend().get_texts())
    drawn.savefig(io.BytesIO(), format="png")  # type: ignore[attr-defined]


def test_a_figure_may_be_drawn_into_axes_of_the_user() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    mine = figures.Figure()
    assert mine is figure({"a": [(0, 1)]}, axes=mine.add_subplot())


def test_without_matplotlib_the_error_names_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, cwd=Path(ROOT), check=True
    )
    assert "pip install 'trioserf[plot]'" in done.stdout
