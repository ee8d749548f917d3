"""Random choice of the nodes to gossip with, push/pull with, and ask for indirect pings.

Source: hashicorp/memberlist v0.2.2, util.go, kRandomNodes; state.go, gossip.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from .nodes import Node

DRAWS_PER_NODE: Final = 4
"""Random draws for each node wanted, before all candidates are looked at."""


def select(
    rng: random.Random, nodes: Sequence[Node], k: int, exclude: Callable[[Node], bool]
) -> list[Node]:
    """Up to ``k`` distinct nodes that are not excluded, uniformly.

    A few draws find them in a large and mostly healthy cluster; otherwise what is left is
    filtered and sampled, so that in a small one no node is missed.

    DIFFERS: Go up to v0.5.4 draws 3 n times and may miss candidates.
    Test: test_every_candidate_is_found_when_they_are_few.
    """
    n = len(nodes)
    if k <= 0 or n == 0:
        return []
    chosen: list[Node] = []
    if n > DRAWS_PER_NODE * k:
        draw = rng.random
        for _ in range(DRAWS_PER_NODE * k):
            node = nodes[int(draw() * n)]
            if node not in chosen and not exclude(node):
                chosen.append(node)
                if len(chosen) == k:
                    return chosen
    rest = [node for node in nodes if node not in chosen and not exclude(node)]
    chosen.extend(rng.sample(rest, min(k - len(chosen), len(rest))))
    return chosen
