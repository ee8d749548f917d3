"""The three broadcast queues of Serf, and how they share a packet.

Source: hashicorp/serf v0.9.4, serf/delegate.go, GetBroadcasts; serf/serf.go,
checkQueueDepth, getQueueMax.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from .._config import Config
from .._swim.broadcasts import TransmitLimitedQueue
from .effects import Broadcast, Effect, Log, QueueName, Sample

KNOWN_MESSAGES: Final = 2048
"""Messages that are remembered to recognise copies of them; up to twice as many."""
KNOWN_SIZE: Final = 2048
"""Longest message that is remembered (bytes)."""


class BroadcastQueues:
    """Intents, queries and user events that wait to be gossiped.

    Of each message a node receives about as many copies as it sends, and only the first says
    anything: what was queued here is recognised by its bytes, before it is decoded.
    DIFFERS (unless ``faithful_go``): Go decodes every copy; the outcome is the same
    (test_a_copy_is_recognised_by_its_bytes).

    DIFFERS (unless ``faithful_go``): of the intents about one node only the newest is kept,
    since only that one can still change anything; so the queue is never longer than the
    cluster has members (test_the_newest_intent_about_a_node_replaces_the_older).  And intents
    leave a share of every packet to waiting queries and events
    (test_a_flood_of_intents_leaves_room_for_events).  Queries and events go out in the order in
    which they came; Go begins with the newest, and under load the older ones are never sent
    (test_events_are_sent_in_the_order_in_which_they_came).

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
        rounds = config.memberlist.gossip_interval > 0 and config.memberlist.gossip_nodes > 0
        spread_first = rounds and config.memberlist.eager_gossip and not self._faithful
        names: tuple[QueueName, ...] = ("intent", "query", "event")
        self.queues: dict[QueueName, TransmitLimitedQueue] = {
            name: TransmitLimitedQueue(
                mult,
                num_members,
                clock,
                bulk=name != "intent" and not self._faithful,
                spread_first=name != "intent" and spread_first,
            )
            for name in names
        }
        self._order = tuple(self.queues.values())
        self._newest: dict[str, Broadcast] = {}
        self._known: set[bytes] = set()
        self._known_before: set[bytes] = set()

    def knows(self, message: bytes) -> bool:
        """Whether this very message was queued lately, and so is nothing new."""
        return message in self._known or message in self._known_before

    def forget_known(self) -> None:
        """A member was erased: an old intent about it may be new again."""
        self._known.clear()
        self._known_before.clear()

    def add(self, item: Broadcast) -> None:
        """Queue a message; an intent replaces an older one about the same node."""
        message = item.message
        if len(message) <= KNOWN_SIZE and not self._faithful:
            if len(self._known) >= KNOWN_MESSAGES:
                self._known_before, self._known = self._known, set()
            self._known.add(message)
        queue = self.queues[item.queue]
        if item.name is None or self._faithful:
            queue.queue(message, on_finished=item.on_finished, local=item.local)
            return
        newest = self._newest.get(item.name)
        if newest is not None and item.ltime < newest.ltime:
            if item.on_finished is not None:
                item.on_finished()
            return
        self._newest[item.name] = item
        done = partial(self._finished, item.name, item)
        queue.queue(message, name=item.name, on_finished=done, local=item.local)

    def _finished(self, name: str, item: Broadcast) -> None:
        if self._newest.get(name) is item:
            del self._newest[name]
        if item.on_finished is not None:
            item.on_finished()

    def take(self, overhead: int, limit: int, copies: int = 0) -> list[bytes]:
        """Messages for one packet: the sum of ``len + overhead`` stays within ``limit``.

        ``copies`` as in `TransmitLimitedQueue.take`.
        """
        messages: list[bytes] = []
        intents, queries, events = self._order
        if not (intents.entries or queries.entries or events.entries):
            return messages  # as mostly: every ping asks
        free = limit
        for index, queue in enumerate(self._order):
            if not queue.entries:
                continue
            kept = 0
            for later in self._order[index + 1 :]:
                if later.entries:
                    kept = int(free * self._share)
            taken = queue.take(overhead, free - kept, local_share=self._share, copies=copies)
            if kept and not taken and not messages:  # all are long: do not delay them for ever
                taken = queue.take(overhead, free, local_share=self._share, copies=copies)
            free -= sum(map(len, taken)) + overhead * len(taken)
            messages += taken
        return messages

    def discard_longer(self, size: int) -> int:
        """Drop messages that are longer than ``size`` bytes; return how many."""
        return sum(queue.discard_longer(size) for queue in self._order)

    def __len__(self) -> int:
        return sum(map(len, self._order))

    def waiting(self) -> int:
        """Bytes that wait."""
        intents, queries, events = self._order
        return intents.size + queries.size + events.size

    def unsent(self) -> int:
        """Those of them that are new."""
        intents, queries, events = self._order
        return intents.unsent + queries.unsent + events.unsent

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
        """Sample, warn about, and prune the queues.  Every ``queue_check_interval``.

        What was queued before the last check is no longer remembered: no copies come so late.
        """
        self._known_before, self._known = self._known, set()
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
