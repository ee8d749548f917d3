"""What is remembered for the healer: address strings that were joined, and nodes that were lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from .. import _attrs as attrs
from .._swim.nodes import Node, NodeStatus
from .._swim.table import NodeTable, forms_of
from ..abc import Address

MAX_SEEDS: Final = 256
"""Address strings remembered, the newest."""
MAX_LOST: Final = 1024
"""Lost nodes remembered, the newest."""


class Seed(NamedTuple):
    """An address string that was joined, or was to be.

    Args:
      addresses: what it resolved to the last time, without this node's own; None if no node
        answered yet.
      seen_at: when a live node was last at each of them, or when it was asked for (seconds).
    """

    addresses: tuple[Address, ...] | None
    seen_at: float


@attrs.define(eq=False)
class Seeds:
    """What is remembered: address strings that were joined, and nodes that were lost.

    Args:
      memory: how long (seconds).
    """

    memory: float
    joined: dict[str, Seed] = attrs.field(factory=dict, init=False)
    lost: dict[str, tuple[Node, float]] = attrs.field(factory=dict, init=False)

    def remember(self, text: str, addresses: Sequence[Address] | None, now: float) -> None:
        """This string was joined: it stood for ``addresses``; None if no node answered yet."""
        self.joined.pop(text, None)
        self.joined[text] = Seed(None if addresses is None else tuple(addresses), now)
        while len(self.joined) > MAX_SEEDS:
            del self.joined[next(iter(self.joined))]

    def update(self, text: str, addresses: Sequence[Address]) -> None:
        """A string was resolved again."""
        seed = self.joined.get(text)
        if seed is not None:
            self.joined[text] = Seed(tuple(addresses), seed.seen_at)

    def lose(self, node: Node, now: float) -> None:
        """This node was dropped from the table while it was dead."""
        self.lost.pop(node.name, None)
        self.lost[node.name] = (node.copy(), now)
        while len(self.lost) > MAX_LOST:
            del self.lost[next(iter(self.lost))]

    def lost_nodes(self) -> Mapping[str, Node]:
        """The lost nodes by name."""
        return {name: node for name, (node, _) in self.lost.items()}

    def absent(self, addresses: Sequence[Address], table: NodeTable) -> list[Address]:
        """Those of ``addresses`` at which no node of the table is alive."""
        alive = _alive_at(addresses, table)
        return [address for address in addresses if address not in alive]

    def missing(self, table: NodeTable, now: float) -> list[str | Node]:
        """Seeds and lost nodes that are not alive in the table; drops what is too old.

        A string is missing as long as one of its addresses is: the others may be a cluster of
        their own.
        """
        known_seeds = [seed.addresses or () for seed in self.joined.values()]
        lost = [node.address for node, _ in self.lost.values()]
        alive = _alive_at(chain(*known_seeds, lost), table)
        missing: list[str | Node] = []
        for text, seed in list(self.joined.items()):
            if seed.addresses is not None and alive.issuperset(seed.addresses):
                self.joined[text] = Seed(seed.addresses, now)
            elif now - seed.seen_at > self.memory:
                del self.joined[text]
            else:
                missing.append(text)
        for name, (node, lost_at) in list(self.lost.items()):
            known = table.nodes.get(name)
            if now - lost_at > self.memory or (
                known is not None and known.status is not NodeStatus.DEAD
            ):
                del self.lost[name]
            elif node.address not in alive:
                missing.append(node)
        return missing


def _alive_at(addresses: Iterable[Address], table: NodeTable) -> set[Address]:
    """Those of these addresses at which a node is alive or suspect.

    Records are compared by their bytes: the texts of all addresses would take long to make.
    """
    wanted = {one: [(form, one.port) for form in forms_of(one.host)] for one in addresses}
    raw = {form for forms in wanted.values() for form in forms}
    if not raw:
        return set()
    found = {
        (node.addr, node.port)
        for node in table.nodes.values()
        if (node.addr, node.port) in raw and not node.is_gone
    }
    return {one for one, forms in wanted.items() if not found.isdisjoint(forms)}
