"""Two nodes with one name: whether this one may keep it, by the majority of the other nodes.

Source: hashicorp/serf v0.9.4, serf/serf.go, handleNodeConflict, resolveNodeConflict.
"""

from __future__ import annotations

from collections.abc import Collection

from .._exceptions import RemoteProtocolError
from .._wire.serf_messages import decode_conflict_response
from ..abc import Address, NodeView
from .effects import Effect, Log, ResolveConflict
from .member_record import member_ip


def on_conflict(
    existing: NodeView, other: NodeView, *, local_name: str, resolve: bool
) -> list[Effect]:
    """Memberlist saw a second address for a known name.

    Args:
      resolve: the setting ``enable_name_conflict_resolution``.
    """
    known = f"{member_ip(existing.addr)}:{existing.port}"
    conflicting = f"{member_ip(other.addr)}:{other.port}"
    if existing.name != local_name:
        return [Log(f"Name conflict for '{existing.name}' both {known} and {conflicting} claim it")]
    problem = f"Node name conflicts with another node at {conflicting}. Names must be unique!"
    effects: list[Effect] = [Log(problem, "error")]
    return [*effects, ResolveConflict()] if resolve else effects


class ConflictVotes:
    """Counts what other nodes answer about the owner of this node's name.

    Anybody can send answers, in any name.  So only members have a vote that were alive when
    they were asked (the caller drops the answers of others), and, once the vote is over, that
    this node has ever reached (`discard` the others).  A node without a vote keeps its name:
    its opponent brought no member that could answer.

    DIFFERS: Go counts every answer, and without one the node ends.  A node can be voted out by
    strangers, and one that is alone falls to a single forged claim (unless ``faithful_go``).
    Tests: test_without_a_vote_the_name_is_kept, test_strangers_and_ghosts_vote_nobody_out.

    Args:
      local_address: the advertised address of this node.
      faithful: without a vote the name is lost, as in Go.
    """

    def __init__(self, local_address: Address, *, faithful: bool = False) -> None:
        self._local = (member_ip(local_address.to_bytes()), local_address.port)
        self._faithful = faithful
        self._votes: list[tuple[str, bool]] = []

    def add(self, payload: bytes, node: str = "") -> list[Effect]:
        """Count one response, that of ``node``.

        An unreadable one is no vote, an unknown name is a vote against this node.
        """
        try:
            member = decode_conflict_response(payload)
        except RemoteProtocolError as error:
            return [Log(f"Failed to decode conflict query response: {error}", "error")]
        owner = None if member is None else (member_ip(member.addr or b""), member.port)
        self._votes.append((node, owner == self._local))
        return []

    def discard(self, names: Collection[str]) -> None:
        """These members have no vote after all."""
        self._votes = [vote for vote in self._votes if vote[0] not in names]

    @property
    def responses(self) -> int:
        """Votes counted."""
        return len(self._votes)

    @property
    def matching(self) -> int:
        """Votes for this node."""
        return sum([matches for _, matches in self._votes])

    @property
    def majority(self) -> int:
        """Votes needed to stay."""
        return self.responses // 2 + 1

    @property
    def keep_name(self) -> bool:
        """Whether this node may stay."""
        if not self._votes:
            return not self._faithful
        return self.matching >= self.majority
