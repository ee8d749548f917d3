"""The order in which a node gossips to the others.

The theory of epidemics assumes random targets, drawn anew for each round.  They waste copies: if
each of sixteen nodes sends a message eight times, a given node is missed by all others in one of
four thousand cases.  A message that nothing repairs should not depend on that.  Two orders do
better with the same number of copies:

* *Successors.*  The names, hashed once for each ring, stand in circles that are the same
  for all nodes.  A node sends a new message to the node that follows it in the first ring, in
  the second, and so on.  So every node has one predecessor in each ring: where nothing is
  lost and every node passes on what is new, each gets exactly one copy by each ring, and no
  node is missed, whatever the timing.  A union of random rings is an expander, so a message still
  needs about ``log n`` hops, and the loss of a share p of the packets leaves a node without
  the message with p to the power of the number of rings.
* *A shuffled round robin.*  Further copies, and whatever is sent in regular rounds, go to the
  others in random order, each once before any is chosen again, the successors last.

An alive message may come from anybody, about nodes that nobody ever reached.  A node is *reached*
if it acked a probe of this node, or if this node began a state exchange with it that worked.  Where
some nodes are not reached, half of the rings are made of reached nodes alone; where many are not,
half of the targets of a round robin are reached nodes, too.  So made-up members do not keep real
ones from each other.

Made-up members may answer probes, too.  So where the old ones of the reached nodes are few, they
stand for all of them: those that were first alive before half of the time since this node began.
Members that somebody makes up today are not among those, if this node is older than a day.

DIFFERS (unless ``faithful_go``): Go gossips to any of them.
Tests: test_made_up_members_do_not_keep_real_ones_apart,
test_where_most_nodes_are_new_half_of_the_targets_are_old,
test_the_old_nodes_are_preferred_however_few_of_the_new_ones_were_reached_yet.

Above `RING_LIMIT` nodes only the round robin is used: for rings each change of membership costs
a pass over all names, and the number of copies grows with the cluster anyway.

Source: hashicorp/memberlist v0.2.2, state.go: gossip (targets); Suresh et al., "Stable and
Consistent Membership at Scale with Rapid" (ATC 2018), section 4.1 (K rings).
"""

from __future__ import annotations

import random
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from .._text import raw_text
from .nodes import NEVER, Node, NodeStatus, NodeStore
from .selection import select

RING_LIMIT: Final = 256
"""Nodes, alive or suspect, up to which there are rings."""
ONE_RING: Final = 32
"""Below so many nodes there is one ring: the successors are nodes at certain distances in it."""
MAX_RINGS: Final = 16
"""Most rings, and so most successors of a node."""
REFRESH_INTERVAL: Final = 1.0
"""How often it is found out which nodes were reached (seconds), in a table of up to
`REFRESH_NODES` nodes."""
REFRESH_NODES: Final = 1024
"""In a table of more nodes it is found out every ``REFRESH_INTERVAL * nodes / REFRESH_NODES``
seconds, so that a node never goes through more than so many nodes in a second."""
SMALL_TABLE: Final = 8
"""Reached nodes, and the old ones of them, are preferred only in a table of more than so many
nodes."""
MINORITY: Final = 3
"""Reached nodes are preferred if ``MINORITY * reached < nodes in the table``, and the old ones of
them if ``MINORITY * old < nodes in the table``: each if they are less than a third."""
PINGED_LATELY: Final = 5.0
"""How long a node that is said to have left still gets gossip after a ping of it (seconds)."""
_KEY_SIZE: Final = 4
"""Bytes of the key of a name in one ring."""


