"""The queue of messages that wait to be gossiped.

The message with the fewest transmissions goes first; of several the longest, because it fits least
often, and of those the newest.  So messages stand in levels, one level for each number of
transmissions, and a level is a sorted list of integers: length in the high bits, running number in
the low ones.  The best message that still fits into the rest of a packet is then found by one
bisection, however many wait.

A queue of events differs from one of messages about nodes: no event replaces another, and an event
is worthless once the Lamport clock is far ahead of it.  So in such a *bulk* queue the oldest event
goes first, whatever its length: a round may leave some events for the next round, and would leave
short ones among long ones again and again.  A round that fills at least half a packet gives its
events all the transmissions that they get: see `take`.  Where every event goes first to the nodes
that follow this one (`gossip_order`), no other packet may take it before that: its few
transmissions would be spent on nodes that have it, and nodes that depend on this one would miss it.

Messages that began at this node stand in levels of their own.  A packet may reserve a share for
them, so that a flood of messages that are only passed on does not delay those that only this node
has.

Source: hashicorp/memberlist v0.2.2, queue.go, TransmitLimitedQueue.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Final, final

from .. import _attrs as attrs
from .scaling import retransmit_limit

_NUMBER_BITS: Final = 40
"""Bits for the running number of a message inside its sort key."""
_LENGTH_BITS: Final = 32
"""Bits for the length of a message inside its sort key, in a queue where the number goes first."""
_LENGTH_MASK: Final = (1 << _LENGTH_BITS) - 1
_SKIPPED: Final = 16
"""Events that do not fit into the rest of a packet after which no further one is tried."""
MIN_TRANSMITS: Final = 3
"""Transmissions that an event gets at least, however many others wait."""
FEW_TRANSMITS: Final = 6
"""Transmissions that an event gets at most if it fills less than half a packet, while events for a
whole packet wait for further copies."""
FEW_MESSAGES: Final = 3
"""Most messages that count as few: an eager round sends few to fewer nodes than it sends many."""
_UNLIMITED: Final = 1 << 20
"""A number of transmissions that no message reaches."""
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1


@final
@attrs.frozen(kw_only=True)
class QueueStatistics:
    """A queue at one moment, and what went through it so far.

    Args:
      depth: messages waiting.
      local: those of them that began here.
      size: bytes waiting.
      oldest: how long the oldest of them has waited (seconds); 0 if there is none.
      by_transmits: messages waiting that were sent 0, 1, 2 … times.
      queued, replaced, finished, pruned, discarded: messages so far: added; replaced by a
        newer one of their name; sent their full number of times; dropped by `prune`;
        dropped by `discard` and `clear`.
    """

    depth: int
    local: int
    size: int
    oldest: float = 0.0
    by_transmits: tuple[int, ...]
    queued: int
    replaced: int
    finished: int
    pruned: int
    discarded: int


@attrs.define(eq=False)
class _Entry:
    key: int
    message: bytes
    name: str | None
    on_finished: Callable[[], object] | None
    levels: list[list[int]]
    queued_at: float
    transmits: int = 0
    first: int = 1
    """Transmissions that it gets as something new."""
    enough: int = _UNLIMITED
    """Transmissions after which it is finished, if that is before the retransmit limit."""

    def insert(self) -> None:
        """Put the key into its level."""
        while self.transmits >= len(self.levels):
            self.levels.append([])
        insort(self.levels[self.transmits], self.key)

    def take_out(self) -> None:
        """Take the key out of its level."""
        level = self.levels[self.transmits]
        del level[bisect_left(level, self.key)]


@final
class TransmitLimitedQueue:
    """Messages in order of need: fewest transmissions first, then longest, then newest.

    Args:
      retransmit_mult: each message is sent ``mult * ceil(log10(n + 1))`` times.
      num_nodes: gives n.
      clock: gives the time (seconds), for statistics alone; may be asked by other threads.
      bulk: a queue of events: the oldest first, and few copies of many.
      spread_first: a message is first taken for a packet to several nodes, see `take`.
    """

    def __init__(
        self,
        retransmit_mult: int,
        num_nodes: Callable[[], int],
        clock: Callable[[], float] | None = None,
        *,
        bulk: bool = False,
        spread_first: bool = False,
    ) -> None:
        self._mult = retransmit_mult
        self._first = int(spread_first)
        """The first level for packets to one node."""
        self._turn: list[_Entry] = []
        """What the node has got to which the last packet went."""
        self._bulk = bulk
        self._num_nodes = num_nodes
        self._clock = clock or _no_time
        self.entries: dict[int, _Entry] = {}
        """What waits, in the order in which it was queued; for reading alone."""
        self._named: dict[str, _Entry] = {}
        self.size: int = 0
        """Bytes waiting: how much room a packet would need for everything, but overheads."""
        self.unsent: int = 0
        """Those of them that are new: they are in the next packets to several nodes."""
        self._local: list[list[int]] = []
        self._relayed: list[list[int]] = []
        self._number = 0
        self._queued = self._replaced = self._finished = self._pruned = self._discarded = 0

    def queue(
        self,
        message: bytes,
        *,
        name: str | None = None,
        on_finished: Callable[[], object] | None = None,
        local: bool = False,
    ) -> None:
        """Add a message.

        Args:
          message: not empty.
          name: an older message under this name is dropped (it counts as finished).
          on_finished: called once, when the message leaves the queue in whatever way.
          local: whether it began here; see `take`.
        """
        assert message, "an empty message kills old peers"
        older = self._named.get(name) if name is not None else None
        if older is not None:
            self._replaced += 1
            self._remove(older)
        self._number = self._number + 1 if self.entries else 1
        key = len(message) << _NUMBER_BITS | self._number
        if self._bulk:
            key = (_NUMBER_MASK - self._number) << _LENGTH_BITS | len(message)
        levels = self._local if local else self._relayed
        entry = _Entry(key, message, name, on_finished, levels, self._clock())
        self._queued += 1
        self.entries[key] = entry
        self.size += len(message)
        self.unsent += len(message)
        if name is not None:
            self._named[name] = entry
        if not levels:
            levels.append([])
        insort(levels[0], key)
        if older is not None:
            _finish([older])

    def take(
        self, overhead: int, limit: int, *, local_share: float = 0.0, copies: int = 0
    ) -> list[bytes]:
        """Messages for one packet; each counts as sent once for each copy.

        Messages that were sent as often as there are copies already are left for a packet to
        one other node: the nodes that get the copies have them.

        DIFFERS (a bulk queue and copies): what fills half of ``limit`` is sent `MIN_TRANSMITS`
        times or to the nodes of one round, and no more.  A node has as many predecessors as there
        are copies, see `gossip_order`; and under load it is better to be rid of a message.  Where
        the nodes are fewer than `MIN_TRANSMITS`, several rounds follow each other.  What finds a
        packet full of messages that wait for further copies is sent `FEW_TRANSMITS` times.
        Tests: test_a_burst_of_events_is_sent_in_full_packets_once,
        test_events_that_come_faster_than_further_copies_get_none,
        test_where_others_are_few_a_burst_is_sent_in_several_rounds.

        DIFFERS: Go knows no packets to several nodes, and sends whatever it has to anybody.
        Tests: test_what_was_not_spread_yet_is_in_no_packet_to_one_node,
        test_further_packets_to_one_node_bring_it_nothing_twice.

        Args:
          overhead: bytes that each message costs besides its own.
          limit: the sum of ``len(message) + overhead`` stays within this.
          local_share: share of ``limit`` that messages which began here get first; one of
            them may exceed it.  0 keeps Go's order.
          copies: to how many nodes a packet of new messages is sent; 0 is a packet of any
            messages to one node, and -1 a further packet to the node of the last one, with
            nothing that was in those before.
        """
        enough = _UNLIMITED
        if copies < 0:
            turn = [entry for entry in self._turn if self.entries.get(entry.key) is entry]
            for entry in turn:
                entry.take_out()
            taken, _ = self._take(overhead, limit, local_share, 0)
            for entry in turn:
                entry.insert()
            self._turn = turn + taken
        else:
            taken, used = self._take(overhead, limit, local_share, copies)
            self._turn = taken
            if self._bulk and copies:
                if 2 * used >= limit and len(taken) > FEW_MESSAGES:
                    enough = MIN_TRANSMITS
                elif self.size - self.unsent >= limit:
                    enough = MIN_TRANSMITS if copies < MIN_TRANSMITS else FEW_TRANSMITS
        if not taken:
            return []
        messages = self._sent(taken, max(copies, 1), enough)
        if not self.entries:
            # A queue at rest keeps nothing, not even the tables of its dictionaries, which the
            # joins of a cluster made large.
            self._turn = []
            self.entries.clear()
            self._named.clear()
            self._local.clear()
            self._relayed.clear()
        return messages

    def _take(
        self, overhead: int, limit: int, local_share: float, copies: int
    ) -> tuple[list[_Entry], int]:
        """Set aside what the packet gets; also return the room that it takes up."""
        taken: list[_Entry] = []
        used = 0
        most = copies or _UNLIMITED
        if self._bulk and 0 < copies < MIN_TRANSMITS and self.unsent:
            most = MIN_TRANSMITS
        least = 0 if copies else self._first
        if len(self.entries) == 1:
            for entry in self.entries.values():
                level = entry.levels[entry.transmits]
                fits = overhead + len(entry.message) <= limit
                if fits and least <= entry.transmits < most and level:
                    level.clear()
                    taken.append(entry)
                    used = overhead + len(entry.message)
        elif self.entries:
            if local_share > 0:
                enough = int(limit * local_share)
                used = self._fill(taken, 0, overhead, limit, (self._local,), enough, least, most)
            both = self._local, self._relayed
            used = self._fill(taken, used, overhead, limit, both, limit, least, most)
        return taken, used

    def _fill(
        self,
        taken: list[_Entry],
        used: int,
        overhead: int,
        limit: int,
        sources: tuple[list[list[int]], ...],
        enough: int,
        least: int,
        most: int,
    ) -> int:
        """Set aside messages from ``sources``; return the room used up.

        ``enough`` bounds the room that all but the first of them may use; those that were sent
        less than ``least`` times or ``most`` times are left out.
        """
        for transmits in range(least, min(most, max(map(len, sources)))):
            while True:
                room = (limit if not taken else min(enough, limit)) - used - overhead
                if room <= 0:
                    return used
                bound = (room + 1) << _NUMBER_BITS
                best, best_level, best_index = -1, [], -1
                for levels in sources:
                    level = levels[transmits] if transmits < len(levels) else []
                    index = len(level) - 1
                    if self._bulk:
                        last = max(-1, index - _SKIPPED)
                        while index > last and level[index] & _LENGTH_MASK > room:
                            index -= 1
                        index = -1 if index == last else index
                    elif level and level[-1] >= bound:  # mostly the longest of all fits
                        index = bisect_left(level, bound) - 1
                    if index >= 0 and level[index] > best:
                        best, best_level, best_index = level[index], level, index
                if best < 0:
                    break
                del best_level[best_index]
                entry = self.entries[best]
                taken.append(entry)
                used += overhead + len(entry.message)
        return used

    def _sent(self, taken: list[_Entry], copies: int, enough: int) -> list[bytes]:
        """Put back what was set aside, but for messages that were sent often enough."""
        limit = retransmit_limit(self._mult, self._num_nodes())
        messages, finished = [], []
        for entry in taken:
            messages.append(entry.message)
            was_new = entry.transmits < entry.first
            entry.transmits += copies
            if enough < entry.enough:
                entry.enough = enough
                if copies < MIN_TRANSMITS:
                    entry.first = MIN_TRANSMITS
            self.unsent += len(entry.message) * ((entry.transmits < entry.first) - was_new)
            if entry.transmits >= limit or entry.transmits >= entry.enough:
                self._forget(entry)
                finished.append(entry)
            else:
                entry.insert()
        if finished:
            self._finished += len(finished)
            _finish(finished)
        return messages

    def discard_longer(self, size: int) -> int:
        """Drop what is longer than ``size`` bytes, and so fits no packet; return how many."""
        dropped = [entry for entry in self.entries.values() if len(entry.message) > size]
        for entry in dropped:
            self._remove(entry)
        self._discarded += len(dropped)
        _finish(dropped)
        return len(dropped)

    def prune(self, max_depth: int) -> int:
        """Drop the least needed messages until ``max_depth`` are left; return how many.

        Dropped first is what was sent most often; then the shortest; then the oldest.
        """
        dropped = []
        while len(self.entries) > max_depth:
            entry = self._last()
            self._remove(entry)
            dropped.append(entry)
        self._pruned += len(dropped)
        _finish(dropped)
        return len(dropped)

    def _last(self) -> _Entry:
        _, key = max(
            (transmits, -level[0])
            for levels in (self._local, self._relayed)
            for transmits, level in enumerate(levels)
            if level
        )
        return self.entries[-key]

    def discard(self, name: str) -> bool:
        """Drop the message under ``name``; return whether there was one."""
        entry = self._named.get(name)
        if entry is None:
            return False
        self._discarded += 1
        self._remove(entry)
        _finish([entry])
        return True

    def clear(self) -> None:
        """Drop everything."""
        dropped = list(self.entries.values())
        self._discarded += len(dropped)
        self.entries.clear()
        self.size = self.unsent = 0
        self._named.clear()
        self._local.clear()
        self._relayed.clear()
        _finish(dropped)

    def _remove(self, entry: _Entry) -> None:
        entry.take_out()
        self._forget(entry)

    def _forget(self, entry: _Entry) -> None:
        del self.entries[entry.key]
        self.size -= len(entry.message)
        if entry.transmits < entry.first:
            self.unsent -= len(entry.message)
        if entry.name is not None:
            del self._named[entry.name]

    def __len__(self) -> int:
        return len(self.entries)

    def local_depth(self) -> int:
        """How many messages wait that began here."""
        return sum(map(len, self._local))

    def statistics(self) -> QueueStatistics:
        """The queue at this moment."""
        # Another thread may ask: what is counted is copied before.
        entries = list(self.entries.values())  # in the order in which they were queued
        both = [list(levels) for levels in (self._local, self._relayed)]
        by_transmits = [0] * max(map(len, both))
        for levels in both:
            for transmits, level in enumerate(levels):
                by_transmits[transmits] += len(level)
        while by_transmits and not by_transmits[-1]:
            by_transmits.pop()
        return QueueStatistics(
            depth=len(self.entries),
            local=self.local_depth(),
            size=self.size,
            oldest=max(0.0, self._clock() - entries[0].queued_at) if entries else 0.0,
            by_transmits=tuple(by_transmits),
            queued=self._queued,
            replaced=self._replaced,
            finished=self._finished,
            pruned=self._pruned,
            discarded=self._discarded,
        )


def _no_time() -> float:
    """Stands in for a clock: nothing has an age."""
    return 0.0


def _finish(entries: list[_Entry]) -> None:
    for entry in entries:
        if entry.on_finished is not None:
            entry.on_finished()
