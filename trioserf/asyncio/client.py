"""The client of an agent, in a program that runs on asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Generic, TypeVar, final

from .._cluster.query_collector import NodeAck, NodeResponse
from .._events import Event
from .._rpc.client import BUFFER_SIZE, CONNECT_TIMEOUT
from .._rpc.client import RPCClient as TrioClient
from .._rpc.client import RPCStream as TrioStream
from .._rpc.client import open_client as trio_open_client
from .passing import on_trio
from .streams import Stream
from .thread import TrioThread, open_thread

T = TypeVar("T")


@final
class RPCStream(Generic[T]):
    """What an agent goes on sending: ``async for item in stream``.

    The iteration of a query ends by itself.

    Raises, in the iteration:
      trio.BrokenResourceError: the agent went.
      trio.ClosedResourceError: the block was left, or the client closed.
    """

    def __init__(self, thread: TrioThread, stream: TrioStream[T]) -> None:
        self._node = stream
        self._items = Stream[T](thread, stream)

    def __repr__(self) -> str:
        return repr(self._node)

    @property
    def lost(self) -> int:
        """Records that this reader missed because it was too slow."""
        return self._node.lost

    def __aiter__(self) -> RPCStream[T]:
        return self

    async def __anext__(self) -> T:
        return await anext(self._items)


@final
class RPCClient:
    """A connection to an agent, made by `open_client`; with the methods of `client.RPCClient`.

    Any number of tasks may use it at once.  A call that is cancelled disturbs no other.

    Every call raises `RPCError` with the text of an agent that refuses,
    ``trio.BrokenResourceError`` when the agent has gone, and ``trio.ClosedResourceError`` when
    the client is closed.
    """

    def __init__(self, thread: TrioThread, client: TrioClient) -> None:
        self._thread = thread
        self._node = client

    def __repr__(self) -> str:
        return repr(self._node)

    @property
    def address(self) -> str:
        """Where the agent is."""
        return self._node.address

    members: Final = on_trio(TrioClient.members)
    stats: Final = on_trio(TrioClient.stats)
    coordinate: Final = on_trio(TrioClient.coordinate)
    explain: Final = on_trio(TrioClient.explain)
    rtt: Final = on_trio(TrioClient.rtt)
    join: Final = on_trio(TrioClient.join)
    leave: Final = on_trio(TrioClient.leave)
    force_leave: Final = on_trio(TrioClient.force_leave)
    update_tags: Final = on_trio(TrioClient.update_tags)
    user_event: Final = on_trio(TrioClient.user_event)
    ask: Final = on_trio(TrioClient.ask)
    install_key: Final = on_trio(TrioClient.install_key)
    use_key: Final = on_trio(TrioClient.use_key)
    remove_key: Final = on_trio(TrioClient.remove_key)
    list_keys: Final = on_trio(TrioClient.list_keys)
    aclose: Final = on_trio(TrioClient.aclose)

    @asynccontextmanager
    async def stream(
        self, *filters: str, max_buffer_size: int = BUFFER_SIZE
    ) -> AsyncIterator[RPCStream[Event]]:
        """The events of the agent from now on.

        Queries among them can be answered with their ``respond``; who asked and until when does
        not come with them.  Where a slow reader missed some, it meets `EventsDropped`.

        Args:
          filters: ``member-join``, ``user``, ``user:NAME``, ``query:NAME`` ...; none for all.
          max_buffer_size: events held for a slow reader.
        """
        block = self._node.stream(*filters, max_buffer_size=max_buffer_size)
        async with self._thread.hold(block) as events:
            yield RPCStream(self._thread, events)

    @asynccontextmanager
    async def monitor(
        self, level: str = "INFO", *, max_buffer_size: int = BUFFER_SIZE * 2
    ) -> AsyncIterator[RPCStream[str]]:
        """The log of the agent: its last lines, and every new one.  One at a time.

        Args:
          level: TRACE, DEBUG, INFO, WARN or ERR.
          max_buffer_size: lines held for a slow reader.
        """
        block = self._node.monitor(level, max_buffer_size=max_buffer_size)
        async with self._thread.hold(block) as lines:
            yield RPCStream(self._thread, lines)

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
        max_buffer_size: int = BUFFER_SIZE * 8,
    ) -> AsyncIterator[RPCStream[NodeAck | NodeResponse]]:
        """Let the agent ask the members; acks and responses as they come, until the deadline.

        Args:
          name, payload: the question.
          filter_nodes: only these members are asked; none means all.
          filter_tags: only members whose tags fit, tag to RE2 expression.
          request_ack: every member that was asked acknowledges at once.
          relay_factor: through how many others each response is sent in addition.
          timeout: how long responses are taken (seconds); None leaves it to the agent.
          max_buffer_size: records held for a slow reader.
        """
        block = self._node.query(
            name,
            payload,
            filter_nodes=filter_nodes,
            filter_tags=filter_tags,
            request_ack=request_ack,
            relay_factor=relay_factor,
            timeout=timeout,
            max_buffer_size=max_buffer_size,
        )
        async with self._thread.hold(block) as answers:
            yield RPCStream(self._thread, answers)


@asynccontextmanager
async def open_client(
    addr: str | None = None,
    auth_key: str | None = None,
    *,
    connect_timeout: float = CONNECT_TIMEOUT,
) -> AsyncIterator[RPCClient]:
    """A connection to an agent, for the length of the block, from asyncio.

    Arguments and errors are those of `trioserf.client.open_client`.
    """
    block = trio_open_client(addr, auth_key, connect_timeout=connect_timeout)
    async with open_thread() as thread, thread.hold(block) as client:
        yield RPCClient(thread, client)
