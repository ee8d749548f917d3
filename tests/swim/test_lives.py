"""Claims of life, rule by rule.  The table of node "a" is the one under test."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest

from trioserf._exceptions import MergeRefused
from trioserf._swim.effects import (
    Answer,
    Applied,
    Broadcast,
    Challenge,
    Conflict,
    NodeJoined,
    NodeUpdated,
    Refused,
    Refuted,
)
from trioserf._swim.incarnations import ACCUSATION_BAND, ALIVE_BAND, MAX_INCARNATION, STEP
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.table import NodeTable

from .builders import (
    PORT,
    VERSIONS,
    alive,
    dead,
    ip,
    kinds,
    left,
    new_table,
    place,
    said,
    suspect,
    table_with,
    the,
)

MAPPED = bytes(10) + b"\xff\xff"


def state(table: NodeTable, name: str = "b") -> tuple[str, int]:
    node = table.nodes[name]
    return str(node.status), node.incarnation


# --- unknown nodes ------------------------------------------------------------------------


def test_an_unknown_node_joins_and_its_claim_is_passed_on() -> None:
    table = new_table()
    effects = table.on_alive(alive(meta=b"m"), 7.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert [alive(meta=b"m")] == said(effects)
    broadcast = the(Broadcast, effects)
    assert ("b", False) == (broadcast.key, broadcast.own)
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
def test_a_malformed_claim_of_life_is_refused(
    fields: dict[str, Any], reason: str, known: bool
) -> None:
    table = table_with("b") if known else new_table()
    claim = alive(**{"incarnation": 6, **fields})
    before = table.records()
    effects = table.on_alive(claim, 0.0)
    assert before == table.records()
    if known and claim.incarnation == 0:
        assert [] == effects, "old news like any other"
    else:
        assert [Refused(claim.node, reason)] == effects


def test_longer_versions_are_passed_on_as_six_bytes() -> None:
    table = new_table()
    effects = table.on_alive(alive(versions=VERSIONS + b"\x09"), 0.0)
    assert [alive()] == said(effects)
    assert VERSIONS == table.nodes["b"].versions


@pytest.mark.parametrize(("bind_port", "port"), [(8301, 8301), (0, PORT)])
def test_port_0_stands_for_our_own_port(bind_port: int, port: int) -> None:
    table = new_table(bind_port=bind_port)
    effects = table.on_alive(alive(port=0), 0.0)
    assert [alive(port=port)] == said(effects)
    assert [] == table.on_alive(alive(port=0), 0.0)


def test_in_protocol_1_every_port_is_ours() -> None:
    table = new_table(protocol_version=1, bind_port=8301)
    assert [alive(port=8301)] == said(table.on_alive(alive(port=5), 0.0))


def test_an_ipv4_address_in_sixteen_bytes_is_passed_on_as_received() -> None:
    claim = alive(addr=MAPPED + ip("b"))
    assert [claim] == said(new_table().on_alive(claim, 0.0))


def test_a_claim_without_metadata_means_empty_metadata() -> None:
    table = new_table()
    effects = table.on_alive(alive(meta=None), 0.0)
    assert b"" == table.nodes["b"].meta
    assert [alive(meta=None)] == said(effects)


# --- known nodes --------------------------------------------------------------------------


@pytest.mark.parametrize("incarnation", [1, 4, 5])
@pytest.mark.parametrize("suspected", [False, True])
def test_old_news_of_a_live_node_changes_nothing(incarnation: int, suspected: bool) -> None:
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


def test_new_versions_are_taken_without_an_update() -> None:
    table = table_with("b")
    newer = bytes((1, 5, 3, 2, 5, 4))
    effects = table.on_alive(alive(incarnation=6, versions=newer), 9.0)
    assert ["Broadcast", "Applied"] == kinds(effects)
    assert newer == table.nodes["b"].versions


def test_a_suspect_is_cleared_only_by_a_higher_incarnation() -> None:
    table = table_with("b")
    table.on_suspect(suspect(incarnation=7), 1.0)
    assert [] == table.on_alive(alive(incarnation=7), 2.0)
    effects = table.on_alive(alive(incarnation=8), 3.0)
    assert ["Broadcast", "Applied"] == kinds(effects)
    assert ("alive", 8) == state(table)
    assert 3.0 == table.nodes["b"].changed_at
    assert table.suspicion("b") is None
    assert [] == table.expired(1e9)


@pytest.mark.parametrize("claim", [dead(), left()])
def test_a_gone_node_joins_again_only_with_a_higher_incarnation(claim: Any) -> None:
    table = table_with("b")
    table.on_dead(claim, 1.0)
    assert "NodeJoined" not in kinds(table.on_alive(alive(), 2.0))
    effects = table.on_alive(alive(incarnation=6, meta=b"m"), 3.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert ("alive", 6) == state(table)


# --- stale claims about the dead ----------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "answer"), [(dead(), dead(by="a")), (dead(by="a"), dead(by="a")), (left(), left())]
)
@pytest.mark.parametrize("incarnation", [1, 5])
def test_a_stale_claim_of_life_about_a_dead_node_is_answered_with_the_accusation(
    claim: Any, answer: Any, incarnation: int
) -> None:
    table = table_with("b")
    table.on_dead(claim, 1.0)
    effects = table.on_alive(alive(incarnation=incarnation), 2.0, source=place("b"))
    assert ["Answer"] == kinds(effects)
    assert (place("b"), "b") == (the(Answer, effects).address, the(Answer, effects).name)
    assert [answer] == said(effects)
    assert [] == table.on_alive(alive(incarnation=incarnation), 2.5, source=place("b"))
    assert ["Answer"] == kinds(table.on_alive(alive(incarnation=1), 3.0, source=place("b")))


def test_the_answer_lets_a_restarted_node_come_back() -> None:
    table, restarted = table_with("b"), new_table("b")
    table.on_dead(dead(), 1.0)
    accusation = said(table.on_alive(alive(incarnation=1), 2.0, source=place("b")))[0]
    [claim] = said(restarted.on_dead(accusation, 2.0))  # type: ignore[arg-type]
    assert "NodeJoined" in kinds(table.on_alive(claim, 2.0))  # type: ignore[arg-type]
    assert ("alive", 6) == state(table)


def test_an_answer_is_given_anew_after_the_node_lived_in_between() -> None:
    table = table_with("b")
    table.on_dead(dead(), 1.0)
    table.on_alive(alive(), 2.0)
    table.on_alive(alive(incarnation=6), 2.1)
    table.on_dead(dead(incarnation=6), 2.2)
    assert ["Answer"] == kinds(table.on_alive(alive(incarnation=6), 2.3))


def test_a_stale_claim_that_is_passed_on_is_answered_by_a_few_only() -> None:
    answered = 0
    for seed in range(12):
        table = new_table(seed=seed)
        for i in range(100):
            table.on_alive(alive(f"z{i}"), 0.0)
        table.on_alive(alive("b"), 0.0)
        table.on_dead(dead(), 1.0)
        answered += len(table.on_alive(alive(), 2.0, source=place("z")))
    assert 0 < answered < 10


def test_go_drops_stale_claims_about_the_dead() -> None:
    table = table_with("b", faithful_go=True)
    table.on_dead(dead(), 1.0)
    assert [] == table.on_alive(alive(), 2.0, source=place("b"))


# --- other addresses ----------------------------------------------------------------------


@pytest.mark.parametrize("claim", [dead(), left()])
@pytest.mark.parametrize("fields", [{"addr": ip("x")}, {"port": 80}])
def test_a_failed_node_may_return_from_another_address_at_once(
    claim: Any, fields: dict[str, Any]
) -> None:
    table = table_with("b")
    table.on_dead(claim, 1.0)
    effects = table.on_alive(alive(incarnation=1, **fields), 1.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert ("alive", 1) == state(table)
    b = table.nodes["b"]
    assert (fields.get("addr", ip("b")), fields.get("port", PORT)) == (b.addr, b.port)


@pytest.mark.parametrize("suspected", [False, True])
def test_a_live_name_is_challenged_before_it_moves(suspected: bool) -> None:
    table = table_with("b")
    if suspected:
        table.on_suspect(suspect(), 0.5)
    b = table.nodes["b"]
    claim = alive(incarnation=1, addr=ip("x"), meta=b"m")
    before = table.records()
    assert [Challenge(b, place("b"), claim)] == table.on_alive(claim, 1.0)
    assert [] == table.on_alive(alive(incarnation=9, addr=ip("y")), 1.1)
    assert before == table.records()

    effects = table.challenge_result(claim, False, 1.5)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)
    assert [claim] == said(effects)
    assert ("alive", 1) == state(table)
    assert place("x") == b.address
    assert table.suspicion("b") is None


def test_moving_alone_is_an_update() -> None:
    table = table_with("b")
    table.on_alive(alive(incarnation=1, addr=ip("x")), 1.0)
    effects = table.challenge_result(alive(incarnation=1, addr=ip("x")), False, 1.5)
    assert ["Broadcast", "Applied", "NodeUpdated"] == kinds(effects)


def test_a_name_whose_old_address_answers_does_not_move() -> None:
    table = table_with("b")
    b = table.nodes["b"]
    claim = alive(incarnation=9, addr=ip("x"), meta=b"m")
    table.on_alive(claim, 1.0)
    conflict = the(Conflict, table.challenge_result(claim, True, 1.2))
    assert b is conflict.existing
    assert ("b", ip("x"), b"m", VERSIONS, 9) == (
        conflict.other.name,
        conflict.other.addr,
        conflict.other.meta,
        conflict.other.versions,
        conflict.other.incarnation,
    )
    assert ("alive", 5) == state(table)
    assert place("b") == b.address
    assert ["Conflict"] == kinds(table.on_alive(claim, 2.0)), "not asked again so soon"
    assert ["Challenge"] == kinds(table.on_alive(claim, 10.0))


def test_a_challenge_that_was_overtaken_is_judged_by_what_is_held_now() -> None:
    claim = alive(incarnation=1, addr=ip("x"))
    table = table_with("b")
    table.on_alive(claim, 1.0)
    table.on_alive(alive(incarnation=6), 1.2)
    assert [] == table.challenge_result(claim, False, 1.5), "it refuted meanwhile"
    assert ["Conflict"] == kinds(table.challenge_result(claim, True, 1.5))

    table.on_dead(dead(incarnation=6), 2.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(
        table.challenge_result(claim, True, 2.0)
    ), "dead meanwhile"

    table = new_table()
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(
        table.challenge_result(claim, False, 2.0)
    ), "forgotten meanwhile"


def test_a_stale_claim_from_a_former_address_does_not_resurrect() -> None:
    table = table_with("b")
    table.on_dead(dead(), 1.0)
    table.on_alive(alive(incarnation=1, addr=ip("x")), 2.0)
    assert [] == table.on_alive(alive(incarnation=4), 2.5), "no challenge while alive"
    table.on_dead(dead(incarnation=1), 3.0)
    effects = table.on_alive(alive(incarnation=5), 4.0)
    assert ["Answer"] == kinds(effects)
    assert [dead(incarnation=5, by="a")] == said(effects)
    assert place("b") == the(Answer, effects).address
    assert ("dead", 1) == state(table)
    assert "NodeJoined" in kinds(table.on_alive(alive(incarnation=6), 5.0))
    assert ("alive", 6) == state(table)


def test_a_former_address_is_forgotten_with_the_record() -> None:
    table = table_with("b", gossip_to_the_dead_time=30.0)
    table.on_dead(dead(), 1.0)
    table.on_alive(alive(incarnation=1, addr=ip("x")), 2.0)
    table.on_dead(dead(incarnation=1), 3.0)
    table.purge(100.0)
    table.on_alive(alive(incarnation=1, addr=ip("x")), 101.0)
    table.on_dead(dead(incarnation=1), 102.0)
    assert "NodeJoined" in kinds(table.on_alive(alive(incarnation=4), 103.0))


def test_an_ipv4_address_in_another_form_is_the_same_place() -> None:
    table = table_with("b")
    other_form = MAPPED + ip("b")
    assert [] == table.on_alive(alive(incarnation=5, addr=other_form), 1.0)
    effects = table.on_alive(alive(incarnation=6, addr=other_form), 1.0)
    assert ["Broadcast", "Applied"] == kinds(effects)
    assert other_form == table.nodes["b"].addr


def test_as_in_go_another_address_is_a_conflict() -> None:
    table = table_with("b", "c", faithful_go=True)
    for claim in (alive(incarnation=9, addr=ip("x")), alive(incarnation=9, addr=MAPPED + ip("b"))):
        assert ["Conflict"] == kinds(table.on_alive(claim, 1.0))
    table.on_dead(dead(), 1.0)
    assert ["Conflict"] == kinds(table.on_alive(alive(incarnation=9, addr=ip("x")), 1.0))
    assert ("dead", 5) == state(table)
    table.on_dead(left("c"), 1.0)
    effects = table.on_alive(alive("c", incarnation=1, addr=ip("x")), 1.0)
    assert ["Broadcast", "Applied", "NodeJoined"] == kinds(effects)
    assert ("alive", 1) == state(table, "c")


def test_as_in_go_a_reclaim_time_frees_the_name_of_the_dead() -> None:
    table = table_with("b", faithful_go=True, dead_node_reclaim_time=10.0)
    table.on_dead(dead(), 1.0)
    assert ["Conflict"] == kinds(table.on_alive(alive(addr=ip("x")), 11.0))
    assert "NodeJoined" in kinds(table.on_alive(alive(addr=ip("x")), 11.1))


# --- ourselves ----------------------------------------------------------------------------


def test_our_own_news_come_back_as_old_news() -> None:
    table = new_table()
    table.update_own(0.0, b"m")
    table.update_own(0.0, b"n")
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
def test_another_life_under_our_name_is_outbid(fields: dict[str, Any]) -> None:
    table = new_table()
    effects = table.on_alive(alive("a", **fields), 1.0)
    following = fields["incarnation"] + 1
    assert Refuted(following) == the(Refuted, effects)
    assert [alive("a", following)] == said(effects)
    assert the(Broadcast, effects).own
    assert ("alive", following) == state(table, "a")
    assert b"" == table.own.meta


def test_a_refutation_replaces_what_is_queued_about_us() -> None:
    table = new_table()
    keys = {
        the(Broadcast, effects).key
        for effects in (
            table.update_own(0.0, b"m"),
            table.on_alive(alive("a", 9), 0.0),
            table.on_suspect(suspect("a", 12), 0.0),
            table.leave(0.0),
        )
    }
    assert {"a"} == keys


def test_once_we_leave_claims_about_us_are_ignored() -> None:
    table = new_table()
    table.on_alive(alive("a", 5, addr=ip("x")), 0.0)
    table.leave(0.0)
    for claim in (alive("a", 9), alive("a", 9, addr=ip("x")), alive("a", 0)):
        assert [] == table.on_alive(claim, 1.0)
    assert [] == table.challenge_result(alive("a", 5, addr=ip("x")), True, 1.0)
    assert ("left", 1) == state(table, "a")


def test_a_malformed_claim_about_us_is_refused() -> None:
    assert ["Refused"] == kinds(new_table().on_alive(alive("a", 9, versions=None), 1.0))


def test_our_own_former_address_is_no_conflict() -> None:
    """We restarted elsewhere, and a peer still holds where we were."""
    table = new_table()
    claim = alive("a", 7, addr=ip("x"))
    assert [Challenge(table.own, place("x"), claim)] == table.on_alive(claim, 1.0)
    assert [] == table.on_alive(claim, 1.1)
    effects = table.challenge_result(claim, False, 1.5)
    assert [alive("a", 8)] == said(effects)
    assert Refuted(8) == effects[0]
    assert place("a") == table.own.address

    table.on_alive(alive("a", 8, addr=ip("x")), 5.0)
    effects = table.challenge_result(alive("a", 8, addr=ip("x")), False, 5.5)
    assert [alive("a", 9)] == said(effects)

    table.on_alive(alive("a", 3, addr=ip("x")), 9.0)
    assert [] == table.challenge_result(alive("a", 3, addr=ip("x")), False, 9.5)


def test_somebody_else_with_our_name_is_a_conflict_once_they_answer() -> None:
    table = new_table()
    claim = alive("a", 7, addr=ip("x"))
    table.on_alive(claim, 1.0)
    conflict = the(Conflict, table.challenge_result(claim, True, 1.5))
    assert (table.own, ip("x")) == (conflict.existing, conflict.other.addr)
    assert ["Conflict"] == kinds(table.on_alive(claim, 1.6))
    assert [] == table.challenge_result(claim, False, 1.7), "a result nobody waits for"
    assert ("alive", 1) == state(table, "a")


def test_as_in_go_our_own_name_elsewhere_is_a_conflict_at_once() -> None:
    table = new_table(faithful_go=True)
    assert ["Conflict"] == kinds(table.on_alive(alive("a", 7, addr=ip("x")), 1.0))


def test_our_own_address_in_another_form_is_ours() -> None:
    table = new_table()
    effects = table.on_alive(alive("a", 7, addr=MAPPED + ip("a")), 1.0)
    assert [alive("a", 8)] == said(effects)


# --- implausible incarnations -------------------------------------------------------------


def test_an_implausible_life_is_believed_only_first_hand() -> None:
    table = table_with("b")
    claim = alive(incarnation=ALIVE_BAND)
    for source in (None, place("c"), place("b", 80)):
        assert [Refused("b", f"implausible incarnation {ALIVE_BAND}")] == table.on_alive(
            claim, 1.0, source=source
        )
    assert ("alive", 5) == state(table)
    table.on_alive(claim, 1.0, source=place("b"))
    assert ("alive", ALIVE_BAND) == state(table)
    table.on_alive(alive(incarnation=ALIVE_BAND + STEP), 1.0)
    assert ("alive", ALIVE_BAND + STEP) == state(table)
    assert [] == table.on_alive(alive(incarnation=ALIVE_BAND + STEP), 1.0)


def test_an_implausible_life_of_an_unknown_node_is_better_than_none() -> None:
    table = new_table()
    table.on_alive(alive(incarnation=MAX_INCARNATION), 1.0)
    assert ("alive", MAX_INCARNATION) == state(table)


def test_a_node_held_with_an_implausible_incarnation_can_correct_it_itself() -> None:
    table = new_table()
    table.on_alive(alive(incarnation=MAX_INCARNATION, meta=b"forged"), 1.0)
    claim = alive(incarnation=2, meta=b"true")
    assert [] == table.on_alive(claim, 1.0), "not at second hand"
    assert [] == table.on_alive(claim, 1.0, source=place("c"))
    effects = table.on_alive(claim, 1.0, source=place("b"))
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


def test_the_last_incarnation_claimed_for_us_does_not_make_us_follow() -> None:
    table = new_table()
    effects = table.on_alive(alive("a", MAX_INCARNATION), 1.0)
    assert ["Refused", "Broadcast"] == kinds(effects)
    assert [alive("a", 2)] == said(effects)
    effects = table.on_alive(alive("a", ACCUSATION_BAND), 1.0)
    assert [alive("a", ACCUSATION_BAND + 1)] == said(effects)


def test_go_believes_every_incarnation() -> None:
    table = table_with("b", faithful_go=True)
    table.on_alive(alive(incarnation=MAX_INCARNATION), 1.0)
    assert ("alive", MAX_INCARNATION) == state(table)
    assert [] == table.on_alive(alive(incarnation=2), 1.0, source=place("b"))
    effects = table.on_alive(alive("a", MAX_INCARNATION), 1.0)
    assert [alive("a", 0)] == said(effects)


# --- hook and networks --------------------------------------------------------------------


def refusing(name: str, text: str = "not you") -> Callable[[Node], None]:
    def check(node: Node) -> None:
        if node.name == name:
            raise MergeRefused(text)

    return check


@pytest.mark.parametrize(
    ("text", "reason"), [("not you", "not you"), ("", "refused by the alive hook")]
)
def test_the_hook_may_refuse_any_claim(text: str, reason: str) -> None:
    table = new_table(hooks={"alive_check": refusing("b", text)})
    assert [Refused("b", reason)] == table.on_alive(alive(), 1.0)
    assert "b" not in table.nodes
    assert "NodeJoined" in kinds(table.on_alive(alive("c"), 1.0))


def test_the_hook_is_asked_before_anything_changes() -> None:
    allowed = True

    def check(node: Node) -> None:
        if not allowed:
            raise MergeRefused("no")

    table = new_table(hooks={"alive_check": check})
    table.on_alive(alive(), 1.0)
    allowed = False
    before = table.records()
    for claim in (
        alive(incarnation=6),
        alive(incarnation=6, addr=ip("x")),
        alive("a", 9),
        alive("a", 9, addr=ip("x")),
    ):
        assert [Refused(claim.node, "no")] == table.on_alive(claim, 2.0)
    assert before == table.records()


def test_a_hook_that_crashes_changes_nothing() -> None:
    def check(node: Node) -> None:
        if node.name == "b":
            raise ZeroDivisionError

    table = new_table(hooks={"alive_check": check})
    with pytest.raises(ZeroDivisionError):
        table.on_alive(alive(), 1.0)
    assert 1 == table.num_nodes


def test_the_hook_sees_what_is_claimed() -> None:
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


TEN = ip_network("10.0.0.0/24")
OUTSIDE = bytes((192, 168, 0, 1))


def test_addresses_outside_the_allowed_networks_are_refused() -> None:
    table = new_table(cidrs_allowed=[TEN])
    foreign = alive(addr=OUTSIDE)
    assert [Refused("b", "address not allowed")] == table.on_alive(foreign, 1.0)
    assert [Refused("b", "address not allowed", quiet=True)] == table.on_alive(
        foreign, 1.0, source=place("c")
    )
    inside = place("b")
    outside = inside._replace(host="192.168.0.1")
    assert [Refused("b", "packet from 192.168.0.1 not allowed", quiet=True)] == table.on_alive(
        alive(), 1.0, source=outside
    )
    assert "NodeJoined" in kinds(table.on_alive(alive(), 1.0, source=inside))
    assert ["Broadcast", "Applied"] == kinds(table.on_alive(alive(incarnation=6), 1.0))


def test_a_node_may_not_move_outside_the_allowed_networks() -> None:
    table = table_with("b", cidrs_allowed=[TEN])
    table.on_dead(left(), 1.0)
    assert [Refused("b", "address not allowed")] == table.on_alive(
        alive(incarnation=9, addr=OUTSIDE), 1.0
    )
    assert ("left", 5) == state(table)


def test_every_applied_claim_is_counted() -> None:
    table = new_table()
    assert Applied("alive") in table.on_alive(alive(), 1.0)
    assert NodeUpdated(table.nodes["b"]) in table.on_alive(alive(incarnation=6, meta=b"m"), 1.0)
