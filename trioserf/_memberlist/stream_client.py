"""Streams that this node opens: for a push/pull, a reliable user message, a ping.

Each has one absolute time limit for connecting and one for everything after that, however
the bytes trickle.

Source: hashicorp/memberlist v0.2.2, net.go: sendAndReceiveState, sendUserMsg,
sendPingAndWaitForAck; state.go: pushPullNode.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, RemoteProtocolError
from .._swim.nodes import Node
from .._swim.probing import ProbeRound, StreamPing, ping_message
from .._swim.table import NodeTable
from .._wire.limits import MAX_USER_MESSAGE
from .._wire.messages import Ack, MessageType
from .._wire.streams import frame, user_message_bytes
from ..abc import Address, Transport
from .metrics import Metrics
from .stream_io import MAX_HELD, ByteBudget, read_reply, run_cpu_bound
from .wire_format import WireFormat

TRIES: Final = 3
"""Most streams that are opened for the stream ping of one probe."""
AGAIN: Final = 0.15
"""Time from the first stream of a probe to the second; twice as long to the third (seconds)."""


@attrs.define(eq=False, kw_only=True)
class StreamClient:
    """Opens streams."""

    config: MemberlistConfig
    transport: Transport
    wire: WireFormat
    table: NodeTable
    metrics: Metrics
    budget: ByteBudget = attrs.field(factory=lambda: ByteBudget(MAX_HELD), init=False)
    """Shared with the streams that peers open."""

    async def send_user_message(self, to: Address, name: str, message: bytes) -> None:
        """Send one user message.

        Raises:
          OSError: no connection, too slow, or broken off.
          LocalProtocolError: too long, or node names are required and there is none.
        """
        if len(message) > MAX_USER_MESSAGE:
            raise LocalProtocolError(
                f"a user message of {len(message)} bytes: expected at most {MAX_USER_MESSAGE}"
            )
        codec, nonce = self.wire.stream, self.wire.stream_nonce()
        data = await run_cpu_bound(
            lambda: frame(user_message_bytes(message), codec, nonce), len(message)
        )
        async with self.dial(to, name, self.config.tcp_timeout) as stream:
            await stream.send_all(data)
            self.metrics.frame_sent(MessageType.USER, len(data))

    async def ping(self, probe: ProbeRound) -> None:
        """Ping the node of a probe on a stream; ``probe.stream`` says how far that came.

        DIFFERS (unless ``faithful_go``): a ping that is not answered at once is followed by others,
        on streams of their own.  TCP sends a lost SYN again after a second, when the probe is over,
        and what it lost later after 0.2 s: at 10 % loss every fifth ping of Go fails.
        Test: test_a_ping_on_a_stream_does_not_hang_on_one_lost_packet.

        Every failure is a no.  *Checkpoint*: always.  *Cancellation*: the probe says how far it
        had come by then.
        """
        probe.stream = StreamPing.CONNECTING
        if self.config.faithful_go:
            await self._ping_once(probe)
            return

        async def attempt() -> None:
            await self._ping_once(probe)
            if probe.stream not in (StreamPing.CONNECTING, StreamPing.CONNECTED):
                nursery.cancel_scope.cancel()  # the node, or its host, has answered

        async with trio.open_nursery() as nursery:
            nursery.start_soon(attempt)
            for number in range(TRIES - 1):
                await trio.sleep(AGAIN * 2**number)
                if trio.current_time() < probe.deadline:
                    nursery.start_soon(attempt)

    async def _ping_once(self, probe: ProbeRound) -> None:
        node, limit = probe.node, probe.deadline - trio.current_time()
        try:
            async with self.dial(node.address, node.name, limit) as stream:
                probe.stream = StreamPing.CONNECTED
                acked = await self._ping(stream, node, probe.seq_no)
        except ConnectionRefusedError:
            probe.stream = StreamPing.REFUSED
        except TimeoutError:
            pass  # it stays what it is: not connected, or not answered
        except (OSError, RemoteProtocolError, LocalProtocolError):
            probe.stream = StreamPing.FAILED
        else:
            probe.stream = StreamPing.ACKED if acked else StreamPing.FAILED

    async def check(self, node: Node, seq_no: int) -> bool:
        """Ping a node on a stream, to see whether streams to it work.  *Checkpoint*: always."""
        try:
            async with self.dial(node.address, node.name, self.config.tcp_timeout) as stream:
                return await self._ping(stream, node, seq_no)
        except (OSError, RemoteProtocolError, LocalProtocolError):
            return False

    async def _ping(self, stream: trio.abc.Stream, node: Node, seq_no: int) -> bool:
        ping = ping_message(seq_no, node.name, self.table.local_node)
        data = self.wire.encode_frame(ping)
        await stream.send_all(data)
        self.metrics.frame_sent(MessageType.PING, len(data))
        reply = await read_reply(stream, self.wire.stream, self.metrics, self.budget)
        return isinstance(reply, Ack) and reply.seq_no == seq_no

    @asynccontextmanager
    async def dial(self, to: Address, name: str, limit: float) -> AsyncIterator[trio.abc.Stream]:
        """A stream, labelled; connecting and the block may each take ``limit`` seconds.

        Raises:
          LocalProtocolError: node names are required and there is none.
          OSError: no connection (`abc.DialRefused` and others), too slow, broken off, or this node
            is closed.
        """
        if self.config.require_node_names and not name:
            raise LocalProtocolError(f"node names are required, and {to} came without one")
        try:
            with trio.fail_after(max(0.0, limit)):
                stream = await self.transport.connect_stream(to)
        except trio.TooSlowError:
            raise TimeoutError(f"no connection to {to} within {limit:.3g} s") from None
        except trio.ClosedResourceError as error:
            raise ConnectionAbortedError("this node is closed") from error
        node = self.table.nodes.get(name)
        if node is not None and node.address == to:
            node.connected_in = node.incarnation
        try:
            with trio.fail_after(max(0.0, limit)):
                if self.wire.dial_prefix:
                    await stream.send_all(self.wire.dial_prefix)
                yield stream
        except trio.TooSlowError:
            raise TimeoutError(f"{to} did not complete the exchange in {limit:.3g} s") from None
        except trio.BrokenResourceError as error:
            raise ConnectionResetError(f"{to} broke the stream off") from error
        finally:
            # Nothing more is to be said: closing must not wait.
            await trio.aclose_forcefully(stream)
