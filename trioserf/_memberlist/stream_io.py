"""Bytes between a stream and the parser of streams, with a bound on what is kept.

Work that would hold up everything else goes to a thread.  Compressing the state of ten
thousand nodes takes a second of pure Python; in a thread it takes no less, but probes are
answered meanwhile.

Source: hashicorp/memberlist v0.2.2, net.go: readStream, rawSendMsgStream.
"""

from __future__ import annotations

import bisect
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from .. import _attrs as attrs
from .._exceptions import RemoteProtocolError
from .._seams import run_in_thread
from .._swim.token_bucket import TokenBucket
from .._wire.compression import TextTooLong
from .._wire.limits import COMPRESSED_WEIGHT, THREAD_THRESHOLD
from .._wire.messages import Compressed
from .._wire.streams import (
    Frame,
    StreamCodec,
    StreamError,
    StreamParser,
    StreamRequest,
    decode_frame,
    decode_layer,
    footprint,
    footprint_inside,
    weight,
)
from .metrics import Metrics

T = TypeVar("T")
R = TypeVar("R")

CHUNK: Final = 16 * 1024
"""Most bytes read in one go: what is read and what it is parsed with keep buffers of this size."""
_MAX_THREADS: Final = 2
_YIELD_TIME: Final = 0.0001
"""How long a thread makes way for the event loop (seconds), once every half a millisecond."""
CATCH_UP_TURNS: Final = 64
"""Most turns of the loop that readers get to take what was published, before more is published."""
INLINE_SIZE: Final = 4_000
"""Work on fewer bytes than this is done at once, in the task that needs it: it takes less than a
millisecond (bytes before compression)."""
INLINE_FRAME: Final = INLINE_SIZE // COMPRESSED_WEIGHT
"""A frame of at most so many bytes is decoded at once, with all its layers."""
_limiter: trio.lowlevel.RunVar[trio.CapacityLimiter] = trio.lowlevel.RunVar("trioserf.cpu_bound")
_turn: trio.lowlevel.RunVar[trio.Lock] = trio.lowlevel.RunVar("trioserf.cpu_bound_here")


MAX_HELD: Final = 64 * 1024 * 1024
"""Bytes that all streams of a node hold together; the largest exchange that any node makes fits."""
FREE_SIZE: Final = 64 * 1024
"""What each stream may hold without asking (bytes): exchanges of some hundred nodes."""
STRANGER_RATE: Final = 2 << 20
"""Bytes that all exchanges with strangers may be charged in a second: several thousand records."""
STRANGER_BURST: Final = 8 << 20
"""Bytes that exchanges with strangers may be charged before `STRANGER_RATE` applies; the exchange
that reaches this bound may exceed it."""
MAX_WAITING: Final = 8
"""Streams that may wait until the budget has room; of more the one that needs most fails."""
WAIT_LIMIT: Final = 2.0
"""Longest wait for room in the budget (seconds)."""
_RETRY_INTERVAL: Final = 0.1
"""How often a stream that waits for room asks again (seconds)."""
LIKELY_RATIO: Final = 4
"""A frame is decompressed with room for so many times its length, enough for an honest frame.  If
that is not enough, it is decompressed again with so many times the room, and waits behind frames
that need less."""
_WRITTEN_PER_READ: Final = 20
"""Writing so many bytes of decompressed text takes as long as parsing one byte."""


