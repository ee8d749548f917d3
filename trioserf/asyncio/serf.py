"""The user's objects for one node, in a program that runs on asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple, final, overload

import trio

from .._cluster.query_collector import NodeResponse
from .._config import Config
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
from .._serf.fanout import A, B, EventKind, MemberKind, QueryKind, UserKind
from .._serf.key_manager import KeyManager as TrioKeyManager
from .._serf.members_view import Members
from .._serf.open import open_serf
from .._serf.peek import peek as trio_peek
from .._serf.query_response import QueryResponse as TrioQueryResponse
from .._serf.query_response import QueryResult
from .._serf.serf import Serf as TrioSerf
from .._tables import Table, shown_as_table
from .passing import from_any_thread, on_trio
from .streams import Stream
from .thread import TrioThread, open_thread

if TYPE_CHECKING:
    from re import Pattern

T = TypeVar("T")
Args = TypeVarTuple("Args")


@final
class KeyManager:
    """The keys of all members: ``serf.keys``.

    Keys are standard base64 text, as ``serf keygen`` prints it, or raw bytes.
    """

    def __init__(self, thread: TrioThread, keys: TrioKeyManager) -> None:
        self._thread = thread
        self._node = keys

    def __repr__(self) -> str:
        return repr(self._node)

    install: Final = on_trio(TrioKeyManager.install)
    use: Final = on_trio(TrioKeyManager.use)
    remove: Final = on_trio(TrioKeyManager.remove)
    list: Final = on_trio(TrioKeyManager.list)
    rotate: Final = on_trio(TrioKeyManager.rotate)


@final
class QueryResponse:
    """The responses to one open query: ``async for response in query_response``.

    The iteration ends at the deadline, when the query is closed, or with the node.
    """

    def __init__(self, thread: TrioThread, response: TrioQueryResponse) -> None:
        self._thread = thread
        self._node = response
        self._responses = Stream[NodeResponse](thread, response)
        self._acks = None if response.acks is None else Stream[str](thread, response.acks)

    def __repr__(self) -> str:
        return repr(self._node)

    @property
    def acks(self) -> Stream[str] | None:
        """Names of the nodes that acknowledge, as they arrive; None unless requested."""
        return self._acks

    @property
    def deadline(self) -> float:
        """When the query ends (time of the loop, seconds)."""
        return self._node.deadline + self._thread.offset

    @property
    def finished(self) -> bool:
        """Whether the query was closed or is past its deadline."""
        try:
            return self._thread.now(lambda: self._node.finished)
        except trio.ClosedResourceError:
            return True

    def __aiter__(self) -> QueryResponse:
        return self

    async def __anext__(self) -> NodeResponse:
        return await anext(self._responses)

    def close(self) -> None:
        """Take no more responses; those that are here can still be read.  Idempotent."""
        with suppress(trio.ClosedResourceError):
            self._thread.now(self._node.close)

    wait_settled: Final = on_trio(TrioQueryResponse.wait_settled)

    def result(self) -> QueryResult:
        """Everything that arrived so far."""
        try:
            return self._thread.now(self._node.result)
        except trio.ClosedResourceError:
            return self._node.result()


@final
@shown_as_table
class Serf:
    """A running node of a cluster, made by ``trioserf.asyncio.open``.

    It has the methods of `trioserf.Serf`.  What is not ``async`` never waits and gives the state
    of this moment, immutable.  Calls on a closed node raise ``trio.ClosedResourceError``; reads
    go on giving the last state.

    *Cancellation* of a call ends it on Trio, too, before it comes back here.
    """

    def __init__(self, thread: TrioThread, node: TrioSerf) -> None:
        self._thread = thread
        self._node = node
        self._events = Stream[Event](thread, node.events)
        self._keys = KeyManager(thread, node.keys)

    def _table(self) -> Table:
        return self._node._table()

    def __repr__(self) -> str:
        return repr(self._node)

    # --- reads --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The unique name of this node."""
        return self._node.name

    @property
    def state(self) -> SerfState:
        """Whether this node is alive, leaving, has left, or is shut down."""
        return self._node.state

    @property
    def local_member(self) -> Member:
        """This node as a member, as last known."""
        return self._node.local_member

    @property
    def num_nodes(self) -> int:
        """Known members of any status."""
        return self._node.num_nodes

    @property
    def protocol_version(self) -> int:
        """The Serf protocol version spoken."""
        return self._node.protocol_version

    @property
    def encryption_enabled(self) -> bool:
        """Whether there is a key ring, even an empty one."""
        return self._node.encryption_enabled

    @property
    def memberlist(self) -> Memberlist:
        """The membership layer below, to be read; what it does, it does on Trio: see `in_trio`."""
        return self._node.memberlist

    @property
    def keys(self) -> KeyManager:
        """The encryption keys of all members."""
        return self._keys

    members: Final = from_any_thread(TrioSerf.members)
    default_query_timeout: Final = from_any_thread(TrioSerf.default_query_timeout)
    default_query_params: Final = from_any_thread(TrioSerf.default_query_params)
    stats: Final = from_any_thread(TrioSerf.stats)
    statistics: Final = from_any_thread(TrioSerf.statistics)
    explain: Final = from_any_thread(TrioSerf.explain)
    coordinate: Final = from_any_thread(TrioSerf.coordinate)
    cached_coordinate: Final = from_any_thread(TrioSerf.cached_coordinate)
    rtt: Final = from_any_thread(TrioSerf.rtt)

    # --- membership ---------------------------------------------------------------------

    join: Final = on_trio(TrioSerf.join)
    leave: Final = on_trio(TrioSerf.leave)
    remove_failed_node: Final = on_trio(TrioSerf.remove_failed_node)
    set_tags: Final = on_trio(TrioSerf.set_tags)

    # --- events and queries -------------------------------------------------------------

    @property
    def events(self) -> Stream[Event]:
        """All events since the start; ends when the node closes.

        It is there before anything happens, so nothing is missed.  A reader that is too slow
        finds `EventsDropped` where events are missing.  A `Query` is answered by its
        ``respond`` as under Trio; its deadline is in the time of the loop.
        """
        return self._events

    @overload
    def subscribe(
        self, *, max_buffer_size: int | None = None
    ) -> AbstractAsyncContextManager[Stream[Event]]: ...

    @overload
    def subscribe(
        self,
        first: MemberKind,
        /,
        *types: MemberKind | type[EventsDropped],
        max_buffer_size: int | None = None,
    ) -> AbstractAsyncContextManager[Stream[MemberEvent | EventsDropped]]: ...

    @overload
    def subscribe(
        self,
        first: UserKind,
        /,
        *types: UserKind | type[EventsDropped],
        max_buffer_size: int | None = None,
    ) -> AbstractAsyncContextManager[Stream[UserEvent | EventsDropped]]: ...

    @overload
    def subscribe(
        self,
        first: QueryKind,
        /,
        *types: QueryKind | type[EventsDropped],
        max_buffer_size: int | None = None,
    ) -> AbstractAsyncContextManager[Stream[Query | EventsDropped]]: ...

    @overload
    def subscribe(
        self, first: type[A], second: type[B], /, *, max_buffer_size: int | None = None
    ) -> AbstractAsyncContextManager[Stream[A | B | EventsDropped]]: ...

    @overload
    def subscribe(
        self, *types: EventKind, max_buffer_size: int | None = None
    ) -> AbstractAsyncContextManager[Stream[Event]]: ...

    @asynccontextmanager
    async def subscribe(
        self, *types: Any, max_buffer_size: int | None = None
    ) -> AsyncIterator[Stream[Any]]:
        """One more, independent stream of events, from now on.

        Args:
          types: `EventType` values or event classes; none means everything.  Type checkers
            know what comes: ``subscribe(UserEvent)`` gives ``UserEvent | EventsDropped``.
          max_buffer_size: events held for a slow reader; None for ``event_buffer_size``.

        Raises:
          trio.ClosedResourceError: the node is closed.
        """
        block = self._node.subscribe(*types, max_buffer_size=max_buffer_size)
        async with self._thread.hold(block) as channel:
            yield Stream(self._thread, channel)

    @asynccontextmanager
    async def follow(
        self,
        *,
        status: MemberStatus | Iterable[MemberStatus] | None = None,
        tags: Mapping[str, str | Pattern[str]] | None = None,
    ) -> AsyncIterator[Stream[Members]]:
        """The newest members at once, and again after every change, until the node closes::

            async with serf.follow(status=MemberStatus.ALIVE, tags={"role": "web"}) as states:
                async for members in states:
                    balancer.use(member.addr for member in members)

        A slow reader skips states in between, never the last one: there is no `EventsDropped`.

        Args:
          status: one, or several of which any will do; None for all.
          tags: all of these, as for `Members.select`.

        Raises:
          TypeError: something else was given.
          trio.ClosedResourceError: the node is closed.
        """
        async with self._thread.hold(self._node.follow(status=status, tags=tags)) as states:
            yield Stream(self._thread, states)

    user_event: Final = on_trio(TrioSerf.user_event)

    def user_event_nowait(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> None:
        """As `user_event`, but raises ``trio.WouldBlock`` where that would wait."""
        send = partial(self._node.user_event_nowait, name, payload, coalesce=coalesce)
        self._thread.now(send)

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
          QueryTooLarge: nothing was sent.
          FeatureNotSupported: the protocol version knows no queries.
          trio.ClosedResourceError: the node is closed.
        """
        block = self._node.query(
            name,
            payload,
            filter_nodes=filter_nodes,
            filter_tags=filter_tags,
            request_ack=request_ack,
            relay_factor=relay_factor,
            timeout=timeout,
        )
        async with self._thread.hold(block) as response:
            yield QueryResponse(self._thread, response)

    ask: Final = on_trio(TrioSerf.ask)

    # --- the other side -----------------------------------------------------------------

    async def in_trio(self, fn: Callable[[TrioSerf, *Args], Awaitable[T]], /, *args: *Args) -> T:
        """Run ``await fn(node, *args)`` in the thread of the node, with the node of Trio::

            server = asyncio.create_task(serf.in_trio(trioserf.ipc.serve, "127.0.0.1:7373"))

        For what has no method here.  It ends with the node at the latest.

        Raises:
          trio.ClosedResourceError: the node is closed, or closed before the function ended.
        """
        return await self._thread.run(fn, self._node, *args)

    # --- closing ------------------------------------------------------------------------

    wait_closed: Final = on_trio(TrioSerf.wait_closed)
    aclose: Final = on_trio(TrioSerf.aclose)


@asynccontextmanager
async def open(config: Config | None = None) -> AsyncIterator[Serf]:
    """A running node, for the length of the block; on Trio, in a thread of its own.

    It answers its peers whatever the loop of asyncio does.  The block left normally: the node
    leaves gracefully, within ``leave_timeout``.  Left by an exception or a cancellation: it
    stops at once, and peers see a failure.  Calls that wait when the block ends are ended.

    Args:
      config: settings; None means ``Config()``.

    Raises:
      As `trioserf.open`, and the block's own exception, with no group around it.
      SerfInternalError: a task of the node crashed.  The task of asyncio that is in the block
        is cancelled for it, and this comes out in place of the cancellation.
      RuntimeError: outside of asyncio.
    """
    async with open_thread() as thread, thread.hold(open_serf(config)) as node:
        yield Serf(thread, node)


async def peek(
    address: str,
    *,
    encrypt_key: str | bytes | None = None,
    label: str = "",
    timeout: float = 10.0,
) -> Members:
    """The member list of a cluster by one state exchange, without joining it.

    Arguments and errors are those of `trioserf.peek`.
    """
    async with open_thread() as thread:
        return await thread.run(
            trio_peek, address, encrypt_key=encrypt_key, label=label, timeout=timeout
        )
