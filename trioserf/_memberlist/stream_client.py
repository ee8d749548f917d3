"""Streams that this node opens: push/pull, a reliable user message, a ping.

Each has one absolute time limit for connecting and one for everything after that, however
the bytes trickle.

Source: hashicorp/memberlist v0.2.2, net.go: sendAndReceiveState, sendUserMsg,
sendPingAndWaitForAck; state.go: pushPullNode.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, RemoteProtocolError
from .._swim.nodes import Node
from .._swim.table import NodeTable
from .._wire.messages import Ack, ErrorReply, MessageType, Ping
from .._wire.streams import (
    MAX_USER_MESSAGE,
    PushPullState,
    StreamRequest,
    dial_prefix,
    frame,
    ping_bytes,
    user_message_bytes,
)
from ..abc import Address, Transport
from .metrics import Metrics
from .state_exchange import StateExchange
from .stream_io import read_message, run_cpu_bound, write_frame
from .wire_format import WireFormat


@attrs.define(eq=False, kw_only=True)
class StreamClient:
    """Opens streams.

    Args:
      config: time limits.
      transport: connects.
      wire: label, compression and keys.
      table: the own node, which names itself in pings.
      exchange: builds and merges full state.
      metrics: counts.

    Attributes:
      on_learned: called after a push/pull that told of new nodes.
    """

    config: MemberlistConfig
    transport: Transport
    wire: WireFormat
    table: NodeTable
    exchange: StateExchange
    metrics: Metrics
    on_learned: Callable[[], object] | None = attrs.field(default=None, init=False)
    push_pulls: int = attrs.field(default=0, init=False)
    push_pulls_failed: int = attrs.field(default=0, init=False)

    async def push_pull(self, to: Address, name: str, *, join: bool) -> None:
        """Exchange full state with a node, and merge what it tells.

        Args:
          to, name: the node's address, and its name if known.
          join: whether this is a join: merge handlers on both sides may refuse.

        Raises:
          OSError: no connection, too slow, or broken off.
          RemoteProtocolError: an error reply, bytes that break the protocol, or versions
            that cannot live together; nothing was merged.
          MergeRefused: by our merge handler; nothing was merged.
          LocalProtocolError: node names are required and there is none.
        """
        started = trio.current_time()
        self.push_pulls += 1
        try:
            reply = await self._exchange(to, name, join)
            known = self.table.num_nodes
            await self.exchange.merge(
                reply.records, reply.user_state, join=join, source=to, peer=to.host
            )
            if self.table.num_nodes > known and self.on_learned is not None:
                self.on_learned()
        except Exception:
            self.push_pulls_failed += 1
            raise
        finally:
            duration = (trio.current_time() - started) * 1000
            self.metrics.sample("memberlist.pushPullNode", duration)

    async def _exchange(self, to: Address, name: str, join: bool) -> PushPullState:
        self.metrics.count("memberlist.tcp.connect")
        async with self._dial(to, name, self.config.tcp_timeout) as stream:
            state = await self.exchange.local_frame(join=join)
            await write_frame(stream, state, MessageType.PUSH_PULL, self.metrics)
            reply = await self._read_reply(stream)
        match reply:
            case PushPullState():
                return reply
            case None:
                raise RemoteProtocolError(f"{to} closed the stream without a reply")
            case ErrorReply(error=text):
                raise RemoteProtocolError(f"{to} replied with an error: {text}")
            case _:
                raise RemoteProtocolError(f"{to} replied with {type(reply).__name__}")

    async def send_user_message(self, to: Address, name: str, message: bytes) -> None:
        """Send one user message; raises as `push_pull`, but for the reply."""
        if len(message) > MAX_USER_MESSAGE:
            raise LocalProtocolError(
                f"a user message of {len(message)} bytes: expected at most {MAX_USER_MESSAGE}"
            )
        codec, nonce = self.wire.stream, self.wire.stream_nonce()
        data = await run_cpu_bound(
            lambda: frame(user_message_bytes(message), codec, nonce), len(message)
        )
        async with self._dial(to, name, self.config.tcp_timeout) as stream:
            await write_frame(stream, data, MessageType.USER, self.metrics)

    async def ping(self, node: Node, seq_no: int, deadline: float) -> bool:
        """Whether a node acks a ping on a stream until ``deadline`` (trio clock, seconds).

        Every failure is a no.  *Checkpoint*: always.
        """
        own = self.table.local_node
        ping = Ping(
            seq_no=seq_no,
            node=node.name,
            source_addr=own.addr,
            source_port=own.port,
            source_node=own.name,
        )
        limit = deadline - trio.current_time()
        try:
            async with self._dial(node.address, node.name, limit) as stream:
                data = frame(ping_bytes(ping), self.wire.stream, self.wire.stream_nonce())
                await write_frame(stream, data, MessageType.PING, self.metrics)
                reply = await self._read_reply(stream)
        except (OSError, RemoteProtocolError, LocalProtocolError):
            return False
        return isinstance(reply, Ack) and reply.seq_no == seq_no

    async def _read_reply(self, stream: trio.abc.Stream) -> StreamRequest | None:
        codec = self.wire.stream
        return await read_message(stream, codec, accept_side=False, metrics=self.metrics)

    @asynccontextmanager
    async def _dial(self, to: Address, name: str, limit: float) -> AsyncIterator[trio.abc.Stream]:
        """A stream, labelled; connecting and the block may each take ``limit`` seconds."""
        if self.config.require_node_names and not name:
            raise LocalProtocolError(f"node names are required, and {to} came without one")
        try:
            with trio.fail_after(max(0.0, limit)):
                stream = await self.transport.connect_stream(to)
        except trio.TooSlowError:
            raise TimeoutError(f"no connection to {to} within {limit:.3g} s") from None
        except trio.ClosedResourceError as error:
            raise ConnectionAbortedError("this node is closed") from error
        try:
            with trio.fail_after(max(0.0, limit)):
                prefix = dial_prefix(self.wire.stream)
                if prefix:
                    await stream.send_all(prefix)
                yield stream
        except trio.TooSlowError:
            raise TimeoutError(f"{to} did not complete the exchange in {limit:.3g} s") from None
        except trio.BrokenResourceError as error:
            raise ConnectionResetError(f"{to} broke the stream off") from error
        finally:
            # Nothing more is to be said: closing must not wait.
            await trio.aclose_forcefully(stream)
