"""The command ``keys``.

DIFFERS: a key may be given on standard input, with ``-`` in its place, because everybody on a
machine can read the arguments of a command.  To Go ``-`` is a key that no node takes.  Test:
test_a_key_may_come_by_standard_input.

Source: hashicorp/serf v0.9.4, cmd/serf/command/keys.go.
"""

from __future__ import annotations

from .._exceptions import RPCError
from .._tuples import NamedTuple
from .agent_connection import GoErrors, connect
from .call import CommandError
from .go_text import columns, json_document, json_line, sorted_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from .._rpc.blocking import BlockingClient
    from .call import Call


class _Action(NamedTuple):
    command: str
    begins: str
    succeeds: str
    fails: str


_ACTIONS: Final = {
    "install": _Action(
        "install-key", "Installing key", "Successfully installed key!", "Error installing key: "
    ),
    "use": _Action(
        "use-key",
        "Changing primary key",
        "Successfully changed primary key!",
        "Error changing primary key: ",
    ),
    "remove": _Action(
        "remove-key", "Removing key", "Successfully removed key!", "Error removing key: "
    ),
}


class _FailuresError(Exception):
    """The agent or members report failures.

    Args:
      message: what the agent says.
      failures: what members say, by name.
    """

    def __init__(self, message: str, failures: dict[str, str]) -> None:
        super().__init__(message)
        self.failures = failures


def run_keys(call: Call) -> int:
    """List or change the keys of all members."""
    wanted = [name for name in (*_ACTIONS, "list") if call[name]]
    if not wanted:
        return call.wrong_usage()
    if len(wanted) > 1:
        raise CommandError("Only one of -install, -use, -remove, or -list allowed")
    call.check_format()
    (name,) = wanted
    with connect(call) as agent:
        if name == "list":
            return _list(call, agent)
        return _change(call, agent, _ACTIONS[name], call.secret(name))


def _list(call: Call, agent: BlockingClient) -> int:
    _progress(call, "Asking all members for installed keys...")
    response = _ask(call, agent, "list-keys", None, "Failed to gather member keys: ")
    keys, nodes = sorted_map(response["Keys"]), response["NumNodes"]
    if call.format == "json":
        call.console.line(json_document({"keys": keys, "nodes": nodes}))
    elif call.format == "jsonl":
        for key, count in keys.items():
            call.console.line(json_line({"key": key, "installed": count, "nodes": nodes}))
    else:
        _progress(call, "Keys gathered, listing cluster keys...\n")
        call.console.line(columns([key, f"[{count}/{nodes}]"] for key, count in keys.items()))
    return 0


def _change(call: Call, agent: BlockingClient, action: _Action, key: str) -> int:
    _progress(call, f"{action.begins} on all members...")
    response = _ask(call, agent, action.command, {"Key": key}, action.fails)
    _progress(call, action.succeeds)
    if call.format != "text":
        call.print("", {"nodes": response["NumNodes"], "responses": response["NumResp"]})
    return 0


def _progress(call: Call, text: str) -> None:
    if call.format == "text":
        call.console.line(f"==> {text}")


def _ask(
    call: Call, agent: BlockingClient, command: str, body: dict[str, Any] | None, prefix: str
) -> dict[str, Any]:
    """The report of all members; one that reports failures ends the command."""
    try:
        with GoErrors(prefix):
            response: dict[str, Any] = _call(agent, command, body)
            return response
    except _FailuresError as error:
        failures = sorted_map(error.failures)
        if call.format != "text":
            call.print("", {"error": str(error), "failures": failures})
        else:
            rows = [["failed:", node, str(message)] for node, message in failures.items()]
            call.console.error(call.console.safe(columns(rows)) + "\n" if rows else "")
        raise CommandError(f"{prefix}{error}") from None


def _call(agent: BlockingClient, command: str, body: dict[str, Any] | None) -> dict[str, Any]:
    try:
        response: dict[str, Any] = agent.call(command, body)
    except RPCError as error:
        report = error.response if isinstance(error.response, dict) else {}
        raise _FailuresError(str(error), report.get("Messages", {})) from None
    return response
