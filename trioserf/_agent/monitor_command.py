"""The command ``monitor``: log lines and events of an agent, as they come.

Source: hashicorp/serf v0.9.4, cmd/serf/command/monitor.go; golang/go, fmt/print.go (``%#v``).
"""

from __future__ import annotations

from .._exceptions import RemoteProtocolError, RPCError
from .._wire.rpc_client_session import Reply
from .agent_connection import GoErrors, call_error, connect, take_interrupts
from .call import CommandError
from .go_text import json_line, quote
from .members_command import member_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from .._rpc.blocking import BlockingClient
    from .call import Call

_GONE: Final = (
    "\nRemote side ended the monitor! This usually means that the\n"
    "remote side has exited or crashed."
)
_FIELDS: Final = {
    "user": ("Coalesce", "Event", "LTime", "Name", "Payload"),
    "query": ("Event", "ID", "LTime", "Name", "Payload"),
}
"""What a record has by its kind; one of members has ``Event`` and ``Members``."""


def run_monitor(call: Call) -> int:
    """Print what happens, until Ctrl-C, the end of ``-timeout`` or that of the agent."""
    take_interrupts()
    call.check_format()
    with connect(call) as agent:
        try:
            return _monitor(call, agent)
        except (KeyboardInterrupt, TimeoutError):
            return 0


def _monitor(call: Call, agent: BlockingClient) -> int:
    events = agent.send("stream", {"Type": "*"})
    with GoErrors("Error starting stream: "):
        _await_reply(agent, events)
    logs = agent.send("monitor", {"LogLevel": call["log-level"]})
    while True:
        try:
            event = agent.next_event()
        except ConnectionError:
            if call.format == "text":
                call.console.line(_GONE)  # where the log goes, and Go prints it
            else:
                call.console.error(_GONE.lstrip())
            return 1
        except RemoteProtocolError as error:
            raise CommandError(f"Error reading the monitor: {call_error(error)}") from None
        if isinstance(event, Reply):
            if event.seq == logs and event.error:
                raise CommandError(f"Error starting monitor: {event.error}")
        elif event.seq == logs:
            _print_log(call, event.body["Log"])
        else:
            _print_event(call, event.body)


def _await_reply(agent: BlockingClient, number: int) -> None:
    while True:
        event = agent.next_event()
        if isinstance(event, Reply) and event.seq == number:
            if event.error:
                raise RPCError(event.error, "stream")
            return


def _print_log(call: Call, line: str) -> None:
    if call.format == "text":
        call.console.line(call.console.safe(line))
    else:
        call.console.line(json_line({"type": "log", "line": line}))


def _print_event(call: Call, record: dict[str, Any]) -> None:
    names = _FIELDS.get(record["Event"], ("Event", "Members"))
    if call.format == "text":
        lines = [f"\t{name}: {go_value(name, record[name])}" for name in names]
        call.console.line(call.console.safe("\n".join(["Event Info:", *lines])))
        return
    document: dict[str, Any] = {"type": "event"}
    for name in names:
        value = record[name]
        if name == "Members":
            value = [member_document(member) for member in value]
        document[name.lower()] = value
    call.console.line(json_line(document))


# --- values as Go prints them -------------------------------------------------------------


def go_value(name: str, value: Any) -> str:
    """A field of an event as Go's ``%#v`` prints what its msgpack library made of it."""
    if name == "Payload":
        return _bytes("[]byte", value) if value else "<nil>"
    if name == "Members":
        members = ", ".join(_map(member) for member in value)
        return f"[]interface {{}}{{{members}}}"
    return _inner(value)


def _map(values: dict[str, Any]) -> str:
    parts = [f"{quote(key)}:{_inner(value)}" for key, value in sorted(values.items())]
    return f"map[interface {{}}]interface {{}}{{{', '.join(parts)}}}"


def _inner(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # What fits into one byte of msgpack is a signed integer to Go, the rest is unsigned.
        return str(value) if value < 0x80 else f"0x{value:x}"
    if isinstance(value, bytes):
        return _bytes("[]uint8", value)
    if isinstance(value, dict):
        return _map(value)
    return quote(value)


def _bytes(kind: str, value: bytes) -> str:
    return f"{kind}{{{', '.join(f'0x{byte:x}' for byte in value)}}}"
