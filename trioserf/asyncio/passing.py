"""Methods of an object that lives on Trio, with the same arguments and types, for asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from .thread import TrioThread

P = ParamSpec("P")
T = TypeVar("T")


class Proxy(Protocol):
    """What stands for an object on Trio.

    Attributes:
      _thread: where that lives.
      _node: the object.
    """

    _thread: TrioThread
    _node: Any


def on_trio(
    method: Callable[Concatenate[Any, P], Awaitable[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method, run on Trio and awaited on asyncio; a cancellation goes through."""

    async def call(self: Proxy, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._thread.run(method, self._node, *args, **kwargs)

    update_wrapper(call, method)
    return call


def from_any_thread(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], T]:
    """The method, called right here: it reads what may be read from every thread."""

    def call(self: Proxy, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return method(self._node, *args, **kwargs)

    update_wrapper(call, method)
    return call
