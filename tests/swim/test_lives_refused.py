"""Alive messages that are implausible, or that the hook or the networks forbid."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from trioserf._exceptions import MergeRefused
from trioserf._swim.effects import (
    Applied,
    NodeUpdated,
    Refused,
)
from trioserf._swim.incarnations import ALIVE_BAND, MAX_INCARNATION, STEP, SUSPECT_BAND
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.table import NodeTable

from .builders import (
    PORT,
    VERSIONS,
    alive,
    ip,
    kinds,
    left,
    new_table,
    place,
    record,
    sent,
    table_with,
)


def state(table: NodeTable, name: str = "b") -> tuple[str, int]:
    node = table.nodes[name]
    return str(node.status), node.incarnation


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

    table = new_table(hooks={"alive_check": check})
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


def test_every_applied_message_is_counted() -> None:
    table = new_table()
    assert Applied("alive") in table.on_alive(alive(), 1.0)
    assert NodeUpdated(table.nodes["b"]) in table.on_alive(alive(incarnation=6, meta=b"m"), 1.0)


def test_a_gateway_that_was_dialled_need_not_be_in_the_allowed_networks() -> None:
    gateway = place("b")._replace(host="192.168.0.1")
    table = new_table(cidrs_allowed=[TEN])
    foreign = record("c", addr=OUTSIDE)
    effects = table.merge([record("b"), foreign], 1.0, source=gateway)
    assert "NodeJoined" in kinds(effects)
    assert Refused("c", "address not allowed") in effects
    assert "b" in table.nodes
    assert "c" not in table.nodes
