"""Whatever is async is a checkpoint, and whatever waits can be cancelled without harm."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints

from tests.serf.clusters import address, cluster, drain
from trioserf._events import Query, SerfState
from trioserf._serf.open import open_serf


async def test_every_call_checkpoints(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", secret_key=bytes(16))
        b = await net.start("b", secret_key=bytes(16))
        with assert_checkpoints():
            await a.join([address(b)])
        with assert_checkpoints():
            await a.join([])
        with assert_checkpoints():
            await a.user_event("x")
        with assert_checkpoints():
            await a.set_tags({"x": "y"})
        with assert_checkpoints():
            await a.remove_failed_node("nobody")
        with assert_checkpoints():
            await a.ask("x", filter_nodes=["nobody"])
        with assert_checkpoints():
            await a.keys.list()
        with assert_checkpoints():
            async with a.subscribe():
                pass
        with assert_checkpoints():
            async with a.follow():
                pass
        with assert_checkpoints():
            async with a.query("x"):
                pass
        with assert_checkpoints():
            await a.leave()
        with assert_checkpoints():
            await a.leave()
        with assert_checkpoints():
            await a.aclose()
        with assert_checkpoints():
            await a.aclose()
        with assert_checkpoints():
            await a.wait_closed()


async def test_responding_checkpoints(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        async with a.query("x") as response:
            [query] = [event for event in drain(a) if isinstance(event, Query)]
            with assert_checkpoints():
                await query.respond(b"")
            with assert_checkpoints():
                assert "a" == (await anext(aiter(response))).node


@pytest.mark.parametrize("step", range(0, 60, 3))
async def test_a_node_cancelled_at_any_moment_leaves_nothing_behind(
    autojump_clock: MockClock, step: int
) -> None:
    """The whole life of a node, cancelled at one moment after the other."""
    async with cluster() as net:
        a = await net.start("a")
        await trio.testing.wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        scope = trio.CancelScope()
        config = net.config("b", leave_on_exit=True)
        node = None

        async def cut() -> None:
            for _ in range(step):
                await trio.lowlevel.checkpoint()
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            with scope:
                async with open_serf(config) as node:
                    await node.join([address(a)])
                    await node.user_event("x")
                    async with node.query("y", request_ack=True) as response:
                        async for _ in response:
                            pass
            nursery.cancel_scope.cancel()
        assert node is None or SerfState.SHUTDOWN is node.state
        await trio.testing.wait_all_tasks_blocked()
        assert tasks == trio.lowlevel.current_statistics().tasks_living
        # The address is free again.
        again = await net.start("again", host=config.memberlist.bind_addr)
        assert 1 == await again.join([address(a)])
