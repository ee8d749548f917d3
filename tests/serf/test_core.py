"""How a user's call ends when the node closes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.serf.clusters import cluster, host
from trioserf._config import Config
from trioserf._events import SerfState
from trioserf._serf.core import Core
from trioserf._serf.serf import Serf


def closed(core: Core) -> None:
    core.state = SerfState.SHUTDOWN
    core.end_calls()


async def test_a_call_ends_with_the_node(nursery: trio.Nursery) -> None:
    core = Core.create(Config(node_name="a"), None)
    ended = []

    async def call() -> None:
        with pytest.raises(trio.ClosedResourceError, match="'a' is closed"), core.until_closed():
            await trio.sleep_forever()
        ended.append(True)

    nursery.start_soon(call)
    nursery.start_soon(call)
    await wait_all_tasks_blocked()
    closed(core)
    await wait_all_tasks_blocked()
    assert [True, True] == ended


async def test_a_call_that_is_done_keeps_its_result() -> None:
    core = Core.create(Config(node_name="a"), None)
    with core.until_closed():
        closed(core)
    with pytest.raises(trio.ClosedResourceError), core.until_closed():
        raise AssertionError("a closed node lets nobody in")


async def test_a_cancelled_call_stays_cancelled() -> None:
    core = Core.create(Config(node_name="a"), None)
    with trio.CancelScope() as scope, core.until_closed():
        scope.cancel()
        closed(core)
        await trio.sleep_forever()
    assert scope.cancelled_caught


CALLS: dict[str, Callable[[Serf], Awaitable[object]]] = {
    "join": lambda node: node.join(["10.7.7.7:7946"]),
    "leave": lambda node: node.leave(),
    "remove_failed_node": lambda node: node.remove_failed_node("b"),
    "set_tags": lambda node: node.set_tags({"role": "web"}),
    "user_event": lambda node: node.user_event("x"),
    "ask": lambda node: node.ask("x"),
    "keys.install": lambda node: node.keys.install(bytes(16)),
    "keys.use": lambda node: node.keys.use(bytes(16)),
    "keys.remove": lambda node: node.keys.remove(bytes(16)),
    "keys.list": lambda node: node.keys.list(),
    "keys.rotate": lambda node: node.keys.rotate(bytes(16)),
}


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_that_waits_ends_with_the_node(
    call: str, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The network is gone, so that no call comes to its own end."""
    async with cluster(latency=0.1) as net:
        fields = {"probe_interval": 1000.0, "push_pull_interval": 0.0, "gossip_interval": 1000.0}
        a, _ = await net.joined("a", "b", keyring=[bytes(16)], queue_depth_warning=1, **fields)
        net.network.isolate(host(a))
        a.user_event_nowait("first")
        ended = []

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await CALLS[call](a)
            ended.append(call)

        nursery.start_soon(wait)
        await trio.sleep(0.05)
        assert [] == ended
        await a.aclose()
        await wait_all_tasks_blocked()
        assert [call] == ended
