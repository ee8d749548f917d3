"""A blocked event loop is measured, named once in a while, and remembered."""

import pytest
import trio

from trioserf._memberlist.drop_log import LOG_PERIOD
from trioserf._memberlist.loop_lag import MAX_BLOCKS, SHORTEST_BLOCK, LoopLag
from trioserf._memberlist.node_log import node_log
from trioserf.testing import SimCluster

from .kit import one_node


def test_a_block_is_named_in_the_log_and_those_that_follow_are_counted(caplog):
    lag = LoopLag(0.25, node_log("memberlist", "n1"))
    for second in range(30):
        lag.blocked(0.5, float(second))
    lines = [record.getMessage() for record in caplog.records]
    assert 30 // LOG_PERIOD == len(lines)
    assert lines[0].startswith("n1: the event loop was blocked for 0.50 s or longer")
    assert "[11 so far]" in lines[1]
    assert MAX_BLOCKS == len(lag.blocks)
    assert (30, 0.5) == (lag.statistics().blocks, lag.statistics().worst)


def test_two_deadlines_that_passed_in_one_block_are_one_block():
    lag = LoopLag(0.25, node_log("memberlist", "n1"))
    lag.blocked(3.0, 10.0)
    lag.blocked(1.0, 10.1)
    lag.blocked(1.0, 12.0)
    assert [3.0, 1.0] == [block.seconds for block in lag.blocks]


def test_short_delays_of_a_busy_machine_are_no_block():
    assert SHORTEST_BLOCK == LoopLag(0.01, node_log("memberlist", "n1")).limit


async def test_a_node_that_runs_in_time_has_no_lag(autojump_clock):
    async with one_node() as (node, _):
        await trio.sleep(30)
        assert (0, 0) == (
            node.statistics().loop_lag.blocks,
            pytest.approx(node.statistics().loop_lag.last),
        )


async def test_a_stopped_process_sees_afterwards_that_it_was_stopped(autojump_clock, caplog):
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(2)
        await cluster.converged()
        cluster.stop(1)
        await trio.sleep(3)
        cluster.resume(1)
        await trio.sleep(2)
        lag = cluster[1].serf.statistics().memberlist.loop_lag
        assert 2 <= lag.worst <= 3
        assert 1 == lag.blocks
        assert 0 == cluster[0].serf.statistics().memberlist.loop_lag.blocks
        assert any("event loop was blocked" in record.getMessage() for record in caplog.records)
