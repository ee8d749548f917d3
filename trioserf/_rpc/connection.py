"""One client of the server: its commands one by one, its streams, its monitor, its queries.

Which commands a client may give (handshake, authentication) is decided by
`_wire/rpc_server_session.py`.  One task reads commands and carries them out, strictly in order;
replies wait until they are written, so a client that does not read is not read from either.  From
the first command that goes on, another task writes records; what a slow client has no room for is
dropped by `outbox.py`.  Replies and records do not mix: there is a lock for writing.

A stream is registered before its command is answered, and what comes meanwhile waits for the
answer.  DIFFERS: Go registers afterwards and loses events in between.
Test: test_no_event_is_lost_between_acceptance_and_registration.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc.go, handleClient, handleStream,
handleMonitor, handleStop, handleLeave, handleQuery, handleRespond; ipc_query_response_stream.go.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import trio

from .. import _attrs as attrs
from .._cluster.query_collector import NodeResponse
from .._events import Query
from .._exceptions import QueryError, RemoteProtocolError, SerfError
from .._serf.serf import Serf
from .._wire import rpc_messages as messages
from .._wire.event_filters import parse_event_filters
from .._wire.rpc_messages import pack_query_record, pack_reply_header
from .._wire.rpc_server_session import Answer, Request, ServerSession
from .agent_hooks import AgentHooks
from .commands import Commands
from .error_texts import error_text
from .event_feed import EventFeed, EventStream
from .log_feed import AGENT_LOG, IPC_LOG, MONITOR_QUEUE_SIZE, LogFeed, level_number
from .outbox import QUEUE_SIZE, Outbox, RecordQueue, Turns

READ_SIZE: Final = 16 * 1024
"""Bytes read at once: what one client sends holds the others up no longer than that takes."""
WRITE_SIZE: Final = 32 * 1024
"""Bytes of records written at once."""
MAX_QUERIES: Final = 256
"""Queries of one client that are under way."""
ENDED: Final = (trio.BrokenResourceError, trio.ClosedResourceError)
"""How a connection ends for those who use it."""


class Account(Protocol):
    """What the server counts over all clients."""

    def hold(self, before: int, now: int) -> bool:
        """A client holds so many unfinished bytes; False if it must not."""

    def command_done(self) -> None:
        """A command was carried out."""

    def record_dropped(self, count: int) -> None:
        """A queue that ended had dropped so many records."""


@attrs.frozen(eq=False)
class Services:
    """What all connections of a server share.

    Args:
      leave: leaves the cluster; gives the error text, and ends the agent after its reply.
      end: ends the agent.
    """

    serf: Serf
    hooks: AgentHooks
    commands: Commands
    events: EventFeed
    logs: LogFeed
    account: Account
    turns: Turns
    leave: Callable[[], Any]
    end: Callable[[], None]


@attrs.define(eq=False)
class _PendingQueries:
    """Queries that this client was shown and may answer, until their deadlines."""

    _queries: dict[int, Query] = attrs.field(factory=dict, init=False)
    _last: int = attrs.field(default=0, init=False)
    _sweep_at: int = attrs.field(default=64, init=False)

    def add(self, query: Query) -> int:
        """The number by which it is answered: they count from 1 on each connection."""
        if len(self._queries) >= self._sweep_at:
            now = trio.current_time()
            self._queries = {i: q for i, q in self._queries.items() if q.deadline > now}
            self._sweep_at = 64 + 2 * len(self._queries)
        self._last += 1
        self._queries[self._last] = query
        return self._last

    def get(self, number: int) -> Query | None:
        """The query, unless it is past its deadline."""
        query = self._queries.get(number)
        if query is not None and query.deadline <= trio.current_time():
            del self._queries[number]
            return None
        return query


@attrs.define(eq=False)
class Connection:
    """One client.

    Args:
      stream: the connection, which the caller closes.
      address: of the client, for the log.
      session: the rules of it.
      services: what it shares with others.
    """

    stream: trio.abc.Stream
    address: str
    session: ServerSession
    services: Services
    _outbox: Outbox = attrs.field(init=False)
    _nursery: trio.Nursery = attrs.field(init=False)
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _ready: trio.Event = attrs.field(factory=trio.Event, init=False)
    _taken: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Replaced when records were taken out of a queue."""
    _writer_runs: bool = attrs.field(default=False, init=False)
    _streams: dict[int, EventStream] = attrs.field(factory=dict, init=False)
    _monitor: RecordQueue | None = attrs.field(default=None, init=False)
    _queries: dict[RecordQueue, None] = attrs.field(factory=dict, init=False)
    _pending: _PendingQueries = attrs.field(factory=_PendingQueries, init=False)

    def __attrs_post_init__(self) -> None:
        self._outbox = Outbox(self._wake_writer)

    async def run(self) -> None:
        """Serve the client until it goes or breaks the protocol."""
        try:
            async with trio.open_nursery() as self._nursery:
                with suppress(*ENDED):
                    await self._read()
                self._nursery.cancel_scope.cancel()
        finally:
            self._forget_all()

    async def _read(self) -> None:
        session, held = self.session, 0
        try:
            while data := await self.stream.receive_some(READ_SIZE):
                session.feed(data)
                while (request := session.next_request()) is not None:
                    if not await self._carry_out(request):
                        return
                before, held = held, len(session.reader)
                if not self.services.account.hold(before, held):
                    raise RemoteProtocolError("too many bytes of unfinished requests")
        except RemoteProtocolError as error:
            IPC_LOG.error("%s (client %s)", error, self.address)
        finally:
            self.services.account.hold(held, 0)

    async def _carry_out(self, request: Request | Answer) -> bool:
        """Carry out one request; False if it was the last."""
        if isinstance(request, Answer):
            await self._answer(request.seq, request.error)
            return not request.close
        self.services.account.command_done()
        command, seq, fields = request
        match command:
            case "stream":
                await self._stream(seq, fields["Type"])
            case "monitor":
                await self._start_monitor(seq, fields["LogLevel"])
            case "stop":
                self._stop(fields["Stop"])
                await self._answer(seq)
            case "query":
                await self._query(seq, fields)
            case "respond":
                await self._answer(seq, await self._respond(fields["ID"], fields["Payload"]))
            case "leave":
                await self._leave(seq)
                return False
            case _:
                error, body = await self.services.commands.run(command, fields)
                await self._answer(seq, error, body)
        return True

    # --- writing

    async def _answer(self, seq: int, error: str = "", body: bytes = b"") -> None:
        """Write a reply.

        In a piece of its own: serfclient for Python takes the last object of the first piece
        for the answer to ``stream``.
        """
        await self._write(pack_reply_header(error, seq) + body)

    async def _write(self, data: bytes) -> None:
        """Write whole objects.  The lock is nearly always free; asking it so costs no turn."""
        try:
            self._writing.acquire_nowait()
        except trio.WouldBlock:
            await self._writing.acquire()
        try:
            await self.stream.send_all(data)
        finally:
            self._writing.release()

    async def _write_records(self) -> None:
        """Task: writes records as long as the connection lives."""
        try:
            while True:
                await self._ready.wait()
                self._ready = trio.Event()
                while data := self._outbox.take(WRITE_SIZE):
                    taken, self._taken = self._taken, trio.Event()
                    taken.set()
                    await self._write(data)
        except ENDED:
            self._nursery.cancel_scope.cancel()

    def _wake_writer(self) -> None:
        self.services.turns.add(self._ready)

    def _open_queue(self, seq: int, on_drop: Callable[[], object], size: int) -> RecordQueue:
        if not self._writer_runs:
            self._writer_runs = True
            self._nursery.start_soon(self._write_records, name="trioserf.rpc.records")
        return self._outbox.open(seq, on_drop, size=size)

    # --- streams

    async def _stream(self, seq: int, wanted: str) -> None:
        try:
            filters = parse_event_filters(wanted)
        except ValueError:
            await self._answer(seq, messages.INVALID_FILTER)
            return
        if seq in self._streams:
            await self._answer(seq, messages.STREAM_EXISTS)
            return
        queue = self._open_queue(seq, self._report_dropped_events, QUEUE_SIZE)
        stream = self._streams[seq] = EventStream(queue, filters, self._pending.add)
        self.services.events.add(stream)
        await self._answer(seq)
        queue.release()

    def _report_dropped_events(self) -> None:
        IPC_LOG.warning("Dropping event to ipc.client: %s", self.address)

    async def _start_monitor(self, seq: int, wanted: str) -> None:
        lowest = level_number(wanted)
        if lowest is None:
            await self._answer(seq, f"Unknown log level: {wanted.upper()}")
            return
        if self._monitor is not None:
            await self._answer(seq, messages.MONITOR_EXISTS)
            return
        logs = self.services.logs
        queue = self._open_queue(seq, lambda: logs.report_gap(self.address), MONITOR_QUEUE_SIZE)
        self._monitor = queue
        logs.add_monitor(queue, lowest)
        await self._answer(seq)
        queue.release()

    def _stop(self, seq: int) -> None:
        """End a stream or the monitor; what waits to be written is not wanted any more."""
        stream = self._streams.pop(seq, None)
        if stream is not None:
            self._end_stream(stream)
        if self._monitor is not None and self._monitor.seq == seq:
            self._end_monitor(self._monitor)

    def _end_stream(self, stream: EventStream) -> None:
        self.services.events.discard(stream)
        self._end_queue(stream.queue)

    def _end_monitor(self, monitor: RecordQueue) -> None:
        self._monitor = None
        self.services.logs.discard_monitor(monitor)
        self._end_queue(monitor)

    def _end_queue(self, queue: RecordQueue) -> None:
        queue.close()
        self.services.account.record_dropped(queue.dropped)

    def _forget_all(self) -> None:
        for stream in self._streams.values():
            self._end_stream(stream)
        self._streams.clear()
        if self._monitor is not None:
            self._end_monitor(self._monitor)

    # --- queries

    async def _query(self, seq: int, fields: dict[str, Any]) -> None:
        """Ask the cluster; the answer to the command comes from the task that collects."""
        name, payload = fields["Name"], fields["Payload"]
        if name.startswith("_serf_") and (name != "_serf_ping" or payload):
            await self._answer(seq, messages.INTERNAL_QUERY)
            return
        if len(self._queries) >= MAX_QUERIES:
            await self._answer(seq, f"More than {MAX_QUERIES} queries are under way")
            return
        AGENT_LOG.debug("Requesting query send: %s", name)
        started: RecordQueue | str
        started = await self._nursery.start(self._collect, seq, fields, name="trioserf.rpc.query")
        if isinstance(started, str):
            await self._answer(seq, started)
        else:
            await self._answer(seq)
            started.release()

    async def _collect(
        self, seq: int, fields: dict[str, Any], *, task_status: trio.TaskStatus[RecordQueue | str]
    ) -> None:
        """Task: one query, from its question to its end; starts with its queue or an error."""
        timeout = fields["Timeout"] / 1e9
        try:
            async with self.services.serf.query(
                fields["Name"],
                fields["Payload"],
                filter_nodes=fields["FilterNodes"],
                filter_tags=fields["FilterTags"],
                request_ack=fields["RequestAck"],
                relay_factor=fields["RelayFactor"],
                timeout=timeout if timeout >= 0 else _AT_ONCE,
            ) as answers:
                queue = self._open_queue(seq, lambda: None, QUEUE_SIZE)
                self._queries[queue] = None
                task_status.started(queue)
                async with trio.open_nursery() as nursery:
                    if answers.acks is not None:
                        nursery.start_soon(self._pass_on_acks, queue, answers.acks)
                    async for response in answers:
                        await self._pass_on(queue, _response_record(response))
        except (SerfError, trio.ClosedResourceError) as error:
            task_status.started(error_text(error))
            return
        await self._pass_on(queue, pack_query_record("done"))
        del self._queries[queue]

    async def _pass_on_acks(self, queue: RecordQueue, acks: trio.MemoryReceiveChannel[str]) -> None:
        async for node in acks:
            await self._pass_on(queue, pack_query_record("ack", node))

    async def _pass_on(self, queue: RecordQueue, record: bytes) -> None:
        """Queue a record of a query once there is room; the node holds the others meanwhile."""
        while queue.full:
            await self._taken.wait()
        queue.put(record)

    async def _respond(self, number: int, payload: bytes) -> str:
        query = self._pending.get(number)
        if query is None:
            await trio.lowlevel.checkpoint()
            return messages.NO_SUCH_QUERY
        try:
            await query.respond(payload)
        except QueryError as error:
            return f"failed to respond to key query: {error_text(error)}"
        return ""

    # --- the end

    async def _leave(self, seq: int) -> None:
        """Leave, answer, and end the agent, whether or not the leave or the answer succeeds."""
        try:
            error = await self.services.leave()
            await self._answer(seq, error)
        finally:
            self.services.end()


def _response_record(response: NodeResponse) -> bytes:
    return pack_query_record("response", response.node, response.payload)


_AT_ONCE: Final = 1e-9
"""What a negative timeout of a query means (seconds)."""
