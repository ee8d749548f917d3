"""Form of alive messages, allowed networks, versions that live together, room for strangers."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import RemoteProtocolError
from trioserf._swim.admission import (
    COUNT_INTERVAL,
    MAX_CHECKS,
    MAX_UNREACHED,
    NEWCOMER_FACTOR,
    AllowedNetworks,
    defect,
    sound,
    verify,
)
from trioserf._swim.effects import (
    CheckReached,
    NodeJoined,
    Refused,
    TurnedAway,
)
from trioserf._swim.nodes import NodeStatus
from trioserf._swim.table import NodeTable
from trioserf._wire.messages import Alive, NodeRecord
from trioserf.abc import Address

from .builders import (
    PORT,
    VERSIONS,
    alive,
    ip,
    kinds,
    left,
    new_table,
    node,
    place,
    record,
    state,
    table_with,
)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"addr": bytes(15) + b"\x01"},
        {"port": 1},
        {"port": 65535},
        {"incarnation": 1},
        {"incarnation": 2**32 - 1},
        {"meta": None},
        {"meta": bytes(512)},
        {"versions": VERSIONS + b"more"},
    ],
)
def test_a_well_formed_alive_message_has_no_defect(fields: dict[str, Any]) -> None:
    assert defect("b", alive(**fields)) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": ""}, "no name"),
        ({"name": "x" * 1401}, "a name of 1401 characters"),
        ({"addr": None}, "an address of 0 bytes"),
        ({"addr": b"\x0a\0\0"}, "an address of 3 bytes"),
        ({"addr": bytes(17)}, "an address of 17 bytes"),
        ({"port": 0}, "port 0"),
        ({"incarnation": 0}, "incarnation 0"),
        ({"versions": None}, "versions missing"),
        ({"versions": VERSIONS[:5]}, "versions 0105020205"),
        ({"versions": bytes(6)}, "versions 000000000000"),
        ({"versions": bytes((3, 2, 2, 0, 0, 0))}, "versions 030202000000"),
        ({"meta": bytes(513)}, "metadata of 513 bytes"),
    ],
)
def test_a_malformed_alive_message_has_a_defect(fields: dict[str, Any], reason: str) -> None:
    message = alive(**fields)
    assert reason == defect(message.node, message)


def test_without_networks_every_address_is_allowed() -> None:
    networks = AllowedNetworks(())
    assert networks.allow(ip("b"))
    assert networks.allow(b"odd")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (bytes((10, 1, 2, 3)), True),
        ("10.1.2.3", True),
        (bytes(10) + b"\xff\xff" + bytes((10, 1, 2, 3)), True),
        (bytes((11, 1, 2, 3)), False),
        (bytes(10) + b"\xff\xff" + bytes((11, 1, 2, 3)), False),
        (b"\xfd" + bytes(15), True),
        ("fd00::1%eth0", True),
        (bytes(16), False),
        (b"\x0a\0\0", False),
        (b"", False),
        ("a name", False),
    ],
)
def test_an_address_is_allowed_if_one_network_contains_it(
    address: bytes | str, allowed: bool
) -> None:
    networks = AllowedNetworks([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert networks
    assert allowed == networks.allow(address)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (VERSIONS, True),
        (VERSIONS + b"\x01", True),
        (bytes((1, 1, 1, 0, 0, 0)), True),
        (None, False),
        (b"", False),
        (VERSIONS[:5], False),
        (bytes(6), False),
        (bytes((0, 5, 2, 0, 0, 0)), False),
        (bytes((1, 0, 2, 0, 0, 0)), False),
        (bytes((3, 2, 2, 0, 0, 0)), False),
    ],
)
def test_a_sound_vector_has_six_bytes_and_a_possible_range(
    versions: bytes | None, expected: bool
) -> None:
    assert expected == sound(versions)


@pytest.mark.parametrize("strict", [False, True])
def test_equal_versions_live_together(strict: bool) -> None:
    verify([record("b"), record("c")], [node("a")], strict=strict)
    verify([], [], strict=strict)


@pytest.mark.parametrize(
    ("versions", "reason"),
    [
        (bytes((1, 5, 6, 2, 5, 4)), "'b' speaks protocol 6, the live nodes 1 to 5"),
        (bytes((1, 5, 2, 2, 5, 6)), "'b' speaks delegate protocol 6, the live nodes 2 to 5"),
        (bytes((1, 5, 0, 2, 5, 4)), "'b' speaks protocol 0"),
    ],
)
@pytest.mark.parametrize("status", list(NodeStatus))
def test_every_node_must_speak_what_the_live_ones_understand(
    versions: bytes, reason: str, status: NodeStatus
) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        verify([record("b", status=status, versions=versions)], [node("a")])


def test_the_range_of_a_live_peer_must_contain_what_is_spoken_here() -> None:
    only_three = bytes((3, 5, 3, 2, 5, 4))
    with pytest.raises(RemoteProtocolError, match="'a' speaks protocol 2, the live nodes 3 to 5"):
        verify([record("b", versions=only_three)], [node("a")])


@pytest.mark.parametrize("status", [NodeStatus.SUSPECT, NodeStatus.DEAD, NodeStatus.LEFT])
def test_the_range_of_a_node_that_is_not_alive_does_not_count(status: NodeStatus) -> None:
    only_three = bytes((3, 5, 3, 2, 5, 4))
    verify([record("b", status=status, versions=only_three)], [node("a")])
    verify([], [node("a"), node("b", status=status, versions=only_three)])
    # Nor when another one is refused.
    other = record("z", versions=bytes((1, 5, 6, 2, 5, 4)))
    for records, nodes in (
        ([record("b", status=status, versions=only_three), other], [node("a")]),
        ([other], [node("a"), node("b", status=status, versions=only_three)]),
    ):
        with pytest.raises(RemoteProtocolError, match=r"^node 'z' speaks protocol 6, .* 1 to 5$"):
            verify(records, nodes)


@pytest.mark.parametrize("versions", [None, b"", VERSIONS[:5], bytes(6)])
def test_one_record_without_versions_does_not_refuse_the_others(versions: bytes | None) -> None:
    verify([record("b", versions=versions), record("c")], [node("a")])
    other = record("z", versions=bytes((1, 5, 6, 2, 5, 4)))
    with pytest.raises(RemoteProtocolError, match=r"^node 'z' speaks protocol 6, .* 1 to 5$"):
        verify([record("b", versions=versions), other], [node("a")])


@pytest.mark.parametrize("versions", [None, VERSIONS[:5], bytes(6)])
def test_go_refuses_all_for_one_record_without_versions(versions: bytes | None) -> None:
    with pytest.raises(RemoteProtocolError):
        verify([record("b", versions=versions), record("c")], [node("a")], strict=True)


def test_where_nobody_lives_go_has_no_range_that_a_record_could_be_out_of() -> None:
    gone = [record("b", status=NodeStatus.DEAD, versions=b"")]
    verify(gone, [node("a", status=NodeStatus.LEFT)], strict=True)
    with pytest.raises(RemoteProtocolError, match=r"^node 'b' speaks protocol 0, .* 1 to 5$"):
        verify(gone, [node("a")], strict=True)


IMPOSSIBLE = [
    bytes((1, 5, 6, 2, 5, 4)),
    bytes((3, 5, 3, 2, 5, 4)),
    bytes((1, 5, 2, 2, 5, 6)),
    bytes((1, 5, 2, 5, 5, 5)),
    bytes((200, 250, 210, 200, 250, 210)),
]


@pytest.mark.parametrize("versions", IMPOSSIBLE)
@pytest.mark.parametrize("faithful_go", [False, True])
def test_a_node_with_impossible_versions_is_not_entered(versions: bytes, faithful_go: bool) -> None:
    """One packet about such a node would end all joins: no state that has it is merged."""
    table = new_table(faithful_go=faithful_go)
    effects = table.on_alive(alive(versions=versions), 1.0)
    assert (["Refused"] == kinds(effects)) is not faithful_go
    assert ("b" in table.nodes) is faithful_go
    # Nor does a member change to them.
    table.on_alive(alive("c"), 1.0)
    table.on_alive(alive("c", incarnation=9, versions=versions), 1.0)
    assert (table.nodes["c"].versions == versions) is faithful_go
    if not faithful_go:
        table.check([record("d")])
        return
    with pytest.raises(RemoteProtocolError):
        table.check([record("d")])


@pytest.mark.parametrize("versions", IMPOSSIBLE)
def test_a_few_nodes_with_impossible_versions_end_no_joins(versions: bytes) -> None:
    """A peer may have entered them, as Go does; a cluster of such nodes is another one."""
    records = [record("b"), record("c"), record("x", versions=versions)]
    table = new_table()
    table.check(records)
    table.merge(records, 1.0, source=place("b"))
    assert {"a", "b", "c"} == set(table.nodes)
    with pytest.raises(RemoteProtocolError, match="speaks"):
        table.check([record("b"), record("x", versions=versions)])
    with pytest.raises(RemoteProtocolError, match="speaks"):
        new_table(faithful_go=True).check(records)


def test_nodes_known_by_hearsay_do_not_decide_what_others_must_speak() -> None:
    table = new_table()
    only_four = bytes((1, 5, 2, 4, 4, 4))
    table.on_alive(alive("x", versions=only_four), 1.0)
    assert "x" in table.nodes
    five = bytes((1, 5, 2, 2, 5, 5))
    table.check([record("b", versions=five)])
    table.nodes["x"].answered(2.0)
    with pytest.raises(RemoteProtocolError, match="speaks delegate protocol 5"):
        table.check([record("b", versions=five)])


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


def test_a_gateway_that_was_dialled_need_not_be_in_the_allowed_networks() -> None:
    gateway = place("b")._replace(host="192.168.0.1")
    table = new_table(cidrs_allowed=[TEN])
    foreign = record("c", addr=OUTSIDE)
    effects = table.merge([record("b"), foreign], 1.0, source=gateway)
    assert "NodeJoined" in kinds(effects)
    assert Refused("c", "address not allowed") in effects
    assert "b" in table.nodes
    assert "c" not in table.nodes


vectors = st.one_of(
    st.none(),
    st.binary(max_size=7),
    st.lists(st.integers(1, 4), min_size=6, max_size=6).map(bytes),
    st.just(VERSIONS),
)
described = st.lists(st.tuples(vectors, st.sampled_from(list(NodeStatus))), max_size=4)


@given(described, st.lists(st.tuples(vectors.filter(sound), st.sampled_from(list(NodeStatus)))))
def test_versions_are_compared_as_one_by_one(
    theirs: list[tuple[bytes | None, NodeStatus]], ours: list[tuple[bytes, NodeStatus]]
) -> None:
    """Sets of vectors say the same as a look at each node, in which an error names one."""
    records = [record(f"r{n}", versions=v, status=status) for n, (v, status) in enumerate(theirs)]
    nodes = [node(f"n{n}", versions=v, status=status) for n, (v, status) in enumerate(ours)]
    both = [(v, status) for v, status in (*theirs, *ours) if v is not None and sound(v)]
    live = [v for v, status in both if status == NodeStatus.ALIVE]
    fit = all(a[0] <= v[2] <= a[1] and a[3] <= v[5] <= a[4] for v, _ in both for a in live)
    if fit:
        verify(records, nodes)
    else:
        with pytest.raises(RemoteProtocolError, match="speaks"):
            verify(records, nodes)


PEER = "10.9.9.9"


def address_of(number: int) -> bytes:
    return bytes((10, 1, number // 256 % 256, number % 256))


def receive(table: NodeTable, numbers: range, now: float = 0.0) -> int:
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
    assert 100 == receive(table, range(MAX_UNREACHED + 100))
    assert MAX_UNREACHED + 1 == table.num_nodes
    effects = table.on_alive(Alive(1, "x", address_of(9), PORT, b"", VERSIONS), 9.0)
    assert [TurnedAway(1)] == effects, "not gossiped on either"
    assert [TurnedAway(50)] == table.merge_checked(records(range(1000, 1050)), 9.0, peer=PEER)
    assert 0 == receive(table, range(MAX_UNREACHED), 9.0), "those that are known are not concerned"


def test_in_faithful_mode_every_name_is_entered() -> None:
    table = new_table(faithful_go=True)
    assert 0 == receive(table, range(2 * MAX_UNREACHED))


def test_room_grows_with_every_node_that_is_reached() -> None:
    table = new_table()
    receive(table, range(MAX_UNREACHED))
    for number in range(15):
        table.nodes[f"n{number}"].answered(1.0)
    table.nodes["n20"].pinged(1.0, "10.1.0.20")
    assert 100 - 2 * 15 == receive(table, range(1000, 1100), 1.0), "a ping proves nothing"


def test_records_are_counted_anew_once_in_a_while() -> None:
    table = new_table()
    assert 1 == receive(table, range(MAX_UNREACHED + 1), 0.0)
    table.nodes["n0"].answered(0.1)
    assert 1 == receive(table, range(1000, 1001), COUNT_INTERVAL / 2)
    assert 0 == receive(table, range(1000, 1002), COUNT_INTERVAL)


def test_a_failed_node_counts_until_its_record_is_dropped() -> None:
    table = new_table()
    receive(table, range(MAX_UNREACHED))
    for number in range(MAX_UNREACHED):
        node = table.nodes[f"n{number}"]
        table.suspect_failed(node.name, node.incarnation, 0.0)
    table.expired(1e6)
    assert 1 == receive(table, range(1000, 1001), 1e6)
    table.purge(2e6)
    assert 0 == receive(table, range(1000, 1000 + MAX_UNREACHED), 2e6)


def test_the_state_of_a_peer_that_was_dialled_is_merged_as_a_whole() -> None:
    table = new_table()
    receive(table, range(MAX_UNREACHED))
    effects = table.merge_checked(
        records(range(1000, 3000)), 0.0, source=Address(PEER, PORT), peer=PEER
    )
    assert 2000 == sum(isinstance(effect, NodeJoined) for effect in effects)
    assert 1 == receive(table, range(5000, 5001), 5.0), "and makes no room for others"
    table.nodes["n2000"].answered(5.0)
    assert 0 == receive(table, range(5000, 5001), 7.0), "nor takes it"


@pytest.mark.parametrize("form", [b"", bytes(10) + b"\xff\xff"])
def test_a_peer_that_joins_by_this_node_is_entered(form: bytes) -> None:
    table = new_table()
    receive(table, range(MAX_UNREACHED))
    addr = form + bytes((10, 9, 9, 9))
    state = [*records(range(1000, 1001)), *records(range(2000, 2005), addr)]
    effects = table.merge_checked(state, 0.0, peer=PEER)
    assert ["n2000"] == [e.node.name for e in effects if isinstance(e, NodeJoined)]
    assert TurnedAway(5) == effects[-1], "one in each state"
    for number in range(3000, 3000 + 5 * MAX_UNREACHED):
        table.merge_checked(records(range(number, number + 1), addr), 9.0, peer=PEER)
    assert NEWCOMER_FACTOR * MAX_UNREACHED + 1 == table.num_nodes


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
    table.nodes["n0"].answered(1.0)
    assert "n1 n2 n3 n4" == checked(table, own)
