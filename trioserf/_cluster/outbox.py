"""The three broadcast queues of Serf, and how they share a packet."""

from __future__ import annotations

from collections.abc import Callable

from .._config import Config
from .._swim.broadcasts import TransmitLimitedQueue
from .effects import Effect, Queue, QueueName


class Outbox:
    """Intents, queries and user events that wait to be gossiped.

    Args:
      config: settings of the node.
      num_members: gives the number of known members of any status.

    Attributes:
      queues: the three queues by name, in the order in which they fill a packet.
    """

    queues: dict[QueueName, TransmitLimitedQueue]

    def __init__(self, config: Config, *, num_members: Callable[[], int]) -> None: ...

    def add(self, item: Queue) -> None:
        """Queue a message; an intent replaces an older one about the same node."""
        ...

    def take(self, overhead: int, limit: int) -> list[bytes]:
        """Messages for one packet: the sum of ``len + overhead`` stays within ``limit``."""
        ...

    def __len__(self) -> int: ...

    def depth(self, queue: QueueName) -> int:
        """How many messages wait in one queue."""
        ...

    def max_depth(self) -> int:
        """How many messages one queue may hold before it is pruned."""
        ...

    def check(self) -> list[Effect]:
        """Sample, warn about, and prune the queues.  Every ``queue_check_interval``."""
        ...