class GossipOrder:
    """Whom one node gossips to next.

    Args:
      store: the records.
      window: for how long a node that was declared dead still gets gossip (seconds).
      faithful: draw anew for each round, as Go.
    """

    def __init__(self, store: NodeStore, window: float = 0.0, *, faithful: bool = False) -> None:
        self._store = store
        self._window = window
        self._faithful = faithful
        self._shuffled: list[Node] = list(store.sequence)
        self._drawn = 0
        self._late: list[Node] = []
        if not faithful:
            store.inserted = self._shuffled.append
        self._successors: list[Node] = []
        self._key = (-1, 0, 0)
        self._reached: list[Node] = []
        self._refresh_at = NEVER
        self._refreshed_version = -1

    def _refresh_reached(self, now: float) -> None:
        """Once in a while: which nodes were reached."""
        store = self._store
        rarer = max(1.0, len(store.sequence) / REFRESH_NODES)
        self._refresh_at, self._refreshed_version = now + rarer * REFRESH_INTERVAL, store.version
        local = store.local_node
        reached = [
            node
            for node in store.sequence
            if node.reached and node.status < NodeStatus.DEAD and node is not local
        ]
        self._reached = reached
        if len(store.sequence) > SMALL_TABLE and local is not None:
            middle = (local.known_since + now) / 2
            old = [node for node in reached if node.known_since <= middle]
            if 0 < MINORITY * len(old) < len(store.sequence):
                self._reached = old

    def _must_refresh(self, now: float) -> bool:
        if now >= self._refresh_at:
            return True
        changed = self._refreshed_version != self._store.version
        return changed and len(self._store.sequence) <= REFRESH_NODES

    def successors(self, k: int) -> list[Node]:
        """The node that follows this one in each of ``k`` rings, or in further ones if those
        are the same; every other node if there are no more.  Empty in a large cluster.
        """
        store = self._store
        key = (store.version, k, len(self._reached))
        if key != self._key:
            self._key = key
            self._successors = self._find_successors(k) if store.live <= RING_LIMIT else []
        return self._successors

    def _find_successors(self, k: int) -> list[Node]:
        local = self._store.local_node
        others = [n for n in self._store.sequence if n is not local and not n.is_gone]
        if len(others) <= k or local is None:
            return others
        all_rings = k
        if 0 < len(self._reached) < len(others):
            all_rings = (k + 1) // 2
        found: list[Node] = []
        self._walk(local, others, all_rings, found)
        self._walk(local, self._reached, k, found)
        self._walk(local, others, k, found)
        return found

    def _walk(self, local: Node, nodes: list[Node], k: int, found: list[Node]) -> None:
        """Add the successors among ``nodes``, ring by ring, until there are ``k``."""
        if len(nodes) < ONE_RING:
            self._follow(local, nodes, k, found)
            return
        here = _ring_keys(local.name)
        for start in range(0, MAX_RINGS * _KEY_SIZE, _KEY_SIZE):
            if len(found) >= k or not nodes:
                return
            at = here[start : start + _KEY_SIZE], local.name
            ring = [(_ring_keys(n.name)[start : start + _KEY_SIZE], n.name) for n in nodes]
            behind = [key for key in ring if key > at]
            # The first ring alone is a circle through all nodes: each has a predecessor there.
            node = self._store.nodes[min(behind or ring)[1]]
            if node not in found:
                found.append(node)

    def _follow(self, local: Node, nodes: list[Node], k: int, found: list[Node]) -> None:
        """`_walk` where nodes are few: adds those at certain distances in the first ring."""
        ring = sorted((*nodes, local), key=lambda n: (_ring_keys(n.name)[:_KEY_SIZE], n.name))
        here = ring.index(local)
        for distance in distances(len(ring), k):
            node = ring[(here + distance) % len(ring)]
            if len(found) < k and node not in found:
                found.append(node)

    def first_targets(self, k: int, now: float, rng: random.Random) -> list[Node]:
        """Up to ``k`` nodes for a message that is new: the successors of this node in as many
        rings; in a large cluster `gossip_targets`.

        Once the successors had their turn the round robin begins anew, and they come last.
        """
        if self._must_refresh(now):
            self._refresh_reached(now)
        successors = self.successors(k)
        if not successors:
            return self.gossip_targets(k, now, rng)
        self._drawn = 0
        self._late = list(successors)
        rng.shuffle(self._late)
        return successors

    def gossip_targets(self, k: int, now: float, rng: random.Random) -> list[Node]:
        """Up to ``k`` nodes to gossip to, the next ones of the round robin: never the local one,
        never one that left.

        DIFFERS (unless ``faithful_go``): Go draws them anew for each round.
        Test: test_targets_of_successive_rounds_are_distinct_until_all_were_chosen.
        """
        store = self._store
        if self._faithful:
            return select(rng, store.sequence, k, lambda node: not self._may_get(node, now))
        if self._must_refresh(now):
            self._refresh_reached(now)
        shuffled, nodes, chosen = self._shuffled, store.nodes, list[Node]()
        local = store.local_node
        late = set(map(id, self._successors))
        for _ in range(2 * (len(shuffled) + len(late)) + 2):
            if len(chosen) >= k:
                break
            place = self._drawn
            if place < len(shuffled):
                other = place + int(rng.random() * (len(shuffled) - place))
                node = shuffled[other]
                if nodes.get(node.name) is not node:  # its record was dropped
                    shuffled[other] = shuffled[-1]
                    del shuffled[-1]
                    continue
                shuffled[place], shuffled[other] = node, shuffled[place]
                self._drawn += 1
                if id(node) in late:
                    continue
            elif self._late:
                node = self._late.pop()
            else:
                self._drawn, self._late = 0, list(self._successors)
                rng.shuffle(self._late)
                continue
            if node is local or node in chosen or nodes.get(node.name) is not node:
                continue
            if self._may_get(node, now):
                chosen.append(node)
        if len(shuffled) > SMALL_TABLE and 0 < MINORITY * len(self._reached) < len(shuffled):
            self._prefer_reached(chosen, k, now, rng)
        return chosen

    def _may_get(self, node: Node, now: float) -> bool:
        """Whether gossip goes to this node."""
        status = node.status
        # Dead nodes learn that way that they are declared dead, and refute it if they live.
        if node is self._store.local_node:
            return False
        if status is NodeStatus.LEFT:
            # DIFFERS: Go never does.  Anybody can say that a node left; one that pings is there.
            # Test: test_a_node_that_left_and_pings_gets_gossip.
            return now - node.pinged_at <= PINGED_LATELY and not self._faithful
        return status is not NodeStatus.DEAD or now - node.changed_at <= self._window

    def _prefer_reached(self, chosen: list[Node], k: int, now: float, rng: random.Random) -> None:
        """Replace some of ``chosen``, so that half of them are reached nodes."""
        known = set(map(id, self._reached))
        wanted = (k + 1) // 2 - sum(id(node) in known for node in chosen)
        others = [place for place, node in enumerate(chosen) if id(node) not in known]
        found = select(
            rng,
            self._reached,
            min(wanted, len(others)),
            lambda node: node in chosen or not self._may_get(node, now),
        )
        for place, node in zip(others, found, strict=False):
            chosen[place] = node


def distances(size: int, k: int) -> list[int]:
    """Every distance in a ring; first those ``k`` by which all of it is reached in few steps."""
    step, first, last = size ** (1 / max(k, 1)), list[int](), 0
    for exponent in range(k):
        last = max(last + 1, round(step**exponent))
        first.append(last)
    first = [distance for distance in first if distance < size]
    return first + [distance for distance in range(1, size) if distance not in first]


@lru_cache(maxsize=4096)  # one for all nodes of a simulation, whose names are the same
def _ring_keys(name: str) -> bytes:
    return blake2b(raw_text(name), digest_size=MAX_RINGS * _KEY_SIZE).digest()
