from __future__ import annotations

import random

from trioserf._swim.answers import REPLIES, StaleReplies
from trioserf._swim.effects import SendTo
from trioserf._swim.nodes import Node, NodeStatus

from .builders import dead, left, node, place, sent


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
