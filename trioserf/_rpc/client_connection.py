"""The connection of a client to its agent: calls by many tasks, one socket.

Two tasks serve it, one that reads and one that writes.  A call puts its request into the hands
of the writer and waits for the answer, so a call that is cancelled leaves no half of a request
behind, and the others go on; its answer is dropped when it comes.

Source: hashicorp/serf v0.9.4, client/rpc_client.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import trio

from .. import _attrs as attrs
from .._exceptions import RemoteProtocolError, RPCError
from .._wire.rpc_client_session import ClientSession, Record, Reply

READ_SIZE: Final = 64 * 1024
"""Bytes read at once."""


class Sink(Protocol):
    """Where the records of one command go."""

    def put(self, fields: Mapping[str, Any]) -> None:
        """A record came.  Raises `RemoteProtocolError`: it is none."""

    def end(self, error: BaseException | None = None) -> None:
        """No more will come; ``error`` if that is why."""


@attrs.define(eq=False)
class _Call:
    """A request that waits for its answer."""

    command: str
    reply: Reply | None = None
    done: trio.Event = attrs.field(factory=trio.Event, init=False)


@attrs.define(eq=False)
class ClientConnection:
    """One connection; `serve` must run as long as it is used.

    Args:
      stream: to the agent.
    """

    stream: trio.abc.Stream
    _session: ClientSession = attrs.field(factory=ClientSession, init=False)
    _calls: dict[int, _Call] = attrs.field(factory=dict, init=False)
    _sinks: dict[int, Sink] = attrs.field(factory=dict, init=False)
    _outgoing: list[bytes] = attrs.field(factory=list, init=False)
    _has_outgoing: trio.Event = attrs.field(factory=trio.Event, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _failure: BaseException | None = attrs.field(default=None, init=False)
    """Why the connection is broken; None as long as it is not."""

    @property
    def usable(self) -> bool:
        """Whether it is neither closed nor broken."""
        return not self._closed and self._failure is None

    async def serve(self) -> None:
        """Task: reads and writes until cancelled, or until the connection ends."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, name="trioserf.rpc.write")
            await self._read()
            nursery.cancel_scope.cancel()

    # --- calls

    async def call(self, command: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask, and wait for the answer; its body, None if there is none.

        Raises:
          RPCError: the agent refuses; its ``response`` is the body.
          trio.BrokenResourceError: the agent went, before or meanwhile.
          trio.ClosedResourceError: the client is closed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        return await self._wait_for_reply(self._send(command, body))

    async def subscribe(self, command: str, body: Mapping[str, Any], sink: Sink) -> int:
        """Begin a command that goes on; its number, for `unsubscribe`.  Raises as `call`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        seq = self._send(command, body)
        self._sinks[seq] = sink
        try:
            await self._wait_for_reply(seq)
        except RPCError:
            self._sinks.pop(seq, None)
            raise
        except BaseException:
            self.unsubscribe(seq, stop=command != "query")
            raise
        return seq

    def unsubscribe(self, seq: int, *, stop: bool = True) -> None:
        """No more records are wanted; never waits.  A query cannot be stopped, it ends."""
        sink = self._sinks.pop(seq, None)
        if sink is not None and stop and self.usable:
            self._send("stop", {"Stop": seq})

    def _send(self, command: str, body: Mapping[str, Any] | None) -> int:
        self._require_usable()
        seq, data = self._session.request(command, body)
        self._calls[seq] = _Call(command)
        self._outgoing.append(data)
        self._has_outgoing.set()
        return seq

    async def _wait_for_reply(self, seq: int) -> Any:
        call = self._calls[seq]
        try:
            await call.done.wait()
        finally:
            self._calls.pop(seq, None)
        if call.reply is None:
            self._require_usable()
        assert call.reply is not None, "a call ends with its answer or with the connection"
        if call.reply.error:
            raise RPCError(call.reply.error, call.command, call.reply.body)
        return call.reply.body

    def _require_usable(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this client is closed")
        if self._failure is not None:
            raise self._broken()

    def _broken(self) -> trio.BrokenResourceError:
        error = trio.BrokenResourceError(f"the connection to the agent ended: {self._failure}")
        error.__cause__ = self._failure
        return error

    # --- tasks

    async def _write(self) -> None:
        try:
            while True:
                await self._has_outgoing.wait()
                self._has_outgoing = trio.Event()
                data = b"".join(self._outgoing)
                self._outgoing.clear()
                await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._fail(error)

    async def _read(self) -> None:
        try:
            while data := await self.stream.receive_some(READ_SIZE):
                self._session.feed(data)
                while (event := self._session.next_event()) is not None:
                    self._dispatch(event)
            self._fail(EOFError("the agent closed it"))
        except (trio.BrokenResourceError, trio.ClosedResourceError, RemoteProtocolError) as error:
            self._fail(error)

    def _dispatch(self, event: Reply | Record) -> None:
        if isinstance(event, Record):
            sink = self._sinks.get(event.seq)
            if sink is not None:
                sink.put(event.body)
            return
        call = self._calls.get(event.seq)
        if call is not None:
            call.reply = event
            call.done.set()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
            self._end(self._broken)

    # --- the end

    def close(self) -> None:
        """End every call and stream.  Idempotent; the caller ends `serve`."""
        if not self._closed:
            self._closed = True
            self._end(lambda: trio.ClosedResourceError("this client is closed"))

    def _end(self, error: Callable[[], BaseException]) -> None:
        for call in self._calls.values():
            call.done.set()
        for sink in self._sinks.values():
            sink.end(error())
        self._sinks.clear()
