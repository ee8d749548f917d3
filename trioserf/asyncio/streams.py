"""What goes on arriving: an iterator of Trio, read from asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Final, Generic, TypeVar, cast, final

import trio

from .. import _attrs as attrs
from .._events import Query
from .thread import TrioThread

T = TypeVar("T")

MAX_BATCH: Final = 64
"""Items that are fetched at once, if they are there: the way between two threads takes longer
than most of what is done with an event."""


@final
class Stream(Generic[T]):
    """Items one by one: ``async for item in stream``, or ``await stream.receive()``.

    Several tasks may read: each item goes to one of them.

    *Cancellation*: loses nothing; what had arrived is there for the next call.

    Raises, in the iteration:
      trio.ClosedResourceError: the block that gave the stream is over.
    """

    def __init__(self, thread: TrioThread, source: AsyncIterator[T]) -> None:
        self._thread = thread
        self._source = source
        self._arrived: deque[T] = deque()
        self._reading = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Stream of {self._source!r}>"

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        async with self._reading:
            if not self._arrived:
                await self._fetch()
            return self._arrived.popleft()

    async def receive(self) -> T:
        """The next item.

        Raises:
          trio.EndOfChannel: no more will come.
          trio.ClosedResourceError: the block that gave the stream is over.
        """
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            raise trio.EndOfChannel from None

    async def _fetch(self) -> None:
        """Wait for an item at least.  Raises ``StopAsyncIteration`` at the end."""
        keep = self._arrived.extend
        try:
            keep(await self._thread.start(self._take).result(late=keep))
        except trio.ClosedResourceError:
            if not self._thread.ended:
                raise
            keep(self._at_hand(None))  # what a node had left behind; nobody else reads it now
            if not self._arrived:
                raise StopAsyncIteration from None

    async def _take(self) -> list[T]:
        """On Trio: one item, and those behind it that are there already."""
        first = await anext(self._source)
        return [self._adapted(item) for item in (first, *self._at_hand(MAX_BATCH - 1))]

    def _at_hand(self, limit: int | None) -> list[T]:
        found: list[T] = []
        if isinstance(self._source, trio.MemoryReceiveChannel):
            with suppress(trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                while limit is None or len(found) < limit:
                    found.append(self._source.receive_nowait())
        return found

    def _adapted(self, item: T) -> T:
        """A query answers by way of Trio, and has its deadline in the time of the loop."""
        if not isinstance(item, Query):
            return item
        query = attrs.evolve(
            item,
            deadline=item.deadline + self._thread.offset,
            responder=partial(self._thread.run, item.respond),
        )
        return cast("T", query)
