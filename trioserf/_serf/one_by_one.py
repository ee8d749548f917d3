"""Work that users ask for and that must be done one piece after the other.

A piece of work runs in the task of the part that owns it; the user's call waits for the
result.  So pieces never overlap, without a lock that a cancelled caller could leave behind:
who stops waiting also stops the work, and the next piece begins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import outcome
import trio

from .. import _attrs as attrs

T = TypeVar("T")


@attrs.define(eq=False)
class _Piece:
    work: Callable[[], Awaitable[Any]]
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    done: trio.Event = attrs.field(factory=trio.Event)
    result: outcome.Outcome[Any] = attrs.field(
        factory=lambda: outcome.Error(trio.ClosedResourceError("the node is closed"))
    )


class OneByOne:
    """A task that does pieces of work, and the calls that ask for them."""

    def __init__(self) -> None:
        # Nothing is buffered: whoever asks waits in the channel until its turn.
        self._ask, self._asked = trio.open_memory_channel[_Piece](0)

    async def run(self) -> None:
        """Task: works until cancelled.  What is under way then ends as closed."""
        with self._asked:
            async for piece in self._asked:
                try:
                    with piece.scope:
                        piece.result = await _capture(piece.work)
                finally:
                    piece.done.set()

    async def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do ``work`` after all that was asked for before; return or raise what it does.

        *Cancellation*: cancels the work.

        Raises:
          trio.ClosedResourceError: the task has ended, or ends meanwhile.
        """
        piece = _Piece(work)
        try:
            await self._ask.send(piece)
        except trio.BrokenResourceError:
            raise trio.ClosedResourceError("the node is closed") from None
        try:
            await piece.done.wait()
        finally:
            piece.scope.cancel()
        result: T = piece.result.unwrap()
        return result


async def _capture(work: Callable[[], Awaitable[T]]) -> outcome.Outcome[T]:
    """The result or the error of ``work``; a cancellation passes through."""
    try:
        return outcome.Value(await work())
    except Exception as error:
        return outcome.Error(error)
