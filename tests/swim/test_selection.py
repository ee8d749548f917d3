from __future__ import annotations

import random
from collections import Counter

import pytest

from trioserf._swim.nodes import Node
from trioserf._swim.selection import select

from .builders import node


def nodes(n: int) -> list[Node]:
    return [node(f"b{i}") for i in range(n)]


def everyone(_node: Node) -> bool:
    return False


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 50])
@pytest.mark.parametrize("k", [0, 1, 3, 60])
def test_as_many_distinct_nodes_are_chosen_as_there_are(n: int, k: int) -> None:
    chosen = select(random.Random(1), nodes(n), k, everyone)
    assert min(n, k) == len(chosen) == len({id(node) for node in chosen})


@pytest.mark.parametrize("n", [3, 10, 200])
def test_every_candidate_is_found_when_they_are_few(n: int) -> None:
    all_nodes = nodes(n)
    wanted = {id(all_nodes[1]), id(all_nodes[-1])}
    for seed in range(50):
        chosen = select(random.Random(seed), all_nodes, 3, lambda node: id(node) not in wanted)
        assert wanted == {id(node) for node in chosen}


def test_excluded_nodes_are_never_chosen() -> None:
    all_nodes = nodes(100)
    banned = {id(node) for node in all_nodes[::2]}
    rng = random.Random(1)
    for _ in range(100):
        chosen = select(rng, all_nodes, 3, lambda node: id(node) in banned)
        assert 3 == len(chosen)
        assert not banned & {id(node) for node in chosen}


@pytest.mark.parametrize("n", [6, 40])
def test_all_nodes_are_chosen_equally_often(n: int) -> None:
    all_nodes = nodes(n)
    rng = random.Random(7)
    counted: Counter[int] = Counter()
    rounds = 2000 * n // 3
    for _ in range(rounds):
        counted.update(id(node) for node in select(rng, all_nodes, 3, lambda _node: False))
    expected = rounds * 3 / n
    assert all(0.88 * expected < counted[id(node)] < 1.12 * expected for node in all_nodes)


def test_a_large_cluster_is_not_looked_through() -> None:
    looked_at = 0

    def exclude(_node: Node) -> bool:
        nonlocal looked_at
        looked_at += 1
        return False

    select(random.Random(1), nodes(1000), 3, exclude)
    assert looked_at < 10
