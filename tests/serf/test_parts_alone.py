"""Corners of the parts that a cluster rarely reaches."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import address, cluster, drain, host, known, status, until
from trioserf._cluster.effects import SendTo
from trioserf._config import Config, MemberlistConfig
from trioserf._events import EventType, MemberEvent, MemberStatus, Query, SerfState
from trioserf._exceptions import RelayError, SerfInternalError
from trioserf._serf.delegate import memberlist_config
from trioserf._serf.open import open_serf
from trioserf._serf.query_tracker import QueryTracker
from trioserf.abc import Address


def test_serf_decides_some_settings_of_the_membership_half() -> None:
    given = MemberlistConfig(name="x", gossip_nodes=7, metric_labels={"below": "1"})
    config = Config(node_name="n1", protocol_version=5, memberlist=given)
    settings = memberlist_config(config)
    assert ("n1", 2, 5, 2, 5, 7) == (
        settings.name,
        settings.protocol_version,
        settings.delegate_protocol_version,
        settings.delegate_protocol_min,
        settings.delegate_protocol_max,
        settings.gossip_nodes,
    )
    assert {"below": "1"} == dict(settings.metric_labels)
    labelled = Config(node_name="n1", memberlist=given, metric_labels={"dc": "east"})
    assert {"dc": "east"} == dict(memberlist_config(labelled).metric_labels)


async def test_the_vote_about_a_name_goes_to_the_majority(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c")
        a._delegate.resolver.request()
        await trio.sleep(10)
        assert SerfState.ALIVE is a.state
        assert 3 == len(b.members().alive) == len(c.members().alive)


async def test_a_vote_without_voters_is_lost(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        a._delegate.resolver.request()
        await a.wait_closed()
        assert SerfState.SHUTDOWN is a.state


async def test_a_node_that_cannot_ask_keeps_its_name(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", protocol_version=3)
        a._delegate.resolver.request()
        await trio.sleep(10)
        assert SerfState.ALIVE is a.state


async def test_claims_during_a_vote_start_no_second_one(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _b = await net.joined("a", "b")
        before = int(a.stats()["query_time"])
        a._delegate.resolver.request()
        await trio.sleep(0.1)
        a._delegate.resolver.request()
        await trio.sleep(20)
        assert before + 1 == int(a.stats()["query_time"])


async def test_member_events_are_merged_if_wanted(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", coalesce_period=5.0, quiescent_period=1.0)
        for name in "bcd":
            node = await net.start(name)
            await node.join([address(a)])
        await trio.sleep(6)
        [event] = drain(a)
        assert isinstance(event, MemberEvent)
        assert EventType.MEMBER_JOIN is event.type
        assert ["a", "b", "c", "d"] == sorted(member.name for member in event.members)


async def test_held_events_come_before_the_end(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", coalesce_period=50.0, quiescent_period=50.0)
        await a.aclose()
        [event] = [event async for event in a.events]
        assert isinstance(event, MemberEvent)


async def test_a_restart_tries_the_peers_it_remembers_until_one_answers(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    lines = [f"alive: gone{number} 10.8.8.{number}:7946\n" for number in range(1, 5)]
    path.write_text("".join([*lines, "alive: odd not an address\n", "alive: a 10.0.0.1:7946\n"]))
    async with cluster() as net:
        a = await net.start("a")
        b = await net.start("b", snapshot_path=str(path))
        await until(lambda: status(a, "b") is MemberStatus.ALIVE)
        assert MemberStatus.ALIVE is status(b, "a")
        await trio.sleep(60)
        assert "failed to re-join any" not in caplog.text


async def test_a_restart_that_reaches_nobody_goes_on_alone(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    path.write_text("alive: gone 10.8.8.8:7946\nalive: b 10.0.0.1:7946\n")
    async with cluster() as net:
        b = await net.start("b", snapshot_path=str(path))
        await trio.sleep(60)
        assert 1 == b.num_nodes
        assert "failed to re-join any" in caplog.text


async def test_an_answer_whose_relays_fail_was_sent_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b, _c = await net.joined("a", "b", "c")
        async with a.query("x", filter_nodes=["b"], relay_factor=1) as response:
            async for event in b.events:
                if isinstance(event, Query):
                    break
            internal = b._delegate.internal
            send = internal.send
            sent: list[Address] = []

            def only_direct(reply: SendTo) -> None:
                if sent:
                    raise trio.BrokenResourceError("no route")
                sent.append(reply.address)
                send(reply)

            internal.send = only_direct
            with pytest.raises(RelayError, match="no route"):
                await event.respond(b"1")  # type: ignore[union-attr]
            assert b"1" == (await anext(aiter(response))).payload


async def test_an_answer_that_could_not_be_sent_may_be_sent_again(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("x") as response:
            async for event in b.events:
                if isinstance(event, Query):
                    break
            internal = b._delegate.internal
            send = internal.send

            def fail(reply: SendTo) -> None:
                raise trio.BrokenResourceError("no route")

            internal.send = fail
            with pytest.raises(trio.BrokenResourceError):
                await event.respond(b"1")  # type: ignore[union-attr]
            internal.send = send
            await event.respond(b"2")  # type: ignore[union-attr]
            assert b"2" == (await anext(aiter(response))).payload


async def test_a_reader_too_slow_for_answers_loses_the_rest(autojump_clock: MockClock) -> None:
    from trioserf._wire.serf_messages import QueryResponseMessage, encode_serf

    async with cluster() as net:
        a = await net.start("a")
        async with a.query("x", request_ack=True) as response:
            message = response._collector.query
            assert response.acks is not None
            response.acks.close()
            for number in range(100):
                for flags in (0, 1):
                    answer = QueryResponseMessage(
                        message.ltime, message.id, f"n{number}", flags, b""
                    )
                    a._delegate.notify_message(encode_serf(answer))
            response.close()
            assert 17 == len([answer async for answer in response])
            assert "'x'" in repr(response)


async def test_a_failure_while_closing_is_an_internal_error(autojump_clock: MockClock) -> None:
    class Broken:
        def put(self, item: object) -> None: ...

        def close(self) -> None:
            raise ZeroDivisionError

    async with cluster() as net:
        with pytest.raises(SerfInternalError, match="ZeroDivisionError"):
            async with open_serf(net.config("a")) as a:
                a._delegate.pipeline = Broken()
        await a.wait_closed()


async def test_an_alive_node_that_is_removed_by_its_only_peer_is_notified(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        joined = b._core.members.status_ltime("b")
        await a.remove_failed_node("b")
        await until(lambda: b._core.members.status_ltime("b") > joined)
        await until(lambda: status(a, "b") is MemberStatus.ALIVE)
        assert a._core.members.status_ltime("b") > joined + 1, "a leave, and the refutation"


async def test_all_chance_comes_from_the_given_source(autojump_clock: MockClock) -> None:
    ids = []
    for _ in range(2):
        async with cluster() as net:
            a = await net.start("a", rng=random.Random(7))
            async with a.query("x") as response:
                ids.append(response._collector.query.id)
    assert ids[0] == ids[1]


async def test_a_node_shows_itself_in_one_line(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", keyring=[bytes(16)])
        assert "<Serf 'a': alive, 1 members>" == repr(a)
        assert "<KeyManager of 'a'>" == repr(a.keys)
        assert isinstance(a._delegate.tracker, QueryTracker)


async def test_a_member_has_the_address_it_can_be_reached_at(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        assert host(b) == str(known(a, "b").addr)
        assert 7946 == known(a, "b").port
