"""Who may keep a name that two nodes claim."""

from __future__ import annotations

import pytest

from trioserf._cluster.conflicts import ConflictVotes, on_conflict
from trioserf._cluster.effects import ResolveConflict
from trioserf._wire.serf_messages import MemberRecord, encode_conflict_response
from trioserf.abc import Address

from .samples import LOCAL, node, warnings

HERE = Address("10.0.0.1", 7946)
MAPPED = bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 1])


def vote(addr: bytes | None = bytes([10, 0, 0, 1]), port: int = 7946) -> bytes:
    return encode_conflict_response(MemberRecord(name=LOCAL, addr=addr, port=port))


def test_a_conflict_about_another_name_is_a_warning() -> None:
    effects = on_conflict(node("foo"), node("foo", port=1), local_name=LOCAL, resolve=True)
    assert ["Name conflict for 'foo' both 10.0.0.1:7946 and 10.0.0.1:1 claim it"] == warnings(
        effects
    )
    assert ResolveConflict() not in effects


@pytest.mark.parametrize("resolve", [True, False])
def test_a_conflict_about_the_local_name_is_resolved_if_enabled(resolve: bool) -> None:
    effects = on_conflict(node(LOCAL), node(LOCAL, port=1), local_name=LOCAL, resolve=resolve)
    assert resolve == (ResolveConflict() in effects)
    assert "10.0.0.1:1" in warnings(effects)[0]


@pytest.mark.parametrize(
    ("payloads", "keep"),
    [
        ([vote()], True),
        ([vote(MAPPED)], True),
        ([vote(port=1)], False),
        ([vote(bytes(4))], False),
        ([vote(None)], False),
        ([encode_conflict_response(None)], False),
        ([vote(), vote(port=1)], False),
        ([vote(), vote(), vote(port=1)], True),
        ([vote(), vote(), encode_conflict_response(None)], True),
        ([vote(), encode_conflict_response(None)], False),
    ],
)
def test_a_majority_of_votes_keeps_the_name(payloads: list[bytes], keep: bool) -> None:
    """Checklist 89, the rule."""
    votes = ConflictVotes(HERE)
    for payload in payloads:
        assert [] == votes.add(payload)
    assert len(payloads) == votes.responses
    assert votes.keep_name is keep


def test_votes_can_be_discarded() -> None:
    votes = ConflictVotes(HERE)
    votes.add(vote(), "b")
    votes.add(vote(port=1), "c")
    assert not votes.keep_name
    votes.discard({"c", "d"})
    assert votes.keep_name
    assert (1, 1) == (votes.responses, votes.matching)


def test_without_a_vote_the_name_is_kept() -> None:
    assert ConflictVotes(HERE).keep_name
    assert not ConflictVotes(HERE, faithful=True).keep_name, "as in Go"


@pytest.mark.parametrize("payload", [b"", b"\x05\xc0", b"\x06\x81", b"\x06\xc3"])
def test_an_unreadable_vote_does_not_count(payload: bytes) -> None:
    votes = ConflictVotes(HERE)
    assert 1 == len(warnings(votes.add(payload)))
    assert 0 == votes.responses


def test_an_ipv6_node_counts_its_votes() -> None:
    votes = ConflictVotes(Address("::1", 7946))
    votes.add(vote(bytes(15) + b"\x01"))
    assert votes.keep_name
