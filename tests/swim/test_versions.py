from __future__ import annotations

import pytest

from trioserf._exceptions import RemoteProtocolError
from trioserf._swim.nodes import NodeStatus
from trioserf._swim.versions import sound, verify

from .builders import VERSIONS, node, record


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


@pytest.mark.parametrize("versions", [None, b"", VERSIONS[:5], bytes(6)])
def test_one_record_without_versions_does_not_refuse_the_others(versions: bytes | None) -> None:
    verify([record("b", versions=versions), record("c")], [node("a")])


@pytest.mark.parametrize("versions", [None, VERSIONS[:5], bytes(6)])
def test_go_refuses_all_for_one_record_without_versions(versions: bytes | None) -> None:
    with pytest.raises(RemoteProtocolError):
        verify([record("b", versions=versions), record("c")], [node("a")], strict=True)
