"""Draw the demo as a terminal: ``python docs/demo_picture.py``, from the root of the repository.

It runs the demo itself, ten seconds on loopback, and writes what the terminal shows.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import trio
from rich.console import Console

from trioserf._agent.demo import run_demo
from trioserf._agent.screen import RichScreen

FILE = Path(__file__).parent / "_static" / "demo.svg"
WIDTH = 78
"""Letters in a line."""
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class RecordingScreen(RichScreen):
    """The screen of a terminal, kept."""

    def __init__(self) -> None:
        super().__init__()
        self.console: Console = Console(
            record=True, file=io.StringIO(), width=WIDTH, highlight=False, force_terminal=True
        )
        self._console = self.console


def draw() -> str:
    """Run the demo; the picture, without fonts from elsewhere."""
    screen = RecordingScreen()
    if not trio.run(run_demo, screen):
        raise SystemExit("the demo did not show what it should; is the machine busy?")
    return _FONT.sub("", screen.console.export_svg(title="trioserf demo", unique_id="demo"))


if __name__ == "__main__":
    FILE.write_text(draw())
