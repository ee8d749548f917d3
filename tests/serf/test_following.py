"""Following the members: the newest list, after every change, to the last one."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from tests.serf.clusters import address, cluster, status, until
from trioserf._events import Member, MemberStatus
from trioserf._serf.members_view import Members, Selection
from trioserf._serf.serf import Serf

ALIVE, FAILED, LEFT = MemberStatus.ALIVE, MemberStatus.FAILED, MemberStatus.LEFT


def statuses(members: Members) -> dict[str, str]:
    return {member.name: str(member.status) for member in members}


async def no_state(states: AsyncIterator[Members], seconds: float) -> None:
    with trio.move_on_after(seconds) as limit:
        pytest.fail(f"{await anext(states)}")
    assert limit.cancelled_caught


async def test_the_members_come_at_once_and_after_every_change(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.follow() as states:
            assert a.members() == await anext(states)
            await b.set_tags({"role": "web"})
            assert {"role": "web"} == (await anext(states)).get("b").tags
            await b.leave()
            seen = []
            while "left" not in seen:
                seen.append(statuses(await anext(states))["b"])
            assert seen in (["leaving", "left"], ["left"])
            await no_state(states, 60)


async def test_a_slow_reader_gets_the_last_state_and_nothing_piles_up(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.follow() as states:
            await anext(states)
            for number in range(50):
                await b.set_tags({"number": str(number)})
            await until(lambda: a.members().get("b").tags == {"number": "49"})
            assert {"number": "49"} == (await anext(states)).get("b").tags
            await no_state(states, 60)


async def test_only_changes_of_the_selection_count(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, _c = await net.joined("a", "b", "c")
        async with a.follow(status=ALIVE, tags={"role": "web"}) as web:
            assert () == (await anext(web)).names
            await b.set_tags({"role": "db"})
            await no_state(web, 30)
            await b.set_tags({"role": "web"})
            assert ("b",) == (await anext(web)).names
            await b.aclose()
            assert () == (await anext(web)).names
            assert FAILED == status(a, "b")


async def test_what_changes_and_changes_back_unseen_is_no_change(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.follow() as states:
            await anext(states)
            await b.set_tags({"x": "y"})
            await b.set_tags({})
            await until(lambda: {} == a.members().get("b").tags)
            await no_state(states, 30)


async def test_it_ends_with_the_node_after_the_last_state(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        collected: list[dict[str, str]] = []

        async def collect(node: Serf) -> None:
            async with node.follow() as states:
                async for members in states:
                    collected.append(statuses(members))
                with pytest.raises(StopAsyncIteration):
                    await anext(states)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect, a)
            await wait_all_tasks_blocked()
            await b.leave()
            await until(lambda: LEFT == status(a, "b"))
            await a.aclose()
        assert statuses(a.members()) == collected[-1]
        assert "left" == collected[-1]["b"]


async def test_a_reader_that_comes_back_after_the_end_still_gets_the_last_state(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.follow() as states:
            await anext(states)
            await b.leave()
            await until(lambda: LEFT == status(a, "b"))
            await a.aclose()
            assert "left" == statuses(await anext(states))["b"]
            with pytest.raises(StopAsyncIteration):
                await anext(states)


async def test_a_cancelled_wait_loses_nothing(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.follow() as states:
            await anext(states)
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(states)
            with trio.move_on_after(1):
                await anext(states)
            await b.set_tags({"x": "y"})
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(states)
            assert {"x": "y"} == (await anext(states)).get("b").tags


@pytest.mark.parametrize("seed", range(5))
async def test_readers_at_any_speed_end_with_what_the_node_says(
    autojump_clock: MockClock, seed: int
) -> None:
    rng = random.Random(seed)
    async with cluster(seed=seed) as net:
        nodes = await net.joined("a", "b", "c", "d")
        lasts: list[Members | None] = [None] * 5

        async def read(at: int, pause: float) -> None:
            async with nodes[0].follow() as states:
                async for members in states:
                    assert members != lasts[at]
                    lasts[at] = members
                    await trio.sleep(pause)

        async with trio.open_nursery() as nursery:
            for at in range(len(lasts)):
                nursery.start_soon(read, at, at and rng.random() * 5)
            for number in range(20):
                await trio.sleep(rng.random())
                await rng.choice(nodes).set_tags({"n": str(number)})
            await nodes[1].leave()
            await nodes[2].aclose()
            await trio.sleep(120)
            assert [nodes[0].members()] * len(lasts) == lasts
            await nodes[0].aclose()
        assert [nodes[0].members()] * len(lasts) == lasts


async def test_every_step_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        with assert_checkpoints():
            async with a.follow() as states:
                with assert_checkpoints():
                    await anext(states)
                await a.aclose()
                async for _ in states:
                    pass
                with assert_checkpoints(), pytest.raises(StopAsyncIteration):
                    await anext(states)


async def test_a_closed_block_a_closed_node_and_two_readers_are_errors(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        async with a.follow() as states:
            await anext(states)
            async with trio.open_nursery() as nursery:

                async def wait() -> None:
                    with pytest.raises(trio.ClosedResourceError):
                        await anext(states)

                nursery.start_soon(wait)
                await wait_all_tasks_blocked()
                with pytest.raises(trio.BusyResourceError):
                    await anext(states)
                states.close()
        with pytest.raises(trio.ClosedResourceError):
            await anext(states)
        await a.aclose()
        with pytest.raises(trio.ClosedResourceError):
            async with a.follow():
                pass


async def test_a_wrong_selection_is_a_type_error_at_once(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        with pytest.raises(TypeError, match=r"status='alive': expected a MemberStatus"):
            async with a.follow(status="alive"):  # type: ignore[arg-type]
                pass


async def test_nothing_of_a_reader_stays_behind(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        b = await net.start("b")
        for _ in range(10):
            async with a.follow() as states:
                await anext(states)
        assert 1 == len(a._core.members.watchers)
        async with a.follow() as states:
            await anext(states)
            await b.join([address(a)])
            assert ("a", "b") == (await anext(states)).names


def test_a_selection_of_everything_is_the_list_itself() -> None:
    members = (Member("a", ip_address("10.0.0.1"), 1),)
    assert members is Selection.create(None, None).of(members)
