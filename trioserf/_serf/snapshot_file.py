"""The file of a snapshot: every call blocks, so it belongs in a worker thread.

The file is opened for each write, so there is no handle that could point to a file which is
no longer there.  A call may be abandoned by its waiter and still be running when the next
one comes; a lock keeps them apart, and a replacement that was overtaken is dropped.

Source: hashicorp/serf v0.9.4, serf/snapshot.go.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Final

from .. import _attrs as attrs
from .atomic_files import replace_now

_MODE: Final = 0o644


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

    def read(self) -> bytes:
        """The whole content; the file is made if there is none.  Raises ``OSError``."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _MODE)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def cut(self, size: int) -> None:
        """Drop everything behind ``size`` bytes.  Raises ``OSError``."""
        os.truncate(self.path, size)

    def append(self, number: int, *, sync: bool) -> int:
        """Write the lines that wait; returns their size (bytes).

        Args:
          number: rises with every call of `append` and `replace`.
          sync: do not return before the disk has them.

        Raises:
          OSError: lines may be lost, or cut short; `replace` repairs it.
        """
        with self._lock:
            self._newest = max(self._newest, number)
            data = b"".join(_taken(self.lines))
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _MODE)
            with os.fdopen(descriptor, "ab") as file:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
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

    def within(self, seconds: float, number: int, data: bytes | None) -> OSError | None:
        """`append`, synchronized, or `replace` if there is ``data``; give up after a time.

        Time is real time here, whatever clock tasks run on: what is waited for is a disk.

        Returns:
          What went wrong, None if nothing did.
        """
        problems: list[OSError] = []

        def write() -> None:
            try:
                if data is None:
                    self.append(number, sync=True)
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


def _taken(lines: deque[bytes]) -> list[bytes]:
    """All lines there are; one by one, because others may add to them meanwhile."""
    taken: list[bytes] = []
    while lines:
        taken.append(lines.popleft())
    return taken
