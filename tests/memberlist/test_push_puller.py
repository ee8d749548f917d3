"""Full state, now and then."""

import pytest
import trio

from trioserf._memberlist.push_puller import REPAIR_PERIOD, REPAIRS, PushPuller

from .kit import Delegate, alive_of, cluster


async def test_what_gossip_lost_is_repaired(autojump_clock):
    async with cluster() as c:
        delegates = [Delegate(b"old"), Delegate(b"old")]
        nodes = [
            await c.start(
                number,
                delegate=delegate,
                gossip_interval=0,
                probe_interval=0,
                push_pull_interval=10,
            )
            for number, delegate in enumerate(delegates, 1)
        ]
        await nodes[1].join(["10.0.0.1"])
        delegates[1].meta = b"new"
        with trio.move_on_after(0.001):
            await nodes[1].update_node(0)
        assert b"old" == nodes[0].node("n2").meta
        await trio.sleep(21)
        assert b"new" == nodes[0].node("n2").meta
        assert nodes[0].statistics().push_pulls >= 1


async def test_a_failed_exchange_is_no_end(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(2, push_pull_interval=10, probe_interval=0)
        await trio.sleep(20)
        c.kill(2)
        await trio.sleep(25)
        before = nodes[0].statistics()
        assert before.push_pulls_failed >= 1
        await trio.sleep(20)
        assert nodes[0].statistics().push_pulls > before.push_pulls


async def test_turned_off_there_is_no_exchange(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(2, push_pull_interval=0, seed_memory=0)
        await trio.sleep(200)
        assert 0 == nodes[0].statistics().push_pulls


async def test_an_exchange_that_brought_something_new_is_soon_followed_by_another(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=1000, seed_memory=0)
        before = nodes[2].statistics().push_pulls
        await trio.sleep(4)
        after = nodes[2].statistics().push_pulls
        assert after == before + 1  # it joined, and learned of the others
        await trio.sleep(100)
        assert after == nodes[2].statistics().push_pulls  # that brought nothing new


async def test_as_go_does_it_waits_for_the_next_interval(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=1000, faithful_go=True)
        before = nodes[2].statistics().push_pulls
        await trio.sleep(100)
        assert before == nodes[2].statistics().push_pulls


async def test_what_peers_lack_is_sent_to_a_few_of_them_at_once_and_not_again_within_a_second(
    autojump_clock,
):
    async with cluster() as c:
        nodes = await c.start_many(6, push_pull_interval=1000, seed_memory=0)
        await trio.sleep(10)
        before = nodes[0].statistics().push_pulls
        nodes[0].exchange_soon()
        nodes[0].exchange_soon()
        await trio.sleep(0.1)
        assert before + 3 == nodes[0].statistics().push_pulls
        nodes[0].exchange_soon()
        await trio.sleep(0.1)
        assert before + 3 == nodes[0].statistics().push_pulls
        await trio.sleep(1)
        assert before + 6 == nodes[0].statistics().push_pulls


@pytest.mark.parametrize("faithful", [False, True])
async def test_nodes_that_were_turned_away_are_soon_asked_for(faithful, autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=1000, faithful_go=faithful)
        await trio.sleep(20)
        before = nodes[0].statistics().push_pulls
        nodes[0]._table._alive_rules.has_room = lambda *_: False
        message = alive_of("n9", bytes((10, 0, 0, 9)))
        for _ in range(100):
            nodes[0]._apply(nodes[0]._table.on_alive(message, trio.current_time()))
        await trio.sleep(2.1)
        exchanges = nodes[0].statistics().push_pulls - before
        if faithful:
            assert 0 == exchanges
            return
        assert 1 == exchanges
        await trio.sleep(50)
        assert REPAIRS == nodes[0].statistics().push_pulls - before
        # However long that lasts, there is no more than one in a while.
        before = nodes[0].statistics().push_pulls
        for _ in range(100):
            nodes[0]._apply(nodes[0]._table.on_alive(message, trio.current_time()))
            await trio.sleep(0.1 * REPAIR_PERIOD)
        assert 8 <= nodes[0].statistics().push_pulls - before <= 11


@pytest.mark.parametrize("faithful", [False, True])
async def test_instead_of_a_silent_node_that_was_never_reached_another_is_asked(
    faithful, autojump_clock
):
    async with cluster() as c:
        nodes = await c.start_many(2, push_pull_interval=10, faithful_go=faithful)
        await trio.sleep(15)
        for number in range(20):
            message = alive_of(f"ghost-{number}", bytes((10, 9, 9, number)))
            nodes[0]._apply(nodes[0]._table.on_alive(message, trio.current_time()))
        before = nodes[0].statistics()
        await trio.sleep(60)
        after = nodes[0].statistics()
        went_well = [one.push_pulls - one.push_pulls_failed for one in (before, after)]
        assert after.push_pulls_failed > before.push_pulls_failed
        assert (went_well[1] > went_well[0]) is not faithful


async def test_an_exchange_out_of_turn_leaves_the_regular_ones_their_times(
    autojump_clock, monkeypatch
):
    times = []
    exchange_with = PushPuller._exchange_with

    async def noted(self, node):
        times.append(trio.current_time())
        await exchange_with(self, node)

    monkeypatch.setattr(PushPuller, "_exchange_with", noted)
    async with cluster() as c:
        await c.start_many(8, push_pull_interval=100)
        await trio.sleep(10)
        assert times  # those that follow a join
        times.clear()
        await trio.sleep(200)
        assert 90 < min(times)
        times.sort()
        assert 30 < times[5] - times[0]  # one after another


@pytest.mark.parametrize("faithful", [False, True])
async def test_a_suspect_that_answers_on_streams_alone_may_refute(faithful, autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(6, push_pull_interval=1000, faithful_go=faithful)
        await trio.sleep(20)
        c.network.reject(None, None, streams=None)
        node, before = nodes[0], nodes[0].statistics()
        for number in range(2, 7):
            suspect = node.node(f"n{number}")
            node._apply(node._table.suspect_failed(suspect.name, 1, trio.current_time()))
        await trio.sleep(15)
        statuses = {node.node(f"n{number}").status.name for number in range(2, 7)}
        exchanges = node.statistics().push_pulls - before.push_pulls
        if faithful:
            assert {"SUSPECT"} == statuses
            assert 0 == exchanges
        else:
            assert {"ALIVE"} == statuses
            assert {2} == {node.node(f"n{number}").incarnation for number in range(2, 7)}
            assert exchanges <= 2 * 5


async def test_exchanges_with_suspects_are_the_rarer_the_larger_the_state(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=1000)
        await trio.sleep(20)
        for number in range(100):
            message = alive_of(f"ghost-{number}", bytes((10, 9, 9, number)))
            nodes[0]._apply(nodes[0]._table.on_alive(message, trio.current_time()))
        before = nodes[0].statistics().push_pulls
        c.network.partition(["10.0.0.1", "10.0.0.2"])
        puller, suspect = nodes[0]._push_puller, nodes[0]._table.nodes["n2"]
        for _ in range(60):
            await puller.let_refute(suspect)
            await trio.sleep(0.1)
        # Six seconds, and twice the time for some hundred nodes; the suspect is none any more.
        assert 2 <= nodes[0].statistics().push_pulls - before <= 3
