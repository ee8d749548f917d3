"""Queries: sent, seen once, acknowledged, answered once."""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.effects import Broadcast, Count, Deliver, Drop, Effect, SendTo
from trioserf._cluster.lamport import LamportClock
from trioserf._cluster.queries import (
    INTERNAL_BURST,
    INTERNAL_RATE,
    MAX_KNOWN,
    MAX_SLOT_QUERIES,
    STRANGER_BURST,
    STRANGER_RATE,
    OpenQuery,
    QueryLog,
    QueryParams,
    default_timeout,
)
from trioserf._events import Member
from trioserf._exceptions import (
    ConfigError,
    FeatureNotSupported,
    QueryTooLarge,
)
from trioserf._wire.query_filters import encode_filters
from trioserf._wire.serf_messages import (
    QUERY_FLAG_ACK,
    QUERY_FLAG_NO_BROADCAST,
    QueryMessage,
    QueryResponseMessage,
    decode_relay,
    decode_serf,
)
from trioserf.abc import Address

from .samples import LOCAL, config, member, warnings

HERE = Address("10.0.0.9", 7946)


def log(members: tuple[Member, ...] = (), **fields: Any) -> QueryLog:
    settings = config(**fields)
    return QueryLog(settings, random.Random(1), lambda: members, clock=LamportClock(1))


def ask(
    queries: QueryLog,
    name: str = "load",
    payload: bytes = b"",
    *,
    live_members: int = 1,
    tags: dict[str, str] | None = None,
    **params: Any,
) -> OpenQuery:
    return queries.originate(
        name,
        payload,
        QueryParams(**params),
        now=100.0,
        address=HERE,
        live_members=live_members,
        tags=tags or {},
    )


def query(ltime: int = 1, id: int = 1, **fields: Any) -> QueryMessage:
    given_fields = {
        "addr": bytes([127, 0, 0, 1]),
        "port": 7946,
        "source_node": "n1",
        "timeout": 3_000_000_000,
        "name": "load",
        **fields,
    }
    return QueryMessage(ltime, id, **given_fields)


def receive(queries: QueryLog, msg: QueryMessage, **tags: str) -> tuple[bool, list[Effect]]:
    return queries.on_query(msg, 100.0, tags)


def delivered(effects: list[Effect] | tuple[Effect, ...]) -> list[QueryMessage]:
    return [effect.query for effect in effects if isinstance(effect, Deliver)]


def replies(effects: list[Effect] | tuple[Effect, ...]) -> list[SendTo]:
    return [effect for effect in effects if isinstance(effect, SendTo)]


# --- asking


@pytest.mark.parametrize(
    ("live", "seconds"), [(1, 3.2), (9, 3.2), (10, 6.4), (99, 6.4), (100, 9.6), (999, 9.6)]
)
def test_the_default_timeout_grows_with_the_digits_of_the_cluster(
    live: int, seconds: float
) -> None:
    """Checklist 74."""
    assert pytest.approx(seconds) == default_timeout(0.2, 16, live)


def test_a_query_without_live_members_still_has_time() -> None:
    assert default_timeout(0.2, 16, 1) == default_timeout(0.2, 16, 0)


def test_a_query_without_gossip_still_has_time() -> None:
    assert default_timeout(0.2, 16, 5) == default_timeout(0.0, 16, 5)


def test_default_params_ask_every_node_for_a_response_without_ack() -> None:
    """Checklist 74."""
    params = QueryParams()
    assert () == params.filter_nodes
    assert {} == params.filter_tags
    assert params.request_ack is False
    assert 0 == params.relay_factor
    assert params.timeout is None


@pytest.mark.parametrize("field", [{"relay_factor": 256}, {"relay_factor": -1}, {"timeout": -1.0}])
def test_impossible_params_are_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        QueryParams(**field)


