"""Every command of the program, once: its flags, its words, and where its code is.

The parser, the usage page, the shell completions and the reference page all read this table.

Source: hashicorp/serf v0.9.4, cmd/serf/commands.go and the Run methods of cmd/serf/command.
"""

from __future__ import annotations

from .._tuples import NamedTuple
from .._wire.rpc_address import ADDRESS_VARIABLE, AUTH_VARIABLE, DEFAULT_ADDRESS
from .agent_flags import AGENT_FLAGS
from .flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final


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

MEMBER_FILTERS: Final = (
    Flag("name", "text", "only members of such a name", "REGEXP"),
    Flag("status", "text", "only alive, leaving, left, failed ones", "REGEXP"),
    Flag("tag", "list", "only with such a tag", "KEY=REGEXP"),
)
"""Which members are meant."""

_COMMANDS: Final = (
    Command(
        "agent",
        "run a node",
        "agent_command:run_agent",
        flags=AGENT_FLAGS,
        more="Flags go before files, later files before earlier ones. It leaves on Ctrl-C, and "
        "reads its files again on SIGHUP.",
    ),
    Command(
        "completion",
        "print what makes a shell complete commands and flags",
        "completion:run_completion",
        "bash|zsh|fish",
        more="For bash: source <(trioserf completion bash). For zsh the same. For fish: "
        "trioserf completion fish | source.",
        beyond_go=True,
        complete="shell",
    ),
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
        "event",
        "send a user event to all members",
        "event_commands:run_event",
        "name [payload]",
        (
            Flag(
                "coalesce",
                "bool",
                "let newer ones of the name replace it; false sends all",
                default=True,
            ),
            format_flag(),
            *RPC_FLAGS,
        ),
    ),
    Command(
        "explain",
        "say why a member is what it is (agents of trioserf)",
        "peek_commands:run_explain",
        "[name or address]",
        (format_flag(), *RPC_FLAGS),
        more="What the agent found out about a member or an IP address, and what happened to "
        "it; about itself if there is no name. Agents of Go cannot.",
        beyond_go=True,
        complete="node",
    ),
    Command(
        "force-leave",
        "mark a failed member as left",
        "cluster_commands:run_force_leave",
        "name",
        (
            Flag("prune", "bool", "forget it at once, instead of after a day"),
            format_flag(),
            *RPC_FLAGS,
        ),
        more="Nodes stop trying to reach it. A member that is alive comes back by itself.",
        complete="node",
    ),
    Command(
        "info",
        "show what an agent says about itself",
        "cluster_commands:run_info",
        flags=(format_flag(of_go=True), *RPC_FLAGS),
    ),
    Command(
        "join",
        "let an agent join a cluster",
        "cluster_commands:run_join",
        "address ...",
        (
            Flag("replay", "bool", "let it receive events of the past, too"),
            format_flag(),
            *RPC_FLAGS,
        ),
    ),
    Command(
        "keygen",
        "print a new key to encrypt with",
        "local_commands:run_keygen",
        flags=(format_flag(),),
        ignores_flags=True,
    ),
    Command(
        "keys",
        "list or change the keys of all members",
        "keys_command:run_keys",
        flags=(
            Flag("install", "text", "let all members decrypt with KEY, too", "KEY", secret=True),
            Flag("use", "text", "let all members encrypt with KEY", "KEY", secret=True),
            Flag("remove", "text", "let all members forget KEY", "KEY", secret=True),
            Flag("list", "bool", "ask all members for their keys"),
            format_flag(),
            *RPC_FLAGS,
        ),
        more="One of -install, -use, -remove and -list is needed. A new key is installed "
        "first, then used; then the old one is removed. With - for KEY it is read from "
        "standard input, where nobody sees it. The status is 0 if every member did it.",
    ),
    Command(
        "leave",
        "let an agent leave its cluster and end",
        "cluster_commands:run_leave",
        flags=(format_flag(), *RPC_FLAGS),
    ),
    Command(
        "members",
        "list the members of a cluster",
        "members_command:run_members",
        flags=(
            Flag("detailed", "bool", "with protocol versions (as text)"),
            format_flag(of_go=True),
            *MEMBER_FILTERS,
            Flag("role", "text", "the same as -tag role=REGEXP, as of old", "REGEXP"),
            Flag("watch", "bool", "go on, and print what changes", beyond_go=True),
            *RPC_FLAGS,
        ),
        more="A REGEXP must match the whole of a name, status or tag.",
    ),
    Command(
        "monitor",
        "print the log and the events of an agent as they come",
        "monitor_command:run_monitor",
        flags=(
            Flag(
                "log-level",
                "text",
                "lowest level to print",
                "LEVEL",
                default="INFO",
                choices=("trace", "debug", "info", "warn", "err"),
            ),
            format_flag(),
            *RPC_FLAGS,
        ),
        more="It may print more than the agent itself does.",
    ),
    Command(
        "peek",
        "list the members of a cluster without joining it",
        "peek_commands:run_peek",
        "address",
        (
            Flag("detailed", "bool", "with protocol versions (as text)"),
            format_flag(),
            Flag(
                "encrypt",
                "text",
                "of the cluster; - reads it from standard input",
                "KEY",
                secret=True,
            ),
            Flag("label", "text", "of the cluster", "LABEL"),
            Flag(
                "timeout", "duration", "give up after this time; 0 never does", "10s", default=10.0
            ),
        ),
        more="One member is asked for what it knows; no agent is needed.",
        beyond_go=True,
    ),
    Command(
        "query",
        "ask members, and print what they answer",
        "event_commands:run_query",
        "name [payload]",
        (
            format_flag(of_go=True),
            Flag("node", "list", "ask only this one", "NAME", complete="node"),
            Flag("tag", "list", "ask only who has such a tag", "KEY=REGEXP"),
            Flag("timeout", "duration", "of the query; 0: as the agent thinks fit", "15s"),
            Flag("no-ack", "bool", "ask for no acknowledgements"),
            Flag("relay-factor", "int", "send answers by way of so many others, too", "N"),
            Flag("require-all", "bool", "fail if somebody does not respond", beyond_go=True),
            *RPC_FLAGS[:2],
        ),
        more="It ends as soon as all members that can be asked have responded.",
    ),
    Command(
        "reachability",
        "check that every live member answers",
        "reachability_command:run_reachability",
        flags=(
            Flag("verbose", "bool", "print who answers, and the times"),
            format_flag(),
            *RPC_FLAGS,
        ),
    ),
    Command(
        "rtt",
        "estimate the round-trip time between two nodes",
        "cluster_commands:run_rtt",
        "node1 [node2]",
        (format_flag(), *RPC_FLAGS),
        more="From their network coordinates; the second is the agent's own node if it is "
        "left out.",
        complete="node",
    ),
    Command(
        "tags",
        "change the tags of an agent",
        "cluster_commands:run_tags",
        flags=(
            Flag("set", "list", "add or change a tag", "KEY=VALUE"),
            Flag("delete", "list", "remove a tag", "KEY"),
            format_flag(),
            *RPC_FLAGS,
        ),
    ),
    Command(
        "validate",
        "check files of settings for an agent",
        "validate_command:run_validate",
        "file or folder ...",
        (format_flag(),),
        more="As an agent would take them with -config-file and -config-dir: all of them, in "
        "this order. The status is 0 if it would start with them.",
        beyond_go=True,
        complete="file",
    ),
    Command(
        "version",
        "print the version",
        "local_commands:run_version",
        flags=(format_flag(),),
        ignores_flags=True,
    ),
    Command(
        "wait",
        "wait for an agent, and for members",
        "members_command:run_wait",
        flags=(
            Flag("members", "int", "how many at least", "N", default=1),
            *MEMBER_FILTERS[:1],
            MEMBER_FILTERS[1]._replace(default="alive"),
            *MEMBER_FILTERS[2:],
            format_flag(),
            *RPC_FLAGS,
        ),
        more="It ends when the agent answers and lists so many members that match; alive ones "
        "if -status does not say otherwise.",
        beyond_go=True,
    ),
)

COMMANDS: Final[Mapping[str, Command]] = {
    command.name: command for command in sorted(_COMMANDS, key=lambda command: command.name)
}
"""Every command by its name, in alphabetical order."""
