"""The command line: which command is meant, and how it ends.

``-h``, ``-help`` and ``--help`` anywhere before ``--`` ask for help; ``-v`` and ``--version``
anywhere at all, even as an argument, ask for the version.  That is Go's rule, and scripts know
it.  Each command imports what it needs when it runs, so that none pays for another one.

Source: hashicorp/serf v0.9.4, cmd/serf/main.go, realMain; mitchellh/cli v1.1, cli.go, Run,
processArgs.
"""

from __future__ import annotations

import os
import sys

from .._tuples import NamedTuple
from .call import Call, CommandError
from .command_table import COMMANDS
from .console import Console, OutputClosedError, OutputFailedError, open_closed_streams
from .flags import FlagError, parse_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final

    from .command_table import Command

UNKNOWN_COMMAND: Final = 127
_HELP: Final = ("-h", "-help", "--help")
_VERSION: Final = ("-v", "--version")


class Wanted(NamedTuple):
    """What the words ask for."""

    command: str
    words: Sequence[str]
    help: bool
    flags_before: bool


def what_is_wanted(words: Sequence[str]) -> Wanted:
    """Find the command among the words."""
    if any(word in _VERSION for word in words):
        words = ["version", *words]
    command, rest, wants_help, flags_before = "", words[:0], False, False
    for place, word in enumerate(words):
        if word == "--":
            break
        if word in _HELP:
            wants_help = True
        elif not command and word and word != "-version":
            if word[0] == "-":
                flags_before = True
            else:
                command, rest = word, words[place + 1 :]
    return Wanted(command, rest, wants_help, flags_before)


def run(words: Sequence[str]) -> int:
    """Run one command.

    Returns:
      the exit status: 0, 1 for a failure or wrong usage, 127 for no such command, 2 for wrong
      usage of what Go does not have.

    Raises:
      OutputClosedError: nobody reads the output any more.
    """
    from .usage import list_of_commands, usage_page

    console = Console()
    wanted = what_is_wanted(words)
    command = COMMANDS.get(wanted.command)
    if command is None:
        page = list_of_commands(COMMANDS.values())
        if wanted.help and not wanted.command:
            console.help(page)
            return 0
        console.flag_error(page)
        return UNKNOWN_COMMAND
    if wanted.help:
        console.help(usage_page(command))
        return 0
    if wanted.flags_before:
        console.flag_error(
            "Invalid flags before the subcommand. If these flags are for\n"
            "the subcommand, please put them after the subcommand.\n"
        )
        console.flag_error(usage_page(command))
        return 1
    return run_command(command, wanted.words, console)


def run_command(command: Command, words: Sequence[str], console: Console) -> int:
    """Take the flags, and run the function of the command."""
    try:
        parsed = parse_flags(command.flags, words, os.environ)
    except FlagError as error:
        if not command.ignores_flags:
            from .usage import usage_page

            if str(error):
                console.flag_error(str(error))
            mark = "==> " if command.name == "agent" else ""  # as all that Go's agent says
            console.error(mark + usage_page(command))
            return 2 if error.beyond_go or command.beyond_go else 1
        parsed = parse_flags(command.flags, (), os.environ)
    module, _, name = command.run.partition(":")
    function: Callable[[Call], int] = _load(module, name)
    try:
        return function(Call(command, parsed, console))
    except CommandError as error:
        if str(error):
            console.error(console.safe(str(error)))
        return error.status


def _load(module: str, name: str) -> Any:
    """Something of a module of this folder; ``importlib`` would take longer to load."""
    return getattr(__import__(f"{__package__}.{module}", fromlist=[name]), name)


def run_program(words: Sequence[str]) -> int:
    """Run a command as the main function of a process, which ends by the signals that end Go's."""
    open_closed_streams()
    if sys.getfilesystemencoding() != "utf-8":
        words = [os.fsencode(word).decode("utf-8", "surrogateescape") for word in words]
    try:
        return run(words)
    except KeyboardInterrupt:
        return _end_by_signal("SIGINT")
    except OutputClosedError:
        return _end_by_signal("SIGPIPE")
    except OutputFailedError as error:
        from contextlib import suppress

        _drop_output()
        with suppress(OSError):  # it may be the same disk
            print(error, file=sys.stderr)
        return 1


def _drop_output() -> None:
    """What is still to be written is lost, without a further complaint at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_by_signal(name: str) -> int:
    """End as a program does that leaves the signal to the system; shells look at that."""
    import signal

    _drop_output()
    number = getattr(signal, name)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 1
