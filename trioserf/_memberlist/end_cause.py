"""What comes out of the nurseries of this library: one exception, never a group made here.

A nursery wraps what ends it, also an exception of the block around which it stands, and the
Ctrl-C that arrives while the block waits.  A user who writes ``except KeyboardInterrupt`` did
not see that nursery, and has to get what they wrote it for.
"""

from __future__ import annotations

import trio

from .._exceptions import SerfInternalError


def leaf(group: BaseException) -> BaseException:
    """The first single exception in a group."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def end_cause(group: BaseExceptionGroup[BaseException], crash: str) -> BaseException:
    """What to raise in place of the group of a nursery.

    Ctrl-C and ``SystemExit`` come first, because the program is meant; then a crash, as
    `SerfInternalError` with the group as its cause; a cancellation if there is nothing else.

    Args:
      group: what the nursery raised.
      crash: how the text of that error begins: what it is that crashed.
    """
    crashed = group.split(trio.Cancelled)[1]
    if crashed is None:
        return leaf(group)
    passing = crashed.split((KeyboardInterrupt, SystemExit))[0]
    error = (
        SerfInternalError(f"{crash} crashed: {leaf(crashed)!r}")
        if passing is None
        else leaf(passing)
    )
    error.__cause__ = crashed
    return error


def end_of_block(
    raised: BaseException | None, group: BaseExceptionGroup[BaseException], crash: str
) -> BaseException:
    """What to raise where the block around which a nursery stands raised something, too.

    What the block raised comes first, unless a task was interrupted by Ctrl-C, or the block
    only saw that everything had been closed around it.  Arguments as of `end_cause`.
    """
    if raised is None or isinstance(raised, trio.Cancelled):
        return end_cause(group, crash)
    interrupted = group.split((KeyboardInterrupt, SystemExit))[0] is not None
    if not interrupted and not isinstance(raised, trio.ClosedResourceError):
        return raised
    cause = end_cause(group, crash)
    if isinstance(cause, trio.Cancelled):
        return raised
    cause.__context__ = raised
    return cause
