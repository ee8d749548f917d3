"""A terminal as the demo uses it: headings, lines with a time and a name, results.

Plain text everywhere; with colours when ``rich`` is installed and the output is a terminal.
Names and payloads come from the network, so nothing reaches the terminal that is not printable.
"""

from __future__ import annotations

import sys
import time
from typing import Literal, Protocol

from .._text import printable

Mood = Literal["plain", "good", "bad", "notice"]

LINE = 2000
"""Most characters of one line."""


class Screen(Protocol):
    """Where the demo writes."""

    def heading(self, title: str) -> None:
        """Begin a step."""

    def line(self, node: str, text: str, mood: Mood = "plain") -> None:
        """Print what one node does or sees, with the time since the start."""

    def block(self, text: str) -> None:
        """Show several lines, such as a table, as they are."""


class PlainScreen:
    """Columns of text on standard output."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def heading(self, title: str) -> None:
        print(
            f"\n{'time':>8}  {'node':<10}  {title}\n{'-' * 8}  {'-' * 10}  {'-' * 56}", flush=True
        )

    def line(self, node: str, text: str, mood: Mood = "plain") -> None:
        mark = {"good": "ok: ", "bad": "NOT OBSERVED: "}.get(mood, "")
        print(f"{self._clock()}  {printable(node):<10}  {mark}{printable(text, LINE)}", flush=True)

    def block(self, text: str) -> None:
        print("\n" + "\n".join(f"    {line}" for line in text.splitlines()), flush=True)

    def _clock(self) -> str:
        return f"{time.monotonic() - self._start:6.2f} s"


class RichScreen(PlainScreen):
    """The columns of `PlainScreen`, in colours."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(highlight=False, soft_wrap=True)

    def heading(self, title: str) -> None:
        from rich.rule import Rule
        from rich.text import Text

        self._console.print()
        self._console.print(Rule(Text(title, style="bold cyan"), align="left"))

    def line(self, node: str, text: str, mood: Mood = "plain") -> None:
        from rich.text import Text

        style = {"good": "bold green", "bad": "bold red", "notice": "yellow"}.get(mood, "")
        mark = {"good": "✔ ", "bad": "✘ not observed: "}.get(mood, "")
        self._console.print(
            Text.assemble(
                (self._clock(), "dim"),
                "  ",
                (f"{printable(node):<10}", "magenta"),
                "  ",
                (mark + printable(text, LINE), style),
            )
        )

    def block(self, text: str) -> None:
        from rich.text import Text

        self._console.print()
        for line in text.splitlines():
            self._console.print(Text("    " + line))


def make_screen() -> Screen:
    """The best screen that this process has."""
    if sys.stdout.isatty():
        try:
            return RichScreen()
        except ImportError:
            pass
    return PlainScreen()
