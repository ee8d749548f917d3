"""Time in tests that run real processes: absolute limits, and one way to wait for a state."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

T = TypeVar("T")
AsyncTest = Callable[..., Awaitable[None]]

POLL_INTERVAL = 0.05
"""Seconds between two looks at a state; a `serf` command takes about 15 ms."""


def limit(seconds: float) -> Callable[[AsyncTest], AsyncTest]:
    """Fail the test when it takes longer than ``seconds``, whatever it is waiting for."""

    def decorate(test: AsyncTest) -> AsyncTest:
        @functools.wraps(test)
        async def limited(*args: Any, **kwargs: Any) -> None:
            with trio.fail_after(seconds):
                await test(*args, **kwargs)

        limited.limit_seconds = seconds  # type: ignore[attr-defined]
        return limited

    return decorate


async def _read(read: Callable[[], T | Awaitable[T]]) -> T:
    value = read()
    return await value if inspect.isawaitable(value) else value


async def becomes(
    expected: T, read: Callable[[], T | Awaitable[T]], *, seconds: float = 10.0
) -> float:
    """Look until ``read()`` gives ``expected``; assert that it does at the latest then.

    Returns:
      the time (trio clock, seconds) at which it was seen.
    """
    deadline = trio.current_time() + seconds
    while True:
        actual = await _read(read)
        now = trio.current_time()
        if expected == actual:
            return now
        if now >= deadline:
            assert expected == actual, f"after {seconds} s"
        await trio.sleep(POLL_INTERVAL)


async def stays(expected: T, read: Callable[[], T | Awaitable[T]], *, seconds: float) -> None:
    """Look again and again for ``seconds``; assert ``expected`` each time."""
    deadline = trio.current_time() + seconds
    while trio.current_time() < deadline:
        actual = await _read(read)
        assert expected == actual
        await trio.sleep(POLL_INTERVAL)


async def found(read: Callable[[], T | Awaitable[T | None] | None], *, seconds: float = 10.0) -> T:
    """Look until ``read()`` gives something other than None, and return that."""
    deadline = trio.current_time() + seconds
    while (value := await _read(read)) is None:
        assert trio.current_time() < deadline, f"nothing found in {seconds} s by {read}"
        await trio.sleep(POLL_INTERVAL)
    return value
