"""The three broadcast queues of Serf, and how they share a packet.

Source: hashicorp/serf v0.9.4, serf/delegate.go, GetBroadcasts; serf/serf.go,
checkQueueDepth, getQueueMax.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .._config import Config
from .._swim.broadcasts import TransmitLimitedQueue
from .effects import Broadcast, Effect, Log, QueueName, Sample


class BroadcastQueues:
    """Intents, queries and user events that wait to be gossiped.

    DIFFERS (unless ``faithful_go``): of the intents about one node only the newest is kept,
    since only that one can still change anything; so the queue is never longer than the
    cluster has members (test_the_newest_intent_about_a_node_replaces_the_older).  And intents
    leave a share of every packet to waiting queries and events
    (test_a_flood_of_intents_leaves_room_for_events).

    Args:
      config: settings of the node.
      num_members: gives the number of known members of any status.
      clock: gives the time (seconds), for statistics alone.

    Attributes:
      queues: the three queues by name, in the order in which they fill a packet.
    """

    def __init__(
        self,
        config: Config,
        *,
        num_members: Callable[[], int],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._config = config
        self._num_members = num_members
        self._faithful = config.memberlist.faithful_go
        self._share = 0.0 if self._faithful else config.memberlist.user_share
        mult = config.memberlist.retransmit_mult
        names: tuple[QueueName, ...] = ("intent", "query", "event")
        self.queues: dict[QueueName, TransmitLimitedQueue] = {
            name: TransmitLimitedQueue(mult, num_members, clock) for name in names
        }
        self._order = tuple(self.queues.values())
        self._newest: dict[str, Broadcast] = {}

    def add(self, item: Broadcast) -> None:
        """Queue a message; an intent replaces an older one about the same node."""
        queue = self.queues[item.queue]
        if item.name is None or self._faithful:
            queue.queue(item.message, on_finished=item.on_finished, local=item.local)
            return
        newest = self._newest.get(item.name)
        if newest is not None and item.ltime < newest.ltime:
            if item.on_finished is not None:
                item.on_finished()
            return
        self._newest[item.name] = item
        done = partial(self._finished, item.name, item)
        queue.queue(item.message, name=item.name, on_finished=done, local=item.local)

    def _finished(self, name: str, item: Broadcast) -> None:
        if self._newest.get(name) is item:
            del self._newest[name]
        if item.on_finished is not None:
            item.on_finished()

    def take(self, overhead: int, limit: int) -> list[bytes]:
        """Messages for one packet: the sum of ``len + overhead`` stays within ``limit``."""
        messages: list[bytes] = []
        free = limit
        for index, queue in enumerate(self._order):
            if not queue.entries:
                continue
            kept = 0
            for later in self._order[index + 1 :]:
                if later.entries:
                    kept = int(free * self._share)
            taken = queue.take(overhead, free - kept, local_share=self._share)
            if not taken and not messages:  # all of them are long: do not delay them for ever
                taken = queue.take(overhead, free, local_share=self._share)
            free -= sum(map(len, taken)) + overhead * len(taken)
            messages += taken
        return messages

    def __len__(self) -> int:
        return sum(map(len, self._order))

    def depth(self, queue: QueueName) -> int:
        """How many messages wait in one queue."""
        return len(self.queues[queue].entries)

    def max_depth(self) -> int:
        """How many messages one queue may hold before it is pruned."""
        lowest = self._config.min_queue_depth
        if lowest > 0:
            return max(lowest, 2 * self._num_members())
        return self._config.max_queue_depth

    def check(self) -> list[Effect]:
        """Sample, warn about, and prune the queues.  Every ``queue_check_interval``."""
        effects: list[Effect] = []
        limit = self.max_depth()
        for name, queue in self.queues.items():
            label, depth = name.capitalize(), len(queue)
            effects.append(Sample(f"serf.queue.{label}", depth))
            if depth >= self._config.queue_depth_warning:
                effects.append(Log(f"{label} queue depth: {depth}"))
            if depth > limit:
                effects.append(Log(f"{label} queue depth {depth} exceeds {limit}: pruning it"))
                queue.prune(limit)
        return effects
