"""What waits to be written to one client: records of its streams, each in a bounded queue.

A client that does not read fills its own queues; what finds no room is counted and dropped for
it alone.  A queue holds encoded records, and most records are shared by all clients.

A queue never waits: `Outbox.on_ready` wakes the task that writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

import trio

from .. import _attrs as attrs
from .._wire.rpc_messages import pack_reply_header

MAX_BATCH: Final = 50
"""Writers that are woken together."""
QUEUE_SIZE: Final = 512
"""Records that may wait for a client in one stream, as in Go."""


class LateRecord(Protocol):
    """A record that is encoded when it is written."""

    def encode(self) -> bytes:
        """Its bytes."""


EncodedRecord: TypeAlias = bytes | LateRecord


@attrs.define(eq=False)
class RecordQueue:
    """The records of one stream, monitor or query.

    Args:
      seq: the number of the command.
      outbox: where it belongs to.
      size: records that may wait.
      on_drop: called when records begin to be dropped.

    Attributes:
      held: whether nothing is written yet, because the command is not answered yet.
      dropped: records that found no room.
    """

    seq: int
    outbox: Outbox = attrs.field(repr=False)
    size: int
    on_drop: Callable[[], object] = attrs.field(repr=False)
    held: bool = attrs.field(default=True, init=False)
    dropped: int = attrs.field(default=0, init=False)
    records: deque[EncodedRecord] = attrs.field(factory=deque, init=False, repr=False)
    header: bytes = attrs.field(init=False, repr=False)
    _in_gap: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.header = pack_reply_header("", self.seq)

    @property
    def full(self) -> bool:
        """Whether another record would be dropped."""
        return len(self.records) >= self.size

    def put(self, record: EncodedRecord) -> bool:
        """Store a record; False if it is dropped."""
        if self.full:
            self.dropped += 1
            if not self._in_gap:
                self._in_gap = True
                self.on_drop()
            return False
        self.records.append(record)
        if len(self.records) == 1 and not self.held:
            self.outbox.ready(self)
        return True

    def release(self) -> None:
        """The command is answered: records may be written from now on."""
        self.held = False
        if self.records:
            self.outbox.ready(self)

    def take(self, limit: int) -> bytes:
        """Records of about ``limit`` bytes, with their headers."""
        parts: list[bytes] = []
        size = 0
        while self.records and size < limit:
            record = self.records.popleft()
            data = record if isinstance(record, bytes) else record.encode()
            parts += (self.header, data)
            size += len(data)
        if not self.records:
            self._in_gap = False
        return b"".join(parts)

    def close(self) -> None:
        """Drop what is left."""
        self.records.clear()
        self.held = True


@attrs.define(eq=False)
class Turns:
    """Wakes the writers of all clients, a few at a time.

    One event may give a thousand clients something to write, half a millisecond for every ten
    of them.  Woken all at once they would run before anything else does.
    """

    _waiting: deque[trio.Event] = attrs.field(factory=deque, init=False)
    _any: trio.Event = attrs.field(factory=trio.Event, init=False)

    def add(self, writer: trio.Event) -> None:
        """Set this event when its turn has come."""
        self._waiting.append(writer)
        self._any.set()

    async def run(self) -> None:
        """Task: gives turns, until cancelled."""
        while True:
            await self._any.wait()
            self._any = trio.Event()
            while self._waiting:
                for _ in range(min(MAX_BATCH, len(self._waiting))):
                    self._waiting.popleft().set()
                await trio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Outbox:
    """All queues of one client that have something to write, in turn.

    Args:
      on_ready: called when there is something.
    """

    on_ready: Callable[[], object]
    _ready: deque[RecordQueue] = attrs.field(factory=deque, init=False)

    def open(
        self, seq: int, on_drop: Callable[[], object], *, size: int = QUEUE_SIZE
    ) -> RecordQueue:
        """A queue for one command that goes on; nothing of it is written before `release`."""
        return RecordQueue(seq, self, size, on_drop)

    def ready(self, queue: RecordQueue) -> None:
        """This queue has something to write, and had nothing before."""
        self._ready.append(queue)
        self.on_ready()

    def take(self, limit: int) -> bytes:
        """About ``limit`` bytes of the queue whose turn it is; empty if none has any."""
        while self._ready:
            queue = self._ready.popleft()
            data = queue.take(limit)
            if queue.records:
                self._ready.append(queue)
            if data:
                return data
        return b""
