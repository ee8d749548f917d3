"""The client of an agent, of Go or of this library: every command as a typed call.

Source: hashicorp/serf v0.9.4, client/rpc_client.go.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, Generic, TypeVar, final

import trio

from .._cluster.key_responses import KeyResponse
from .._cluster.query_collector import NodeAck, NodeResponse
from .._cluster.size_limits import payload_bytes
from .._events import Event, EventsDropped
from .._exceptions import ConfigError, RPCError
from .._memberlist.end_cause import end_of_block
from .._serf.arguments import a_text, buffer_size, flag, join_addresses, texts
from .._serf.members_view import Members
from .._serf.query_response import QueryResult
from .._settings import frozen_tags
from .._text import key_to_text
from .._vivaldi.coordinate import Coordinate
from .._wire.rpc_address import (
    ADDRESS_VARIABLE,
    AUTH_VARIABLE,
    DEFAULT_ADDRESS,
    UnixAddress,
    parse_rpc_address,
)
from .._wire.rpc_messages import VERSION
from .client_connection import ClientConnection
from .record_buffer import RecordBuffer
from .results import read_coordinate, read_event, read_keys, read_member, read_query_record

CONNECT_TIMEOUT: Final = 10.0
"""Time for connection, handshake and authentication (seconds), as in Go."""
BUFFER_SIZE: Final = 512
"""Records that may wait for a slow reader."""
_LONGEST: Final = (1 << 63) - 1

T = TypeVar("T")


@final
class RPCStream(Generic[T]):
    """What an agent goes on sending: ``async for item in stream``.

    Made by `RPCClient.stream`, `RPCClient.monitor` and `RPCClient.query`.  The iteration of a
    query ends by itself.

    Raises, in the iteration:
      trio.BrokenResourceError: the agent went.
      trio.ClosedResourceError: the block was left, or the client closed.
    """

    def __init__(
        self,
        read: Callable[[Mapping[str, Any]], T | None],
        size: int,
        mark: Callable[[int], T] | None = None,
    ) -> None:
        self._read = read
        self._buffer = RecordBuffer[T](size, mark)

    def __repr__(self) -> str:
        return f"<RPCStream: {self.lost} lost>"

    @property
    def lost(self) -> int:
        """Records that this reader missed because it was too slow."""
        return self._buffer.lost

    def put(self, fields: Mapping[str, Any]) -> None:
        """A record came; see `Sink`."""
        if fields.get("Type") == "done":
            self._buffer.end()
            return
        item = self._read(fields)
        if item is not None:
            self._buffer.put(item)

    def end(self, error: BaseException | None = None) -> None:
        """No more records will come; see `Sink`."""
        self._buffer.end(error)

    def __aiter__(self) -> RPCStream[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._buffer.get()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None


@final
class RPCClient:
    """A connection to an agent, made by `open_client`.

    Any number of tasks may use it at once.  A call that is cancelled disturbs no other.

    Every call raises `RPCError` with the text of an agent that refuses,
    ``trio.BrokenResourceError`` when the agent has gone, and ``trio.ClosedResourceError`` when
    the client is closed.
    """

    def __init__(self, connection: ClientConnection, address: str) -> None:
        self._connection = connection
        self.address = address

    def __repr__(self) -> str:
        state = "open" if self._connection.usable else "ended"
        return f"<RPCClient of {self.address}: {state}>"

    # --- reads

    async def members(
        self, *, name: str = "", status: str = "", tags: Mapping[str, str] | None = None
    ) -> Members:
        """The members that the agent knows, ordered by name.

        Args:
          name, status: RE2 expressions for all of the text; empty for any.
          tags: tag to expression; a tag that a member does not have is empty.
        """
        a_text("name", name, "an expression")
        a_text("status", status, "an expression")
        wanted = frozen_tags(tags)
        if name or status or wanted:
            body = {"Name": name, "Status": status, "Tags": dict(wanted)}
            reply = await self._call("members-filtered", body)
        else:
            reply = await self._call("members")
        found = map(read_member, reply["Members"])
        return Members(sorted(found, key=lambda member: member.name))

    async def stats(self) -> dict[str, dict[str, str]]:
        """What ``serf info`` shows: sections of names and texts."""
        found: dict[str, dict[str, str]] = await self._call("stats")
        return found

    async def coordinate(self, node: str) -> Coordinate | None:
        """Where a node is, in round-trip time; None if the agent does not know."""
        name = a_text("node", node, "the name of a member")
        return read_coordinate(await self._call("get-coordinate", {"Node": name}))

    async def explain(self, name_or_address: str | None = None) -> dict[str, Any]:
        """`Serf.explain` of the node: its plain values, and under ``text`` what a person reads.

        Raises:
          RPCError: "Unsupported command", from an agent written in Go.
        """
        import json

        subject = a_text("name_or_address", name_or_address or "", "the name of a member")
        reply = await self._call("explain", {"Subject": subject})
        values: dict[str, Any] = json.loads(reply["Json"])
        return {**values, "text": reply["Text"]}

    async def rtt(self, a: str, b: str | None = None) -> float | None:
        """The estimated round-trip time from ``a`` to ``b``, or to the agent (seconds).

        None if the agent does not know where one of them is.
        """
        a_text("a", a, "the name of a member")
        if b is None:
            b = (await self.stats())["agent"]["name"]
        first, second = await self.coordinate(a), await self.coordinate(b)
        if first is None or second is None:
            return None
        return first.distance_to(second)

    # --- membership

    async def join(self, addresses: Iterable[str] | str, *, replay: bool = False) -> int:
        """Let the agent join a cluster; how many addresses were reached.

        Args:
          addresses: ``host`` or ``host:port``.
          replay: deliver user events from before the join, too.
        """
        existing = texts("addresses", join_addresses(addresses), "host:port")
        body = {"Existing": existing, "Replay": flag("replay", replay)}
        reply = await self._call("join", body)
        count: int = reply["Num"]
        return count

    async def leave(self) -> None:
        """Let the agent leave its cluster gracefully and end.

        An agent that ends before it has answered has left, too.
        """
        if not self._connection.usable:
            await self._call("leave")  # raises what is the matter
        with suppress(trio.BrokenResourceError):
            await self._call("leave")

    async def force_leave(self, node: str, *, prune: bool = False) -> None:
        """Make a failed member a left one, or with ``prune`` forget it, everywhere."""
        name = a_text("node", node, "the name of a member")
        await self._call("force-leave", {"Node": name, "Prune": flag("prune", prune)})

    async def update_tags(
        self, tags: Mapping[str, str] | None = None, *, delete: Iterable[str] = ()
    ) -> None:
        """Set some tags of the agent, and delete others; a tag that is in both is set."""
        body = {"Tags": dict(frozen_tags(tags)), "DeleteTags": texts("delete", delete, "tags")}
        await self._call("tags", body)

    # --- events

    async def user_event(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> None:
        """Let the agent send a user event to all members."""
        data = payload_bytes(a_text("name", name, "a str"), payload)
        body = {"Name": name, "Payload": data or None, "Coalesce": flag("coalesce", coalesce)}
        await self._call("event", body)

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
        read = partial(read_event, respond=self._respond)
        kinds = ",".join(texts("filters", filters, "kinds of events")) or "*"
        events = RPCStream[Event](read, buffer_size(max_buffer_size), EventsDropped)
        async with self._subscribed("stream", {"Type": kinds}, events):
            yield events

    @asynccontextmanager
    async def monitor(
        self, level: str = "INFO", *, max_buffer_size: int = BUFFER_SIZE * 2
    ) -> AsyncIterator[RPCStream[str]]:
        """The log of the agent: its last lines, and every new one.  One at a time.

        Args:
          level: TRACE, DEBUG, INFO, WARN or ERR.
          max_buffer_size: lines held for a slow reader.
        """
        lines = RPCStream[str](lambda fields: fields["Log"], buffer_size(max_buffer_size))
        body = {"LogLevel": a_text("level", level, "a level such as INFO")}
        async with self._subscribed("monitor", body, lines):
            yield lines

    # --- queries

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
        from .._cluster.queries import QueryParams  # checks what is given, as for a local node

        params = QueryParams(
            filter_nodes=filter_nodes,
            filter_tags=filter_tags,
            request_ack=request_ack,
            relay_factor=relay_factor,
            timeout=timeout,
        )
        body = {
            "FilterNodes": list(params.filter_nodes),
            "FilterTags": dict(params.filter_tags),
            "Name": a_text("name", name, "a str"),
            "Payload": payload_bytes(name, payload) or None,
            "RelayFactor": params.relay_factor,
            "RequestAck": params.request_ack,
            "Timeout": round(min((params.timeout or 0) * 1e9, _LONGEST)),
        }
        size = buffer_size(max_buffer_size)
        answers = RPCStream[NodeAck | NodeResponse](read_query_record, size)
        async with self._subscribed("query", body, answers):
            yield answers

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
        expected: Collection[str] = (),
    ) -> QueryResult:
        """As `query`, and collect the answers until the deadline.

        Args:
          expected: once all of these members have responded nobody is waited for any longer;
            those that have not are the ``missing`` ones of the result.
        """
        acks: list[str] = []
        responses: list[NodeResponse] = []
        missing = frozenset(expected)
        async with self.query(
            name,
            payload,
            filter_nodes=filter_nodes,
            filter_tags=filter_tags,
            request_ack=request_ack,
            relay_factor=relay_factor,
            timeout=timeout,
        ) as answers:
            async for answer in answers:
                if isinstance(answer, NodeAck):
                    acks.append(answer.node)
                    continue
                responses.append(answer)
                missing -= {answer.node}
                if expected and not missing:
                    break
        return QueryResult(responses=tuple(responses), acks=tuple(acks), missing=missing)

    # --- keys

    async def install_key(self, key: str | bytes) -> KeyResponse:
        """Add a key, base64 or raw, to the ring of every member.

        Raises:
          RPCError: not every member confirmed; its ``response`` is the `KeyResponse`.
        """
        return await self._change_keys("install-key", key)

    async def use_key(self, key: str | bytes) -> KeyResponse:
        """Make an installed key the one that all write with.  Raises as `install_key`."""
        return await self._change_keys("use-key", key)

    async def remove_key(self, key: str | bytes) -> KeyResponse:
        """Remove a key from the ring of every member.  Raises as `install_key`."""
        return await self._change_keys("remove-key", key)

    async def list_keys(self) -> KeyResponse:
        """Which keys are held by how many members.  Raises as `install_key`."""
        return await self._change_keys("list-keys", None, has_key=False)

    async def _change_keys(
        self, command: str, key: str | bytes | None, *, has_key: bool = True
    ) -> KeyResponse:
        if isinstance(key, bytes | bytearray | memoryview):
            key = key_to_text(bytes(key))
        body = {"Key": a_text("key", key, "base64 text or bytes")} if has_key else None
        try:
            reply = await self._call(command, body)
        except RPCError as error:
            if error.response is not None:
                error.response = read_keys(error.response)  # type: ignore[arg-type]
            raise
        return read_keys(reply)

    # --- the connection

    async def aclose(self) -> None:
        """End every call and stream; the agent goes on.  Idempotent."""
        self._connection.close()
        await trio.aclose_forcefully(self._connection.stream)

    async def _log_in(self, auth_key: str | None) -> None:
        await self._call("handshake", {"Version": VERSION})
        if auth_key:
            await self._call("auth", {"AuthKey": auth_key})

    async def _call(self, command: str, body: Mapping[str, Any] | None = None) -> Any:
        return await self._connection.call(command, body)

    async def _respond(self, number: int, payload: bytes) -> None:
        data = payload_bytes("", payload)
        await self._call("respond", {"ID": number, "Payload": data or None})

    @asynccontextmanager
    async def _subscribed(
        self, command: str, body: Mapping[str, Any], records: RPCStream[T]
    ) -> AsyncIterator[None]:
        seq = await self._connection.subscribe(command, body, records)
        try:
            yield
        finally:
            self._connection.unsubscribe(seq, stop=command != "query")
            records.end(trio.ClosedResourceError("the block of this stream was left"))


@asynccontextmanager
async def open_client(
    addr: str | None = None,
    auth_key: str | None = None,
    *,
    connect_timeout: float = CONNECT_TIMEOUT,
) -> AsyncIterator[RPCClient]:
    """A connection to an agent, for the length of the block.

    Args:
      addr: ``host:port``, ``[::1]:port`` or ``unix:/path``; None for what ``SERF_RPC_ADDR``
        says, or else Go's default, ``127.0.0.1:7373``.
      auth_key: of the agent; None for what ``SERF_RPC_AUTH`` says.
      connect_timeout: time for connection, handshake and authentication (seconds).

    Raises:
      ConfigError: the address is none.
      OSError: nobody listens there.
      trio.TooSlowError: the agent did not answer in time.
      RPCError: the key is wrong.
      trio.BrokenResourceError: what listens there is no agent.
    """
    if addr is None:
        addr = os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
    if auth_key is None:
        auth_key = os.environ.get(AUTH_VARIABLE) or None
    try:
        parsed = parse_rpc_address(addr)
    except ValueError as error:
        raise ConfigError("addr", addr, f"host:port or unix:/path ({error})") from None
    with trio.fail_after(connect_timeout) as limit:
        stream: trio.abc.Stream
        if isinstance(parsed, UnixAddress):
            stream = await trio.open_unix_socket(parsed.path)
        else:
            stream = await trio.open_tcp_stream(parsed.host or "localhost", parsed.port)
    left = limit.deadline - trio.current_time()
    async with client_on(stream, addr, auth_key, connect_timeout=left) as client:
        yield client


@asynccontextmanager
async def client_on(
    stream: trio.abc.Stream, address: str, auth_key: str | None, *, connect_timeout: float
) -> AsyncIterator[RPCClient]:
    """As `open_client`, on a connection that is there already; it is closed at the end.

    The block runs inside a nursery, which would wrap its exception.  So that is taken aside,
    and raised again when the nursery has ended; only ``Cancelled`` must pass through it.
    """
    connection = ClientConnection(stream)
    client = RPCClient(connection, address)
    raised: BaseException | None = None
    try:
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(connection.serve, name="trioserf.rpc.client")
            try:
                with trio.fail_after(connect_timeout):
                    await client._log_in(auth_key)
                yield client
            except trio.Cancelled:
                raise
            except BaseException as error:
                raised = error
            finally:
                connection.close()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raised = end_of_block(raised, group, f"the client of {address}")
    try:
        if raised is not None:
            raise raised
    finally:
        del raised  # its traceback holds this frame: no reference cycle