def test_a_query_names_its_source_and_is_queued_as_local() -> None:
    queries = log()
    opened = ask(queries, "load", b"x", request_ack=True, relay_factor=2, timeout=5.0)
    msg = opened.message
    assert (1, "load", b"x") == (msg.ltime, msg.name, msg.payload)
    assert (bytes([10, 0, 0, 9]), 7946, LOCAL) == (msg.addr, msg.port, msg.source_node)
    assert (QUERY_FLAG_ACK, 2, 5_000_000_000) == (msg.flags, msg.relay_factor, msg.timeout)
    assert 0 <= msg.id < 2**31
    assert 105.0 == opened.deadline
    queued = opened.effects[-1]
    assert isinstance(queued, Broadcast)
    assert ("query", True) == (queued.queue, queued.local)
    assert msg == decode_serf(queued.message)


def test_a_query_has_the_default_timeout_unless_given_one() -> None:
    queries = log()
    assert pytest.approx(106.4) == ask(queries, live_members=10).deadline
    assert 3_200_000_000 == ask(queries, timeout=0.0).message.timeout


@pytest.mark.parametrize("timeout", [1e12, 1e308, 10**30])
def test_an_endless_timeout_fits_the_wire(timeout: float) -> None:
    assert 2**63 - 1 == ask(log(), timeout=timeout).message.timeout


def test_a_nodes_own_query_is_delivered_and_acknowledged_like_any_other() -> None:
    """Checklist 75, the rule."""
    queries = log()
    opened = ask(queries, request_ack=True)
    assert [opened.message] == delivered(opened.effects)
    (ack,) = replies(opened.effects)
    assert HERE == ack.address
    assert 2 == queries.clock.time


def test_filters_are_sent_node_names_first_then_tags() -> None:
    """Checklist 7."""
    opened = ask(log(), filter_nodes=["n1", "n2"], filter_tags={"role": "^web", "dc": "x"})
    assert encode_filters(["n1", "n2"], {"role": "^web", "dc": "x"}) == opened.message.filters
    assert 3 == len(opened.message.filters)
    assert [] == delivered(opened.effects)
    assert ask(log()).message.filters is None


def test_two_queries_have_two_times() -> None:
    queries = log()
    assert [1, 2] == [ask(queries).message.ltime, ask(queries).message.ltime]


def test_a_query_over_the_limit_is_refused() -> None:
    """Checklist 78, 79."""
    queries = log()
    with pytest.raises(QueryTooLarge, match=r"^query exceeds limit of 1024 bytes: \d+ bytes"):
        ask(queries, payload=bytes(1024))
    assert 1 == queries.clock.time
    ask(log(query_size_limit=2048), payload=bytes(1024))


def test_old_protocols_have_no_queries() -> None:
    with pytest.raises(FeatureNotSupported, match="Feature not supported"):
        ask(log(protocol_version=3))


# --- receiving


def test_a_query_older_than_the_ring_is_dropped() -> None:
    """Checklist 80."""
    queries = log()
    queries.clock.witness(512 + 1000 - 1)
    again, effects = receive(queries, query(1))
    assert not again
    assert [] == delivered(effects)
    assert ["old_query"] == [e.reason for e in effects if isinstance(e, Drop)]


def test_the_oldest_query_of_the_ring_is_delivered() -> None:
    queries = log(query_buffer=4)
    queries.clock.witness(10)  # reads 11
    assert not receive(queries, query(6))[0]
    assert receive(queries, query(7))[0]


def test_queries_of_one_time_differ_by_their_ids() -> None:
    """Checklist 81."""
    queries = log()
    seen = []
    for msg in (query(1, 1), query(1, 2), query(1, 3)):
        again, effects = receive(queries, msg)
        assert again
        seen += delivered(effects)
        assert (False, []) == receive(queries, msg)
    assert [1, 2, 3] == [msg.id for msg in seen]


def test_queries_before_the_minimal_time_are_ignored() -> None:
    queries = QueryLog(config(), random.Random(1), tuple, min_time=10)
    assert (False, []) == receive(queries, query(9))
    assert receive(queries, query(10))[0]
    assert 11 == queries.clock.time


def test_a_query_lives_from_its_reception() -> None:
    (_, effects) = receive(log(), query(timeout=1_500_000_000))
    assert [Count("serf.queries"), Deliver(query(timeout=1_500_000_000), 101.5)] == effects


@pytest.mark.parametrize("timeout", [0, -5_000_000_000])
def test_a_query_that_is_over_is_delivered_all_the_same(timeout: int) -> None:
    (_, effects) = receive(log(), query(timeout=timeout))
    (delivery,) = [effect for effect in effects if isinstance(effect, Deliver)]
    assert 100.0 + timeout / 1e9 == delivery.deadline


