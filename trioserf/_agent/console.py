"""Where a command writes: results, errors, and colours for a terminal.

DIFFERS: Go's commands write their errors to standard output, where a reader of JSON meets
them.  Here errors go to standard error; ``SERF_ERRORS=stdout`` in the environment gives Go's
streams to scripts that read them.  Test: test_errors_go_where_the_environment_says.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, TextIO

ERRORS_VARIABLE: Final = "SERF_ERRORS"
_COLOURS: Final = {"green": "32", "red": "31", "yellow": "33", "grey": "90"}


class OutputClosedError(Exception):
    """Nobody reads the results any more: ``trioserf members | head -1``."""


class OutputFailedError(Exception):
    """The results cannot be written: the disk is full."""


class Console:
    """The two streams of a command."""

    def __init__(self) -> None:
        self._out, self._err = _as_go_writes(sys.stdout), _as_go_writes(sys.stderr)
        self.like_go = os.environ.get(ERRORS_VARIABLE) == "stdout"
        """Whether errors are written to the stream that Go writes them to."""
        self.is_terminal = self._out.isatty()
        self.has_colours = (
            self.is_terminal
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM", "dumb") != "dumb"
        )
        """Whether `colour` does anything."""

    def line(self, text: str = "") -> None:
        """A line of results, written at once.

        Raises:
          OutputClosedError: see there.
          OutputFailedError: see there.
        """
        _write(self._out, text + "\n")

    def error(self, text: str) -> None:
        """A line about what went wrong."""
        _write(self._out if self.like_go else self._err, text + "\n")

    def flag_error(self, text: str) -> None:
        """A line about a flag; Go, too, has it on standard error."""
        _write(self._err, text + "\n")

    def help(self, text: str) -> None:
        """A page that was asked for."""
        _write(self._err if self.like_go else self._out, text + "\n")

    def colour(self, name: str, text: str) -> str:
        """The text in this colour, on a terminal that has colours."""
        return f"\x1b[{_COLOURS[name]}m{text}\x1b[0m" if self.has_colours else text

    def safe(self, text: str) -> str:
        """The text without what would move the cursor, where there is one.

        Names, tags and payloads are whatever the cluster sends.  Elsewhere than on a terminal
        they stay as they are, as Go prints them.
        """
        if not self.is_terminal or text.isprintable():
            return text
        return "".join(
            char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
            for char in text
        )


def _as_go_writes(stream: TextIO) -> TextIO:
    """UTF-8 whatever the locale is, and names that are none byte by byte."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="surrogateescape")
    return stream


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise OutputClosedError from None
    except OSError as error:
        raise OutputFailedError(f"Error writing: {os.strerror(error.errno or 0).lower()}") from None


def open_closed_streams() -> None:
    """Give a program its three streams where it was started without some: ``members >&-``.

    Python has None in their place; and the next connection would get the number of the stream.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115 - as long as the program runs
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the same
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - the same
