"""Addresses that this node joined and nodes that it lost: what a partition is healed with."""

from __future__ import annotations

from typing import Final

from .. import _attrs as attrs
from .._swim.nodes import Node, NodeStatus
from .._swim.table import NodeTable
from ..abc import Address

MAX_SEEDS: Final = 256
"""Address strings remembered."""
MAX_LOST: Final = 1024
"""Lost nodes remembered."""


@attrs.define(eq=False)
class Seeds:
    """What is remembered: address strings that were joined, and nodes that were lost.

    Args:
      memory: how long (seconds).
    """

    memory: float
    joined: dict[str, tuple[Address | None, float]] = attrs.field(factory=dict, init=False)
    """Address string to the address that answered, None if none did yet, and when it was last
    seen well, or asked for."""
    lost: dict[str, tuple[Node, float]] = attrs.field(factory=dict, init=False)

    def remember(self, text: str, address: Address | None, now: float) -> None:
        """This address string was joined: ``address`` answered; None if no node did yet."""
        self.joined.pop(text, None)
        self.joined[text] = (address, now)
        while len(self.joined) > MAX_SEEDS:
            del self.joined[next(iter(self.joined))]

    def lose(self, node: Node, now: float) -> None:
        """This node was dropped from the table while it was dead."""
        self.lost.pop(node.name, None)
        self.lost[node.name] = (node.copy(), now)
        while len(self.lost) > MAX_LOST:
            del self.lost[next(iter(self.lost))]

    def forget(self, name: str) -> None:
        """This node is not missed: it was removed on purpose."""
        self.lost.pop(name, None)

    def missing(self, table: NodeTable, now: float) -> list[str | Node]:
        """Seeds and lost nodes that are not alive in the table; drops what is too old."""
        alive = {node.address for node in table.nodes.values() if not node.is_gone}
        missing: list[str | Node] = []
        for text, (address, seen_at) in list(self.joined.items()):
            if address is not None and address in alive:
                self.joined[text] = (address, now)
            elif now - seen_at > self.memory:
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
