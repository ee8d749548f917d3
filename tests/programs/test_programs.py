"""The programs do what they say, on a simulated network."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import trioserf
from tests.serf.clusters import address, cluster, until

from .config_push import Settings, keep_up_to_date, push
from .fan_out import Count, count, first_to_have, work
from .leader import follow_the_leader


async def test_the_next_in_line_leads_when_the_leader_fails(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    leaders: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    first = trio.CancelScope()

    async def run_first(config: trioserf.Config) -> None:
        with first:
            await follow_the_leader(config, [], leaders["a"].append)

    async with cluster() as net:
        config = net.config("a")
        nursery.start_soon(run_first, config)
        await trio.sleep(1)
        for name in ("b", "c"):
            nursery.start_soon(
                follow_the_leader, net.config(name), ["10.0.0.1:7946"], leaders[name].append
            )
        await until(lambda: all(seen[-1:] == ["a"] for seen in leaders.values()))
        first.cancel()
        await until(lambda: leaders["b"][-1:] == leaders["c"][-1:] == ["b"])
        nursery.cancel_scope.cancel()


async def test_a_setting_reaches_everybody_and_who_comes_later(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    settings = [Settings() for _ in range(3)]
    async with cluster() as net:
        a = await nursery.start(keep_up_to_date, net.config("a"), [], settings[0])
        b = await nursery.start(keep_up_to_date, net.config("b"), [address(a)], settings[1])
        await push(a, 1, "slow")
        await push(b, 2, "fast")
        await push(a, 1, "slow, once more")
        await until(lambda: {(2, "fast")} == {(s.version, s.text) for s in settings[:2]})
        await nursery.start(keep_up_to_date, net.config("c"), [address(b)], settings[2])
        await until(lambda: (2, "fast") == (settings[2].version, settings[2].text))
        with pytest.raises(trioserf.UserEventTooLarge):
            await push(a, 3, "x" * 512)
        nursery.cancel_scope.cancel()


async def test_the_workers_are_asked_all_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        worker = {"role": "worker"}
        a = await nursery.start(work, net.config("a", tags=worker), [], ["tea", "tea"])
        b = await nursery.start(work, net.config("b", tags=worker), [address(a)], ["tea", "mint"])
        c = await nursery.start(work, net.config("c"), [address(b)], ["tea"])
        await until(lambda: all(3 == len(node.members()) for node in (a, b, c)))
        began = trio.current_time()
        assert Count(3, frozenset()) == await count(c, "tea")
        assert trio.current_time() - began < 0.5, "not the whole timeout"
        assert "b" == await first_to_have(c, "mint")
        assert None is await first_to_have(c, "coffee")
        nursery.cancel_scope.cancel()
