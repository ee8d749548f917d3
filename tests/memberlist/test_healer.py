"""Partitions that heal, however long they lasted."""

import pytest
import trio

from trioserf._memberlist.joiner import MAX_LOST, MAX_SEEDS, Seeds
from trioserf._swim.nodes import Node, NodeStatus
from trioserf.abc import Address

from .kit import cluster

LEFT_SIDE = ["10.0.0.1", "10.0.0.2"]
RIGHT_SIDE = ["10.0.0.3", "10.0.0.4"]


async def apart(c, seconds, **fields):
    """Four nodes that all joined the first, two and two, apart for a while."""
    nodes = await c.start_many(4, push_pull_interval=10.0, **fields)
    await trio.sleep(10)
    c.network.partition(LEFT_SIDE, RIGHT_SIDE)
    await trio.sleep(seconds)
    return nodes


@pytest.mark.slow
async def test_sides_that_forgot_each_other_find_together_again(autojump_clock):
    async with cluster() as c:
        nodes = await apart(c, 120)
        # No node knows a node of the other side any more.
        assert [2, 2, 2, 2] == [node.num_nodes for node in nodes]
        c.network.heal()
        await trio.sleep(45)
        assert [4, 4, 4, 4] == [node.num_alive for node in nodes]
        assert sum(node.statistics().heals for node in nodes) > 0


@pytest.mark.slow
async def test_a_seed_that_did_not_answer_is_found_when_it_is_there(autojump_clock):
    async with cluster() as c:
        for number in (1, 2, 3, 4):
            await c.start(number, push_pull_interval=10.0)
        c.network.partition(LEFT_SIDE, RIGHT_SIDE)
        for number, seeds in ((1, ["10.0.0.2", "10.0.0.3"]), (4, ["10.0.0.3"])):
            assert 1 == await c.nodes[number].join(seeds)
        await trio.sleep(60)
        assert [2] * 4 == [node.num_alive for node in c.nodes.values()]
        c.network.heal()
        await trio.sleep(60)
        assert [4] * 4 == [node.num_alive for node in c.nodes.values()]
        heals = c.nodes[1].statistics().heals
        await trio.sleep(60)
        assert heals == c.nodes[1].statistics().heals


@pytest.mark.slow
async def test_go_never_heals(autojump_clock):
    async with cluster() as c:
        nodes = await apart(c, 120, faithful_go=True)
        c.network.heal()
        await trio.sleep(100)
        assert [2, 2, 2, 2] == [node.num_alive for node in nodes]


@pytest.mark.slow
async def test_the_memory_has_an_end(autojump_clock):
    async with cluster() as c:
        nodes = await apart(c, 200, seed_memory=50.0)
        assert [0] * 4 == [node.statistics().lost for node in nodes]
        c.network.heal()
        await trio.sleep(100)
        assert [2, 2, 2, 2] == [node.num_alive for node in nodes]


@pytest.mark.slow
async def test_nothing_is_attempted_while_all_is_well(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=5.0)
        await trio.sleep(60)
        assert [0, 0, 0] == [node.statistics().heals for node in nodes]


@pytest.mark.slow
async def test_a_node_that_left_is_not_looked_for(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=5.0)
        await trio.sleep(10)
        await nodes[2].leave(5)
        await trio.sleep(1)
        c.kill(3)
        await trio.sleep(100)
        assert [0, 0] == [node.statistics().heals for node in nodes[:2]]
        assert [0, 0] == [node.statistics().lost for node in nodes[:2]]


