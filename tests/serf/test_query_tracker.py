"""Queries, from the asking and from the answering side."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import address, answer_queries, cluster, drain, host, status, until
from trioserf._cluster.queries import QueryParams
from trioserf._cluster.query_collector import NodeResponse
from trioserf._events import MemberStatus, Query
from trioserf._exceptions import (
    AlreadyResponded,
    ConfigError,
    DeadlineExceeded,
    FeatureNotSupported,
    QueryTooLarge,
    ResponseTooLarge,
)
from trioserf._serf.query_response import QueryResponse, QueryResult
from trioserf._serf.query_tracker import LOCAL_RESPONSE_GRACE
from trioserf._serf.serf import Serf
from trioserf._wire.serf_messages import QueryResponseMessage, encode_serf


async def next_query(node: object) -> Query:
    async for event in node.events:  # type: ignore[attr-defined]
        if isinstance(event, Query):
            return event
    raise AssertionError("the node closed")


# --- asking -------------------------------------------------------------------------------


async def test_responses_come_one_by_one(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c")
        nursery.start_soon(answer_queries, b)
        nursery.start_soon(answer_queries, c, b"hi")
        await trio.sleep(0.1)
        async with a.query("load", b"x", timeout=2.0) as response:
            assert None is response.acks
            assert trio.current_time() + 2.0 == response.deadline
            answers = {answer.node: answer.payload async for answer in response}
            assert response.finished
        assert {"b": b"b", "c": b"hi"} == answers
        nursery.cancel_scope.cancel()


async def test_every_node_acknowledges_and_the_asking_node_too(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("load", request_ack=True) as response:
            query = await next_query(b)
            assert "a" == query.source_node
            await query.respond(b"test")
            answers = [answer async for answer in response]
            assert response.acks is not None
            acks = [node async for node in response.acks]
        assert [NodeResponse("b", b"test")] == answers
        assert ["a", "b"] == sorted(acks)


async def test_filters_on_names_and_tags_pick_who_gets_a_query(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a = await net.start("a", tags={"role": "web"})
        b = await net.start("b", tags={"role": "webserver"})
        c = await net.start("c", tags={"role": "lb"})
        for node in (b, c):
            await node.join([address(a)])
        for node in (a, b, c):
            nursery.start_soon(answer_queries, node)
        await trio.sleep(5)
        by_name = await a.ask("who", filter_nodes=["b", "c"])
        assert {"b", "c"} == {answer.node for answer in by_name.responses}
        by_tag = await a.ask("who", filter_tags={"role": "^web"})
        assert {"a", "b"} == {answer.node for answer in by_tag.responses}
        both = await a.ask("who", filter_nodes=["a", "c"], filter_tags={"role": "web$"})
        assert {"a"} == {answer.node for answer in both.responses}
        nursery.cancel_scope.cancel()


async def test_relayed_copies_are_dropped(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c")
        for node in (b, c):
            nursery.start_soon(answer_queries, node)
        await trio.sleep(0.1)
        result = await a.ask("who", filter_nodes=["b"], request_ack=True, relay_factor=1)
        await trio.sleep(1)
        assert (NodeResponse("b", b"b"),) == result.responses
        assert ("b",) == result.acks
        nursery.cancel_scope.cancel()


async def test_a_relayed_copy_replaces_a_lost_response(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, b, _c = await net.joined("a", "b", "c")
        nursery.start_soon(answer_queries, b)
        await trio.sleep(0.1)
        async with a.query("who", filter_nodes=["b"], relay_factor=1) as response:
            await trio.sleep(0.0011)
            net.network.cut(host(b), host(a))
            with trio.move_on_after(3):
                assert NodeResponse("b", b"b") == await anext(aiter(response))
        nursery.cancel_scope.cancel()


async def test_a_response_that_comes_twice_counts_once(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        async with a.query("load", request_ack=True) as response:
            [query] = [event for event in drain(a) if isinstance(event, Query)]
            message = response._collector.query
            for flags in (1, 0):
                raw = encode_serf(QueryResponseMessage(query.ltime, message.id, "x", flags, b"1"))
                for _ in range(2):
                    a._delegate.notify_message(raw)
            response.close()
            assert [NodeResponse("x", b"1")] == [answer async for answer in response]
            assert response.acks is not None
            assert ["x"] == [ack async for ack in response.acks]
        counts = a.statistics().counts
        assert 1 == counts["serf.query_duplicate_acks"]
        assert 1 == counts["serf.query_duplicate_responses"]


async def test_a_response_to_no_query_is_dropped(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        before = drain(a)
        raw = encode_serf(QueryResponseMessage(77, 1, "x", 0, b""))
        a._delegate.notify_message(raw)
        assert ["a"] == [member.name for event in before for member in event.members]
        assert [] == drain(a)
        assert {} == a.statistics().bad_input, "it may be late, which is no fault of its sender"
        assert 0 == a.statistics().open_queries


async def test_leaving_the_block_closes_the_query(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("load") as response:
            query = await next_query(b)
        assert response.finished
        await query.respond(b"late")
        await trio.sleep(0.1)
        assert [] == [answer async for answer in response]
        await trio.sleep(10)
        assert 0 == a.statistics().open_queries


async def test_the_default_time_of_a_lone_node(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", gossip_interval=0.2, query_timeout_mult=16)
        assert pytest.approx(3.2) == a.default_query_timeout()
        assert QueryParams(timeout=a.default_query_timeout()) == a.default_query_params()


async def test_the_default_parameters_can_be_changed_and_handed_on(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        nursery.start_soon(answer_queries, b)
        await trio.sleep(0.1)
        params = attrs.evolve(a.default_query_params(), filter_nodes=["b"])
        result = await a.ask("load", **attrs.asdict(params))
        assert ["b"] == [answer.node for answer in result.responses]


async def test_a_query_over_the_limit_is_not_sent(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        with pytest.raises(QueryTooLarge, match=r"^query exceeds limit of 1024"):
            async with a.query("big", b"x" * 1024):
                pass
        assert "1" == a.stats()["query_time"]
        larger = await net.start("larger", query_size_limit=2048)
        async with larger.query("big", b"x" * 1024):
            pass


async def test_old_protocols_know_no_queries(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", protocol_version=3)
        with pytest.raises(FeatureNotSupported, match="Feature not supported"):
            await a.ask("load")


async def test_two_queries_at_once_do_not_mix(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("one") as one, a.query("two") as two:
            for _ in range(2):
                query = await next_query(b)
                await query.respond(query.name.encode())
            assert b"one" == (await anext(aiter(one))).payload
            assert b"two" == (await anext(aiter(two))).payload


# --- ask ----------------------------------------------------------------------------------


async def test_ask_ends_when_every_member_has_responded(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        nodes = await net.joined("a", "b", "c")
        for node in nodes:
            nursery.start_soon(answer_queries, node)
        await trio.sleep(0.1)
        before = trio.current_time()
        result = await nodes[0].ask("who", request_ack=True)
        assert 0.1 > trio.current_time() - before
        assert {"a", "b", "c"} == {answer.node for answer in result.responses}
        assert {"a", "b", "c"} == set(result.acks)
        assert result.complete
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("faithful_go", [False, True])
async def test_a_member_that_gossip_missed_gets_the_query_directly(
    nursery: trio.Nursery, autojump_clock: MockClock, faithful_go: bool
) -> None:
    async with cluster() as net:
        nodes = await net.joined("a", "b", "c", faithful_go=faithful_go, probe_interval=0)
        for node in nodes:
            nursery.start_soon(answer_queries, node)
        await trio.sleep(0.1)
        for node in nodes[1:]:
            net.network.cut(host(nodes[0]), host(node))
        async with nodes[0].query("who", timeout=10) as answers:
            await trio.sleep(2)  # the gossip has come to nothing
            net.network.heal()
            await trio.sleep(1)
            found = set()
            with trio.move_on_after(0.1):
                async for answer in answers:
                    found.add(answer.node)
        assert ({"a"} if faithful_go else {"a", "b", "c"}) == found
        nursery.cancel_scope.cancel()


async def test_the_local_response_is_not_waited_for_long(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c")
        for node in (b, c):
            nursery.start_soon(answer_queries, node)
        await trio.sleep(0.1)
        before = trio.current_time()
        result = await a.ask("who")
        assert 0.1 + LOCAL_RESPONSE_GRACE > trio.current_time() - before
        assert frozenset({"a"}) == result.missing
        nursery.cancel_scope.cancel()


async def test_ask_waits_for_missing_responses_until_the_deadline(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, b, _c = await net.joined("a", "b", "c")
        nursery.start_soon(answer_queries, b)
        await trio.sleep(0.1)
        before = trio.current_time()
        result = await a.ask("who", timeout=7.0)
        assert pytest.approx(7.0) == trio.current_time() - before
        assert frozenset({"a", "c"}) == result.missing
        assert not result.complete
        nursery.cancel_scope.cancel()


async def test_ask_does_not_wait_for_members_that_fail(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        quick = {"probe_interval": 0.5, "probe_timeout": 0.2, "suspicion_mult": 1}
        a, b, c = await net.joined("a", "b", "c", **quick)
        nursery.start_soon(answer_queries, b)
        await trio.sleep(0.1)
        before = trio.current_time()
        net.network.isolate(host(c))
        result = await a.ask("who", timeout=60.0)
        assert 20 > trio.current_time() - before
        assert status(a, "c") is MemberStatus.FAILED
        assert {"b"} == {answer.node for answer in result.responses}
        nursery.cancel_scope.cancel()


async def test_ask_of_no_member_ends_at_once(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        before = trio.current_time()
        result = await a.ask("who", filter_tags={"role": "nothing like it"})
        assert before == trio.current_time()
        assert () == result.responses


async def test_closing_the_node_ends_ask(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b")
        ended = []

        async def ask() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await a.ask("who")
            ended.append(trio.current_time())

        nursery.start_soon(ask)
        await trio.sleep(0.5)
        assert [] == ended
        await a.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert [trio.current_time()] == ended


# --- answering ----------------------------------------------------------------------------


async def test_a_query_gets_one_response(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("load"):
            query = await next_query(b)
            await query.respond(b"1")
            with pytest.raises(AlreadyResponded):
                await query.respond(b"2")


async def test_a_late_response_is_refused(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("load", timeout=1.0):
            query = await next_query(b)
            await trio.sleep(1.5)
            with pytest.raises(DeadlineExceeded):
                await query.respond(b"1")


async def test_a_response_that_is_too_long_may_be_shortened(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("load") as response:
            query = await next_query(b)
            with pytest.raises(ResponseTooLarge, match="1024"):
                await query.respond(b"x" * 1024)
            await query.respond(b"x" * 900)
            assert b"x" * 900 == (await anext(aiter(response))).payload


async def test_a_closed_node_does_not_respond(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("load"):
            query = await next_query(b)
            await b.aclose()
            with pytest.raises(trio.ClosedResourceError):
                await query.respond(b"1")


async def test_internal_queries_do_not_reach_the_application(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        result = await a.ask("_serf_ping", request_ack=True, timeout=1.0)
        assert {"a", "b"} == set(result.acks)
        assert [] == [event for event in drain(b) if isinstance(event, Query)]


async def test_a_node_does_not_vote_about_its_own_name(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _b = await net.joined("a", "b")
        result = await a.ask("_serf_conflict", b"a", timeout=1.0)
        assert ["b"] == [answer.node for answer in result.responses]
        await until(lambda: 0 == a.statistics().open_queries)


async def test_a_reader_too_slow_for_responses_loses_the_rest(autojump_clock: MockClock) -> None:
    from trioserf._wire.serf_messages import QueryResponseMessage, encode_serf

    async with cluster() as net:
        a = await net.start("a", faithful_go=True)  # else strangers have less room
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


async def test_every_random_choice_comes_from_the_given_source(autojump_clock: MockClock) -> None:
    ids = []
    for _ in range(2):
        async with cluster() as net:
            a = await net.start("a", rng=random.Random(7))
            async with a.query("x") as response:
                ids.append(response._collector.query.id)
    assert ids[0] == ids[1]


async def test_names_that_are_no_members_are_missing_and_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, b)
            before = trio.current_time()
            result = await a.ask("q", filter_nodes=["b", "no-such", "nor-this"])
            assert trio.current_time() - before < 1
            assert ["b"] == [response.node for response in result.responses]
            assert {"no-such", "nor-this"} == result.missing
            assert not result.complete
            nursery.cancel_scope.cancel()
        result = await a.ask("q", filter_nodes=["no-such"])
        assert ((), {"no-such"}) == (result.responses, result.missing)


@pytest.mark.parametrize("payload", [42, "text"])
async def test_a_payload_of_another_type_is_refused_and_nothing_is_sent(
    payload: Any, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        drain(a)
        with pytest.raises(TypeError, match="payload of type"):
            await a.ask("q", payload)
        with pytest.raises(TypeError, match="payload of type"):
            async with a.query("q", payload):
                raise AssertionError("it was sent")
        with pytest.raises(TypeError, match="payload of type"):
            await a.user_event("e", payload)
        with pytest.raises(TypeError, match="payload of type"):
            a.user_event_nowait("e", payload)
        with pytest.raises(ConfigError, match="RE2 expression"):
            await a.ask("q", filter_tags={"mode": "(["})
        assert ("1", "1") == (a.stats()["query_time"], a.stats()["event_time"])
        assert [] == drain(a)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.ask, "q")
            query = await a.events.receive()
            assert isinstance(query, Query)
            with pytest.raises(TypeError, match="payload of type"):
                await query.respond(payload)
            await query.respond(b"still open")


async def answer(node: Serf) -> None:
    async for event in node.events:
        if isinstance(event, Query):
            await event.respond(b"yes")


def test_a_result_is_a_table_of_who_said_what_and_who_said_nothing() -> None:
    result = QueryResult(
        responses=(NodeResponse("b", b"1.5"), NodeResponse("a", b"0.1")),
        acks=("a", "c"),
        missing=frozenset({"c", "d"}),
    )
    table = result._table()
    assert ("node", "answer", "ack") == table.header
    assert "2 answers, 2 missing" == table.caption
    names = [row[0] for row in table.rows]
    assert ["b", "a", "c", "d"] == names
    assert ["", "yes", "yes", ""] == [row[2] for row in table.rows]
    assert ("d", "(no answer)", "") == table.rows[-1]
    assert not result.complete


def test_responses_are_not_made_by_hand() -> None:
    with pytest.raises(TypeError, match=r"it comes from 'async with serf\.query"):
        QueryResponse()
