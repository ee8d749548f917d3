"""What is remembered of addresses that were joined, and of nodes that were lost."""

from trioserf._memberlist.healer_memory import MAX_LOST, MAX_SEEDS, Seeds
from trioserf._swim.nodes import Node, NodeStatus
from trioserf.abc import Address


def node(name, last, status=NodeStatus.DEAD):
    return Node(name=name, addr=bytes((10, 0, 0, last)), port=7946, status=status)


class Table:
    def __init__(self, *nodes):
        self.nodes = {one.name: one for one in nodes}


def test_seeds_are_missing_unless_somebody_lives_at_their_address():
    seeds = Seeds(100.0)
    seeds.remember("seed-a", [Address("10.0.0.1", 7946)], 0.0)
    seeds.remember("seed-b", [Address("10.0.0.2", 7946)], 0.0)
    table = Table(node("a", 1, NodeStatus.ALIVE), node("b", 2))
    assert ["seed-b"] == seeds.missing(table, 50.0)
    # What lives is remembered from now on, what does not is forgotten in the end.
    assert [] == seeds.missing(table, 120.0)
    assert ["seed-a"] == seeds.missing(Table(), 200.0)
    assert [] == seeds.missing(Table(), 221.0)


def test_a_seed_without_an_answer_is_missing_until_it_is_too_old():
    seeds = Seeds(100.0)
    seeds.remember("seed", None, 0.0)
    assert ["seed"] == seeds.missing(Table(node("a", 1, NodeStatus.ALIVE)), 50.0)
    assert [] == seeds.missing(Table(), 101.0)
    assert {} == seeds.joined


def test_lost_nodes_are_missing_until_they_are_back_or_left():
    seeds = Seeds(100.0)
    for one in (node("a", 1), node("b", 2), node("c", 3)):
        seeds.lose(one, 0.0)
    table = Table(node("a", 1, NodeStatus.ALIVE), node("b", 2, NodeStatus.LEFT), node("c", 3))
    assert ["c"] == [missing.name for missing in seeds.missing(table, 10.0)]
    assert ["c"] == list(seeds.lost)
    assert [] == seeds.missing(Table(), 101.0)


def test_memories_are_bounded():
    seeds = Seeds(100.0)
    for number in range(MAX_LOST + 10):
        seeds.lose(node(f"n{number}", 1), 0.0)
        seeds.remember(f"s{number}", [Address("10.0.0.1", number)], 0.0)
    assert (MAX_LOST, MAX_SEEDS) == (len(seeds.lost), len(seeds.joined))
    assert "n0" not in seeds.lost
    assert "s0" not in seeds.joined


def test_a_name_is_missing_as_long_as_one_of_its_addresses_is():
    seeds = Seeds(100.0)
    first, second = Address("10.0.0.1", 7946), Address("10.0.0.2", 7946)
    seeds.remember("seed", [first, second], 0.0)
    table = Table(node("a", 1, NodeStatus.ALIVE), node("b", 2, NodeStatus.ALIVE))
    assert [] == seeds.missing(table, 90.0)
    table.nodes["b"].update(status=NodeStatus.DEAD)
    assert ["seed"] == seeds.missing(table, 91.0)
    assert [second] == seeds.absent([first, second], table)
    # The name was looked up again, and stands for something else by now.
    seeds.update("seed", [first])
    assert [] == seeds.missing(table, 92.0)
    seeds.update("seed", [first, Address("10.0.0.3", 7946)])
    assert ["seed"] == seeds.missing(table, 93.0)
    seeds.update("unknown", [first])
    assert ["seed"] == list(seeds.joined)


def test_a_lost_node_whose_address_another_one_has_by_now_is_not_looked_for_there():
    seeds = Seeds(100.0)
    seeds.lose(node("a", 1), 0.0)
    seeds.lose(node("b", 2), 0.0)
    table = Table(node("new", 1, NodeStatus.ALIVE))
    assert ["b"] == [missing.name for missing in seeds.missing(table, 10.0)]
    table.nodes["new"].update(status=NodeStatus.DEAD)
    assert ["a", "b"] == [missing.name for missing in seeds.missing(table, 11.0)]