def test_a_query_for_others_is_passed_on_without_ack() -> None:
    filters = encode_filters(["other"], {})
    again, effects = receive(log(), query(filters=filters, flags=QUERY_FLAG_ACK))
    assert again
    assert [Count("serf.queries")] == effects


def test_queries_are_counted_in_one_counter_whatever_their_name() -> None:
    for name in ("a", "b"):
        _, effects = receive(log(), query(name=name))
        assert Count("serf.queries") == effects[0]


@pytest.mark.parametrize("filters", [(b"\x07\xc0",), (b"",), (None,), (b"\x01\x81",)])
def test_a_filter_that_cannot_be_decided_is_logged(filters: tuple[bytes | None, ...]) -> None:
    again, effects = receive(log(), query(filters=filters))
    assert again
    assert [] == delivered(effects)
    assert 1 == len(warnings(effects))


def test_filters_that_cost_more_than_their_share_of_time_are_counted_and_not_logged() -> None:
    """Who sends them could fill the log besides."""
    queries = log()
    costly = encode_filters([], {"role": "(?i)((a|[a-z]*){20}){20}"}) * 50
    last = []
    for number in range(1, 100):
        again, last = receive(queries, query(id=number, filters=costly), role="aAbB" * 100)
        assert again
        assert [] == delivered(last)
    assert Count("trioserf.serf.filters_over_budget") in last
    assert [] == warnings(last)
    # What this node asks itself is not charged, and a second later there is time again.
    usual = encode_filters([], {"role": "^a"})
    own = ask(queries, filter_tags={"role": "^a"}, tags={"role": "ab"})
    assert 1 == len(delivered(own.effects))
    _, effects = queries.on_query(query(ltime=2, id=1, filters=usual), 101.0, {"role": "ab"})
    assert 1 == len(delivered(effects))


def test_a_query_for_this_node_is_delivered() -> None:
    """Checklist 76, the rule."""
    filters = encode_filters(["other", LOCAL], {"role": "^web"})
    _, effects = receive(log(), query(filters=filters), role="web-1")
    assert 1 == len(delivered(effects))


def test_a_query_may_ask_not_to_be_passed_on() -> None:
    again, effects = receive(log(), query(flags=QUERY_FLAG_NO_BROADCAST))
    assert not again
    assert 1 == len(delivered(effects))


def test_an_ack_goes_to_the_asker() -> None:
    _, effects = receive(log(), query(7, 8, flags=QUERY_FLAG_ACK))
    (ack,) = replies(effects)
    assert (Address("127.0.0.1", 7946), "n1") == (ack.address, ack.name)
    assert QueryResponseMessage(7, 8, LOCAL, 1, None) == decode_serf(ack.message)
    assert [Count, SendTo, Deliver] == [type(effect) for effect in effects]


def test_an_ack_is_relayed_as_often_as_wanted() -> None:
    members = tuple(member(name) for name in (LOCAL, "a", "b"))
    _, effects = receive(log(members), query(flags=QUERY_FLAG_ACK, relay_factor=1))
    direct, relayed = replies(effects)
    assert relayed.name in ("a", "b")
    assert direct.message == decode_relay(relayed.message)[1]


@pytest.mark.parametrize(("addr", "port"), [(b"\x01", 7946), (None, 7946), (bytes(4), 0)])
def test_an_impossible_return_address_loses_the_ack_alone(addr: bytes | None, port: int) -> None:
    msg = query(addr=addr, port=port, flags=QUERY_FLAG_ACK)
    again, effects = receive(log(), msg)
    assert again
    assert [] == replies(effects)
    assert 1 == len(warnings(effects))
    assert [msg] == delivered(effects)


def test_an_ack_too_long_to_relay_still_goes_directly() -> None:
    members = tuple(member(name) for name in (LOCAL, "a", "b"))
    msg = query(flags=QUERY_FLAG_ACK, relay_factor=1, source_node="n" * 1000)
    _, effects = receive(log(members), msg)
    assert 1 == len(replies(effects))
    assert 1 == len(warnings(effects))
    assert [msg] == delivered(effects)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), max_size=60), st.integers(1, 6))
