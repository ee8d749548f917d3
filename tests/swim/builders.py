"""Short ways to tables, messages and records."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, TypeVar

from trioserf._config import MemberlistConfig
from trioserf._swim.effects import Effect, ProbeAddress
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.table import NodeTable
from trioserf._wire.messages import (
    Alive,
    Dead,
    NodeRecord,
    PacketMessage,
    Suspect,
    decode_message,
)
from trioserf.abc import Address

VERSIONS = bytes((1, 5, 2, 2, 5, 4))
PORT = 7946
E = TypeVar("E")


def ip(name: str) -> bytes:
    """The address of a test node: "a" has 10.0.0.97."""
    return bytes((10, 0, 0, ord(name[0])))


def place(name: str, port: int = PORT) -> Address:
    return Address.from_bytes(ip(name), port)


def new_table(
    name: str = "a",
    *,
    now: float = 0.0,
    seed: int = 1,
    hooks: dict[str, Any] | None = None,
    **config: Any,
) -> NodeTable:
    """A table in which only the local node is known."""
    settings = MemberlistConfig(name=name, **config)
    table = NodeTable(name=name, config=settings, rng=random.Random(seed), **(hooks or {}))
    table.start(now, addr=ip(name), port=PORT, meta=b"", versions=VERSIONS)
    return table


def table_with(*names: str, now: float = 0.0, **config: Any) -> NodeTable:
    """The table of node "a", which knows the named nodes as alive, with incarnation 5."""
    table = new_table(now=now, **config)
    for name in names:
        table.on_alive(alive(name), now)
    return table


def alive(name: str = "b", incarnation: int = 5, **fields: Any) -> Alive:
    defaults: dict[str, Any] = {
        "addr": ip(name) if name else b"\x0a\0\0\1",
        "port": PORT,
        "meta": b"",
        "versions": VERSIONS,
    }
    return Alive(incarnation, name, **{**defaults, **fields})


def suspect(name: str = "b", incarnation: int = 5, by: str = "c") -> Suspect:
    return Suspect(incarnation, name, by)


def dead(name: str = "b", incarnation: int = 5, by: str = "c") -> Dead:
    return Dead(incarnation, name, by)


def left(name: str = "b", incarnation: int = 5) -> Dead:
    return Dead(incarnation, name, name)


def record(
    name: str = "b", incarnation: int = 5, status: int = NodeStatus.ALIVE, **fields: Any
) -> NodeRecord:
    defaults: dict[str, Any] = {
        "addr": ip(name) if name else b"\x0a\0\0\1",
        "port": PORT,
        "meta": b"",
        "versions": VERSIONS,
    }
    return NodeRecord(
        name=name, incarnation=incarnation, status=int(status), **{**defaults, **fields}
    )


def node(name: str = "b", **fields: Any) -> Node:
    defaults: dict[str, Any] = {"addr": ip(name), "port": PORT, "versions": VERSIONS}
    return Node(name=name, **{**defaults, **fields})


def state(table: NodeTable, name: str = "b") -> tuple[str, int]:
    """Status and incarnation of one record."""
    known = table.nodes[name]
    return str(known.status), known.incarnation


def probed(table: NodeTable, message: Alive, answered: bool, now: float) -> list[Effect]:
    """Give a table the result of probing because of ``message``."""
    existing = table.nodes.get(message.node) or node(message.node)
    return table.address_probed(ProbeAddress(existing, existing.address, message), answered, now)


def the(kind: type[E], effects: Iterable[Effect]) -> E:
    """The only effect of this kind."""
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) == 1, f"{len(found)} of {kind.__name__}"
    return found[0]


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def sent(effects: Iterable[Effect]) -> list[PacketMessage]:
    """The messages that these effects queue or send, decoded."""
    return [
        decode_message(effect.message)  # type: ignore[union-attr]
        for effect in effects
        if hasattr(effect, "message")
    ]