@pytest.mark.slow
async def test_one_dead_node_is_tried_about_once_a_period_by_all_together(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(4, push_pull_interval=3.0)
        await trio.sleep(10)
        c.kill(4)
        await trio.sleep(60)
        before = sum(node.statistics().heals for node in nodes[:3])
        await trio.sleep(300)
        attempts = sum(node.statistics().heals for node in nodes[:3]) - before
        assert 60 <= attempts <= 140
        nodes[0].forget("n4")
        assert 0 == nodes[0].statistics().lost


@pytest.mark.slow
async def test_a_leaving_node_heals_nothing(autojump_clock):
    async with cluster() as c:
        nodes = await apart(c, 60)
        await nodes[0].leave(5)
        before = nodes[0].statistics().heals
        await trio.sleep(60)
        assert before == nodes[0].statistics().heals


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


def resolver(answers):
    async def resolve(host, port):
        await trio.lowlevel.checkpoint()
        if host not in answers:
            raise OSError(f"{host!r} is unknown")
        return [Address(address, port) for address in answers[host]]

    return resolve


@pytest.mark.slow
async def test_a_name_is_looked_up_again_until_all_that_it_gives_are_there(autojump_clock):
    async with cluster() as c:
        for number in (1, 2, 3, 4):
            await c.start(number, push_pull_interval=10.0)
        answers = {"seed": ["10.0.0.1", "10.0.0.2"], "other": ["10.0.0.3", "10.0.0.4"]}
        for number, name in ((1, "seed"), (2, "seed"), (3, "other"), (4, "other")):
            c.nodes[number]._transport.resolve = resolver(answers)
            assert 1 == await c.nodes[number].join([name])
        await trio.sleep(60)
        assert [2] * 4 == [node.num_alive for node in c.nodes.values()]
        answers["seed"] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        await trio.sleep(60)
        assert [4] * 4 == [node.num_alive for node in c.nodes.values()]
        # A name that is gone is no reason to forget what it stood for.
        del answers["seed"], answers["other"]
        heals = [node.statistics().heals for node in c.nodes.values()]
        await trio.sleep(100)
        assert heals == [node.statistics().heals for node in c.nodes.values()]


@pytest.mark.slow
async def test_what_was_known_before_is_looked_for_like_what_was_lost(autojump_clock):
    async with cluster() as c:
        for number in (1, 2, 3):
            await c.start(number, push_pull_interval=10.0)
        c.nodes[1].joiner.remember_lost("n2", Address("10.0.0.2", 7946))
        c.nodes[2].joiner.remember_lost("", Address("10.0.0.3", 7946))
        await trio.sleep(120)
        assert [3] * 3 == [node.num_alive for node in c.nodes.values()]


@pytest.mark.slow
async def test_an_address_that_another_cluster_has_by_now_merges_nothing(autojump_clock, caplog):
    async with cluster() as c:
        await c.start_many(3, push_pull_interval=5.0)
        await trio.sleep(5)
        c.kill(3)
        await trio.sleep(60)
        other = await c.start(4, name="db-1", host="10.0.0.3", push_pull_interval=5.0)
        await c.start(5, name="db-2", push_pull_interval=5.0)
        await c.nodes[5].join(["10.0.0.3"])
        # Both name a node alike, and both know it alive, each at an address of its own.
        await c.start(6, name="n2", push_pull_interval=5.0)
        await c.nodes[6].join(["10.0.0.3"])
        await trio.sleep(120)
        assert ["n1", "n2"] == [node.name for node in c.nodes[1].members()]
        assert ["db-1", "db-2", "n2"] == [node.name for node in other.members()]
        assert c.nodes[1].statistics().heals > 0
        warnings = [record for record in caplog.records if "label" in record.getMessage()]
        assert 1 <= len(warnings) <= 2, "one of each node"
        assert "is that of 'db-1' now" in warnings[0].getMessage()


@pytest.mark.slow
async def test_go_merges_with_any_cluster_that_has_the_address(autojump_clock):
    async with cluster() as c:
        node = await c.start(1, faithful_go=True)
        await c.start(4, name="db-1", host="10.0.0.3")
        await node.joiner.reconnect("n3", Address("10.0.0.3", 7946))
        assert 2 == node.num_alive


async def test_one_that_has_a_member_in_common_is_merged_whatever_its_name(autojump_clock):
    async with cluster() as c:
        await c.start_many(2)
        await c.start(4, name="new", host="10.0.0.3")
        await c.nodes[4].join(["10.0.0.2"])
        await trio.sleep(2)
        c.network.partition(["10.0.0.1"], ["10.0.0.2", "10.0.0.3"])
        await trio.sleep(120)
        c.network.heal()
        await c.nodes[1].joiner.reconnect("n3", Address("10.0.0.3", 7946))
        assert 3 == c.nodes[1].num_alive
