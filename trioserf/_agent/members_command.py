"""The commands ``members`` and ``wait``.

Source: hashicorp/serf v0.9.4, cmd/serf/command/members.go.
"""

from __future__ import annotations

import time

from .._exceptions import RPCError
from .._text import host_and_port
from .._wire.rpc_client_session import Reply
from .agent_connection import GoErrors, NoAgentError, call_error, connect
from .call import CommandError
from .go_text import columns, json_document, json_line, sorted_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Final

    from .._rpc.blocking import BlockingClient
    from .call import Call

_ASKING: Final = "Error retrieving members: "
_COLOURS: Final = {"alive": "green", "failed": "red", "leaving": "yellow", "left": "grey"}
_CHANGES: Final = "member-join,member-leave,member-failed,member-update,member-reap"
_WAIT_INTERVAL: Final = 0.2
"""Time between two looks of ``wait`` (seconds)."""


def read_tags(pairs: Iterable[str]) -> dict[str, str]:
    """The texts of a flag ``-tag KEY=VALUE``; raises `CommandError` for one that is none."""
    tags = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise CommandError(f"Error: Invalid tag: '{pair}'")
        tags[key] = value
    return tags


def _filters(call: Call) -> dict[str, Any]:
    return {"Name": call["name"], "Status": call["status"], "Tags": read_tags(call["tag"])}


def _ask(agent: BlockingClient, filters: dict[str, Any]) -> list[dict[str, Any]]:
    with GoErrors(_ASKING):
        members = agent.call("members-filtered", filters)["Members"]
    return _sorted(members)


