"""Task: serves the streams that peers open.

Each stream carries one request and at most one reply, in a child task of its own.  Peers
cannot hold much: the first byte has a short time limit, reading a request has an absolute one,
and so has replying; there are at most ``max_streams`` at once, and at most 127 push/pulls; and
what all requests and replies hold, decompressed, parsed and until they are dropped, shares a
budget of bytes.

When every place is taken, streams that have said nothing go first, the oldest of them first, and
then the one that has waited longest for its request: idle connections cannot lock peers out.
When the budget is spent, the smallest exchange is served first, and the stream that has held
most for longest is closed.  Large exchanges of strangers, peers at whose hosts no node was ever
reached, are limited in rate besides, by the bytes that they hold: a thousand made-up nodes or
events in each of a hundred streams a second would leave no time for anything else.  A peer that is
turned away gets the reason as an error reply.

DIFFERS: Go serves whatever it has memory for.
Test: test_large_exchanges_of_strangers_are_rate_limited.

Source: hashicorp/memberlist v0.2.2, net.go: streamListen, handleConn; net_transport.go:
tcpListen.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import MergeRefused, RemoteProtocolError
from .._swim.token_bucket import TokenBucket
from .._wire.messages import Ack, ErrorReply, MessageType, Ping, encode_message
from .._wire.streams import PushPullState, StreamError, UserMessageStream
from ..abc import Address, Transport
from .drop_log import DropLog
from .metrics import Metrics
from .node_log import Log
from .pending_acks import host_of
from .receiver import Handoff
from .state_exchange import StateExchange
from .stream_io import (
    CHUNK,
    STRANGER_BURST,
    STRANGER_RATE,
    ByteBudget,
    Holding,
    read_message,
    spend_of_strangers,
)
from .wire_format import WireFormat

MAX_PUSH_PULLS: Final = 127
"""Inbound push/pulls served at once, as in Go."""
FIRST_BYTE_LIMIT: Final = 3.0
"""How long a stream may say nothing (seconds): a lost first segment is sent again after one
second, and after two more.  DIFFERS: Go waits for ``TCPTimeout``.
Test: test_a_stream_that_says_nothing_has_a_short_limit."""
STREAM_PROTECTED: Final = 0.5
"""How long a stream that has begun its request keeps its place in any case (seconds)."""
HOLD_PROTECTED: Final = 1.0
"""How long a stream keeps its share of the budget in any case (seconds)."""
_REPLY_LIMIT: Final = 0.1
"""How long a peer that is turned away may take to read why (seconds)."""
_MAX_REPLIES: Final = 64
"""Most streams that are sent the reason for being turned away at the same time; further ones are
closed without a reply."""
_BACKOFF: Final = (0.005, 1.0)
"""Shortest and longest pause after a failed accept (seconds)."""


@attrs.define(eq=False)
class _Child:
    """A stream that is served."""

    scope: trio.CancelScope
    since: float
    holding: Holding
    reading: bool = True
    reason: str = ""
    """Why it was turned away."""

    def turn_away(self, reason: str) -> None:
        self.reason = reason
        self.scope.cancel()


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
    budget: ByteBudget
    log: Log
    _children: dict[_Child, None] = attrs.field(factory=dict, init=False)
    _silent: dict[_Child, None] = attrs.field(factory=dict, init=False)
    """Those of them that said nothing yet, the oldest first."""
    _push_pulls: int = attrs.field(default=0, init=False)
    _strangers: TokenBucket = attrs.field(
        factory=lambda: TokenBucket(STRANGER_BURST, STRANGER_RATE), init=False
    )
    _refusing: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.budget.reclaim = self._reclaim

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
                    self.drop_log("accept", "the system", error)
                    # Most likely no descriptor is left, and a silent stream has one.
                    self._shed_silent("the system takes no more streams")
                    await trio.sleep(pause)
                    pause = min(2 * pause, _BACKOFF[1])
                    continue
                pause = _BACKOFF[0]
                self.metrics.count("memberlist.tcp.accept")
                if self._make_room(source):
                    nursery.start_soon(self._serve, stream, source)
                else:
                    nursery.start_soon(self._refuse, stream, self._full())

    def _full(self) -> str:
        return f"{self.config.max_streams} streams are open already"

    def _make_room(self, source: Address) -> bool:
        """Whether there is a place for one more stream, if need be that of a slow one."""
        if len(self._children) < self.config.max_streams:
            return True
        self.drop_log("streams", source, self._full())
        if self._shed_silent(self._full()):
            return True
        limit = trio.current_time() - STREAM_PROTECTED
        for child in self._children:
            if child.reading and child.since <= limit and not child.holding.busy:
                self._shed(child, self._full())
                return True
        return False

    def _shed_silent(self, reason: str) -> bool:
        """Turn the stream away that has said nothing for longest; False if there is none."""
        for child in self._silent:
            self._shed(child, reason)
            return True
        return False

    def _shed(self, child: _Child, reason: str) -> None:
        """Turn a stream away: its place is free from here on."""
        child.turn_away(reason)
        self._children.pop(child, None)
        self._silent.pop(child, None)

    def _reclaim(self) -> None:
        """The budget is spent, and a stream waits for it: cancel the one that costs most."""
        now = trio.current_time()
        costs = {
            child: child.holding.charged * (now - child.holding.since)
            for child in self._children
            if now - child.holding.since >= HOLD_PROTECTED and not child.holding.busy
        }
        if costs:
            most = max(costs, key=costs.__getitem__)
            self._shed(most, "too slow: others wait for the room that the exchange takes")

    async def _serve(self, stream: trio.abc.Stream, source: Address) -> None:
        """One stream from the first byte to the last.  Never raises."""
        now = trio.current_time()
        charge = partial(self._charge, source)
        child = _Child(trio.CancelScope(), now, Holding(self.budget, charge))
        self._children[child] = self._silent[child] = None
        child.scope.deadline = now + min(FIRST_BYTE_LIMIT, self.config.tcp_timeout)
        try:
            with child.scope:
                await self._converse(stream, source, child)
            if child.scope.cancelled_caught:
                child.reason = child.reason or "too slow"
                self.drop_log("stream", source, child.reason)
        except trio.BrokenResourceError as error:
            self.log.debug("stream from %s broke: %s", source, error)
        except (RemoteProtocolError, MergeRefused) as error:
            self.drop_log("merge", source, error)
        except Exception as error:
            self.drop_log.crash("handler", self._serve, error)
        finally:
            self._children.pop(child, None)
            self._silent.pop(child, None)
            if child.holding.charged:
                child.holding.release()
            if child.reason and child.reading:  # no reply has begun
                await self._refuse(stream, child.reason)
            else:
                await trio.aclose_forcefully(stream)

    async def _refuse(self, stream: trio.abc.Stream, reason: str) -> None:
        """Send a peer the reason, if it reads that soon, and close the stream.

        What the peer sent and nobody read would turn the end of the stream into a reset, which
        may destroy the reply: so it is read until the peer closes.
        """
        try:
            if self._refusing < _MAX_REPLIES:
                self._refusing += 1
                try:
                    with trio.move_on_after(_REPLY_LIMIT):
                        await stream.send_all(self.wire.encode_frame(_error(reason)))
                        if isinstance(stream, trio.abc.HalfCloseableStream):
                            await stream.send_eof()
                        while await stream.receive_some(CHUNK):
                            pass
                finally:
                    self._refusing -= 1
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it is gone already
        finally:
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: trio.abc.Stream, source: Address, child: _Child) -> None:
        """Read the request, and reply."""

        def begun() -> None:
            self._silent.pop(child, None)
            child.scope.deadline = child.since + self.config.tcp_timeout

        try:
            request = await read_message(
                stream,
                self.wire.stream,
                accept_side=True,
                metrics=self.metrics,
                holding=child.holding,
                begun=begun,
            )
        except StreamError as error:
            self.drop_log("stream", source, error)
            if error.reply:
                child.reason = str(error)
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
            reason = f"{MAX_PUSH_PULLS} push/pulls already"
            self.drop_log("streams", source, reason)
            child.reason, child.reading = reason, True
            return
        self._push_pulls += 1
        try:
            # The local state goes out first, as in Go: what the peer sent is not in the reply,
            # and a peer that is refused still learns which nodes are here.
            self._extend(child)
            state = await self.exchange.local_frame(join=request.join, fresh=False)
            if self.wire.stream.key is not None:  # else all streams write the same bytes
                await child.holding.grow(len(state))
            await stream.send_all(state)
            self.metrics.frame_sent(MessageType.PUSH_PULL, len(state))
        finally:
            self._push_pulls -= 1
        await self.exchange.merge(request, join=request.join, source=None, peer=source.host)

    async def _reply(self, stream: trio.abc.Stream, plain: bytes, child: _Child) -> None:
        self._extend(child)
        data = self.wire.encode_frame(plain)
        await stream.send_all(data)
        self.metrics.frame_sent(MessageType(plain[0]), len(data))

    def _charge(self, source: Address, size: int) -> None:
        """More is to be held for a stream.

        Raises `StreamError` if strangers, hosts of no node that was reached, had too much.
        """
        host = host_of(source)
        for node in self.exchange.table.sequence:
            if node.reached and host in node.hosts:
                return
        spend_of_strangers(self._strangers, size, trio.current_time())

    def _extend(self, child: _Child) -> None:
        """The request was read: give the reply a time limit of its own."""
        child.scope.deadline = trio.current_time() + self.config.tcp_timeout


def _error(reason: str) -> bytes:
    """An error reply, type byte and body."""
    return encode_message(ErrorReply(reason))
