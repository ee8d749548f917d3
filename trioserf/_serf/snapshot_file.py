"""The file of a snapshot: every call blocks, so it belongs in a worker thread.

The file is opened for each write, so there is no handle that could point to a file which is
no longer there; and what is there must be what was written last, else nothing is appended to it.
A call may be abandoned by its waiter and still be running when the next
one comes; a lock keeps them apart, and a replacement that was overtaken is dropped.

Source: hashicorp/serf v0.9.4, serf/snapshot.go.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from typing import Final

from .. import _attrs as attrs
from .atomic_files import replace_now

_MODE: Final = 0o644

_UNSURE: Final = (0, 0, -1)
"""What no file is like."""


class FileChangedError(OSError):
    """The file is gone, or is not what was written last: it has to be written whole."""


@attrs.define(eq=False)
class SnapshotFile:
    """One snapshot file.

    Args:
      path: where; its directory must exist.
      lines: what to append; others put lines at its end at any time.
    """

    path: str
    lines: deque[bytes]
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _newest: int = attrs.field(default=0, init=False)
    _last: tuple[int, int, int] | None = attrs.field(default=None, init=False)
    """Device, number and size of the file as it was written last; None for unknown."""

    def read(self) -> bytes:
        """The whole content; the file is made if there is none.  Raises ``OSError``."""
        # A pipe would block for ever, and is no file that can be kept.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(self.path, flags, _MODE)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(None, f"{self.path} is no regular file")
            data = file.read()
            self._last = _identity(os.fstat(descriptor))
            return data

    def cut(self, size: int) -> None:
        """Drop everything behind ``size`` bytes.  Raises ``OSError``."""
        os.truncate(self.path, size)
        self._last = _identity(os.stat(self.path))

    def append(self, number: int, *, sync: bool) -> int:
        """Write the lines that wait; returns their size (bytes).

        Args:
          number: rises with every call of `append` and `replace`.
          sync: do not return before the disk has them.

        Raises:
          FileChangedError: nothing was written, and no line taken.
          OSError: lines may be lost, or cut short; `replace` repairs it.
        """
        with self._lock:
            self._newest = max(self._newest, number)
            new = os.O_CREAT if self._last is None else 0
            try:
                descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | new, _MODE)
            except FileNotFoundError:
                if new:
                    raise
                raise FileChangedError(f"{self.path} was removed") from None
            with os.fdopen(descriptor, "ab") as file:
                if not new and self._last != _identity(os.fstat(descriptor)):
                    raise FileChangedError(f"{self.path} is not what was written last")
                data = b"".join(_taken(self.lines))
                self._last = _UNSURE  # until all is written
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
                self._last = _identity(os.fstat(descriptor))
            return len(data)

    def replace(self, number: int, data: bytes) -> None:
        """Put ``data`` in the place of the whole content, safely on the disk.

        Args:
          number: as for `append`; dropped if a later call was faster.

        Raises:
          OSError: the file is as it was.
        """
        with self._lock:
            if number > self._newest:
                self._newest = number
                replace_now(self.path, data, _MODE)
                self._last = _identity(os.stat(self.path))

    def within(
        self, seconds: float, number: int, data: bytes | None, whole: bytes = b""
    ) -> OSError | None:
        """`append`, synchronized, or `replace` if there is ``data``; give up after a time.

        ``whole`` is for the case that the file is not what was written last.  Time is real time
        here, whatever clock tasks run on: what is waited for is a disk.

        Returns:
          What went wrong, None if nothing did.
        """
        problems: list[OSError] = []

        def write() -> None:
            try:
                if data is None:
                    try:
                        self.append(number, sync=True)
                    except FileChangedError:
                        self.replace(number + 1, whole)
                else:
                    self.replace(number, data)
            except OSError as error:
                problems.append(error)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            return TimeoutError(f"the disk did not answer for {seconds:g} s")
        return problems[0] if problems else None


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_dev, status.st_ino, status.st_size


def _taken(lines: deque[bytes]) -> list[bytes]:
    """All lines there are; one by one, because others may add to them meanwhile."""
    taken: list[bytes] = []
    while lines:
        taken.append(lines.popleft())
    return taken
