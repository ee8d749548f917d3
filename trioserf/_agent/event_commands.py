"""The commands ``event`` and ``query``.

Source: hashicorp/serf v0.9.4, cmd/serf/command/event.go, query.go.
"""

from __future__ import annotations

import math
import time

from .._exceptions import RemoteProtocolError, RPCError
from .._text import raw_text, text
from .._wire.rpc_client_session import Reply
from .agent_connection import GoErrors, connect, take_interrupts
from .call import CommandError
from .durations import MAX_NANOSECONDS
from .go_text import json_document, json_line, sorted_map
from .members_command import read_tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from .._rpc.blocking import BlockingClient
    from .call import Call

_TOO_MANY: Final = "Too many command line arguments. Only a name and payload must be specified."
_SENDING_QUERY: Final = "Error sending query: "
_GRACE: Final = 10.0
"""How long after its own end a query may be silent before the agent is taken for stuck (s)."""
_LINGER: Final = 0.5
"""How long a query goes on when all have answered (seconds): for nodes that the agent does not
list yet, or takes for failed though they are not."""


def run_event(call: Call) -> int:
    """Send a user event to all members."""
    if not call.arguments:
        return call.wrong_usage("An event name must be specified.")
    if len(call.arguments) > 2:
        return call.wrong_usage(_TOO_MANY)
    call.check_format()
    name, *payload = call.arguments
    body = {
        "Name": name,
        "Payload": raw_text(payload[0]) if payload else None,
        "Coalesce": call["coalesce"],
    }
    with connect(call) as agent, GoErrors("Error sending event: "):
        agent.call("event", body)
    coalesce = "true" if call["coalesce"] else "false"
    call.print(
        f"Event '{call.console.safe(name)}' dispatched! Coalescing enabled: {coalesce}",
        {"event": name, "coalesce": call["coalesce"]},
    )
    return 0


# --- query --------------------------------------------------------------------------------


def run_query(call: Call) -> int:
    """Ask members, and print what they answer."""
    tags = read_tags(call["tag"])
    if not call.arguments:
        return call.wrong_usage("A query name must be specified.")
    if len(call.arguments) > 2:
        return call.wrong_usage(_TOO_MANY)
    if not 0 <= call["relay-factor"] <= 255:
        raise CommandError("Relay factor must be between 0 and 255")
    take_interrupts()
    with connect(call) as agent:
        call.check_format("Invalid format: {}")
        answers = _Answers(call)
        try:
            _ask(call, agent, tags, answers)
        except KeyboardInterrupt:
            return 1
    answers.print_end()
    return answers.status()


def _ask(call: Call, agent: BlockingClient, tags: dict[str, str], answers: _Answers) -> None:
    name, *payload = call.arguments
    timeout = call["timeout"]
    if timeout > 0:
        agent.deadline = time.monotonic() + timeout + _GRACE
    answers.expected = _who_should_answer(call, agent, tags)
    body = {
        "Name": name,
        "Payload": raw_text(payload[0]) if payload else None,
        "FilterNodes": list(call["node"]),
        "FilterTags": tags,
        "RequestAck": not call["no-ack"],
        "RelayFactor": call["relay-factor"],
        "Timeout": max(-MAX_NANOSECONDS, min(round(timeout * 1e9), MAX_NANOSECONDS)),
    }
    with GoErrors(_SENDING_QUERY):
        number = agent.send("query", body)
        while True:
            if answers.complete:
                agent.deadline = min(agent.deadline or math.inf, time.monotonic() + _LINGER)
            try:
                event = agent.next_event()
            except TimeoutError:
                if answers.complete:
                    return
                raise
            if event.seq != number:
                continue
            if isinstance(event, Reply):
                if event.error:
                    raise RPCError(event.error, "query")
                answers.begin()
            elif event.body["Type"] == "done":
                return
            elif event.body["From"]:  # Go agents send records without one at the end
                answers.add(event.body)


def _who_should_answer(call: Call, agent: BlockingClient, tags: dict[str, str]) -> set[str] | None:
    """The members that can be asked, as far as the agent knows; None if it cannot be said.

    A query matches a part of a tag, the list of members the whole of it.
    """
    try:
        if tags:
            # A pattern that is none makes a Go agent close the connection: use another one.
            patterns = {key: f"(?s:.*)(?:{pattern})(?s:.*)" for key, pattern in tags.items()}
            with connect(call) as other:
                found = other.call("members-filtered", {"Status": "alive", "Tags": patterns})
        else:
            found = agent.call("members-filtered", {"Status": "alive"})
    except (CommandError, RPCError, RemoteProtocolError, OSError):
        return None  # whatever it is, the query itself is answered with it, too
    names = {member["Name"] for member in found["Members"]}
    return names & set(call["node"]) if call["node"] else names


class _Answers:
    """Who has acknowledged and responded, printed as it comes or at the end."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._acks: list[str] = []
        self._responses: dict[str, bytes] = {}
        self._wants_acks = not call["no-ack"]
        self.expected: set[str] | None = None
        """Who can answer; None if that is unknown."""

    @property
    def complete(self) -> bool:
        """Whether nobody is left who could answer.

        DIFFERS: Go's command waits for the end of the time of the query even so.  Test:
        test_a_query_ends_when_all_have_answered.
        """
        if not self.expected or not self.expected <= self._responses.keys():
            return False
        return not self._wants_acks or self.expected <= set(self._acks)

    def begin(self) -> None:
        """The agent has sent the query."""
        if self._call.format == "text":
            name = self._call.console.safe(self._call.arguments[0])
            self._call.console.line(f"Query '{name}' dispatched")

    def add(self, record: dict[str, Any]) -> None:
        """An ack or a response."""
        node, payload = record["From"], record["Payload"]
        console = self._call.console
        if record["Type"] == "ack":
            self._acks.append(node)
            if self._call.format == "text":
                console.line(console.safe(f"Ack from '{node}'"))
            elif self._call.format == "jsonl":
                console.line(json_line({"type": "ack", "from": node}))
            return
        self._responses[node] = payload
        if self._call.format == "text":
            answer = text(payload).removesuffix("\n")
            console.line(console.safe(f"Response from '{node}': {answer}"))
        elif self._call.format == "jsonl":
            console.line(json_line({"type": "response", "from": node, "payload": payload}))

    def print_end(self) -> None:
        """The sums, or the JSON document."""
        console, acks, responses = self._call.console, self._acks, self._responses
        if self._call.format == "json":
            # Go's list of acks is nil where there is none, its map of responses never is.
            document = {"Acks": acks or None, "Responses": sorted_map(responses)}
            console.line(json_document(document))
        elif self._call.format == "jsonl":
            end = {"type": "done", "acks": len(acks), "responses": len(responses)}
            console.line(json_line(end))
        else:
            if self._wants_acks:
                console.line(f"Total Acks: {len(acks)}")
            console.line(f"Total Responses: {len(responses)}")

    def status(self) -> int:
        """The exit status: 1 if all were required and one is missing."""
        if not self._call["require-all"]:
            return 0
        if self.expected is None:
            raise CommandError("Error: the agent does not say who should answer")
        missing = (self.expected | set(self._call["node"])) - self._responses.keys()
        if missing:
            raise CommandError(f"Error: no response from: {', '.join(sorted(missing))}")
        return 0
