"""What a node reports to its user: members, and the events about them.

All values are frozen.  Enumerations carry Go's numbers and print Go's texts, so that
``str(event.type)`` is what ``serf monitor`` shows.

Source: hashicorp/serf v0.9.4, serf/event.go, serf/serf.go (Member, MemberStatus).
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Final, TypeAlias, final

from . import _attrs as attrs
from ._exceptions import QueryError
from ._public_names import set_public_module
from ._tables import Table, short_payload, shown_as_table
from ._text import host_and_port, payload_text, printable, tags_text

IPAddress: TypeAlias = IPv4Address | IPv6Address

MEMBERS_PRINTED: Final = 8
"""Members of one event that its line names; merged events may have thousands."""


class MemberStatus(enum.IntEnum):
    """Where a member stands, in Go's numbers; ``str()`` gives Go's text."""

    NONE = 0
    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4

    def __str__(self) -> str:
        return self.name.lower()


class EventType(enum.IntEnum):
    """The kind of an event, in Go's numbers; ``str()`` gives Go's text."""

    MEMBER_JOIN = 0
    MEMBER_LEAVE = 1
    MEMBER_FAILED = 2
    MEMBER_UPDATE = 3
    MEMBER_REAP = 4
    USER = 5
    QUERY = 6

    def __str__(self) -> str:
        return self.name.lower().replace("_", "-")


class SerfState(enum.IntEnum):
    """The life of a node, in Go's numbers; ``str()`` gives Go's text."""

    ALIVE = 0
    LEAVING = 1
    LEFT = 2
    SHUTDOWN = 3

    def __str__(self) -> str:
        return self.name.lower()


NIL_TAGS: Final[Mapping[str, str]] = MappingProxyType({})
"""Tags of a node that says nil in place of a map; it is passed on as it came."""


def _read_only(tags: Mapping[str, str]) -> Mapping[str, str]:
    return tags if tags is NIL_TAGS else MappingProxyType(dict(tags))


@final
@shown_as_table
@attrs.frozen
class Member:
    """One member of the cluster as this node knows it, at one moment.

    Args:
      name: unique name.
      addr, port: where it can be reached.
      tags: read-only mapping.
      status: see `MemberStatus`.
      protocol_min, protocol_max, protocol_cur: memberlist protocol versions.
      delegate_min, delegate_max, delegate_cur: Serf protocol versions.
    """

    name: str
    addr: IPAddress
    port: int
    tags: Mapping[str, str] = attrs.field(factory=dict, converter=_read_only, hash=False)
    status: MemberStatus = MemberStatus.NONE
    protocol_min: int = 0
    protocol_max: int = 0
    protocol_cur: int = 0
    delegate_min: int = 0
    delegate_max: int = 0
    delegate_cur: int = 0

    def _table(self) -> Table:
        return Table.of_pairs(
            f"member {self.name}",
            {
                "address": f"{self.addr} port {self.port}",
                "status": self.status,
                **{f"tag {name}": value for name, value in sorted(self.tags.items())},
                "memberlist protocol": f"{self.protocol_cur} ({self._span('protocol')})",
                "Serf protocol": f"{self.delegate_cur} ({self._span('delegate')})",
            },
        )

    def _span(self, kind: str) -> str:
        return f"{getattr(self, f'{kind}_min')} to {getattr(self, f'{kind}_max')}"


def _is_about_members(_event: object, _field: object, kind: EventType) -> None:
    if not EventType.MEMBER_JOIN <= kind <= EventType.MEMBER_REAP:
        raise ValueError(f"type={kind!r}: expected one of the five kinds of member events")


@final
@attrs.frozen
class MemberEvent:
    """Members joined, left, failed, changed or were forgotten (never user or query).

    Args:
      type: one of the five member kinds.
      members: the members as they are after the change; more than one when coalesced.

    Raises:
      ValueError: another kind.
    """

    type: EventType = attrs.field(validator=_is_about_members)
    members: tuple[Member, ...]

    def __str__(self) -> str:
        shown = [self._line(member) for member in self.members[:MEMBERS_PRINTED]]
        if len(self.members) > MEMBERS_PRINTED:
            shown.append(f"and {len(self.members) - MEMBERS_PRINTED} more")
        return f"{self.type}: {', '.join(shown)}" if shown else str(self.type)

    def _line(self, member: Member) -> str:
        """One member; with its tags where they may be what has changed."""
        line = f"{printable(member.name)} {host_and_port(member.addr, member.port)}"
        if self.type is not EventType.MEMBER_UPDATE or not member.tags:
            return line
        return f"{line} ({printable(tags_text(member.tags))})"


@final
@attrs.frozen
class UserEvent:
    """A named message that some node sent to the whole cluster.

    Args:
      ltime: Lamport time of the event.
      name: its name.
      payload: application bytes.
      coalesce: whether events of this name may be merged into the newest.
    """

    ltime: int
    name: str
    payload: bytes = attrs.field(repr=short_payload)
    coalesce: bool = False

    @property
    def type(self) -> EventType:
        return EventType.USER

    def __str__(self) -> str:
        payload = f" {payload_text(self.payload)}" if self.payload else ""
        return f"user-event: {printable(self.name)}{payload}"


@final
@attrs.frozen(eq=False)
class Query:
    """A question from some node that this node may answer once, until its deadline.

    Args:
      ltime: Lamport time of the query.
      name: its name.
      payload: application bytes.
      source_node: name of the asking node ("" from very old nodes).
      deadline: until when an answer is accepted (trio clock, seconds).
    """

    ltime: int
    name: str
    payload: bytes = attrs.field(repr=short_payload)
    source_node: str
    deadline: float
    _responder: Callable[[bytes], Awaitable[None]] | None = attrs.field(
        default=None, repr=False, alias="responder"
    )

    @property
    def type(self) -> EventType:
        return EventType.QUERY

    def __str__(self) -> str:
        source = f" from {printable(self.source_node)}" if self.source_node else ""
        payload = f": {payload_text(self.payload)}" if self.payload else ""
        return f"query: {printable(self.name)}{source}{payload}"

    async def respond(self, payload: bytes = b"") -> None:
        """Send the answer to the asking node, and through relays if it wants them.

        *Checkpoint*: always.

        Raises:
          ResponseTooLarge: the answer may be shortened and sent again.
          AlreadyResponded: there was an answer before.
          DeadlineExceeded: it is too late.
          RelayError: the direct answer went out, a relayed copy did not.

        Source: hashicorp/serf v0.9.4, serf/event.go, Query.Respond.
        """
        if self._responder is None:
            raise QueryError(f"query {self.name!r} did not come from a running node")
        await self._responder(payload)


@final
@attrs.frozen
class EventsDropped:
    """This reader was too slow: so many events are missing at this place."""

    count: int

    def __str__(self) -> str:
        missing = "1 event is" if self.count == 1 else f"{self.count} events are"
        return f"events-dropped: {missing} missing here, because the reader was too slow"


Event: TypeAlias = MemberEvent | UserEvent | Query | EventsDropped


set_public_module(
    EventType, EventsDropped, Member, MemberEvent, MemberStatus, Query, SerfState, UserEvent
)
