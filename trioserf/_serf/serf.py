"""The user's object for one node: every method hands over in a few lines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, final, overload

import trio

from .. import _attrs as attrs
from .._cluster.queries import QueryParams
from .._cluster.size_limits import payload_bytes
from .._events import (
    Event,
    EventsDropped,
    Member,
    MemberEvent,
    MemberStatus,
    Query,
    SerfState,
    UserEvent,
)
from .._memberlist.memberlist import Memberlist
from .._public_names import set_public_module
from .._tables import Table, shown_as_table
from .._vivaldi.coordinate import Coordinate
from .arguments import buffer_size, flag, join_addresses, member_name
from .delegate import SerfDelegate
from .fanout import A, B, EventKind, MemberKind, QueryKind, UserKind
from .following import MemberStates
from .key_manager import KeyManager
from .members_view import Members, Selection
from .query_response import QueryResponse, QueryResult
from .statistics import SerfStatistics, collect, stats

if TYPE_CHECKING:
    from re import Pattern

    from .explanation import Explanation


@final
@shown_as_table
class Serf:
    """A running node of a cluster, made by ``trioserf.open`` or ``trioserf.serve``.

    What is not ``async`` never waits and gives the state of this moment, immutable; such
    reads may also come from other threads.  Calls on a closed node raise
    ``trio.ClosedResourceError``; reads go on giving the last state.
    """

    def __init__(self) -> None:
        raise TypeError(
            "Serf(): a running node comes from 'async with trioserf.open(config) as serf', or "
            "from 'serf = await nursery.start(trioserf.serve, config)'"
        )

    @classmethod
    def _create(cls, delegate: SerfDelegate) -> Serf:
        self = cls.__new__(cls)
        self._set_up(delegate)
        return self

    def _set_up(self, delegate: SerfDelegate) -> None:
        self._delegate = delegate
        self._core = core = delegate.core
        self._membership = delegate.membership
        self._keys = KeyManager._create(core, delegate.tracker)

    def _table(self) -> Table:
        members = self.members()
        caption = f"{self.name}, {self.state}: {members.summary}"
        return attrs.evolve(members._table(), caption=caption)

    def __repr__(self) -> str:
        return f"<Serf {self.name!r}: {self.state}, {self.num_nodes} members>"

    # --- reads --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The unique name of this node."""
        return self._core.name

    @property
    def state(self) -> SerfState:
        """Whether this node is alive, leaving, has left, or is shut down."""
        return self._core.state

    @property
    def local_member(self) -> Member:
        """This node as a member, as last known."""
        return self._core.members.local_member

    @property
    def num_nodes(self) -> int:
        """Known members of any status."""
        return self._core.members.num_members

    @property
    def protocol_version(self) -> int:
        """The Serf protocol version spoken."""
        return self._core.config.protocol_version

    @property
    def encryption_enabled(self) -> bool:
        """Whether there is a key ring, even an empty one."""
        return self.memberlist.keyring is not None

    @property
    def memberlist(self) -> Memberlist:
        """The membership layer below."""
        return self._delegate.memberlist

    @property
    def keys(self) -> KeyManager:
        """The encryption keys of all members."""
        return self._keys

    def members(self) -> Members:
        """All known members of any status, ordered by name."""
        return Members(self._core.members.members())

    def default_query_timeout(self) -> float:
        """How long a query is open by default (seconds)."""
        return self._delegate.tracker.default_timeout()

    def default_query_params(self) -> QueryParams:
        """The parameters of `query` and `ask` by default, with the timeout of this moment.

        A changed copy (``attrs.evolve``) is handed on as
        ``serf.ask(name, **attrs.asdict(params))``.
        """
        return QueryParams(timeout=self.default_query_timeout())

    def stats(self) -> dict[str, str]:
        """The numbers that ``serf info`` shows, under Go's keys."""
        return stats(
            self._core,
            health_score=self.memberlist.health_score,
            encrypted=self.encryption_enabled,
            coordinate_resets=self._delegate.coordinates.resets,
        )

    def statistics(self) -> SerfStatistics:
        """Everything that the node counts."""
        return collect(self._delegate)

    def explain(self, name_or_address: str | None = None) -> Explanation:
        """Why a member is what it is, as far as this node knows; shows itself as text and HTML.

        Nothing is asked of the network.  The record goes back to before a failure and is kept
        after it, within bounds: what happened longest ago to the members that changed longest
        ago is forgotten first.

        Args:
          name_or_address: a member, also one that is gone; or an IP address, with or without a
            port: what came from there.  None for this node's own situation.
        """
        if name_or_address is not None:
            member_name(name_or_address, "name_or_address")
        from .explaining import explain
        from .known import Known

        known = Known(memberlist=self.memberlist, members=self.members())
        return explain(known, name_or_address)

    # --- coordinates --------------------------------------------------------------------

    def coordinate(self) -> Coordinate:
        """The network coordinate of this node.  Raises `CoordinatesDisabled`."""
        return self._delegate.coordinates.own()

    def cached_coordinate(self, name: str) -> Coordinate | None:
        """The coordinate of a node when it last acknowledged a probe; None if not known."""
        return self._delegate.coordinates.cached(member_name(name))

    def rtt(self, a: str, b: str | None = None) -> float | None:
        """The estimated round-trip time between ``a`` and ``b``, or this node (seconds).

        None if one of them is not known yet.  Raises `CoordinatesDisabled`.
        """
        member_name(a, "a")
        return self._delegate.coordinates.rtt(a, b if b is None else member_name(b, "b"))

    # --- membership ---------------------------------------------------------------------

    async def join(self, addresses: Sequence[str] | str, *, ignore_old: bool = False) -> int:
        """Join a cluster by way of any of its members.

        Args:
          addresses: ``host``, ``host:port`` or ``name/host:port``; all are tried at once.  Without
            a port it is the one that this node is bound to.  Of a host name all addresses are
            joined: the call waits for the first node that answers, the others follow.
          ignore_old: do not deliver user events from before the join.

        Returns:
          How many addresses were reached.  This node itself does not count, nor does it harm
          where a name gives its address, too.

        Raises:
          JoinError: none was; a group with one cause for each address.
          InvalidState: the node has left.
          trio.ClosedResourceError: the node is closed.
        """
        texts = join_addresses(addresses)
        ignoring = flag("ignore_old", ignore_old)
        reached = await self._membership.join(texts, ignore_old=ignoring)
        self._delegate.log.info("joined, by %d of %s", reached, ", ".join(texts))
        return reached

    async def leave(self) -> None:
        """Leave the cluster gracefully: the others see ``left``, not ``failed``.

        Waits until that is broadcast, at most ``broadcast_timeout`` twice, and a little longer.
        The node goes on running until it is closed.  A second call does nothing, one during
        the first waits for it; after a cancellation it may be called again.

        Raises:
          trio.ClosedResourceError: the node was closed before it had left.
        """
        await self._membership.leave()

    async def remove_failed_node(self, name: str, *, prune: bool = False) -> None:
        """Make a failed member a left one everywhere, so that no node tries to reconnect to it.

        On an alive member the effect is temporary: it refutes.

        Args:
          name: the member; one that is not known here may be known elsewhere.
          prune: forget it at once, on every node.

        Raises:
          LocalProtocolError: the name is too long for any packet; nothing was sent.
          BroadcastTimeout: the message is still queued, but was not sent out in time.
          trio.ClosedResourceError: the node is closed.
        """
        forgotten = flag("prune", prune)
        await self._membership.remove_failed_node(member_name(name), prune=forgotten)

    async def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace all tags of this node; returns when that is broadcast.

        Raises:
          TagsTooLarge: nothing was changed.
          BroadcastTimeout: the tags are in force, but perhaps not every other node knows.
          InvalidState: the node has left; nothing was changed.
          trio.ClosedResourceError: the node is closed.
        """
        await self._membership.set_tags(tags)

    # --- events and queries -------------------------------------------------------------

    @property
    def events(self) -> trio.MemoryReceiveChannel[Event]:
        """All events since the start; ends when the node closes.

        It is there before anything happens, so nothing is missed.  A reader that is too slow
        finds `EventsDropped` where events are missing.
        """
        return self._delegate.events.receive_channel

    @overload
    def subscribe(
        self, *, max_buffer_size: int | None = None
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]: ...

    @overload
    def subscribe(
        self,
        first: MemberKind,
        /,
        *types: MemberKind | type[EventsDropped],
        max_buffer_size: int | None = None,
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[MemberEvent | EventsDropped]]: ...

    @overload
    def subscribe(
        self,
        first: UserKind,
        /,
        *types: UserKind | type[EventsDropped],
        max_buffer_size: int | None = None,
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[UserEvent | EventsDropped]]: ...

    @overload
    def subscribe(
        self,
        first: QueryKind,
        /,
        *types: QueryKind | type[EventsDropped],
        max_buffer_size: int | None = None,
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Query | EventsDropped]]: ...

    @overload
    def subscribe(
        self, first: type[A], second: type[B], /, *, max_buffer_size: int | None = None
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[A | B | EventsDropped]]: ...

    @overload
    def subscribe(
        self, *types: EventKind, max_buffer_size: int | None = None
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[Event]]: ...

    @asynccontextmanager
    async def subscribe(
        self, *types: Any, max_buffer_size: int | None = None
    ) -> AsyncIterator[trio.MemoryReceiveChannel[Any]]:
        """One more, independent channel of events, from now on.

        Args:
          types: `EventType` values or event classes; none means everything.  Type checkers
            know what comes: ``subscribe(UserEvent)`` gives ``UserEvent | EventsDropped``.
          max_buffer_size: events held for a slow reader; None for ``event_buffer_size``.

        Raises:
          trio.ClosedResourceError: the node is closed.
        """
        await trio.lowlevel.checkpoint()
        if self._core.state is SerfState.SHUTDOWN:
            raise self._core.closed_error()
        fanout, size = self._delegate.fanout, self._core.config.event_buffer_size
        if max_buffer_size is not None:
            size = buffer_size(max_buffer_size)
        reader = fanout.add(size, types)
        try:
            yield reader.receive_channel
        finally:
            fanout.discard(reader)
            reader.receive_channel.close()

    @asynccontextmanager
    async def follow(
        self,
        *,
        status: MemberStatus | Iterable[MemberStatus] | None = None,
        tags: Mapping[str, str | Pattern[str]] | None = None,
    ) -> AsyncIterator[AsyncIterator[Members]]:
        """The newest members at once, and again after every change, until the node closes::

            async with serf.follow(status=MemberStatus.ALIVE, tags={"role": "web"}) as states:
                async for members in states:
                    balancer.use(member.addr for member in members)

        A slow reader skips states in between, never the last one, and nothing piles up for it:
        there is no `EventsDropped`, and no gap between a list and the events after it.  Only
        changes of the selected members count.

        Args:
          status: one, or several of which any will do; None for all.
          tags: all of these, as for `Members.select`.

        Raises:
          TypeError: something else was given.
          trio.ClosedResourceError: the node is closed.
        """
        selection = Selection.create(status, tags)
        await trio.lowlevel.checkpoint()
        self._core.require_open()
        states = MemberStates(self._delegate.followers, selection)
        try:
            yield states
        finally:
            states.close()

    async def user_event(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> None:
        """Send a named event to all members, this one included.

        Waits while the queue of events is over its high-water mark (``queue_depth_warning``).

        Args:
          name, payload: together at most ``user_event_size_limit`` bytes when encoded, and
            no more than fits into one packet of ``udp_buffer_size``.
          coalesce: whether receivers may merge events of this name into the newest.

        Raises:
          UserEventTooLarge: nothing was sent.
          trio.ClosedResourceError: the node is closed.
        """
        await self._delegate.user_events.send(name, payload, coalesce=coalesce)

    def user_event_nowait(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> None:
        """As `user_event`, but raises ``trio.WouldBlock`` where that would wait."""
        self._delegate.user_events.send_nowait(name, payload, coalesce=coalesce)

    @asynccontextmanager
    async def query(
        self,
        name: str,
        payload: bytes = b"",
        *,
        filter_nodes: Iterable[str] = (),
        filter_tags: Mapping[str, str] | None = None,
        request_ack: bool = False,
        relay_factor: int = 0,
        timeout: float | None = None,
    ) -> AsyncIterator[QueryResponse]:
        """Send a query to members; the responses come one by one.  Leaving the block closes it.

        Args:
          name, payload: the query, at most ``query_size_limit`` bytes when encoded.
          filter_nodes: only these members get it; none means all.
          filter_tags: only members whose tags fit, tag to RE2 expression.
          request_ack: every member that gets it acknowledges at once.
          relay_factor: through how many other members each response is sent in addition.
          timeout: how long responses are taken (seconds); None for `default_query_timeout`.

        Raises:
          TypeError, ConfigError: an argument of another type, a bad expression; nothing was sent.
          QueryTooLarge: nothing was sent.
          FeatureNotSupported: the protocol version knows no queries.
          trio.ClosedResourceError: the node is closed.
        """
        params = QueryParams(
            filter_nodes=filter_nodes,
            filter_tags=filter_tags,
            request_ack=request_ack,
            relay_factor=relay_factor,
            timeout=timeout,
        )
        await trio.lowlevel.checkpoint()
        response = self._delegate.tracker.start(name, payload_bytes(name, payload), params)
        try:
            yield response
        finally:
            response.close()

    async def ask(
        self,
        name: str,
        payload: bytes = b"",
        *,
        filter_nodes: Iterable[str] = (),
        filter_tags: Mapping[str, str] | None = None,
        request_ack: bool = False,
        relay_factor: int = 0,
        timeout: float | None = None,
    ) -> QueryResult:
        """Send a query to members and collect the responses; arguments and errors as `query`.

        Returns as soon as every member that could respond has, at the latest at the deadline.
        """
        params = QueryParams(
            filter_nodes=filter_nodes,
            filter_tags=filter_tags,
            request_ack=request_ack,
            relay_factor=relay_factor,
            timeout=timeout,
        )
        return await self._delegate.tracker.ask(name, payload_bytes(name, payload), params)

    # --- closing ------------------------------------------------------------------------

    async def wait_closed(self) -> None:
        """Wait until the node has ended, sockets and files included."""
        await self._core.closed.wait()

    async def aclose(self) -> None:
        """Close the node without leaving: the others will see a failure.

        Idempotent.  Cancelled, it only stops waiting; the node is closed all the same.  Call
        `leave` first to leave gracefully.
        """
        self._core.stop()
        await self._core.closed.wait()


set_public_module(Serf)
