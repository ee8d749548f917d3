"""One look: what each answer of a host is taken for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from tests.memberlist.kit import cluster
from trioserf._exceptions import LocalProtocolError
from trioserf._swim.refusal import Look

THERE = "10.0.0.2"


@asynccontextmanager
async def two(**network):
    """A node that looks, and the record of the one that it looks at."""
    async with cluster(**network) as c:
        await c.start_many(2, dead_on_refusal=True, probe_interval=0, gossip_interval=0)
        yield c, c.nodes[1]._refusals._looker, c.nodes[1].node("n2").copy()


async def timed(looker, node, *, suspected=False, packet_refused=False):
    start = trio.current_time()
    look = await looker.look(node, suspected=suspected, packet_refused=packet_refused)
    return look, trio.current_time() - start


async def test_a_node_that_lives_answers_within_a_round_trip(autojump_clock: MockClock) -> None:
    async with two() as (_, looker, node):
        look, took = await timed(looker, node)
        assert Look.ANSWERED is look
        assert took < 0.01


async def test_a_process_that_ended_is_refused_within_a_round_trip(
    autojump_clock: MockClock,
) -> None:
    async with two() as (c, looker, node):
        c.kill(2)
        await trio.sleep(1)
        look, took = await timed(looker, node)
        assert Look.REFUSED is look
        assert took < 0.01


@pytest.mark.parametrize(
    "rejects", [{"packets": False}, {"streams": None}, {"streams": "icmp"}, {"by": "router"}]
)
async def test_less_than_both_is_no_refusal(
    rejects: dict[str, object], autojump_clock: MockClock
) -> None:
    async with two() as (c, looker, node):
        c.network.reject("10.0.0.1", THERE, **rejects)
        look, _ = await timed(looker, node)
        assert look is not Look.REFUSED


async def test_a_host_that_is_gone_shows_nothing_within_a_bounded_time(
    autojump_clock: MockClock,
) -> None:
    async with two() as (c, looker, node):
        c.network.power_off(THERE)
        look, took = await timed(looker, node)
        assert Look.UNCLEAR is look
        assert 0.5 == pytest.approx(took, abs=0.01)


async def test_what_is_lost_is_sent_again_soon(autojump_clock: MockClock) -> None:
    async with two(seed=5) as (c, looker, node):
        c.kill(2)
        await trio.sleep(1)
        c.network.change_link(loss=0.3)
        looks = []
        for _ in range(20):
            looks.append((await timed(looker, node))[0])
            await trio.sleep(5)
        assert looks.count(Look.REFUSED) >= 12
        assert Look.ANSWERED not in looks


async def test_a_packet_that_was_refused_already_is_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    async with two() as (c, looker, node):
        c.kill(2)
        await trio.sleep(1)
        before = c.network.statistics().packets_sent
        look, _ = await timed(looker, node, packet_refused=True)
        assert Look.REFUSED is look
        assert before == c.network.statistics().packets_sent


async def test_a_suspect_is_sent_the_suspicion(autojump_clock: MockClock) -> None:
    async with two() as (c, looker, node):
        await timed(looker, node, suspected=True, packet_refused=True)
        await trio.sleep(1)
        assert 1 == c.nodes[2].statistics().refuted


@pytest.mark.parametrize("suspected", [False, True])
async def test_a_second_look_at_the_same_time_shows_the_same_and_a_deciding_one_is_its_own(
    suspected: bool, autojump_clock: MockClock
) -> None:
    async with two() as (c, looker, node):
        c.network.power_off(THERE)
        took = []

        async def look(suspected: bool) -> None:
            start = trio.current_time()
            seen = await looker.look(node, suspected=suspected, packet_refused=False)
            assert Look.UNCLEAR is seen
            took.append(trio.current_time() - start)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look, False)
            await trio.sleep(0.1)
            assert looker.is_looking_at(node.address)
            nursery.start_soon(look, suspected)
        assert [0.5, 0.9 if suspected else 0.4] == pytest.approx(took)
        assert not looker.is_looking_at(node.address)


async def test_a_look_that_is_cancelled_leaves_nothing_and_nobody_waiting(
    autojump_clock: MockClock,
) -> None:
    async with two() as (c, looker, node):
        c.network.power_off(THERE)
        pending = len(looker.pending_acks)
        with trio.fail_after(2):
            async with trio.open_nursery() as nursery:
                first = trio.CancelScope()

                async def look() -> None:
                    with first:
                        await looker.look(node, suspected=False, packet_refused=False)

                nursery.start_soon(look)
                await trio.sleep(0.1)
                nursery.start_soon(timed, looker, node)
                await trio.sleep(0.1)
                first.cancel()
                await trio.sleep(0.01)
                assert not looker.is_looking_at(node.address)
                assert pending == len(looker.pending_acks)


@pytest.mark.parametrize(
    ("error", "pings"),
    [
        (trio.BrokenResourceError("no buffer"), 2),  # the next one may pass
        (trio.ClosedResourceError("no socket"), 1),
        (LocalProtocolError("no name"), 1),
    ],
    ids=["refused by the system", "closed", "no name"],
)
async def test_a_ping_that_cannot_be_sent_is_no_evidence(
    error: Exception, pings: int, autojump_clock: MockClock
) -> None:
    sent = []

    def refuse(*_arguments: object) -> None:
        sent.append(trio.current_time())
        raise error

    async with two() as (c, looker, node):
        c.network.partition(["10.0.0.1"])
        looker.sender = SimpleNamespace(send_together=refuse)
        look, _ = await timed(looker, node)
        assert Look.UNCLEAR is look
        assert pings <= len(sent)
        assert pings > 1 or 1 == len(sent)
        assert not looker.is_looking_at(node.address)


@pytest.mark.parametrize("error", [OSError("no route"), trio.ClosedResourceError("closed")])
async def test_a_stream_that_fails_by_itself_ends_the_look_at_once(
    error: Exception, autojump_clock: MockClock
) -> None:
    async def fail(_address: object) -> None:
        await trio.lowlevel.checkpoint()
        raise error

    async with two() as (c, looker, node):
        c.network.partition(["10.0.0.1"])
        looker.transport = SimpleNamespace(connect_stream=fail)
        look, took = await timed(looker, node)
        assert Look.UNCLEAR is look
        assert took < 0.01
