"""The local node, announced and refuted; replies to stale alive messages."""

from __future__ import annotations

import random
from typing import Any

import pytest

from trioserf._swim.effects import (
    Broadcast,
    Refused,
    Refuted,
    SendTo,
)
from trioserf._swim.incarnations import MAX_INCARNATION
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.refutation import REPLIES, StaleReplies, announce, refute, refute_implausible

from .builders import (
    alive,
    dead,
    ip,
    kinds,
    left,
    new_table,
    node,
    place,
    probed,
    sent,
    state,
    suspect,
    the,
)


def test_an_announcement_has_the_local_node_under_its_name() -> None:
    local = node("a", incarnation=3, meta=b"m")

    def finished() -> None: ...

    broadcast = announce(local, finished)
    assert [alive("a", 3, meta=b"m")] == sent([broadcast])
    assert ("a", True, finished) == (broadcast.key, broadcast.local, broadcast.on_finished)


def test_a_refutation_has_a_higher_incarnation_and_raises_the_health_score() -> None:
    local = node("a", incarnation=3, meta=b"m")
    effects = refute(local, 7, faithful=False)
    assert ["Refuted", "Broadcast"] == kinds(effects)
    assert Refuted(8) == effects[0]
    assert [alive("a", 8, meta=b"m")] == sent(effects)
    assert 8 == local.incarnation


def test_a_refutation_of_a_lower_incarnation_still_counts_on() -> None:
    local = node("a", incarnation=9)
    refute(local, 7, faithful=False)
    assert 10 == local.incarnation


def test_at_the_end_of_the_range_the_incarnation_stays_and_wraps_in_go() -> None:
    local = node("a", incarnation=MAX_INCARNATION)
    refute(local, MAX_INCARNATION, faithful=False)
    assert MAX_INCARNATION == local.incarnation
    local = node("a", incarnation=3)
    refute(local, MAX_INCARNATION, faithful=True)
    assert 0 == local.incarnation


def test_an_implausible_message_is_refuted_with_the_next_incarnation() -> None:
    local = node("a", incarnation=3)
    effects = refute_implausible(local, MAX_INCARNATION)
    assert "implausible incarnation 4294967295 of the local node" == the(Refused, effects).reason
    assert "a" == the(Broadcast, effects).key
    assert [alive("a", 4)] == sent(effects)


def reply_to(
    replies: StaleReplies,
    known: Node,
    now: float = 0.0,
    *,
    reached: int = 5,
    from_the_node: bool = True,
    num_nodes: int = 1000,
) -> SendTo | None:
    return replies.reply(
        known, place("b"), reached, now, from_the_node=from_the_node, num_nodes=num_nodes
    )


def new_replies(seed: int = 1) -> StaleReplies:
    return StaleReplies("a", 1.0, random.Random(seed))


def test_the_reply_to_a_dead_node_names_the_local_one_and_to_a_left_node_itself() -> None:
    for status, message in [
        (NodeStatus.DEAD, dead("b", 5, by="a")),
        (NodeStatus.LEFT, left("b", 5)),
    ]:
        reply = reply_to(new_replies(), node("b", status=status, incarnation=5))
        assert reply is not None
        assert (place("b"), "b") == (reply.address, reply.name)
        assert [message] == sent([reply])


def test_the_reply_has_the_highest_incarnation_known() -> None:
    reply = reply_to(new_replies(), node("b", status=NodeStatus.DEAD, incarnation=2), reached=9)
    assert reply is not None
    assert [dead("b", 9, by="a")] == sent([reply])


def test_a_node_gets_one_reply_in_an_interval() -> None:
    replies = new_replies()
    known = node("b", status=NodeStatus.DEAD)
    assert reply_to(replies, known, 0.0) is not None
    assert reply_to(replies, known, 0.9) is None
    assert reply_to(replies, node("c", status=NodeStatus.DEAD), 0.9) is not None
    assert reply_to(replies, known, 1.0) is not None
    replies.forget("b")
    replies.forget("unknown")
    assert reply_to(replies, known, 1.1) is not None


def test_a_few_of_the_nodes_that_received_it_from_others_reply() -> None:
    known = node("b", status=NodeStatus.DEAD)
    given = sum(
        reply_to(new_replies(seed), known, from_the_node=False, num_nodes=1000) is not None
        for seed in range(1000)
    )
    assert 0 < given < 3 * REPLIES


def test_in_a_small_cluster_all_reply() -> None:
    known = node("b", status=NodeStatus.DEAD)
    assert all(
        reply_to(new_replies(seed), known, from_the_node=False, num_nodes=REPLIES) is not None
        for seed in range(50)
    )


MAPPED = bytes(10) + b"\xff\xff"

MAPPED = bytes(10) + b"\xff\xff"


# --- the local node -----------------------------------------------------------------------


def test_messages_of_the_local_node_come_back_stale() -> None:
    table = new_table()
    table.update_local(0.0, b"m")
    table.update_local(0.0, b"n")
    assert [] == table.on_alive(alive("a", 2, meta=b"m"), 1.0)
    assert [] == table.on_alive(alive("a", 3, meta=b"n"), 1.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"incarnation": 1, "meta": b"m"},
        {"incarnation": 1, "versions": bytes((1, 5, 3, 2, 5, 4))},
        {"incarnation": 7},
        {"incarnation": 7, "meta": b"m"},
    ],
)
def test_a_newer_alive_message_about_the_local_node_is_refuted(fields: dict[str, Any]) -> None:
    table = new_table()
    effects = table.on_alive(alive("a", **fields), 1.0)
    following = fields["incarnation"] + 1
    assert Refuted(following) == the(Refuted, effects)
    assert [alive("a", following)] == sent(effects)
    assert the(Broadcast, effects).local
    assert ("alive", following) == state(table, "a")
    assert b"" == table.local_node.meta


def test_a_refutation_replaces_what_is_queued_about_the_local_node() -> None:
    table = new_table()
    keys = {
        the(Broadcast, effects).key
        for effects in (
            table.update_local(0.0, b"m"),
            table.on_alive(alive("a", 9), 0.0),
            table.on_suspect(suspect("a", 12), 0.0),
            table.leave(0.0),
        )
    }
    assert {"a"} == keys


def test_after_leaving_alive_messages_about_the_local_node_are_ignored() -> None:
    table = new_table()
    table.on_alive(alive("a", 5, addr=ip("x")), 0.0)
    table.leave(0.0)
    for message in (alive("a", 9), alive("a", 9, addr=ip("x")), alive("a", 0)):
        assert [] == table.on_alive(message, 1.0)
    assert [] == probed(table, alive("a", 5, addr=ip("x")), True, 1.0)
    assert ("left", 1) == state(table, "a")


def test_a_malformed_message_about_the_local_node_is_refused() -> None:
    assert ["Refused"] == kinds(new_table().on_alive(alive("a", 9, versions=None), 1.0))
