"""One call of a command: what was typed, and where to write."""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .command_table import Command
    from .console import Console
    from .flags import ParsedFlags


class CommandError(Exception):
    """A command cannot go on: a line for the user, and the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Call:
    """A command, the flags that were typed behind it, and its arguments.

    ``call["name"]`` is the value of a flag.
    """

    def __init__(self, command: Command, parsed: ParsedFlags, console: Console) -> None:
        self.command = command
        self.arguments = parsed.arguments
        self.given = parsed.given
        self.flags = parsed.values.keys()
        self.console = console
        self._values = parsed.values
        self.deadline = self._deadline()
        """When to give up (``time.monotonic()``, seconds); None for never."""

    def __getitem__(self, flag: str) -> Any:
        return self._values[flag]

    def _deadline(self) -> float | None:
        limited = any(flag.name == "timeout" and flag.beyond_go for flag in self.command.flags)
        if not limited or not self["timeout"]:
            return None
        return time.monotonic() + float(self["timeout"])

    def secret(self, flag: str) -> str:
        """The value of a flag that nobody should see: ``-`` reads it from standard input.

        Everybody on a machine can read the arguments of a command.
        """
        value: str = self[flag]
        return sys.stdin.readline().strip() if value == "-" else value

    # --- output

    @property
    def format(self) -> str:
        """``text``, ``json`` or ``jsonl``; another one is refused by `check_format`."""
        text: str = self._values.get("format", "text")
        return text

    def check_format(self, complaint: str = 'Invalid output format "{}"') -> None:
        """Raise `CommandError` for a format that there is not.

        Go's commands look at it late, when the agent has answered: so do those that call
        this late.
        """
        if self.format in ("text", "json", "jsonl"):
            return
        flag = next(flag for flag in self.command.flags if flag.name == "format")
        raise CommandError(complaint.format(self.format), 2 if flag.beyond_go else 1)

    def print(self, text: str, document: object) -> None:
        """The result, in the format that was asked for.

        Args:
          text: for people.
          document: the same for programs.
        """
        if self.format == "text":
            self.console.line(text)
            return
        from .go_text import json_document, json_line

        as_json = json_document if self.format == "json" else json_line
        self.console.line(as_json(document))

    # --- what goes wrong

    def wrong_usage(self, message: str = "", *, beyond_go: bool = False) -> int:
        """Say what is wrong, and how it is right; the exit status."""
        from .usage import usage_page

        if message:
            self.console.error(f"{message}\n")
        self.console.error(usage_page(self.command))
        return 2 if beyond_go or self.command.beyond_go else 1
