"""What the event channels of several nodes delivered, and when: the evidence of the demo.

Each node of the demo has a task that reads its events here.  A step of the demo waits until
every node it names has seen the event it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import trio

from .. import _attrs as attrs
from .._events import Event, EventType, MemberEvent, Query, UserEvent


@attrs.frozen
class Sighting:
    """One event as one node saw it, at a time of trio's clock (seconds)."""

    at: float
    node: str
    event: Event


Test = Callable[[Event], bool]


def member_event(kind: EventType, name: str) -> Test:
    """Whether an event of this kind names this member."""

    def test(event: Event) -> bool:
        return (
            isinstance(event, MemberEvent)
            and event.type is kind
            and any(member.name == name for member in event.members)
        )

    return test


def user_event(name: str, payload: bytes) -> Test:
    """Whether it is this user event."""

    def test(event: Event) -> bool:
        return isinstance(event, UserEvent) and (event.name, event.payload) == (name, payload)

    return test


@attrs.define(eq=False)
class Observer:
    """Sightings of all nodes, in order."""

    _sightings: list[Sighting] = attrs.field(factory=list, init=False)
    _arrived: trio.Event = attrs.field(factory=trio.Event, init=False)

    def note(self, node: str, event: Event) -> None:
        """Write down an event."""
        self._sightings.append(Sighting(trio.current_time(), node, event))
        self._arrived.set()
        self._arrived = trio.Event()

    async def follow(
        self,
        node: str,
        events: trio.MemoryReceiveChannel[Event],
        answer: Callable[[Query], bytes | None],
    ) -> None:
        """Task: note the events of a node, and answer its queries, until it closes."""
        async for event in events:
            self.note(node, event)
            if isinstance(event, Query) and (payload := answer(event)) is not None:
                await event.respond(payload)

    def seen(self, test: Test, since: float) -> dict[str, float]:
        """Node to the time at which it first saw such an event, not before ``since``."""
        first: dict[str, float] = {}
        for sighting in self._sightings:
            if sighting.at >= since and test(sighting.event):
                first.setdefault(sighting.node, sighting.at)
        return first

    async def wait_seen(
        self, test: Test, nodes: Collection[str], *, since: float, within: float
    ) -> dict[str, float]:
        """Wait until all ``nodes`` saw such an event, at most ``within`` seconds.

        Returns:
          as `seen`, for these nodes; some are missing when the time was up.
        """
        with trio.move_on_after(within):
            while not set(nodes) <= self.seen(test, since).keys():
                await self._arrived.wait()
        found = self.seen(test, since)
        return {node: found[node] for node in nodes if node in found}

    async def wait_until(self, holds: Callable[[], bool], *, within: float) -> bool:
        """Wait until ``holds()``, asked after each event, at most ``within`` seconds."""
        with trio.move_on_after(within):
            while not holds():
                await self._arrived.wait()
        return holds()