def _sorted(members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(members, key=_name)


def _name(member: dict[str, Any]) -> str:
    name: str = member["Name"]
    return name


# --- members ------------------------------------------------------------------------------


def run_members(call: Call) -> int:
    """List the members that an agent knows, as it answers or as they change."""
    filters = _filters(call)
    if call["role"]:
        # Go has this line before its JSON, too; a reader of single lines is spared it.
        warning = "Deprecation warning: 'Role' has been replaced with 'Tags'"
        if call.format == "jsonl":
            call.console.flag_error(warning)
        else:
            call.console.line(warning)
        filters["Tags"]["role"] = call["role"]
    with connect(call) as agent:
        if call["watch"]:
            return _watch(call, agent, filters)
        members = _ask(agent, filters)
    call.check_format('Encoding error: Invalid output format "{}"')
    print_members(call, members)
    return 0


def print_members(call: Call, members: Sequence[dict[str, Any]]) -> None:
    """The list, in the format that was asked for."""
    if call.format == "jsonl":
        for member in members:
            call.console.line(json_line(member_document(member)))
    elif call.format == "json":
        # Go's list is nil where there is nobody.
        found = [member_document(member) for member in members] or None
        call.console.line(json_document({"members": found}))
    else:
        call.console.line(_table(call, members))


def _table(call: Call, members: Sequence[dict[str, Any]]) -> str:
    detailed = _is_detailed(call)
    text = call.console.safe(columns(_row(member, detailed) for member in members))
    if not call.console.has_colours:
        return text
    lines = []
    for line, member in zip(text.split("\n"), members, strict=False):
        status = member["Status"]
        before, found, behind = line.partition(f"  {status}")
        colour = _COLOURS.get(status)
        coloured = call.console.colour(colour, found) if colour else found
        lines.append(before + coloured + behind)
    return "\n".join(lines)


def _is_detailed(call: Call) -> bool:
    return "detailed" in call.flags and call["detailed"]


def _row(member: dict[str, Any], detailed: bool) -> list[str]:
    tags = sorted_map(member["Tags"])
    row = [
        member["Name"],
        member_address(member),
        member["Status"],
        ",".join(f"{key}={value}" for key, value in tags.items()),
    ]
    if detailed:
        lowest, highest = member["DelegateMin"], member["DelegateMax"]
        row.append(f"Protocol Version: {member['DelegateCur']}")
        row.append(f"Available Protocol Range: [{lowest}, {highest}]")
    return row


def member_address(member: dict[str, Any]) -> str:
    """Where it listens, as Go prints it: ``192.0.2.1:7946``, ``[::1]:7946``."""
    packed: bytes = member["Addr"]
    if len(packed) == 16 and packed.startswith(b"\0" * 10 + b"\xff\xff"):
        packed = packed[12:]
    if len(packed) == 4:
        return f"{'.'.join(map(str, packed))}:{member['Port']}"
    if len(packed) == 16:
        from socket import AF_INET6, inet_ntop

        return host_and_port(inet_ntop(AF_INET6, packed), member["Port"])
    return f"{'?' if packed else ''}{packed.hex()}:{member['Port']}"


def member_document(member: dict[str, Any]) -> dict[str, Any]:
    """One member as JSON, with the keys in Go's order."""
    return {
        "name": member["Name"],
        "addr": member_address(member),
        "port": member["Port"],
        "tags": sorted_map(member["Tags"]),
        "status": member["Status"],
        "protocol": {
            "max": member["DelegateMax"],
            "min": member["DelegateMin"],
            "version": member["DelegateCur"],
        },
    }


# --- members -watch -----------------------------------------------------------------------


def _watch(call: Call, agent: BlockingClient, filters: dict[str, Any]) -> int:
    """Print the list, and then what changes, until Ctrl-C or the end of ``-timeout``."""
    call.check_format('Encoding error: Invalid output format "{}"')
    known: dict[str, dict[str, Any]] | None = None
    try:
        agent.call("stream", {"Type": _CHANGES})
        while True:
            found, changed = _ask_again(agent, filters)
            if known is None:
                print_members(call, list(found.values()))
            elif known != found:
                _print_changes(call, known, found)
            known = found
            if not changed:
                agent.next_event()
    except (KeyboardInterrupt, TimeoutError):
        return 0  # it has watched for as long as it should
    except (RPCError, OSError) as error:
        raise CommandError(_ASKING + call_error(error)) from None


def _ask_again(
    agent: BlockingClient, filters: dict[str, Any]
) -> tuple[dict[str, dict[str, Any]], bool]:
    """The members by name, and whether an event came meanwhile, which may be newer."""
    changed = False
    number = agent.send("members-filtered", filters)
    while True:
        event = agent.next_event()
        if not isinstance(event, Reply):
            changed = True
        elif event.seq == number:
            if event.error:
                raise RPCError(event.error, "members-filtered")
            return {_name(member): member for member in _sorted(event.body["Members"])}, changed


def _print_changes(
    call: Call, known: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]]
) -> None:
    if call.format == "json":
        print_members(call, list(found.values()))
        return
    changes = [
        ("+" if name not in known else "~", member)
        for name, member in found.items()
        if known.get(name) != member
    ]
    changes += [("-", member) for name, member in known.items() if name not in found]
    if call.format == "jsonl":
        words = {"+": "appeared", "~": "changed", "-": "gone"}
        for sign, member in changes:
            call.console.line(json_line({"change": words[sign]} | member_document(member)))
        return
    rows = [[sign, *_row(member, _is_detailed(call))] for sign, member in changes]
    call.console.line(call.console.safe(columns(rows)))


# --- wait ---------------------------------------------------------------------------------


def run_wait(call: Call) -> int:
    """Wait until an agent answers and lists so many members."""
    if call["members"] < 1:
        return call.wrong_usage("The number of members must be positive.")
    filters = _filters(call)
    call.check_format()
    while True:
        try:
            with connect(call) as agent:
                while len(members := _ask(agent, filters)) < call["members"]:
                    _pause(call, f"{len(members)} of {call['members']} members")
        except NoAgentError as error:  # not yet, or it begins again
            _pause(call, str(error))
        else:
            print_members(call, members)
            return 0


def _pause(call: Call, problem: str) -> None:
    if call.deadline is not None and time.monotonic() + _WAIT_INTERVAL > call.deadline:
        raise CommandError(f"Error waiting for members: {problem}")
    time.sleep(_WAIT_INTERVAL)
