"""Replacing a file so that a reader, or a power cut, finds the old or the new one whole.

A disk may hang for minutes, and then neither a cancellation nor Ctrl-C may wait for it: the task
that waits gives up, and the thread stays behind.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from .. import _attrs as attrs
from .._seams import run_in_thread

T = TypeVar("T")

DISK_LIMIT: Final = 10.0
"""Longest wait for a disk where somebody waits for the result (seconds)."""
_SUFFIX: Final = ".new"


@attrs.define(eq=False)
class AtomicFile:
    """A file that is replaced as a whole.

    Args:
      path: where; its directory must exist.
      mode: permissions of the file, less those that the umask takes away.
    """

    path: str
    mode: int
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _number: int = attrs.field(default=0, init=False)
    _newest: int = attrs.field(default=0, init=False)

    async def write(self, data: bytes) -> None:
        """Put ``data`` in the place of the whole content.

        *Cancellation*: the write goes on in its thread; a later one comes after it, or instead.

        Raises:
          OSError: the file is as it was; ``TimeoutError``, it may still be replaced.
        """
        self._number += 1
        await within(DISK_LIMIT, self._replace, self._number, data)

    def _replace(self, number: int, data: bytes) -> None:
        with self._lock:
            if number > self._newest:  # else it waited for the lock longer than a later one
                self._newest = number
                replace_now(self.path, data, self.mode)


async def within(seconds: float, call: Callable[..., T], *args: object) -> T:
    """The result of a blocking call, in a thread that is left behind if it takes too long.

    *Cancellation*: at once, whatever the disk does.

    Raises:
      OSError: what the call raises, and ``TimeoutError``.
    """
    with trio.move_on_after(seconds):
        return await run_in_thread(lambda: call(*args), abandon_on_cancel=True)
    raise TimeoutError(f"the disk did not answer for {seconds:g} s")


def replace_now(path: str, data: bytes, mode: int) -> None:
    """Replace a file safely; for threads: it blocks.

    Of a symbolic link the file that it leads to is replaced, and the link stays.

    Raises:
      OSError: the file is as it was.
    """
    path = os.path.realpath(path)
    temporary = path + _SUFFIX
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # left by a crash, perhaps with other permissions
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
