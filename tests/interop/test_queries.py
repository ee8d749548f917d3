"""Queries both ways: answers, acks, filters, relays, and the limit on the size of an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from tests.interop.agents import Answers, GoAgent, go_agent
from tests.interop.nodes import TrioserfNode, trioserf_node
from tests.interop.waiting import becomes, limit

HANDLERS = ["query:load=printf 0.42", "query:echo=cat", "query:silent=true"]
ANSWERS = {"load": lambda _payload: b"0.17", "echo": lambda payload: payload + b"\n"}


@attrs.frozen
class Cluster:
    """Two agents (go-1 web, go-2 db) and two trioserf nodes (py-1 web, py-2 db)."""

    go_1: GoAgent
    go_2: GoAgent
    py_1: TrioserfNode
    py_2: TrioserfNode


@asynccontextmanager
async def cluster(binary: Path, tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Cluster]:
    web, db = {"role": "web"}, {"role": "db"}
    async with (
        go_agent(binary, tmp_path, name="go-1", tags=web, handlers=HANDLERS) as go_1,
        go_agent(binary, tmp_path, name="go-2", tags=db, handlers=HANDLERS) as go_2,
        trioserf_node(nursery, name="py-1", tags=web, answers=ANSWERS) as py_1,
        trioserf_node(nursery, name="py-2", tags=db, answers=ANSWERS) as py_2,
    ):
        await go_2.join(go_1.address)
        await py_1.serf.join([go_1.address])
        await py_2.serf.join([go_2.address])
        everybody = dict.fromkeys(["go-1", "go-2", "py-1", "py-2"], "alive")
        for member in (go_1, go_2, py_1, py_2):
            await becomes(everybody, member.statuses)
        yield Cluster(go_1, go_2, py_1, py_2)


ALL = frozenset({"go-1", "go-2", "py-1", "py-2"})


@limit(30)
async def test_our_query_is_answered_and_acknowledged_by_everybody(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        result = await c.py_1.serf.ask("load", b"now", request_ack=True, timeout=5)
    assert ALL == set(result.acks)
    assert {"go-1": b"0.42", "go-2": b"0.42", "py-1": b"0.17", "py-2": b"0.17"} == {
        response.node: response.payload for response in result.responses
    }


@limit(30)
async def test_our_filters_choose_who_answers(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        serf = c.py_1.serf
        by_name = await serf.ask("load", filter_nodes=["go-2", "py-2"], request_ack=True, timeout=2)
        by_tag = await serf.ask("load", filter_tags={"role": "^w.b$"}, request_ack=True, timeout=2)
        by_both = await serf.ask(
            "load", filter_nodes=["go-1", "go-2"], filter_tags={"role": "d"}, timeout=2
        )
        assert [] == c.go_1.recorded("query", "silent")
        assert 1 == len(c.go_1.recorded("query", "load"))
    assert {"go-2", "py-2"} == {r.node for r in by_name.responses} == set(by_name.acks)
    assert {"go-1", "py-1"} == {r.node for r in by_tag.responses} == set(by_tag.acks)
    assert ["go-2"] == [r.node for r in by_both.responses]


@limit(30)
async def test_payloads_and_answers_of_queries_pass_both_ways(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    payload = b"\x00\xff\xfe 42"
    async with cluster(binary, tmp_path, nursery) as c:
        result = await c.py_1.serf.ask("echo", payload, filter_nodes=["go-1"], timeout=2)
    assert [("go-1", payload + b"\n")] == [(r.node, r.payload) for r in result.responses]


@limit(30)
async def test_an_open_query_gives_answers_and_acks_as_they_come(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        async with c.py_2.serf.query("load", request_ack=True, timeout=1.5) as query:
            responders = {response.node async for response in query}
            assert query.acks is not None
            acknowledged = {name async for name in query.acks}
        assert query.finished
    assert ALL == responders
    assert ALL == acknowledged


@limit(30)
async def test_a_trioserf_node_answers_the_query_of_an_agent(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        answers = await c.go_1.query("echo", "Grüße")
        assert ["go-1"] == [query.source_node for query in c.py_1.queries("echo")]
    assert Answers(ALL, dict.fromkeys(ALL, "Grüße\n")) == answers


@limit(30)
async def test_a_trioserf_node_obeys_the_filters_of_an_agent(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        by_name = await c.go_1.query("load", nodes=["go-1", "py-2"])
        by_tag = await c.go_1.query("load", tags={"role": "^web$"})
        without_ack = await c.go_1.query("load", nodes=["py-1"], ack=False)
        assert 2 == len(c.py_1.queries("load"))
        assert 1 == len(c.py_2.queries("load"))
    assert Answers(frozenset({"go-1", "py-2"}), {"go-1": "0.42", "py-2": "0.17"}) == by_name
    assert Answers(frozenset({"go-1", "py-1"}), {"go-1": "0.42", "py-1": "0.17"}) == by_tag
    assert Answers(frozenset(), {"py-1": "0.17"}) == without_ack


@pytest.mark.parametrize("relay_factor", [1, 2])
@limit(30)
async def test_relayed_answers_are_counted_once(
    binary: Path, tmp_path: Path, nursery: trio.Nursery, relay_factor: int
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        theirs = await c.go_1.query("load", relay_factor=relay_factor)
        result = await c.py_1.serf.ask(
            "load", relay_factor=relay_factor, request_ack=True, timeout=2
        )
    assert ALL == theirs.acks == set(theirs.responses)
    assert sorted(ALL) == sorted(result.acks) == sorted(r.node for r in result.responses)


@limit(30)
async def test_a_query_to_a_node_that_stays_silent_ends_at_its_deadline(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with cluster(binary, tmp_path, nursery) as c:
        before = trio.current_time()
        result = await c.py_1.serf.ask("silent", filter_nodes=["go-1"], request_ack=True, timeout=1)
        elapsed = trio.current_time() - before
    assert ["go-1"] == list(result.acks)
    assert [] == list(result.responses)
    assert 0.9 < elapsed < 3
