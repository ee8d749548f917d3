"""What happened in a simulated network, one entry after the other.

A trace function sees every entry as it happens.  `TraceDigest` folds them into one hash:
two runs of one seed are the same run if their digests are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple, TypeAlias, final

from ..abc import Address


class TraceEntry(NamedTuple):
    """One thing that happened.

    Args:
      time: when (trio clock, seconds).
      what: ``send``, ``deliver`` or ``drop <reason>`` of a packet; ``stream open``,
        ``stream data``, ``stream eof`` or ``stream reset`` as they arrive.
      source, target: from where to where.
      data: the bytes, if any.
    """

    time: float
    what: str
    source: Address
    target: Address
    data: bytes


Trace: TypeAlias = Callable[[TraceEntry], object]
"""Called for every entry; a plain function that does not raise."""


@final
class TraceDigest:
    """A trace function that keeps one hash of all entries."""

    __slots__ = ("_hash", "count")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count: int = 0
        """Entries seen."""

    def __call__(self, entry: TraceEntry) -> None:
        self.count += 1
        line = f"{entry.time:.9f} {entry.what} {entry.source} {entry.target} {len(entry.data)} "
        self._hash.update(line.encode())
        self._hash.update(entry.data)

    def hexdigest(self) -> str:
        """The hash of the entries so far, in hexadecimal."""
        return self._hash.hexdigest()
