"""Nodes that this node has never reached."""

from __future__ import annotations

import pytest

from trioserf._swim.effects import CheckReached, NodeJoined, TurnedAway
from trioserf._swim.nodes import NodeStatus
from trioserf._swim.table import NodeTable
from trioserf._swim.unreached import LIMIT, LOOK_INTERVAL, MAX_CHECKS, OWN_SHARE
from trioserf._wire.messages import Alive, NodeRecord
from trioserf.abc import Address

from .builders import PORT, VERSIONS, new_table

PEER = "10.9.9.9"


def address_of(number: int) -> bytes:
    return bytes((10, 1, number // 256 % 256, number % 256))


def hear(table: NodeTable, numbers: range, now: float = 0.0) -> int:
    """Give the table alive messages by packets; how many were turned away."""
    away = 0
    for number in numbers:
        message = Alive(1, f"n{number}", address_of(number), PORT, b"", VERSIONS)
        effects = table.on_alive(message, now, source=Address("10.9.9.8", PORT))
        away += sum(effect.count for effect in effects if isinstance(effect, TurnedAway))
    return away


def records(numbers: range, addr: bytes | None = None) -> list[NodeRecord]:
    return [
        NodeRecord(f"n{n}", addr or address_of(n), PORT, b"", 1, NodeStatus.ALIVE, VERSIONS)
        for n in numbers
    ]


def test_names_known_by_hearsay_are_bounded() -> None:
    table = new_table()
    assert 100 == hear(table, range(LIMIT + 100))
    assert LIMIT + 1 == table.num_nodes
    effects = table.on_alive(Alive(1, "x", address_of(9), PORT, b"", VERSIONS), 9.0)
    assert [TurnedAway(1)] == effects, "not gossiped on either"
    assert [TurnedAway(50)] == table.merge_checked(records(range(1000, 1050)), 9.0, peer=PEER)
    assert 0 == hear(table, range(LIMIT), 9.0), "those that are known are not concerned"


def test_in_faithful_mode_every_name_is_entered() -> None:
    table = new_table(faithful_go=True)
    assert 0 == hear(table, range(2 * LIMIT))


def test_room_grows_with_every_node_that_is_reached() -> None:
    table = new_table()
    hear(table, range(LIMIT))
    for number in range(10):
        table.nodes[f"n{number}"].acked_at = 1.0
    for number in range(10, 15):
        table.nodes[f"n{number}"].exchanged_at = 1.0
    table.nodes["n20"].pinged(1.0, "10.1.0.20")
    assert 100 - 2 * 15 == hear(table, range(1000, 1100), 1.0), "a ping proves nothing"


def test_records_are_counted_anew_once_in_a_while() -> None:
    table = new_table()
    assert 1 == hear(table, range(LIMIT + 1), 0.0)
    table.nodes["n0"].acked_at = 0.1
    assert 1 == hear(table, range(1000, 1001), LOOK_INTERVAL / 2)
    assert 0 == hear(table, range(1000, 1002), LOOK_INTERVAL)


def test_a_failed_node_counts_until_its_record_is_dropped() -> None:
    table = new_table()
    hear(table, range(LIMIT))
    for number in range(LIMIT):
        node = table.nodes[f"n{number}"]
        table.suspect_failed(node.name, node.incarnation, 0.0)
    table.expired(1e6)
    assert 1 == hear(table, range(1000, 1001), 1e6)
    table.purge(2e6)
    assert 0 == hear(table, range(1000, 1000 + LIMIT), 2e6)


def test_the_state_of_a_peer_that_was_dialled_is_merged_as_a_whole() -> None:
    table = new_table()
    hear(table, range(LIMIT))
    effects = table.merge_checked(
        records(range(1000, 3000)), 0.0, source=Address(PEER, PORT), peer=PEER
    )
    assert 2000 == sum(isinstance(effect, NodeJoined) for effect in effects)
    assert 1 == hear(table, range(5000, 5001), 5.0), "and makes no room for others"
    table.nodes["n2000"].acked_at = 5.0
    assert 0 == hear(table, range(5000, 5001), 7.0), "nor takes it"


@pytest.mark.parametrize("form", [b"", bytes(10) + b"\xff\xff"])
def test_a_peer_that_joins_by_this_node_is_entered(form: bytes) -> None:
    table = new_table()
    hear(table, range(LIMIT))
    addr = form + bytes((10, 9, 9, 9))
    state = [*records(range(1000, 1001)), *records(range(2000, 2005), addr)]
    effects = table.merge_checked(state, 0.0, peer=PEER)
    assert ["n2000"] == [e.node.name for e in effects if isinstance(e, NodeJoined)]
    assert TurnedAway(5) == effects[-1], "one in each state"
    for number in range(3000, 3000 + 5 * LIMIT):
        table.merge_checked(records(range(number, number + 1), addr), 9.0, peer=PEER)
    assert OWN_SHARE * LIMIT + 1 == table.num_nodes


def checked(table: NodeTable, state: list[NodeRecord], peer: str = PEER, **where: Address) -> str:
    effects = table.merge_checked(state, 0.0, peer=peer, **where)
    return " ".join(e.node.name for e in effects if isinstance(e, CheckReached))


def test_a_peer_that_was_never_reached_is_to_be_pinged() -> None:
    own = records(range(5), bytes((10, 9, 9, 9)))
    assert "n0" == checked(new_table(), [*own[:1], *records(range(100, 150))])
    assert "n0 n1 n2 n3" == checked(new_table(), [*own, *records(range(100, 150))])
    assert MAX_CHECKS == 4
    # One that has only few records has its own among them, whatever its streams come from.
    assert "n7" == checked(new_table(), records(range(7, 8)))
    assert "" == checked(new_table(), records(range(7, 7 + MAX_CHECKS + 1)))
    assert "" == checked(new_table(), own, source=Address(PEER, PORT)), "that one was dialled"
    assert "" == checked(new_table(), own, peer="")
    assert "" == checked(new_table(faithful_go=True), own)
    table = new_table()
    checked(table, own)
    table.nodes["n0"].acked_at = 1.0
    assert "n1 n2 n3 n4" == checked(table, own)
