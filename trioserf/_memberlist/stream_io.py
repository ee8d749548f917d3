"""Bytes between a stream and the parser of streams, with a bound on what is kept.

Work that would hold up everything else goes to a thread.  Compressing the state of ten
thousand nodes takes a second of pure Python; in a thread it takes no less, but probes are
answered meanwhile.

Source: hashicorp/memberlist v0.2.2, net.go: readStream, rawSendMsgStream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import trio

from .. import _attrs as attrs
from .._seams import run_in_thread
from .._wire.limits import THREAD_THRESHOLD
from .._wire.messages import MessageType
from .._wire.streams import (
    Frame,
    StreamCodec,
    StreamError,
    StreamParser,
    StreamRequest,
    decode_layer,
    weight,
)
from .metrics import Metrics

T = TypeVar("T")

CHUNK: Final = 64 * 1024
"""Most bytes read in one go."""
_MAX_THREADS: Final = 2
_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("trioserf.cpu_bound")


@attrs.define(eq=False)
class ByteBudget:
    """What incomplete requests may take together (bytes)."""

    limit: int
    used: int = attrs.field(default=0, init=False)

    def take(self, size: int) -> None:
        """Take so many bytes more.

        Raises:
          StreamError: that would be too much; nothing was taken.
        """
        if self.used + size > self.limit:
            raise StreamError(f"more than {self.limit} bytes of requests are incomplete")
        self.used += size

    def give_back(self, size: int) -> None:
        """Return so many bytes."""
        self.used -= size


async def read_message(
    stream: trio.abc.ReceiveStream,
    codec: StreamCodec,
    *,
    accept_side: bool,
    metrics: Metrics,
    budget: ByteBudget | None = None,
) -> StreamRequest | None:
    """What the peer says on a stream; None if it closes it without a word.

    The caller sets the time limit.  *Checkpoint*: always.

    Args:
      stream: where to read.
      codec: how to read.
      accept_side: whether the peer dialled.
      metrics: counts the bytes read.  DIFFERS: Go counts those of encrypted frames alone.
        Test: test_state_is_exchanged_and_merged.
      budget: charged for the bytes that are kept meanwhile.

    Raises:
      StreamError: it breaks the protocol, or the budget is spent.
      trio.BrokenResourceError: the stream broke.
    """
    parser = StreamParser(codec, accept_side=accept_side)
    size = 0
    try:
        while True:
            data = bytes(await stream.receive_some(CHUNK))
            if not data:
                parser.eof()
                return None
            if budget is not None:
                budget.take(len(data))
            size += len(data)
            result = parser.receive(data)
            if result is not None:
                break
        metrics.sample("memberlist.size.remote", size)
        request = await _decode(result, codec)
        metrics.received.frame(type(request), size)
        return request
    finally:
        if budget is not None:
            budget.give_back(size)


async def _decode(frame: Frame | StreamRequest, codec: StreamCodec) -> StreamRequest:
    """The request in a frame: layer by layer, in a thread where one is heavy."""
    while isinstance(frame, Frame):
        size = weight(frame)
        if size < THREAD_THRESHOLD:
            frame = decode_layer(frame, codec)
        else:
            frame = await run_cpu_bound(partial(decode_layer, frame, codec), size)
    return frame


async def write_frame(
    stream: trio.abc.SendStream, data: bytes, kind: MessageType, metrics: Metrics
) -> None:
    """Write a frame as a whole.  The caller sets the time limit.

    Args:
      kind: what is in it, for the statistics.

    Raises:
      trio.BrokenResourceError: the stream broke.
    """
    await stream.send_all(data)
    metrics.count("memberlist.tcp.sent", len(data))
    metrics.sent.frame(kind, len(data))


async def run_cpu_bound(work: Callable[[], T], size: int) -> T:
    """The result of ``work``, which takes as long as parsing ``size`` bytes.

    *Checkpoint*: always.  *Cancellation*: work that began in a thread is abandoned there.
    """
    if size < THREAD_THRESHOLD:
        await trio.lowlevel.checkpoint()
        return work()
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = trio.CapacityLimiter(_MAX_THREADS)
        _limiter.set(limiter)
    return await run_in_thread(work, abandon_on_cancel=True, limiter=limiter)