@attrs.define(eq=False)
class _Waiter:
    """A stream that waits for room in the budget; the one that needs least is served first."""

    size: int
    turn: int
    called: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when it is served, or has to give up."""
    served: bool = attrs.field(default=False, init=False)

    def __lt__(self, other: _Waiter) -> bool:
        return (self.size, self.turn) < (other.size, other.turn)


@attrs.define(eq=False)
class ByteBudget:
    """What the requests of all streams may hold together, until they are dropped (bytes).

    Args:
      limit: most bytes at once.
      reclaim: called while somebody waits for room: may cancel one that holds some for long.
    """

    limit: int
    reclaim: Callable[[], object] | None = None
    used: int = attrs.field(default=0, init=False)
    _waiting: list[_Waiter] = attrs.field(factory=list, init=False)
    _turns: int = attrs.field(default=0, init=False)

    async def take(self, size: int) -> None:
        """Take so many bytes more; the smallest of those who wait is served first.

        *Checkpoint*: if it waits.

        Raises:
          StreamError: there was no room for `WAIT_LIMIT`, or never will be; nothing was taken.
        """
        if size > self.limit:
            raise StreamError(f"an exchange of {size} bytes: expected at most {self.limit}")
        if self.used + size <= self.limit and not (self._waiting and self._waiting[0].size <= size):
            self.used += size
            return
        self._turns += 1
        waiter = _Waiter(size, self._turns)
        bisect.insort(self._waiting, waiter)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.pop().called.set()
        with trio.move_on_after(WAIT_LIMIT):
            try:
                while waiter in self._waiting:
                    if self.reclaim is not None:
                        self.reclaim()
                    with trio.move_on_after(_RETRY_INTERVAL):
                        await waiter.called.wait()
            except trio.Cancelled:
                if waiter.served:
                    self.give_back(size)
                elif waiter in self._waiting:
                    self._waiting.remove(waiter)
                    self._serve()
                waiter.served = False
                raise
        if not waiter.served:
            raise StreamError(
                f"busy: requests hold {self.used} of {self.limit} bytes, {size} more are needed",
                reply=True,
            )

    def give_back(self, size: int) -> None:
        """Return so many bytes."""
        self.used -= size
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self.used + self._waiting[0].size <= self.limit:
            waiter = self._waiting.pop(0)
            self.used += waiter.size
            waiter.served = True
            waiter.called.set()


def spend_of_strangers(bucket: TokenBucket, size: int, now: float) -> None:
    """Charge a large exchange with a stranger (bytes).

    Parsing and merging take time as well as memory.  Anybody can send states of thousands of nodes
    or events, as many as there may be streams, and a node would do nothing else.

    Raises:
      StreamError: those before took too much.
    """
    if bucket.left(now) <= 0:
        raise StreamError("busy: others who are no members sent too much just now", reply=True)
    bucket.spend(now, size)


@attrs.define(eq=False)
class Holding:
    """What one stream holds of a budget: its request in whatever form, and its reply.

    Only what exceeds `FREE_SIZE` is charged, so that no large exchange keeps small ones waiting.
    """

    budget: ByteBudget
    charge: Callable[[int], object] | None = None
    """Is given how much more is to be charged; may raise `StreamError`."""
    size: int = attrs.field(default=0, init=False)
    charged: int = attrs.field(default=0, init=False)
    since: float = attrs.field(default=math.inf, init=False)
    """Since when something is charged (trio clock, seconds)."""
    busy: bool = attrs.field(default=False, init=False)
    """Whether it waits for room, or a thread works for it: to cancel it would free nothing."""

    async def resize(self, size: int) -> None:
        """Hold so many bytes in all from now on.  Raises as `ByteBudget.take`."""
        wanted = max(0, size - FREE_SIZE)
        if wanted > self.charged:
            if self.charge is not None:
                self.charge(wanted - self.charged)
            with self.being_busy():
                await self.budget.take(wanted - self.charged)
            self.since = min(self.since, trio.current_time())
        elif wanted < self.charged:
            self.budget.give_back(self.charged - wanted)
            if not wanted:
                self.since = math.inf
        self.size, self.charged = size, wanted

    @contextmanager
    def being_busy(self) -> Iterator[None]:
        """The block waits for room, or for a thread."""
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    async def grow(self, size: int) -> None:
        """Hold so many bytes besides.  Raises as `ByteBudget.take`."""
        await self.resize(self.size + size)

    def release(self) -> None:
        """Everything was dropped: needed only if any of it is `charged`."""
        self.budget.give_back(self.charged)
        self.size, self.charged, self.since = 0, 0, math.inf


async def read_message(
    stream: trio.abc.ReceiveStream,
    codec: StreamCodec,
    *,
    accept_side: bool,
    metrics: Metrics,
    holding: Holding | None = None,
    begun: Callable[[], object] | None = None,
) -> StreamRequest | None:
    """What the peer says on a stream; None if it closes it without a word.

    The caller sets the time limit.  *Checkpoint*: always.

    Args:
      stream: where to read.
      codec: how to read.
      accept_side: whether the peer dialled.
      metrics: counts the bytes read.  DIFFERS: Go counts those of encrypted frames alone.
        Test: test_state_is_exchanged_and_merged.
      holding: charged for what is kept, in the end for the request; the caller releases it.
        Without one, there is no bound but those of the parser.
      begun: called when the first bytes are here.

    Raises:
      StreamError: it breaks the protocol, or the budget is spent.
      trio.BrokenResourceError: the stream broke.
    """
    holding = Holding(ByteBudget(_UNBOUNDED)) if holding is None else holding
    frame, size = await _read_frame(stream, codec, accept_side, holding, begun)
    if frame is None:
        return None
    if metrics.tap is not None:
        metrics.sample("memberlist.size.remote", size)
    if size <= INLINE_FRAME and isinstance(frame, Frame):
        try:
            frame = decode_frame(frame, codec, INLINE_SIZE)
        except TextTooLong:
            pass
        else:
            await holding.resize(footprint(frame, INLINE_SIZE))
    inner = size
    while isinstance(frame, Frame):
        inner = footprint(frame, inner)
        # Only this name refers to the frame: it is dropped when its content is here.
        frame = await _take_off([frame], codec, holding)
        await holding.resize(footprint(frame, inner))
    metrics.frame_received(type(frame), size)
    return frame


async def read_reply(
    stream: trio.abc.ReceiveStream, codec: StreamCodec, metrics: Metrics, budget: ByteBudget
) -> StreamRequest | None:
    """As `read_message`, on a stream that this node opened.

    What the reply holds is charged until it is here: no peer prolongs what follows.
    """
    holding = Holding(budget)
    try:
        return await read_message(
            stream, codec, accept_side=False, metrics=metrics, holding=holding
        )
    finally:
        if holding.charged:
            holding.release()


_UNBOUNDED: Final = 1 << 62


async def _read_frame(
    stream: trio.abc.ReceiveStream,
    codec: StreamCodec,
    accept_side: bool,
    holding: Holding,
    begun: Callable[[], object] | None,
) -> tuple[Frame | StreamRequest | None, int]:
    """What the parser of streams returns, and how many bytes were read."""
    parser = StreamParser(codec, accept_side=accept_side)
    size = 0
    while True:
        data = bytes(await stream.receive_some(CHUNK))
        if not data:
            parser.eof()
            return None, size
        if not size and begun is not None:
            begun()
        size += len(data)
        await holding.resize(2 * size + parser.size)  # buffers that grow are half empty
        if len(data) < INLINE_SIZE:
            result = parser.receive(data)
        else:  # many streams may have as much at the same moment
            async with turn():
                result = parser.receive(data)
        del data  # not for as long as the peer takes for more
        if result is not None:
            return result, size


async def _take_off(
    only: list[Frame], codec: StreamCodec, holding: Holding
) -> Frame | StreamRequest:
    """A frame without its outermost layer, or the request that was in it.

    Args:
      only: the frame; taken out of the list, so that nothing keeps it here.
    """
    frame = only.pop()
    own, heavy = footprint(frame, 0), weight(frame)
    if not isinstance(frame, Compressed):
        await holding.resize(own + footprint_inside(frame))
        result = await _decoded_apart(frame, codec, None, heavy, holding)
    else:
        longest = min(codec.max_output, holding.budget.limit - own)
        allowed = min(longest, LIKELY_RATIO * own + FREE_SIZE // 2)
        while True:
            await holding.resize(own + allowed)
            work = max(heavy, allowed // _WRITTEN_PER_READ)
            result = await _decoded_apart(frame, codec, allowed, work, holding)
            if not isinstance(result, TextTooLong) or allowed == longest:
                break
            allowed = min(longest, LIKELY_RATIO * allowed)
    del frame
    if isinstance(result, RemoteProtocolError):
        raise result if isinstance(result, StreamError) else StreamError(str(result), reply=True)
    return result


async def _decoded_apart(
    frame: Frame, codec: StreamCodec, allowed: int | None, heavy: int, holding: Holding
) -> Frame | StreamRequest | RemoteProtocolError:
    """What `decode_layer` returns or raises.

    An exception that comes out of a thread lives in a circle with the frames that it passed,
    and so would all that they hold, until the next collection of garbage.
    """

    def work() -> Frame | StreamRequest | RemoteProtocolError:
        try:
            return decode_layer(frame, codec, allowed, make_way)
        except RemoteProtocolError as error:
            error.__traceback__ = error.__cause__ = error.__context__ = None
            return error

    with holding.being_busy():
        return await run_cpu_bound(work, heavy)


async def run_cpu_bound(work: Callable[[], T], size: int) -> T:
    """The result of ``work``, which takes as long as parsing ``size`` bytes.

    Small work is done here, one after the other: tasks that are ready together would hold up
    all others for as long as their sum.

    *Checkpoint*: always.  *Cancellation*: work that began in a thread is abandoned there.
    """
    if size < INLINE_SIZE:
        await trio.lowlevel.checkpoint()
        return work()
    if size < THREAD_THRESHOLD:
        async with turn():
            return work()
    limiter = _of_run(_limiter, lambda: trio.CapacityLimiter(_MAX_THREADS))
    return await run_in_thread(work, abandon_on_cancel=True, limiter=limiter)


def make_way() -> None:
    """Let the event loop have the interpreter; to be called in the middle of long work.

    A loop that waits for a thread that computes gets the interpreter after 5 ms, and gives it away
    with every call of a socket: a turn that reads eight packets takes 40 ms.  That time could be
    set for the whole process (`sys.setswitchinterval`), which is not for a library to do.

    Does nothing in the loop itself.
    """
    if not trio.lowlevel.in_trio_run():
        time.sleep(_YIELD_TIME)


def turn() -> trio.Lock:
    """The lock for a piece of work of a few milliseconds, if other tasks may have such work too.

    Pieces of different tasks come one after the other, and other tasks run in between.
    """
    return _of_run(_turn, trio.Lock)


async def let_readers_catch_up(is_behind: Callable[[], bool] | None) -> None:
    """Let tasks that read what was published catch up, if they are about to.

    A reader gets one event in a turn of the loop, and a batch of messages publishes dozens.  What
    an honest node sends would wait behind thousands that a flood has made, and be seconds late.

    *Checkpoint*: only if a reader is behind.
    """
    for _ in range(CATCH_UP_TURNS):
        if is_behind is None or not is_behind():
            return
        await trio.lowlevel.checkpoint()


def _of_run(variable: trio.lowlevel.RunVar[R], make: Callable[[], R]) -> R:
    """The value of a variable of this run, made when it is first needed."""
    try:
        return variable.get()
    except LookupError:
        value = make()
        variable.set(value)
        return value
