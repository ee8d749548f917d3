"""The queue of messages that wait to be gossiped.

Source: hashicorp/memberlist v0.2.2, queue.go, TransmitLimitedQueue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import attrs


@final
@attrs.frozen(kw_only=True)
class QueueStatistics:
    """A queue at one moment, and what went through it so far.

    Args:
      depth: messages waiting.
      own: those of them that began here.
      size: bytes waiting.
      by_transmits: messages waiting that were sent 0, 1, 2 … times.
      queued, replaced, finished, pruned, discarded: messages so far: added; replaced by a
        newer one of their name; sent their full number of times; dropped by `prune`;
        dropped by `discard` and `clear`.
    """

    depth: int
    own: int
    size: int
    by_transmits: tuple[int, ...]
    queued: int
    replaced: int
    finished: int
    pruned: int
    discarded: int


@final
class TransmitLimitedQueue:
    """Messages in order of need: fewest transmissions first, then longest, then newest.

    Args:
      retransmit_mult: each message is sent ``mult * ceil(log10(n + 1))`` times.
      num_nodes: gives n.
    """

    def __init__(self, retransmit_mult: int, num_nodes: Callable[[], int]) -> None: ...

    def queue(
        self,
        message: bytes,
        *,
        name: str | None = None,
        on_finished: Callable[[], object] | None = None,
        own: bool = False,
    ) -> None:
        """Add a message.

        Args:
          message: not empty.
          name: an older message under this name is dropped (it counts as finished).
          on_finished: called once, when the message leaves the queue in whatever way.
          own: whether it began here; see `take`.
        """
        ...

    def take(self, overhead: int, limit: int, *, own_share: float = 0.0) -> list[bytes]:
        """Messages for one packet; each counts as sent once.

        Args:
          overhead: bytes that each message costs besides its own.
          limit: the sum of ``len(message) + overhead`` stays within this.
          own_share: share of ``limit`` that messages which began here get first; one of
            them may exceed it.
        """
        ...

    def prune(self, max_depth: int) -> int:
        """Drop the least needed messages until ``max_depth`` are left; return how many."""
        ...

    def discard(self, name: str) -> bool:
        """Drop the message under ``name``; return whether there was one."""
        ...

    def clear(self) -> None:
        """Drop everything."""
        ...

    def __len__(self) -> int: ...

    def statistics(self) -> QueueStatistics: ...
