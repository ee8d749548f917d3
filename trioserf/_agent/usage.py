"""Usage pages, made from the table of commands; each fits on one screen."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from .command_table import Command
    from .flags import Flag

PROGRAM: Final = "trioserf"
WIDTH: Final = 80
"""Letters in a line."""


def list_of_commands(commands: Iterable[Command]) -> str:
    """What the program can do."""
    lines = [f"  {command.name:<13}{command.about}" for command in commands]
    return "\n".join([f"Usage: {PROGRAM} [--version] [--help] <command> [<args>]", *lines])


def usage_line(command: Command) -> str:
    """How the command is called."""
    parts = ["Usage:", PROGRAM, command.name]
    if command.flags:
        parts.append("[options]")
    if command.arguments:
        parts.append(command.arguments)
    return " ".join(parts)


def usage_page(command: Command) -> str:
    """What the command does, and its flags."""
    about = command.more or f"{command.about[0].upper()}{command.about[1:]}."
    lines = [usage_line(command), "", *_wrapped(about)]
    if command.flags:
        heads = [flag_head(flag) for flag in command.flags]
        width = max(map(len, heads))
        lines += ["", "Options:"]
        for head, flag in zip(heads, command.flags, strict=True):
            lines.append(f"  {head:<{width}}  {_about(flag)}")
    return "\n".join(lines)


def flag_head(flag: Flag) -> str:
    """The flag as it is typed: ``-name=VALUE``."""
    return f"-{flag.name}={flag.value}" if flag.value else f"-{flag.name}"


def _about(flag: Flag) -> str:
    if flag.kind == "list":
        return f"{flag.about}; may be repeated"
    return flag.about


def _wrapped(text: str) -> list[str]:
    lines: list[str] = []
    line = " "
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = " "
        line += " " + word
    return [*lines, line]
