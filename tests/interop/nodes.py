"""Trioserf nodes beside real agents: inside the test, or in a process of their own."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

import trioserf
from tests.interop.addresses import free_host
from tests.interop.agents import Row
from tests.interop.processes import Child, child
from tests.interop.waiting import found
from trioserf.abc import Address

PROGRAM = "tests.interop.node_program"
ROOT = Path(__file__).parents[2]


def describe(members: Sequence[trioserf.Member]) -> dict[str, Row]:
    """Members as trioserf sees them, in the form in which the harness reads those of agents."""
    return {
        member.name: Row(
            str(member.status),
            str(Address(str(member.addr), member.port)),
            dict(member.tags),
            (member.delegate_min, member.delegate_max, member.delegate_cur),
        )
        for member in members
    }


@attrs.define(eq=False)
class TrioserfNode:
    """A node inside the test, with all its events; see `trioserf_node`."""

    serf: trioserf.Serf
    events: list[tuple[float, trioserf.Event]] = attrs.field(factory=list)
    answers: Mapping[str, Callable[[bytes], bytes]] = attrs.field(factory=dict)

    @property
    def name(self) -> str:
        return self.serf.name

    @property
    def address(self) -> str:
        local = self.serf.local_member
        return str(Address(str(local.addr), local.port))

    def members(self) -> dict[str, Row]:
        return describe(self.serf.members())

    def statuses(self) -> dict[str, str]:
        return {name: row.status for name, row in self.members().items()}

    def status_of(self, name: str) -> str | None:
        return self.statuses().get(name)

    def tags_of(self, name: str) -> Mapping[str, str] | None:
        row = self.members().get(name)
        return None if row is None else row.tags

    def user_events(self, name: str) -> list[bytes]:
        """Payloads of the user events of this name, in order of arrival."""
        return [
            event.payload
            for _, event in self.events
            if isinstance(event, trioserf.UserEvent) and event.name == name
        ]

    def queries(self, name: str) -> list[trioserf.Query]:
        return [
            event
            for _, event in self.events
            if isinstance(event, trioserf.Query) and event.name == name
        ]

    def time_of(self, kind: trioserf.EventType, name: str) -> float | None:
        """When (trio clock) the first event of this kind about this member."""
        for when, event in self.events:
            if (
                isinstance(event, trioserf.MemberEvent)
                and event.type is kind
                and name in [member.name for member in event.members]
            ):
                return when
        return None

    async def record(self) -> None:
        """Note every event with its time, and answer the queries that have an answer."""
        async for event in self.serf.events:
            self.events.append((trio.current_time(), event))
            if isinstance(event, trioserf.Query) and event.name in self.answers:
                await event.respond(self.answers[event.name](event.payload))


@asynccontextmanager
async def trioserf_node(
    nursery: trio.Nursery,
    *,
    name: str,
    profile: str = "lan",
    tags: Mapping[str, str] | None = None,
    key: bytes | None = None,
    answers: Mapping[str, Callable[[bytes], bytes]] | None = None,
    leave_on_exit: bool = False,
    bind: str | None = None,
    **fields: Any,
) -> AsyncIterator[TrioserfNode]:
    """Run a node for the length of the block.

    Args:
      nursery: the test's own; the recorder of events runs there, so that failures in the
        body reach the reader bare.
      answers: query name to the function that makes the answer from the payload.
      leave_on_exit: most tests have no use for the seconds that a graceful leave takes.
      bind: ``host:port``, for a node that takes the place of another; None takes a free one.
      fields: further fields of the configuration.
    """
    config = getattr(trioserf.Config, profile)(
        node_name=name,
        bind=bind or f"{free_host()}:0",
        tags=tags or {},
        encrypt_key=key,
        leave_on_exit=leave_on_exit,
        **fields,
    )
    async with trioserf.open(config) as serf:
        node = TrioserfNode(serf, answers=answers or {})
        nursery.start_soon(node.record)
        yield node


@attrs.define(eq=False)
class NodeProcess:
    """A trioserf node in a process of its own, which can be stopped or killed."""

    name: str
    address: str
    process: Child

    def events(self, kind: str) -> list[str]:
        """Names of the members that events of this kind were about, in order."""
        return [
            name
            for line in _lines(self.process)
            if line.get("event") == kind
            for name in line["names"]
        ]

    def hosts(self) -> dict[str, str]:
        """Name to IP address, as the last event about each member had it."""
        return {
            name: host
            for line in _lines(self.process)
            if "hosts" in line
            for name, host in zip(line["names"], line["hosts"], strict=True)
        }

    def statuses(self) -> dict[str, str]:
        """Name to status, of every member that events were about and none took away."""
        last = {
            name: _STATUS_AFTER[line["event"]]
            for line in _lines(self.process)
            if line.get("event") in _STATUS_AFTER
            for name in line["names"]
        }
        return {name: status for name, status in last.items() if status != "gone"}


_STATUS_AFTER = {
    "member-join": "alive",
    "member-leave": "left",
    "member-failed": "failed",
    "member-reap": "gone",
}


def _lines(process: Child) -> list[dict[str, Any]]:
    text = process.output
    complete = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in complete.splitlines() if line.startswith("{")]


@asynccontextmanager
async def node_process(
    tmp_path: Path,
    *,
    name: str,
    join: str,
    profile: str = "lan",
    tags: Mapping[str, str] | None = None,
    key: bytes | None = None,
    address: str | None = None,
    inside: Sequence[str] = (),
    wait: bool = True,
    options: Mapping[str, Any] | None = None,
) -> AsyncIterator[NodeProcess]:
    """Run a node in a child process that has joined ``join``; killed with the block.

    Args:
      options: further settings of its configuration.
      wait: until it has joined; else ``address`` is needed, and it goes on trying.
      address: ``host:port`` for gossip; None takes a free one.
      inside: what a command begins with that shall run on another host of
        `tests.interop.namespaces`; needs ``address``, too.
    """
    settings = {
        "name": name,
        "bind": address or f"{free_host()}:0",
        "join": join,
        "profile": profile,
        "tags": dict(tags or {}),
        "key": base64.b64encode(key).decode() if key else None,
        "options": dict(options or {}),
    }
    command = [*inside, sys.executable, "-m", PROGRAM, json.dumps(settings)]
    with child(command, output_path=tmp_path / f"{name}.log", cwd=ROOT) as process:

        def joined() -> str | None:
            assert process.exit_status is None, process.output
            return next((line["joined"] for line in _lines(process) if "joined" in line), None)

        known = await found(joined, seconds=20) if wait or address is None else address
        yield NodeProcess(name, known, process)
