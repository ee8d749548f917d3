"""What an agent sent and the reader has not taken yet: bounded, with a mark where some is missing.

A reader that is too slow never holds up the connection, on which other calls wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, final

import trio

T = TypeVar("T")


@final
class RecordBuffer(Generic[T]):
    """The records of one stream of a client.

    Args:
      size: records that may wait (at least 1).
      mark: makes what stands for so many missing records; None leaves no mark.
    """

    def __init__(self, size: int, mark: Callable[[int], T] | None = None) -> None:
        if size < 1:
            raise ValueError(f"max_buffer_size={size!r}: expected 1 or more")
        self.lost = 0
        self._size = size
        self._mark = mark
        self._records: deque[T] = deque()
        self._gap = 0
        self._changed = trio.Event()
        self._ended = False
        self._error: BaseException | None = None

    def put(self, record: T) -> None:
        """Store a record, or count it."""
        if self._ended:
            return
        if len(self._records) >= self._size:
            self.lost += 1
            self._gap += 1
            return
        self._end_gap()
        self._records.append(record)
        self._wake()

    def end(self, error: BaseException | None = None) -> None:
        """No more records; ``error`` is raised behind the last one.  Idempotent."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()

    async def get(self) -> T:
        """The next record.

        *Checkpoint*: always.

        Raises:
          trio.EndOfChannel: there is no more.
        """
        await trio.lowlevel.checkpoint()
        while not self._records:
            self._end_gap()
            if self._records:
                break
            if self._ended:
                raise self._error or trio.EndOfChannel
            await self._changed.wait()
        return self._records.popleft()

    def _end_gap(self) -> None:
        if self._gap and self._mark is not None:
            self._records.append(self._mark(self._gap))
        self._gap = 0

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()
