"""One port check: what each answer of a host is taken for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from tests.memberlist.kit import cluster
from trioserf._exceptions import LocalProtocolError
from trioserf._swim.refusal import PortCheck

THERE = "10.0.0.2"


@asynccontextmanager
async def two(**network):
    """A node that checks ports, and the record of the one whose ports it checks."""
    async with cluster(**network) as c:
        await c.start_many(2, dead_on_refusal=True, probe_interval=0, gossip_interval=0)
        yield c, c.nodes[1]._refusals._port_checker, c.nodes[1].node("n2").copy()


async def timed(checker, node, *, suspected=False, packet_refused=False):
    start = trio.current_time()
    check = await checker.check(node, suspected=suspected, packet_refused=packet_refused)
    return check, trio.current_time() - start


async def test_a_node_that_lives_answers_within_a_round_trip(autojump_clock: MockClock) -> None:
    async with two() as (_, checker, node):
        check, took = await timed(checker, node)
        assert PortCheck.ANSWERED is check
        assert took < 0.01


async def test_a_process_that_ended_is_refused_within_a_round_trip(
    autojump_clock: MockClock,
) -> None:
    async with two() as (c, checker, node):
        c.kill(2)
        await trio.sleep(1)
        check, took = await timed(checker, node)
        assert PortCheck.REFUSED is check
        assert took < 0.01


@pytest.mark.parametrize(
    "rejects", [{"packets": False}, {"streams": None}, {"streams": "icmp"}, {"by": "router"}]
)
async def test_less_than_both_is_no_refusal(
    rejects: dict[str, object], autojump_clock: MockClock
) -> None:
    async with two() as (c, checker, node):
        c.network.reject("10.0.0.1", THERE, **rejects)
        check, _ = await timed(checker, node)
        assert check is not PortCheck.REFUSED


async def test_a_host_that_is_gone_shows_nothing_within_a_bounded_time(
    autojump_clock: MockClock,
) -> None:
    async with two() as (c, checker, node):
        c.network.power_off(THERE)
        check, took = await timed(checker, node)
        assert PortCheck.UNCLEAR is check
        assert 0.5 == pytest.approx(took, abs=0.01)


async def test_what_is_lost_is_sent_again_soon(autojump_clock: MockClock) -> None:
    async with two(seed=5) as (c, checker, node):
        c.kill(2)
        await trio.sleep(1)
        c.network.change_link(loss=0.3)
        checks = []
        for _ in range(20):
            checks.append((await timed(checker, node))[0])
            await trio.sleep(5)
        assert checks.count(PortCheck.REFUSED) >= 12
        assert PortCheck.ANSWERED not in checks


async def test_a_packet_that_was_refused_already_is_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    async with two() as (c, checker, node):
        c.kill(2)
        await trio.sleep(1)
        before = c.network.statistics().packets_sent
        check, _ = await timed(checker, node, packet_refused=True)
        assert PortCheck.REFUSED is check
        assert before == c.network.statistics().packets_sent


async def test_a_suspect_is_sent_the_suspicion(autojump_clock: MockClock) -> None:
    async with two() as (c, checker, node):
        await timed(checker, node, suspected=True, packet_refused=True)
        await trio.sleep(1)
        assert 1 == c.nodes[2].statistics().refuted


@pytest.mark.parametrize("suspected", [False, True])
async def test_a_second_check_at_the_same_time_shows_the_same_and_a_deciding_one_is_its_own(
    suspected: bool, autojump_clock: MockClock
) -> None:
    async with two() as (c, checker, node):
        c.network.power_off(THERE)
        took = []

        async def check(suspected: bool) -> None:
            start = trio.current_time()
            seen = await checker.check(node, suspected=suspected, packet_refused=False)
            assert PortCheck.UNCLEAR is seen
            took.append(trio.current_time() - start)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(check, False)
            await trio.sleep(0.1)
            assert checker.is_checking(node.address)
            nursery.start_soon(check, suspected)
        assert [0.5, 0.9 if suspected else 0.4] == pytest.approx(took)
        assert not checker.is_checking(node.address)


async def test_a_check_that_is_cancelled_leaves_nothing_and_nobody_waiting(
    autojump_clock: MockClock,
) -> None:
    async with two() as (c, checker, node):
        c.network.power_off(THERE)
        pending = len(checker.pending_acks)
        with trio.fail_after(2):
            async with trio.open_nursery() as nursery:
                first = trio.CancelScope()

                async def check() -> None:
                    with first:
                        await checker.check(node, suspected=False, packet_refused=False)

                nursery.start_soon(check)
                await trio.sleep(0.1)
                nursery.start_soon(timed, checker, node)
                await trio.sleep(0.1)
                first.cancel()
                await trio.sleep(0.01)
                assert not checker.is_checking(node.address)
                assert pending == len(checker.pending_acks)


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

    async with two() as (c, checker, node):
        c.network.partition(["10.0.0.1"])
        checker.sender = SimpleNamespace(send_together=refuse)
        check, _ = await timed(checker, node)
        assert PortCheck.UNCLEAR is check
        assert pings <= len(sent)
        assert pings > 1 or 1 == len(sent)
        assert not checker.is_checking(node.address)


@pytest.mark.parametrize("error", [OSError("no route"), trio.ClosedResourceError("closed")])
async def test_a_stream_that_fails_by_itself_ends_the_check_at_once(
    error: Exception, autojump_clock: MockClock
) -> None:
    async def fail(_address: object) -> None:
        await trio.lowlevel.checkpoint()
        raise error

    async with two() as (c, checker, node):
        c.network.partition(["10.0.0.1"])
        checker.transport = SimpleNamespace(connect_stream=fail)
        check, took = await timed(checker, node)
        assert PortCheck.UNCLEAR is check
        assert took < 0.01
