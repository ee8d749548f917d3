"""Task: serves the streams that peers open.

Each stream carries one request and at most one reply, in a child task of its own.  Peers
cannot hold much: reading a request has one absolute time limit, and so has replying; there
are at most ``max_streams`` at once, and at most 127 push/pulls; and all requests that are
not yet complete share a budget of bytes.  When every place is taken, the stream that has
waited longest for its request makes room for the new one, so that idle connections cannot
lock peers out.

Source: hashicorp/memberlist v0.2.2, net.go: streamListen, handleConn; net_transport.go:
tcpListen.
"""

from __future__ import annotations

from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import MergeRefused, RemoteProtocolError
from .._wire.messages import Ack, ErrorReply, MessageType, Ping, encode_message
from .._wire.streams import PushPullState, StreamError, UserMessageStream
from ..abc import Address, Transport
from .drop_log import DropLog, Log
from .handoff import Handoff
from .metrics import Metrics
from .state_exchange import StateExchange
from .stream_io import ByteBudget, read_message, write_frame
from .wire_format import WireFormat

MAX_PUSH_PULLS: Final = 127
"""Inbound push/pulls served at once, as in Go."""
MAX_UNREAD: Final = 64 * 1024 * 1024
"""Bytes of incomplete requests that are kept at once, all streams together."""
PROTECTED: Final = 0.5
"""How long a stream keeps its place in any case (seconds)."""
_BACKOFF: Final = (0.005, 1.0)
"""Shortest and longest pause after a failed accept (seconds)."""


@attrs.define(eq=False)
class _Child:
    scope: trio.CancelScope
    since: float
    reading: bool = True


@attrs.define(eq=False, kw_only=True)
class StreamServer:
    """Accepts and serves streams."""

    config: MemberlistConfig
    transport: Transport
    wire: WireFormat
    exchange: StateExchange
    handoff: Handoff
    drop_log: DropLog
    metrics: Metrics
    log: Log
    _children: dict[_Child, None] = attrs.field(factory=dict, init=False)
    _push_pulls: int = attrs.field(default=0, init=False)
    _budget: ByteBudget = attrs.field(factory=lambda: ByteBudget(MAX_UNREAD), init=False)

    def __len__(self) -> int:
        return len(self._children)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, or until the transport is closed."""
        pause = _BACKOFF[0]
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                try:
                    stream, source = await self.transport.accept_stream()
                except trio.ClosedResourceError:
                    nursery.cancel_scope.cancel()
                    return
                except OSError as error:
                    self.log.error("cannot accept a stream: %s", error)
                    await trio.sleep(pause)
                    pause = min(2 * pause, _BACKOFF[1])
                    continue
                pause = _BACKOFF[0]
                self.metrics.count("memberlist.tcp.accept")
                if self._make_room(source):
                    nursery.start_soon(self._serve, stream, source)
                else:
                    await trio.aclose_forcefully(stream)

    def _make_room(self, source: Address) -> bool:
        """Whether there is a place for one more stream, if need be that of a slow one."""
        if len(self._children) < self.config.max_streams:
            return True
        self.drop_log("streams", source, f"{self.config.max_streams} streams are open already")
        limit = trio.current_time() - PROTECTED
        for child in self._children:
            if child.reading and child.since <= limit and not child.scope.cancel_called:
                child.scope.cancel()
                return True
        return False

    async def _serve(self, stream: trio.abc.Stream, source: Address) -> None:
        """One stream from the first byte to the last.  Never raises."""
        child = _Child(trio.CancelScope(), trio.current_time())
        self._children[child] = None
        child.scope.deadline = child.since + self.config.tcp_timeout
        try:
            with child.scope:
                await self._converse(stream, source, child)
            if child.scope.cancelled_caught:
                self.drop_log("stream", source, "too slow")
        except trio.BrokenResourceError as error:
            self.log.debug("stream from %s broke: %s", source, error)
        except (RemoteProtocolError, MergeRefused) as error:
            self.drop_log("merge", source, error)
        except Exception as error:
            self.drop_log.crash("handler", self._serve, error)
        finally:
            del self._children[child]
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: trio.abc.Stream, source: Address, child: _Child) -> None:
        """Read the request, and reply."""
        try:
            request = await read_message(
                stream,
                self.wire.stream,
                accept_side=True,
                metrics=self.metrics,
                budget=self._budget,
            )
        except StreamError as error:
            self.drop_log("stream", source, error)
            if error.reply:
                await self._reply(stream, encode_message(ErrorReply(str(error))), child)
            return
        child.reading = False
        match request:
            case None:
                pass
            case Ping():
                if request.node and request.node != self.config.name:
                    self.drop_log("name", source, f"stream ping for {request.node!r}")
                else:
                    ack = Ack(seq_no=request.seq_no, payload=None)
                    await self._reply(stream, encode_message(ack), child)
            case UserMessageStream(body=body):
                self.handoff.user_message(body)
            case PushPullState():
                await self._push_pull(stream, source, request, child)
            case _:
                self.drop_log("stream", source, f"{type(request).__name__} is no request")

    async def _push_pull(
        self, stream: trio.abc.Stream, source: Address, request: PushPullState, child: _Child
    ) -> None:
        if self._push_pulls >= MAX_PUSH_PULLS:
            self.drop_log("streams", source, f"{MAX_PUSH_PULLS} push/pulls already")
            return
        self._push_pulls += 1
        try:
            # The local state goes out first, as in Go: what the peer sent is not in the reply,
            # and a peer that is refused still learns which nodes are here.
            self._extend(child)
            state = await self.exchange.local_frame(join=request.join)
            await write_frame(stream, state, MessageType.PUSH_PULL, self.metrics)
        finally:
            self._push_pulls -= 1
        await self.exchange.merge(request, join=request.join, source=None, peer=source.host)

    async def _reply(self, stream: trio.abc.Stream, plain: bytes, child: _Child) -> None:
        self._extend(child)
        data = self.wire.encode_frame(plain)
        await write_frame(stream, data, MessageType(plain[0]), self.metrics)

    def _extend(self, child: _Child) -> None:
        """The request is here: replying has a time limit of its own."""
        child.scope.deadline = trio.current_time() + self.config.tcp_timeout
