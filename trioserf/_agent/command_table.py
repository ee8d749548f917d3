"""Every command of the program, once: its flags, its words, and where its code is.

The parser, the usage page, the shell completions and the reference page all read this table.

Source: hashicorp/serf v0.9.4, cmd/serf/commands.go and the Run methods of cmd/serf/command.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .._wire.rpc_address import ADDRESS_VARIABLE, AUTH_VARIABLE, DEFAULT_ADDRESS
from .flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Command(NamedTuple):
    """One command.

    Args:
      name: as it is typed.
      about: what it does, in one line for the list of commands.
      run: the function that does it, as ``module:function`` of this folder; it takes a `Call`
        and returns the exit status.
      arguments: what follows the flags, for usage.
      flags: its own and those that it has in common with others.
      more: sentences for its usage page.
      beyond_go: whether Go's program does not have it; wrong usage then ends with 2.
      ignores_flags: whether flags that it does not have are nothing wrong, as in Go.
      complete: what completion offers for its arguments: ``node``, ``file``, ``shell``.
    """

    name: str
    about: str
    run: str
    arguments: str = ""
    flags: tuple[Flag, ...] = ()
    more: str = ""
    beyond_go: bool = False
    ignores_flags: bool = False
    complete: str = ""


def format_flag(*, of_go: bool = False) -> Flag:
    """The flag ``-format`` of a command; Go has it for few of them."""
    return Flag(
        "format",
        "text",
        "of the output: text, json, or jsonl (one a line)",
        "FORMAT",
        default="text",
        choices=("text", "json", "jsonl"),
        beyond_go=not of_go,
    )


RPC_FLAGS: Final = (
    Flag(
        "rpc-addr",
        "text",
        f"of the agent, or unix:PATH; ${ADDRESS_VARIABLE}",
        "HOST:PORT",
        default=DEFAULT_ADDRESS,
        variable=ADDRESS_VARIABLE,
    ),
    Flag(
        "rpc-auth",
        "text",
        f"of the agent; better in ${AUTH_VARIABLE}, hidden",
        "KEY",
        secret=True,
        variable=AUTH_VARIABLE,
    ),
    Flag("timeout", "duration", "give up after this time; 0 never does", "5s", beyond_go=True),
)
"""How to reach an agent, and how long it may take."""

_COMMANDS: Final = (
    Command(
        "demo",
        "show what a cluster does, or watch one",
        "demo_command:run_demo_command",
        flags=(
            Flag("join", "text", "join here instead, and print what happens", "HOST:PORT"),
            Flag("node", "text", "name to join under", "NAME"),
            Flag("bind", "text", "address of this node; default: facing HOST", "IP:PORT"),
            Flag("encrypt", "text", "key in base64", "KEY", secret=True),
            Flag(
                "profile",
                "text",
                "timing: lan, wan or local",
                "NAME",
                default="lan",
                choices=("lan", "wan", "local"),
            ),
        ),
        more="Five nodes on loopback join, talk, fail and come back, in about ten seconds; the "
        "status is 0 if every step was observed. With -join: be a member of a cluster that is "
        "there already, until Ctrl-C.",
        beyond_go=True,
    ),
    Command(
        "version",
        "print the version",
        "local_commands:run_version",
        flags=(format_flag(),),
        ignores_flags=True,
    ),
)

COMMANDS: Final[Mapping[str, Command]] = {
    command.name: command for command in sorted(_COMMANDS, key=lambda command: command.name)
}
"""Every command by its name, in alphabetical order."""
