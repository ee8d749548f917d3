"""Nodes, settings and shorthands for the tests of Serf's rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Any

import attrs

from trioserf._cluster.effects import Effect, Log, Publish
from trioserf._cluster.intents import RecentIntents
from trioserf._config import Config, MemberlistConfig
from trioserf._events import EventType, Member, MemberEvent, MemberStatus, UserEvent
from trioserf._wire.tags import encode_tags

LOCAL = "self"


@attrs.define(eq=False)
class SampleNode:
    """A node as the membership half shows it."""

    name: str
    addr: bytes = bytes([10, 0, 0, 1])
    port: int = 7946
    meta: bytes = b"\xff\x80"
    versions: bytes = bytes([1, 5, 2, 2, 5, 4])
    incarnation: int = 1
    status: int = 0
    reached: bool = True


def node(name: str, tags: Mapping[str, str] | None = None, **fields: Any) -> SampleNode:
    return SampleNode(name, meta=encode_tags(dict(tags or {}), 4), **fields)


def config(*, faithful: bool = False, **fields: Any) -> Config:
    memberlist = MemberlistConfig(faithful_go=faithful)
    return Config(node_name=LOCAL, memberlist=memberlist, **fields)


def member(name: str, status: MemberStatus = MemberStatus.ALIVE, **fields: Any) -> Member:
    given: dict[str, Any] = {
        "addr": IPv4Address("10.0.0.1"),
        "port": 7946,
        "protocol_min": 1,
        "protocol_max": 5,
        "protocol_cur": 2,
        "delegate_min": 2,
        "delegate_max": 5,
        "delegate_cur": 4,
        **fields,
    }
    return Member(name=name, status=status, **given)


def published(effects: Iterable[Effect]) -> list[MemberEvent | UserEvent]:
    return [effect.event for effect in effects if isinstance(effect, Publish)]


def happenings(effects: Iterable[Effect]) -> list[tuple[EventType, str]]:
    """Kind and name of every member event."""
    return [
        (event.type, one.name)
        for event in published(effects)
        if isinstance(event, MemberEvent)
        for one in event.members
    ]


def warnings(effects: Iterable[Effect]) -> list[str]:
    return [effect.text for effect in effects if isinstance(effect, Log)]


def stored(intents: RecentIntents, name: str) -> tuple[str, int] | None:
    """Kind and Lamport time of the stored intent about a name."""
    intent = intents.get(name)
    return None if intent is None else (intent.kind, intent.ltime)
