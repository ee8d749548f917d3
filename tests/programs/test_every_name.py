"""Everything that the documentation of the package names, used once as it says."""

from __future__ import annotations

from ipaddress import IPv4Address

import attrs
import pytest
import trio
from trio.testing import MockClock

import trioserf
from tests.serf.clusters import Cluster, address, cluster, until

KEYS = bytes(range(16)), bytes(range(16, 32))


async def pair(net: Cluster, nursery: trio.Nursery) -> tuple[trioserf.Serf, trioserf.Serf]:
    """Two joined nodes; both answer queries."""
    config = attrs.evolve(net.config("a", tags={"role": "web"}, keyring=KEYS[:1]))
    a = await nursery.start(trioserf.serve, config)
    b = await nursery.start(trioserf.serve, net.config("b", keyring=KEYS[:1]))
    for node in (a, b):
        nursery.start_soon(answer, node)
    assert 1 == await b.join([address(a)], ignore_old=False)
    await until(lambda: 2 == len(a.members()) == len(b.members()))
    return a, b


async def answer(serf: trioserf.Serf) -> None:
    async with serf.subscribe(trioserf.EventType.QUERY, max_buffer_size=10) as queries:
        async for query in queries:
            match query:
                case trioserf.Query(name="load", payload=payload, source_node=asker):
                    assert query.ltime > 0
                    assert trio.current_time() < query.deadline
                    await query.respond(payload + asker.encode())
                    with pytest.raises(trioserf.AlreadyResponded):
                        await query.respond(b"again")


async def test_what_a_node_says_of_itself_and_of_others(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, b = await pair(net, nursery)
        assert ("a", trioserf.SerfState.ALIVE, 2, 4, True) == (
            a.name,
            a.state,
            a.num_nodes,
            a.protocol_version,
            a.encryption_enabled,
        )
        members = a.members()
        assert ["a", "b"] == [member.name for member in members]
        assert members[0] == a.local_member
        match members[0]:
            case trioserf.Member("a", IPv4Address(), 7946, tags, trioserf.MemberStatus.ALIVE):
                assert {"role": "web"} == dict(tags)
            case other:
                pytest.fail(f"{other}")
        assert "127" not in str(members)
        versions = members[1]
        assert (1, 5, 2, 2, 5, 4) == (
            versions.protocol_min,
            versions.protocol_max,
            versions.protocol_cur,
            versions.delegate_min,
            versions.delegate_max,
            versions.delegate_cur,
        )
        await until(lambda: a.rtt("a", "b") is not None)
        assert a.rtt("b") == a.rtt("a", "b")
        assert isinstance(a.coordinate(), trioserf.Coordinate)
        assert isinstance(a.cached_coordinate("b"), trioserf.Coordinate)
        assert None is a.cached_coordinate("nobody")
        assert "2" == a.stats()["members"]
        assert isinstance(a.statistics(), trioserf.SerfStatistics)
        assert isinstance(a.memberlist, trioserf.Memberlist)
        assert isinstance(b.keys, trioserf.KeyManager)
        nursery.cancel_scope.cancel()


async def test_what_a_user_sends_to_the_cluster(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, b = await pair(net, nursery)
        async with b.subscribe(trioserf.UserEvent, trioserf.EventType.MEMBER_UPDATE) as events:
            await a.user_event("deploy", b"v42")
            a.user_event_nowait("deploy", coalesce=False)
            await a.set_tags({"role": "db"})
            seen = {await events.receive() for _ in range(3)}
        users = sorted(
            (e for e in seen if isinstance(e, trioserf.UserEvent)), key=lambda e: e.ltime
        )
        assert [("deploy", b"v42", True), ("deploy", b"", False)] == [
            (event.name, event.payload, event.coalesce) for event in users
        ]
        [update] = [event for event in seen if isinstance(event, trioserf.MemberEvent)]
        assert [{"role": "db"}] == [dict(member.tags) for member in update.members]
        await a.remove_failed_node("nobody")
        await a.remove_failed_node("nobody", prune=True)
        nursery.cancel_scope.cancel()


async def test_what_a_user_asks_the_cluster(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, _ = await pair(net, nursery)
        async with a.query(
            "load",
            b"from ",
            filter_nodes=["b"],
            filter_tags={},
            request_ack=True,
            relay_factor=1,
            timeout=2,
        ) as response:
            states = [response.finished]
            assert pytest.approx(2) == response.deadline - trio.current_time()
            assert response.acks is not None
            assert "b" == await response.acks.receive()
            async for node_response in response:
                assert trioserf.NodeResponse("b", b"from a") == node_response
                response.close()
        assert [False, True] == [*states, response.finished]
        async with a.query("load") as response:
            assert None is response.acks
        result = await a.ask("load", b"", request_ack=True)
        assert {"a", "b"} == {each.node for each in result.responses} == set(result.acks)
        nursery.cancel_scope.cancel()


async def test_what_a_user_does_to_keys(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await pair(net, nursery)
        for change in (a.keys.install, a.keys.use):
            assert 2 == (await change(KEYS[1])).num_resp
        await a.keys.remove(KEYS[0])
        response = await a.keys.list()
        assert isinstance(response, trioserf.KeyResponse)
        assert [2] == list(response.keys.values()) == list(response.primary_keys.values())
        with pytest.raises(trioserf.KeyOperationError) as caught:
            await a.keys.use(KEYS[0])
        assert 2 == caught.value.response.num_err  # type: ignore[attr-defined]
        nursery.cancel_scope.cancel()


async def test_how_a_node_ends(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await pair(net, nursery)
        events = a.events
        await a.leave()
        await a.leave()
        assert "left" == str(a.state)
        assert "left" == str(b.members()[0].status)
        with pytest.raises(trioserf.InvalidState):
            await a.join([address(b)])
        await a.aclose()
        await a.wait_closed()
        assert "shutdown" == str(a.state)
        kinds = {
            str(event.type) async for event in events if isinstance(event, trioserf.MemberEvent)
        }
        assert {"member-join", "member-leave"} == kinds, "then the channel ends"
        for call in (a.leave, lambda: a.user_event("late"), lambda: a.ask("late")):
            with pytest.raises(trio.ClosedResourceError):
                await call()
        nursery.cancel_scope.cancel()


async def test_a_block_raises_what_it_raises(autojump_clock: MockClock) -> None:
    class Mine(Exception):
        pass

    async with cluster() as net:
        with pytest.raises(Mine):
            async with trioserf.open(net.config("a")):
                raise Mine
        with pytest.raises(trioserf.JoinError) as caught:
            async with trioserf.open(net.config("b")) as serf:
                await serf.join(["10.0.9.1", "10.0.9.2"])
        assert 2 == len(caught.value.exceptions), "one for each address"


async def test_a_reader_that_is_too_slow_meets_its_gap(autojump_clock: MockClock) -> None:
    async with cluster() as net, trioserf.open(net.config("a", event_buffer_size=2)) as serf:
        for number in range(4):
            await serf.user_event(str(number))
        seen = [await serf.events.receive() for _ in range(3)]
        match seen[-1]:
            case trioserf.EventsDropped(count=count):
                assert 3 == count, "of a join and four events, two were kept"
            case other:
                pytest.fail(f"{other}")