def test_a_query_is_delivered_at_most_once(seen: list[tuple[int, int]], size: int) -> None:
    """Checklist 80, 81."""
    queries = QueryLog(config(query_buffer=size), random.Random(1), tuple)
    seen = []
    for ltime, id in seen:
        again, effects = receive(queries, query(ltime, id))
        assert bool(delivered(effects)) == again
        seen += [(msg.ltime, msg.id) for msg in delivered(effects)]
    assert len(seen) == len(set(seen))


def test_one_lamport_time_has_room_for_so_many_queries() -> None:
    queries = log()
    for number in range(MAX_SLOT_QUERIES):
        assert queries.on_query(query(id=number), 0.0, {})[0]
    assert not queries.on_query(query(id=MAX_SLOT_QUERIES), 0.0, {})[0]
    assert queries.on_query(query(ltime=6, id=1), 0.0, {})[0]


def test_too_many_known_queries_make_the_lowest_times_stale() -> None:
    queries = log()
    for number in range(MAX_KNOWN + 1):
        assert queries.on_query(query(ltime=1 + number // 1000, id=number), 0.0, {})[0]
    assert queries.recent.floor >= 1
    again, effects = queries.on_query(query(ltime=1, id=MAX_KNOWN), 0.0, {})
    assert (False, ["old_query"]) == (again, [one.reason for one in effects])
    assert queries.on_query(query(ltime=60, id=MAX_KNOWN + 9), 0.0, {})[0]


# --- arguments that mean something else -----------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter_nodes": "fine"},
        {"filter_nodes": b"fine"},
        {"filter_nodes": [1]},
        {"filter_tags": ["mode"]},
        {"filter_tags": "mode"},
        {"filter_tags": {"mode": 1}},
        {"filter_tags": {"mode": None}},
        {"filter_tags": {1: "a"}},
    ],
)
def test_arguments_of_another_type_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        QueryParams(**wrong)


@pytest.mark.parametrize("expression", ["([", "a**", "(?<name", "\\", "a{2,1}", "(?P<a>b"])
def test_an_expression_that_nobody_can_evaluate_is_refused(expression: str) -> None:
    with pytest.raises(ConfigError, match="RE2 expression for tag 'mode'"):
        QueryParams(filter_tags={"role": "web", "mode": expression})


def test_good_filters_stay_as_they_are() -> None:
    params = QueryParams(filter_nodes=iter(["a", "b"]), filter_tags={"role": "^web.*$", "x": ""})
    assert ("a", "b") == params.filter_nodes
    assert {"role": "^web.*$", "x": ""} == params.filter_tags


def acked(queries: QueryLog, now: float, **fields: Any) -> int:
    """How many of two hundred queries are acknowledged or delivered."""
    answered = 0
    for _ in range(200):
        number = queries._known + 1
        message = query(ltime=1 + number // 100, id=number, flags=QUERY_FLAG_ACK, **fields)
        answered += bool(delivered(queries.on_query(message, now, {})[1]))
    return answered


@pytest.mark.parametrize("name", ["_serf_conflict", "_serf_list-keys", "_serf_ping"])
def test_internal_queries_are_answered_at_a_bounded_rate(name: str) -> None:
    queries = log()
    assert INTERNAL_BURST == acked(queries, 0.0, name=name)
    assert INTERNAL_RATE == acked(queries, 1.0, name=name)
    assert 200 == acked(queries, 1.0)
    for _ in range(200):
        assert delivered(ask(queries, name).effects), "those of this node are its own affair"


def test_queries_of_strangers_are_answered_at_a_bounded_rate() -> None:
    queries = log()
    one = member("n1", addr=IPv4Address("127.0.0.1"))
    queries.find_member = {"n1": one}.get
    assert 200 == acked(queries, 0.0)
    assert STRANGER_BURST == acked(queries, 0.0, port=80)
    assert STRANGER_RATE == acked(queries, 1.0, addr=bytes([10, 0, 0, 9]))
    assert STRANGER_RATE // 4 == acked(queries, 2.0, source_node="other", relay_factor=3)
    assert 200 == acked(queries, 2.0)
