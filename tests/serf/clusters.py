"""Small clusters on a simulated network, for tests with a mock clock."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import attrs
import trio

from trioserf._config import Config, MemberlistConfig
from trioserf._events import Event, Member, MemberEvent, MemberStatus, Query, UserEvent
from trioserf._serf.open import open_serf
from trioserf._serf.serf import Serf
from trioserf._wire.serf_messages import SerfMessageType
from trioserf.testing import SimNetwork

SERF_FIELDS = {field.name for field in attrs.fields(Config)}
MEMBERLIST_FIELDS = {field.name for field in attrs.fields(MemberlistConfig)} - SERF_FIELDS


@attrs.define(eq=False)
class Cluster:
    """Nodes on one network; each lives until it is stopped, or to the end of the test."""

    network: SimNetwork
    stack: AsyncExitStack
    hosts: int = 0

    def config(self, name: str, *, host: str | None = None, **fields: Any) -> Config:
        """Settings of a node on a host of its own; fields of either half."""
        if host is None:
            self.hosts += 1
            host = f"10.0.0.{self.hosts}"
        below = {key: fields.pop(key) for key in MEMBERLIST_FIELDS & fields.keys()}
        memberlist = MemberlistConfig(
            transport=self.network.transport(host), bind_addr=host, **below
        )
        defaults = {"leave_on_exit": False, "rng": random.Random(f"{name} {host}")}
        return Config(node_name=name, memberlist=memberlist, **{**defaults, **fields})

    async def start(self, name: str, **fields: Any) -> Serf:
        """A node that is alone."""
        return await self.stack.enter_async_context(open_serf(self.config(name, **fields)))

    async def joined(self, *names: str, **fields: Any) -> list[Serf]:
        """Nodes that know each other, and have nothing left to say."""
        nodes = [await self.start(name, **fields) for name in names]
        for node in nodes[1:]:
            await node.join([address(nodes[0])])
        await until(lambda: all(len(node.members().alive) == len(nodes) for node in nodes))
        await trio.sleep(5)
        for node in nodes:
            drain(node)
        return nodes


@asynccontextmanager
async def cluster(seed: int = 1, **network: Any) -> AsyncIterator[Cluster]:
    """An empty cluster."""
    async with SimNetwork(seed=seed, **network) as sim, AsyncExitStack() as stack:
        yield Cluster(sim, stack)


def address(node: Serf) -> str:
    """Where to join a node."""
    return str(node.memberlist.advertise_address)


def host(node: Serf) -> str:
    """The host of a node."""
    return node.memberlist.advertise_address.host


def status(observer: Serf, name: str) -> MemberStatus | None:
    """What a node thinks of a member; None if it does not know it."""
    member = observer.members().get(name)
    return None if member is None else member.status


def known(observer: Serf, name: str) -> Member:
    """A member that the observer must know."""
    member = observer.members().get(name)
    assert member is not None
    return member


async def until(condition: Callable[[], object], *, limit: float = 120.0) -> None:
    """Wait, on the virtual clock, for a condition."""
    with trio.fail_after(limit):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.02)


def drain(node: Serf) -> list[Event]:
    """Every event that waits to be read."""
    events = []
    while True:
        try:
            events.append(node.events.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return events


@contextmanager
def without(node: Serf, *kinds: SerfMessageType) -> Iterator[None]:
    """While in the block, the node does not see messages of these kinds.

    Source: hashicorp/serf v0.9.4, serf/config.go, messageDropper.
    """
    delegate = node._delegate
    hooks = {
        SerfMessageType.PUSH_PULL: ["merge_remote_state"],
        SerfMessageType.JOIN: ["notify_join"],
    }
    receive = delegate.notify_message
    replaced = {"notify_message": lambda raw: None if raw[0] in kinds else receive(raw)}
    replaced |= {
        name: lambda *args, **options: None for kind in kinds for name in hooks.get(kind, [])
    }
    for name, hook in replaced.items():
        setattr(delegate, name, hook)
    try:
        yield
    finally:
        for name in replaced:
            delattr(delegate, name)


def about(events: Iterable[Event], name: str) -> list[str]:
    """The kinds of the member events about one member, in order."""
    return [
        str(event.type)
        for event in events
        if isinstance(event, MemberEvent)
        for member in event.members
        if member.name == name
    ]


def user_events(events: Iterable[Event]) -> list[tuple[str, bytes]]:
    """Names and payloads of the user events, in order."""
    return [(event.name, event.payload) for event in events if isinstance(event, UserEvent)]


async def answer_queries(node: Serf, payload: bytes | None = None) -> None:
    """An application that answers every query, with the name of its node by default."""
    async with node.subscribe(Query) as queries:
        async for query in queries:
            assert isinstance(query, Query)
            await query.respond(node.name.encode() if payload is None else payload)
