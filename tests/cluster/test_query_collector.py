"""What comes back for a query."""

from __future__ import annotations

import pytest

from trioserf._cluster.effects import Count, Effect
from trioserf._cluster.query_collector import (
    NodeAck,
    NodeResponse,
    PendingQueries,
    QueryCollector,
    eligible_members,
)
from trioserf._events import MemberStatus
from trioserf._wire.query_filters import encode_filters
from trioserf._wire.serf_messages import (
    QUERY_FLAG_ACK,
    QUERY_FLAG_NO_BROADCAST,
    RESPONSE_FLAG_ACK,
    QueryMessage,
    QueryResponseMessage,
)

from .samples import member, warnings

QUERY = QueryMessage(5, 77, flags=QUERY_FLAG_ACK, name="load")
QUIET = QueryMessage(5, 77, flags=QUERY_FLAG_NO_BROADCAST, name="load")


def collector(query: QueryMessage = QUERY, *eligible: str) -> QueryCollector:
    return QueryCollector(query, deadline=10.0, eligible=eligible)


def answer(node: str, payload: bytes | None = b"x", *, id: int = 77) -> QueryResponseMessage:
    return QueryResponseMessage(5, id, node, 0, payload)


def ack(node: str) -> QueryResponseMessage:
    return QueryResponseMessage(5, 77, node, 1, None)


def test_the_first_copies_of_an_answer_and_of_an_ack_count() -> None:
    """Checklist 77."""
    queries = collector()
    assert (
        NodeResponse("a", b"x"),
        [Count("serf.query_responses")],
    ) == queries.on_response(answer("a"), 1.0)
    assert (NodeAck("a"), [Count("serf.query_acks")]) == queries.on_response(ack("a"), 1.0)
    assert (
        None,
        [Count("serf.query_duplicate_responses")],
    ) == queries.on_response(answer("a", b"other"), 1.0)
    assert (None, [Count("serf.query_duplicate_acks")]) == queries.on_response(ack("a"), 1.0)
    assert {"a": b"x"} == queries.responses
    assert {"a": None} == queries.acks


def test_a_nil_answer_is_an_empty_one() -> None:
    item, _ = collector().on_response(answer("a", None), 1.0)
    assert NodeResponse("a", b"") == item


def test_an_ack_that_was_not_requested_is_dropped() -> None:
    queries = collector(QUIET)
    assert queries.acks is None
    item, effects = queries.on_response(ack("a"), 1.0)
    assert item is None
    assert 1 == len(warnings(effects))


def test_an_answer_with_another_id_is_dropped() -> None:
    item, effects = collector().on_response(answer("a", id=78), 1.0)
    assert item is None
    assert 1 == len(warnings(effects))


def test_answers_after_the_end_are_ignored() -> None:
    queries = collector()
    assert not queries.finished(10.0)
    assert queries.finished(10.1)
    assert (None, []) == queries.on_response(answer("a"), 10.1)
    queries.close()
    queries.close()
    assert queries.finished(1.0)
    assert (None, []) == queries.on_response(answer("a"), 1.0)


def test_an_item_without_room_counts_again() -> None:
    queries = collector()
    for msg in (answer("a"), ack("a")):
        item, _ = queries.on_response(msg, 1.0)
        assert item is not None
        queries.undelivered(item)
        assert item == queries.on_response(msg, 1.0)[0]
    quiet = collector(QUIET)
    quiet.undelivered(NodeAck("a"))
    assert quiet.acks is None


def test_everyone_answered_means_responses_and_requested_acks() -> None:
    queries = collector(QUERY, "a", "b")
    for msg in (answer("a"), answer("b"), ack("a")):
        queries.on_response(msg, 1.0)
        assert not queries.everyone_answered
    assert frozenset() == queries.missing
    queries.on_response(ack("b"), 1.0)
    assert queries.everyone_answered


def test_without_acks_answers_suffice() -> None:
    queries = collector(QUIET, "a", "b")
    queries.on_response(answer("a"), 1.0)
    queries.on_response(answer("stranger"), 1.0)
    assert {"b"} == queries.missing
    queries.on_response(answer("b"), 1.0)
    assert queries.everyone_answered


def test_members_that_are_gone_are_not_waited_for() -> None:
    queries = collector(QUERY, "a", "b")
    queries.on_response(answer("a"), 1.0)
    queries.on_response(ack("a"), 1.0)
    assert not queries.drop_members(["stranger"])
    assert queries.drop_members(["b"])
    assert queries.everyone_answered


def test_only_alive_members_that_pass_the_filters_are_awaited() -> None:
    members = [
        member("web-1", tags={"role": "web"}),
        member("web-2", MemberStatus.FAILED, tags={"role": "web"}),
        member("web-3", MemberStatus.LEAVING, tags={"role": "web"}),
        member("db-1", tags={"role": "db"}),
    ]
    everyone = eligible_members(members, QUERY)
    assert {"web-1", "db-1"} == everyone
    web = QueryMessage(filters=encode_filters([], {"role": "^web$"}))
    assert {"web-1"} == eligible_members(members, web)


def test_responses_find_their_query_by_its_time() -> None:
    pending = PendingQueries()
    queries = collector()
    pending.add(queries)
    assert 1 == len(pending)
    found, item, effects = pending.on_response(answer("a"), 1.0)
    assert found is queries
    assert NodeResponse("a", b"x") == item
    assert [Count("serf.query_responses")] == effects
    pending.remove(queries)
    pending.remove(queries)
    found, item, effects = pending.on_response(answer("a"), 1.0)
    assert (None, None) == (found, item)
    assert 1 == len(warnings(effects))


def test_removing_a_query_leaves_a_later_one_of_the_same_time() -> None:
    pending = PendingQueries()
    first, second = collector(), collector()
    pending.add(first)
    pending.add(second)
    pending.remove(first)
    assert pending.on_response(answer("a"), 1.0)[0] is second


def test_members_that_go_settle_the_queries_that_waited_for_them() -> None:
    pending = PendingQueries()
    waiting = collector(QueryMessage(1, 1), "a", "b")
    settled = collector(QueryMessage(2, 1))
    last = collector(QueryMessage(3, 1), "a")
    for one in (waiting, settled, last):
        pending.add(one)
    assert [last] == pending.drop_members(["a"])
    assert [waiting] == pending.drop_members(["b"])
    assert [] == pending.drop_members(["b"])


@pytest.mark.parametrize("size", [3, 300])
def test_a_response_shows_itself_shortly(size: int) -> None:
    assert len(repr(NodeResponse("a", bytes(size)))) < 180


def test_strangers_do_not_take_the_room_of_members() -> None:
    query = QueryMessage(ltime=5, id=7, addr=None, port=1, flags=QUERY_FLAG_ACK)
    collector = QueryCollector(query, 100.0, {"a", "b"})
    collector.limit_strangers({"a", "b", "failed"}, 2)

    def answer(name: str, flags: int) -> tuple[NodeResponse | NodeAck | None, list[Effect]]:
        return collector.on_response(QueryResponseMessage(5, 7, name, flags, b""), 0.0)

    names = ["x1", "x2", "x3", "a", "failed", "x4", "b", "x1"]

    def delivered(flags: int) -> list[str]:
        return [item.node for name in names if (item := answer(name, flags)[0])]

    assert ["x1", "x2", "a", "failed", "b"] == delivered(0)
    assert ["x1", "x2", "a", "failed", "b"] == delivered(RESPONSE_FLAG_ACK)
    assert (None, [Count("trioserf.serf.stranger_answers")]) == answer("x9", 0)
