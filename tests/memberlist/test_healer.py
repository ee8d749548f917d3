"""Partitions that heal, however long they lasted."""

import pytest
import trio

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


async def test_nothing_is_found_again_where_all_are_there_already(autojump_clock, caplog):
    """The name was missing when it was chosen, and stands for a live node when it is resolved."""
    caplog.set_level("INFO")
    async with cluster() as c:
        node, _ = await c.start_many(2)
        await c.start(3)
        node._transport.resolve = resolver({"seed": ["10.0.0.2"], "other": ["10.0.0.3"]})
        caplog.clear()
        await node._healer._contact("seed")
        assert "found" not in caplog.text
        await node._healer._contact("other")
        assert "n1: found other again" in caplog.text
        assert 2 == node.statistics().heals
