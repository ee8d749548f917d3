"""Alive messages, rule by rule.  The table of node "a" is the one under test."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from trioserf._exceptions import MergeRefused
from trioserf._swim import alive_rules
from trioserf._swim.alive_rules import REPLYING_NODES, DroppedNodes, StaleReplies
from trioserf._swim.effects import (
    Applied,
    Broadcast,
    NodeDropped,
    NodeJoined,
    NodeUpdated,
    Refused,
    SendTo,
)
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.refutation import ALIVE_BAND, MAX_INCARNATION, STEP, SUSPECT_BAND
from trioserf._swim.table import NodeTable
from trioserf._wire.messages import NodeRecord

from .builders import (
    PORT,
    VERSIONS,
    alive,
    dead,
    ip,
    kinds,
    left,
    new_table,
    node,
    place,
    record,
    sent,
    state,
    suspect,
    table_with,
    the,
)

MAPPED = bytes(10) + b"\xff\xff"


# --- unknown nodes ------------------------------------------------------------------------


def test_an_unknown_node_joins_and_its_message_is_gossiped_on() -> None:
    table = new_table()
    effects = table.on_alive(alive(meta=b"m"), 7.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert [alive(meta=b"m")] == sent(effects)
    broadcast = the(Broadcast, effects)
    assert ("b", False) == (broadcast.key, broadcast.local)
    b = table.nodes["b"]
    assert NodeJoined(b) == effects[-1]
    assert ("alive", 5) == state(table)
    assert (ip("b"), PORT, b"m", VERSIONS, 7.0) == (
        b.addr,
        b.port,
        b.meta,
        b.versions,
        b.changed_at,
    )
    assert 2 == table.num_nodes == len(table.sequence)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": ""}, "no name"),
        ({"addr": b"\x0a"}, "an address of 1 bytes"),
        ({"incarnation": 0}, "incarnation 0"),
        ({"versions": None}, "versions missing"),
        ({"versions": VERSIONS[:3]}, "versions 010502"),
        ({"meta": bytes(513)}, "metadata of 513 bytes"),
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_a_malformed_alive_message_is_refused(
    fields: dict[str, Any], reason: str, known: bool
) -> None:
    table = table_with("b") if known else new_table()
    message = alive(**{"incarnation": 6, **fields})
    before = table.records()
    effects = table.on_alive(message, 0.0)
    assert before == table.records()
    if known and message.incarnation == 0:
        assert [] == effects, "stale like any other"
    else:
        assert [Refused(message.node, reason)] == effects


def test_longer_versions_are_gossiped_on_as_six_bytes() -> None:
    table = new_table()
    effects = table.on_alive(alive(versions=VERSIONS + b"\x09"), 0.0)
    assert [alive()] == sent(effects)
    assert VERSIONS == table.nodes["b"].versions


@pytest.mark.parametrize(("bind_port", "port"), [(8301, 8301), (0, PORT)])
def test_port_0_stands_for_the_local_port(bind_port: int, port: int) -> None:
    table = new_table(bind_port=bind_port)
    effects = table.on_alive(alive(port=0), 0.0)
    assert [alive(port=port)] == sent(effects)
    assert [] == table.on_alive(alive(port=0), 0.0)


def test_in_protocol_1_every_port_is_the_local_one() -> None:
    table = new_table(protocol_version=1, bind_port=8301)
    assert [alive(port=8301)] == sent(table.on_alive(alive(port=5), 0.0))


def test_an_ipv4_address_in_sixteen_bytes_is_gossiped_on_as_received() -> None:
    message = alive(addr=MAPPED + ip("b"))
    assert [message] == sent(new_table().on_alive(message, 0.0))


def test_what_most_nodes_have_alike_is_kept_once() -> None:
    table = new_table()
    for name in ("b", "c"):
        # As from two packets: equal, and not the same.
        same = {"meta": bytes(bytearray(b"same")), "versions": bytes(bytearray(VERSIONS))}
        table.on_alive(alive(name, **same), 7.0)
    assert table.nodes["b"].meta is table.nodes["c"].meta
    assert table.nodes["b"].versions is table.nodes["c"].versions


def test_a_message_without_metadata_means_empty_metadata() -> None:
    table = new_table()
    effects = table.on_alive(alive(meta=None), 0.0)
    assert b"" == table.nodes["b"].meta
    assert [alive(meta=None)] == sent(effects)


# --- known nodes --------------------------------------------------------------------------


@pytest.mark.parametrize("incarnation", [1, 4, 5])
@pytest.mark.parametrize("suspected", [False, True])
def test_a_stale_message_about_a_live_node_changes_nothing(
    incarnation: int, suspected: bool
) -> None:
    table = table_with("b")
    if suspected:
        table.on_suspect(suspect(), 1.0)
    before = state(table)
    assert [] == table.on_alive(alive(incarnation=incarnation, meta=b"other"), 2.0)
    assert before == state(table)
    assert b"" == table.nodes["b"].meta


def test_a_new_incarnation_with_the_same_content_is_no_update() -> None:
    table = table_with("b")
    effects = table.on_alive(alive(incarnation=6), 9.0)
    assert ["Broadcast", "Applied"] == kinds(effects)
    assert ("alive", 6) == state(table)
    assert 0.0 == table.nodes["b"].changed_at


def test_new_metadata_is_an_update() -> None:
    table = table_with("b")
    effects = table.on_alive(alive(incarnation=6, meta=b"m"), 9.0)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)
    assert b"m" == table.nodes["b"].meta


@pytest.mark.parametrize("faithful_go", [False, True])
def test_new_versions_are_an_update(faithful_go: bool) -> None:
    """A node that is back at once, from an upgrade: others would show its former versions."""
    table = table_with("b", faithful_go=faithful_go)
    newer = bytes((1, 5, 3, 2, 5, 4))
    effects = table.on_alive(alive(incarnation=6, versions=newer), 9.0)
    assert ["Broadcast", "Applied"] == kinds(effects)[:2]
    assert ([] if faithful_go else ["NodeUpdated"]) == kinds(effects)[2:]
    assert newer == table.nodes["b"].versions
    assert ["Broadcast", "Applied"] == kinds(
        table.on_alive(alive(incarnation=7, versions=newer), 9.0)
    )


def test_a_suspicion_ends_only_with_a_higher_incarnation() -> None:
    table = table_with("b")
    table.on_suspect(suspect(incarnation=7), 1.0)
    assert [] == table.on_alive(alive(incarnation=7), 2.0)
    effects = table.on_alive(alive(incarnation=8), 3.0)
    assert ["Broadcast", "Applied"] == kinds(effects)
    assert ("alive", 8) == state(table)
    assert 3.0 == table.nodes["b"].changed_at
    assert table.suspicion("b") is None
    assert [] == table.expired(1e9)


@pytest.mark.parametrize("message", [dead(), left()])
def test_a_dead_or_left_node_joins_again_only_with_a_higher_incarnation(message: Any) -> None:
    table = table_with("b")
    table.on_dead(message, 1.0)
    assert "NodeJoined" not in kinds(table.on_alive(alive(), 2.0))
    effects = table.on_alive(alive(incarnation=6, meta=b"m"), 3.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert ("alive", 6) == state(table)


# --- stale messages about dead nodes ------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "reply"), [(dead(), dead(by="a")), (dead(by="a"), dead(by="a")), (left(), left())]
)
@pytest.mark.parametrize("incarnation", [1, 5])
def test_the_reply_to_a_stale_alive_message_about_a_dead_node_is_the_dead_message(
    message: Any, reply: Any, incarnation: int
) -> None:
    table = table_with("b")
    table.on_dead(message, 1.0)
    effects = table.on_alive(alive(incarnation=incarnation), 2.0, source=place("b"))
    assert ["SendTo"] == kinds(effects)
    assert (place("b"), "b") == (the(SendTo, effects).address, the(SendTo, effects).name)
    assert [reply] == sent(effects)
    assert [] == table.on_alive(alive(incarnation=incarnation), 2.5, source=place("b"))
    assert ["SendTo"] == kinds(table.on_alive(alive(incarnation=1), 3.0, source=place("b")))


def test_the_reply_lets_a_restarted_node_refute() -> None:
    table, restarted = table_with("b"), new_table("b")
    table.on_dead(dead(), 1.0)
    reply = sent(table.on_alive(alive(incarnation=1), 2.0, source=place("b")))[0]
    [message] = sent(restarted.on_dead(reply, 2.0))  # type: ignore[arg-type]
    assert "NodeJoined" in kinds(table.on_alive(message, 2.0))  # type: ignore[arg-type]
    assert ("alive", 6) == state(table)


def test_a_reply_is_sent_again_after_the_node_was_alive_in_between() -> None:
    table = table_with("b")
    table.on_dead(dead(), 1.0)
    table.on_alive(alive(), 2.0)
    table.on_alive(alive(incarnation=6), 2.1)
    table.on_dead(dead(incarnation=6), 2.2)
    assert ["SendTo"] == kinds(table.on_alive(alive(incarnation=6), 2.3))


def test_only_a_few_nodes_reply_to_a_stale_message_from_others() -> None:
    replies = 0
    for seed in range(12):
        table = new_table(seed=seed)
        for i in range(100):
            table.on_alive(alive(f"z{i}"), 0.0)
        table.on_alive(alive("b"), 0.0)
        table.on_dead(dead(), 1.0)
        replies += len(table.on_alive(alive(), 2.0, source=place("z")))
    assert 0 < replies < 10


def test_go_drops_stale_messages_about_dead_nodes() -> None:
    table = table_with("b", faithful_go=True)
    table.on_dead(dead(), 1.0)
    assert [] == table.on_alive(alive(), 2.0, source=place("b"))


# --- implausible incarnations -------------------------------------------------------------


def test_an_implausible_alive_message_is_applied_only_from_the_node_itself() -> None:
    table = table_with("b")
    message = alive(incarnation=ALIVE_BAND)
    for source in (None, place("c"), place("b", 80)):
        assert [Refused("b", f"implausible incarnation {ALIVE_BAND}")] == table.on_alive(
            message, 1.0, source=source
        )
    assert ("alive", 5) == state(table)
    table.on_alive(message, 1.0, source=place("b"))
    assert ("alive", ALIVE_BAND) == state(table)
    table.on_alive(alive(incarnation=ALIVE_BAND + STEP), 1.0)
    assert ("alive", ALIVE_BAND + STEP) == state(table)
    assert [] == table.on_alive(alive(incarnation=ALIVE_BAND + STEP), 1.0)


def test_an_implausible_alive_message_about_an_unknown_node_is_applied() -> None:
    table = new_table()
    table.on_alive(alive(incarnation=MAX_INCARNATION), 1.0)
    assert ("alive", MAX_INCARNATION) == state(table)


def test_a_node_known_with_an_implausible_incarnation_can_correct_it_itself() -> None:
    table = new_table()
    table.on_alive(alive(incarnation=MAX_INCARNATION, meta=b"forged"), 1.0)
    message = alive(incarnation=2, meta=b"true")
    assert [] == table.on_alive(message, 1.0), "not from others"
    assert [] == table.on_alive(message, 1.0, source=place("c"))
    effects = table.on_alive(message, 1.0, source=place("b"))
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)
    assert ("alive", 2) == state(table)


def test_a_correction_must_be_well_formed_and_allowed() -> None:
    refusals = 0

    def refuse(node: Node) -> None:
        nonlocal refusals
        if node.incarnation == 2:
            refusals += 1
            raise MergeRefused("no")

    table = new_table(hooks={"alive_check": refuse})
    table.on_alive(alive(incarnation=MAX_INCARNATION), 1.0)
    assert ["Refused"] == kinds(
        table.on_alive(alive(incarnation=3, versions=None), 1.0, source=place("b"))
    )
    assert [Refused("b", "no")] == table.on_alive(alive(incarnation=2), 1.0, source=place("b"))
    assert 1 == refusals
    assert ("alive", MAX_INCARNATION) == state(table)


def test_the_last_incarnation_in_a_message_about_the_local_node_is_not_followed() -> None:
    table = new_table()
    effects = table.on_alive(alive("a", MAX_INCARNATION), 1.0)
    assert ["Refused", "Broadcast"] == kinds(effects)
    assert [alive("a", 2)] == sent(effects)
    effects = table.on_alive(alive("a", SUSPECT_BAND), 1.0)
    assert [alive("a", SUSPECT_BAND + 1)] == sent(effects)


def test_go_accepts_every_incarnation() -> None:
    table = table_with("b", faithful_go=True)
    table.on_alive(alive(incarnation=MAX_INCARNATION), 1.0)
    assert ("alive", MAX_INCARNATION) == state(table)
    assert [] == table.on_alive(alive(incarnation=2), 1.0, source=place("b"))
    effects = table.on_alive(alive("a", MAX_INCARNATION), 1.0)
    assert [alive("a", 0)] == sent(effects)


# --- hook and networks --------------------------------------------------------------------


def refusing(name: str, text: str = "not you") -> Callable[[Node], None]:
    def check(node: Node) -> None:
        if node.name == name:
            raise MergeRefused(text)

    return check


@pytest.mark.parametrize(
    ("text", "reason"), [("not you", "not you"), ("", "refused by the alive hook")]
)
def test_the_hook_may_refuse_any_alive_message(text: str, reason: str) -> None:
    table = new_table(hooks={"alive_check": refusing("b", text)})
    assert [Refused("b", reason)] == table.on_alive(alive(), 1.0)
    assert "b" not in table.nodes
    assert "NodeJoined" in kinds(table.on_alive(alive("c"), 1.0))


def test_the_hook_is_called_before_anything_changes() -> None:
    allowed = True

    def check(node: Node) -> None:
        if not allowed:
            raise MergeRefused("no")

    # With Go's rules it is asked about the local node, too.
    table = new_table(hooks={"alive_check": check}, faithful_go=True)
    table.on_alive(alive(), 1.0)
    allowed = False
    before = table.records()
    for message in (
        alive(incarnation=6),
        alive(incarnation=6, addr=ip("x")),
        alive("a", 9),
        alive("a", 9, addr=ip("x")),
    ):
        assert [Refused(message.node, "no")] == table.on_alive(message, 2.0)
    assert before == table.records()


def test_a_hook_that_crashes_changes_nothing() -> None:
    def check(node: Node) -> None:
        if node.name == "b":
            raise ZeroDivisionError

    table = new_table(hooks={"alive_check": check})
    with pytest.raises(ZeroDivisionError):
        table.on_alive(alive(), 1.0)
    assert 1 == table.num_nodes


def test_the_hook_sees_the_node_of_the_message() -> None:
    seen: list[Node] = []
    table = new_table(hooks={"alive_check": seen.append})
    table.on_alive(alive(meta=b"m", port=0), 1.0)
    assert ("b", 5, ip("b"), PORT, b"m", VERSIONS, NodeStatus.ALIVE) == (
        seen[-1].name,
        seen[-1].incarnation,
        seen[-1].addr,
        seen[-1].port,
        seen[-1].meta,
        seen[-1].versions,
        seen[-1].status,
    )


def test_every_applied_message_is_counted() -> None:
    table = new_table()
    assert Applied("alive", "b", was=NodeStatus.DEAD) in table.on_alive(alive(), 1.0)
    assert NodeUpdated(table.nodes["b"]) in table.on_alive(alive(incarnation=6, meta=b"m"), 1.0)


@pytest.mark.parametrize("faithful_go", [False, True])
def test_port_0_of_a_push_pull_is_no_port(faithful_go: bool) -> None:
    table = new_table(faithful_go=faithful_go)
    record = NodeRecord("b", ip("b"), 0, b"", 1, 0, VERSIONS)
    assert [Refused("b", "port 0")] == table.merge([record], 0.0)
    assert "b" not in table.nodes


# --- nodes that were removed ------------------------------------------------------------


WINDOW, MEMORY = 30.0, 1000.0


def after_removal(incarnation: int = 5, **config: Any) -> NodeTable:
    """Node b failed, was removed, and its record dropped, at 31.1 s."""
    table = table_with("b", "c", gossip_to_the_dead_time=WINDOW, seed_memory=MEMORY, **config)
    table.on_dead(dead("b", incarnation), 1.0)
    table.mark_removed("b")
    table.purge(31.1)
    assert "b" not in table.nodes
    return table


@pytest.mark.parametrize("faithful_go", [True, False], ids=["go", "trioserf"])
def test_a_removed_node_is_not_brought_back_by_a_stale_alive_message(faithful_go: bool) -> None:
    table = after_removal(faithful_go=faithful_go)
    effects = table.on_alive(alive("b", 5), 40.0, source=place("b"))
    assert faithful_go is ("b" in table.nodes)
    if not faithful_go:
        assert ["SendTo"] == kinds(effects)
        assert [dead("b", 5, by="a")] == sent(effects)
        assert place("b") == the(SendTo, effects).address


def test_neither_by_the_state_of_a_peer() -> None:
    table = after_removal()
    table.merge([record("b", 5)], 40.0)
    assert "b" not in table.nodes


@pytest.mark.parametrize(
    ("peer", "addr", "applied"),
    [("10.0.0.98", ip("b"), True), ("10.0.0.99", ip("b"), False), ("10.0.0.98", b"\x0a", False)],
    ids=["itself", "another", "malformed"],
)
def test_what_a_node_sends_of_itself_on_a_stream_is_applied(
    peer: str, addr: bytes, applied: bool
) -> None:
    table = after_removal()
    table.merge_checked([record("b", 1, addr=addr)], 40.0, peer=peer)
    assert applied is ("b" in table.nodes)


def test_a_higher_incarnation_comes_back_and_is_a_node_like_any_other() -> None:
    table = after_removal()
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 6), 40.0))
    table.on_dead(dead("b", 6), 41.0)
    assert "NodeDropped" in kinds(table.purge(100.0))
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1), 101.0))


def test_at_another_address_any_incarnation_is_new() -> None:
    table = after_removal()
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1, addr=ip("z")), 40.0))


def test_a_former_address_is_remembered_too() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(dead("b", 5), 1.0)
    table.on_alive(alive("b", 1, addr=ip("z")), 2.0)
    table.on_dead(left("b", 1), 3.0)
    table.purge(40.0)
    table.on_alive(alive("b", 5), 41.0)
    assert "b" not in table.nodes
    table.on_alive(alive("b", 6), 42.0)
    assert "b" in table.nodes


def test_a_node_that_left_counts_as_removed() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(left("b"), 1.0)
    table.purge(40.0)
    effects = table.on_alive(alive("b", 5), 41.0, source=place("b"))
    assert [left("b")] == sent(effects), "as the node itself sent it"


def test_a_node_that_failed_may_return_with_any_incarnation() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    b = table.nodes["b"]
    table.on_dead(dead("b"), 1.0)
    assert b is the(NodeDropped, table.purge(40.0)).node
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1), 41.0))


def test_a_node_may_be_removed_after_its_record_was_dropped() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(dead("b"), 1.0)
    assert "NodeDropped" in kinds(table.purge(40.0))
    table.mark_removed("b")
    table.on_alive(alive("b", 5), 41.0)
    assert "b" not in table.nodes


def test_a_removed_node_is_not_looked_for() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(dead("b"), 1.0)
    table.mark_removed("b")
    assert ["NodeForgotten"] == kinds(table.purge(40.0))


def test_a_live_node_cannot_be_removed() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    for name in ("a", "b", "unknown"):
        table.mark_removed(name)
    table.on_dead(dead("b"), 1.0)
    assert "NodeDropped" in kinds(table.purge(40.0))


def test_a_node_that_returned_is_not_removed_any_more() -> None:
    table = table_with("b", gossip_to_the_dead_time=WINDOW)
    table.on_dead(dead("b"), 1.0)
    table.mark_removed("b")
    table.on_alive(alive("b", 6), 2.0)
    table.on_dead(dead("b", 6), 3.0)
    assert "NodeDropped" in kinds(table.purge(40.0))


def test_after_a_time_it_is_forgotten() -> None:
    table = after_removal()
    table.purge(31.1 + MEMORY)
    assert ["SendTo"] == kinds(table.on_alive(alive("b", 5), 1031.1, source=place("b")))
    table.purge(31.2 + MEMORY)
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 5), 1031.3))


def test_an_incarnation_in_the_band_is_not_remembered() -> None:
    table = table_with(gossip_to_the_dead_time=WINDOW)
    table.on_alive(alive("b", SUSPECT_BAND), 0.0, source=place("b"))
    table.on_dead(left("b", SUSPECT_BAND), 1.0)
    table.purge(40.0)
    assert "NodeJoined" in kinds(table.on_alive(alive("b", 1), 41.0))


def test_the_number_of_dropped_nodes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive_rules, "MAX_DROPPED", 3)
    dropped = DroppedNodes(MEMORY)
    for name in "bcdef":
        dropped.add(node(name, status=NodeStatus.LEFT), 1.0)
    assert 3 == len(dropped)
    assert [None, None] == [dropped.removed_record(name) for name in "bc"]
    assert dropped.removed_record("f") is not None


# --- replies to stale messages


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
    assert 0 < given < 3 * REPLYING_NODES


def test_in_a_small_cluster_all_reply() -> None:
    known = node("b", status=NodeStatus.DEAD)
    assert all(
        reply_to(new_replies(seed), known, from_the_node=False, num_nodes=REPLYING_NODES)
        is not None
        for seed in range(50)
    )
