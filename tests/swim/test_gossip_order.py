"""Whom a node gossips to: its successors in the rings, then everybody else in turn."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from trioserf._swim.gossip_order import (
    MAX_RINGS,
    ONE_RING,
    REFRESH_INTERVAL,
    REFRESH_NODES,
    RING_LIMIT,
    GossipOrder,
    distances,
)
from trioserf._swim.nodes import NEVER, Node, NodeStatus, NodeStore

from .builders import node


def store_of(local: str, names: list[str]) -> NodeStore:
    store = NodeStore(local, random.Random(local))
    for name in names:
        store.insert(node(name))
    store.local_node = store.nodes[local]
    return store


def names_of(n: int) -> list[str]:
    return [f"web-{number}.example" for number in range(n)]


def graph(names: list[str], k: int) -> dict[str, list[str]]:
    found = {}
    for name in names:
        shuffled = random.Random(name).sample(names, len(names))
        order = GossipOrder(store_of(name, shuffled))
        found[name] = [node.name for node in order.successors(k)]
    return found


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 16, 40, 100])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_a_message_passed_to_the_successors_reaches_everybody(n: int, k: int) -> None:
    names = names_of(n)
    edges = graph(names, k)
    assert all(min(k, n - 1) == len(set(found)) for found in edges.values())
    assert all(name not in found for name, found in edges.items())
    reached, new = {names[0]}, [names[0]]
    hops = 0
    while new:
        new = sorted({name for old in new for name in edges[old]} - reached)
        reached.update(new)
        hops += bool(new)
    assert set(names) == reached
    if k > 1:
        assert hops <= 8


def test_who_gossips_to_more_nodes_than_there_are_rings_sends_to_all_others_in_turn() -> None:
    names, k = names_of(3 * ONE_RING), MAX_RINGS + 10
    order = GossipOrder(store_of(names[0], names))
    rng = random.Random(1)
    first = order.first_targets(k, 0.0, rng)
    assert MAX_RINGS // 2 < len({node.name for node in first}) == len(first) <= MAX_RINGS
    rest = {*names[1:]} - {node.name for node in first}
    later = [node.name for _ in range(4) for node in order.gossip_targets(k, 0.0, rng)]
    assert rest == set(later[: len(rest)])


def test_nobody_depends_on_one_predecessor_alone() -> None:
    names = names_of(16)
    predecessors = Counter(name for found in graph(names, 6).values() for name in found)
    assert set(names) == set(predecessors)
    assert 4 <= min(predecessors.values())


@pytest.mark.parametrize("n", [2, 3, 5, 8, 16, 32])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_where_nodes_are_few_each_has_as_many_predecessors_as_successors(n: int, k: int) -> None:
    predecessors = Counter(name for found in graph(names_of(n), k).values() for name in found)
    assert {min(k, n - 1)} == set(predecessors.values())
    assert n == len(predecessors)


@pytest.mark.parametrize("size", range(2, 33))
def test_every_distance_is_named_once(size: int) -> None:
    for k in range(1, 17):
        assert list(range(1, size)) == sorted(distances(size, k))


def test_everybody_has_the_same_rings_whatever_the_order_of_joining() -> None:
    names = names_of(10)
    one = GossipOrder(store_of("web-3.example", names)).successors(4)
    two = GossipOrder(store_of("web-3.example", names[::-1])).successors(4)
    assert [n.name for n in one] == [n.name for n in two]


def test_successors_follow_the_membership() -> None:
    store = store_of("web-0.example", names_of(12))
    order = GossipOrder(store)
    first = order.successors(3)[0]
    store.set_status(first, NodeStatus.SUSPECT, 1.0)
    assert first in order.successors(3)
    store.set_status(first, NodeStatus.DEAD, 1.0)
    assert first not in order.successors(3)
    store.set_status(first, NodeStatus.ALIVE, 2.0)
    assert first is order.successors(3)[0]
    store.set_status(first, NodeStatus.LEFT, 3.0)
    store.remove_gone(10.0)
    assert first not in order.successors(3)
    store.insert(node(first.name))
    assert store.nodes[first.name] is order.successors(3)[0]


def test_a_large_cluster_has_no_rings() -> None:
    store = store_of("web-0.example", names_of(RING_LIMIT + 1))
    assert [] == GossipOrder(store).successors(3)


@pytest.mark.parametrize("n", [2, 5, 16, 50])
@pytest.mark.parametrize("k", [1, 3])
def test_all_are_chosen_before_any_is_chosen_again(n: int, k: int) -> None:
    store = store_of("web-0.example", names_of(n))
    order, rng = GossipOrder(store), random.Random(n)
    drawn: list[Node] = []
    while len(drawn) < 3 * (n - 1):
        drawn += order.gossip_targets(1, 0.0, rng)
    for start in range(0, len(drawn), n - 1):
        assert n - 1 == len({node.name for node in drawn[start : start + n - 1]})
    round_ = order.gossip_targets(k, 0.0, rng)
    assert min(k, n - 1) == len({node.name for node in round_})


def test_after_the_successors_come_all_others_first() -> None:
    store = store_of("web-0.example", names_of(16))
    order, rng = GossipOrder(store), random.Random(1)
    for _ in range(20):
        successors = order.first_targets(6, 0.0, rng)
        later = order.gossip_targets(3, 0.0, rng)
        assert 9 == len({node.name for node in (*successors, *later)})


def test_who_joins_gets_a_turn_and_who_is_gone_does_not() -> None:
    store = store_of("web-0.example", names_of(8))
    order, rng = GossipOrder(store), random.Random(2)
    order.gossip_targets(3, 0.0, rng)
    store.insert(node("new"))
    gone = store.nodes["web-5.example"]
    store.set_status(gone, NodeStatus.DEAD, 1.0)
    store.remove_gone(10.0)
    drawn = [order.gossip_targets(1, 0.0, rng)[0].name for _ in range(7)]
    assert "new" in drawn
    assert gone.name not in drawn


def test_nobody_is_chosen_where_nobody_may_be() -> None:
    store = store_of("a", ["a", "b"])
    store.set_status(store.nodes["b"], NodeStatus.LEFT, 1.0)
    assert [] == GossipOrder(store).gossip_targets(3, 1.0, random.Random(1))
    alone = store_of("a", ["a"])
    assert [] == GossipOrder(alone).successors(3)
    assert [] == GossipOrder(NodeStore("a", random.Random(1))).successors(3)


def reach(store: NodeStore, *names: str) -> None:
    for name in names:
        store.nodes[name].answered(1.0)


@pytest.mark.parametrize("fakes", [20, 200, 2000])
def test_made_up_members_do_not_keep_real_ones_apart(fakes: int) -> None:
    real = names_of(6)
    rng = random.Random(4)
    missed = 0
    for name in real:
        store = store_of(name, [*real, *(f"fake-{number}" for number in range(fakes))])
        reach(store, *(other for other in real if other != name))
        order = GossipOrder(store)
        first = order.first_targets(6, 10.0, rng)
        assert 6 == len({node.name for node in first})
        assert len([node for node in first if node.name in real]) >= 3
        later = order.gossip_targets(3, 10.0, rng)
        assert 3 == len({node.name for node in later})
        missed += not any(node.name in real for node in later)
    assert missed == 0 or fakes == 20


def test_where_all_were_reached_or_none_the_rings_are_the_same() -> None:
    names = names_of(12)
    store = store_of(names[0], names)
    order = GossipOrder(store)
    none = list(order.successors(5))
    reach(store, *names[1:])
    order.gossip_targets(1, 5.0, random.Random(1))
    assert none == order.successors(5)
    # Who was not reached yet has a predecessor all the same.
    store.nodes[names[3]].answered(NEVER)
    order.gossip_targets(1, 50.0, random.Random(1))
    assert none[0] is order.successors(5)[0]


@pytest.mark.parametrize("again", [NodeStatus.SUSPECT, NodeStatus.DEAD, NodeStatus.LEFT])
def test_a_node_stays_old_whatever_is_said_of_it(again: NodeStatus) -> None:
    store = store_of("local", ["local", "a"])
    node = store.nodes["a"]
    store.set_status(node, NodeStatus.ALIVE, 5.0)
    store.set_status(node, again, 50.0)
    store.set_status(node, NodeStatus.ALIVE, 51.0)
    assert (5.0, 51.0) == (node.known_since, node.changed_at)


def test_a_node_that_left_and_pings_gets_gossip() -> None:
    """Anybody can say in its name that it leaves."""
    for faithful in (False, True):
        store = store_of("local", ["local", "a"])
        node, rng = store.nodes["a"], random.Random(1)
        order = GossipOrder(store, faithful=faithful)
        store.set_status(node, NodeStatus.LEFT, 50.0)
        assert [] == order.gossip_targets(3, 51.0, rng)
        node.pinged(52.0, "10.0.0.2")
        assert ([] if faithful else [node]) == order.gossip_targets(3, 53.0, rng)
        assert [] == order.gossip_targets(3, 58.0, rng)


@pytest.mark.parametrize("many", [7, 20, 100, 400])
def test_where_most_nodes_are_new_half_of_the_targets_are_old(many: int) -> None:
    """New ones may be made up, though they answer; not for ever, since clusters grow."""
    old, rng = ["old-1", "old-2"], random.Random(1)
    new = [f"new-{number}" for number in range(many)]
    store = store_of("local", ["local", *old, *new])
    for name in ("local", *old):
        store.nodes[name].known_since = 100.0
    for name in new:
        store.nodes[name].known_since = 1000.0
    reach(store, *old, *new)
    order = GossipOrder(store)
    for now in (1000.0, 1500.0, 1890.0):
        assert set(old) <= {node.name for node in order.first_targets(6, now, rng)} or many > 256
        for _ in range(3):
            targets = order.gossip_targets(3, now, rng)
            assert set(old) <= {node.name for node in targets}
    later = [order.gossip_targets(3, 1900.0 + number, rng) for number in range(10)]
    assert not all(set(old) <= {node.name for node in targets} for targets in later)
    # In a node that is as young as they are nothing is preferred.
    store.nodes["local"].known_since = 990.0
    order = GossipOrder(store)
    order.gossip_targets(3, 1100.0, rng)
    assert 2 + many == len(order._reached)


def test_the_old_nodes_are_preferred_however_few_of_the_new_ones_were_reached_yet() -> None:
    """Two of hundreds: three of four targets would be drawn among them and two that are old."""
    old, rng = ["old-1", "old-2"], random.Random(1)
    new = [f"new-{number}" for number in range(300)]
    store = store_of("local", ["local", *old, *new])
    for name in store.nodes:
        store.nodes[name].known_since = 1000.0 if name in new else 100.0
    reach(store, *old, *new[:2])
    order = GossipOrder(store)
    for number in range(20):
        targets = order.first_targets(6, 1000.0 + number / 100, rng)
        assert set(old) <= {node.name for node in targets}


def test_which_nodes_were_reached_is_looked_up_once_in_a_while() -> None:
    names = names_of(5)
    store = store_of(names[0], names)
    order = GossipOrder(store)
    order.gossip_targets(1, 5.0, random.Random(1))
    reach(store, names[1])
    order.gossip_targets(1, 5.0 + REFRESH_INTERVAL / 2, random.Random(1))
    assert [] == order._reached
    order.gossip_targets(1, 5.0 + REFRESH_INTERVAL, random.Random(1))
    assert [names[1]] == [node.name for node in order._reached]
    store.set_status(store.nodes[names[1]], NodeStatus.DEAD, 6.0)
    order.gossip_targets(1, 6.1, random.Random(1))
    assert [] == order._reached


def test_a_large_cluster_is_looked_at_rarely() -> None:
    names = names_of(3 * REFRESH_NODES)
    store = store_of(names[0], names)
    order, rng = GossipOrder(store), random.Random(1)
    order.gossip_targets(1, 5.0, rng)
    reach(store, names[1])
    store.insert(node("new"))
    order.gossip_targets(1, 5.0 + 2 * REFRESH_INTERVAL, rng)
    assert [] == order._reached
    order.gossip_targets(1, 5.0 + 3 * REFRESH_INTERVAL, rng)
    assert [names[1]] == [node.name for node in order._reached]


def test_a_name_that_returns_is_one_target_and_not_two() -> None:
    names = names_of(4)
    store = store_of(names[0], names)
    order, rng = GossipOrder(store), random.Random(1)
    for time in range(5):
        gone = store.nodes[names[1]]
        store.set_status(gone, NodeStatus.DEAD, 1.0)
        store.remove_gone(10.0)
        store.insert(node(names[1]))
        chosen = order.gossip_targets(3, 20.0 + time, rng)
        assert {id(store.nodes[name]) for name in names[1:]} == set(map(id, chosen))
    order.gossip_targets(3, 30.0, rng)
    assert len(order._shuffled) <= 4 + 3, "records that were dropped do not pile up"
