"""Replacing a file so that a reader, or a power cut, finds the old or the new one whole."""

from __future__ import annotations

import contextlib
import os
from typing import Final

from .._seams import run_in_thread

_SUFFIX: Final = ".new"


async def replace_file(path: str, data: bytes, *, mode: int) -> None:
    """Write ``data`` to ``path`` in a worker thread: a new file takes the place of the old.

    Args:
      path: where; its directory must exist.
      data: the whole content.
      mode: permissions of the file, less those that the umask takes away.

    *Cancellation*: the write goes on to its end in its thread.

    Raises:
      OSError: the file is as it was.
    """
    await run_in_thread(replace_now, path, data, mode)


def replace_now(path: str, data: bytes, mode: int) -> None:
    """As `replace_file`, for threads: it blocks."""
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
