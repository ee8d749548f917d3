"""Two nodes with one name: whether this one may keep it, by the majority of the other nodes.

Source: hashicorp/serf v0.9.4, serf/serf.go, handleNodeConflict, resolveNodeConflict.
"""

from __future__ import annotations

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

    Args:
      local_address: the advertised address of this node.

    Attributes:
      responses: votes counted.
      matching: votes for this node.
    """

    def __init__(self, local_address: Address) -> None:
        self._local = (member_ip(local_address.to_bytes()), local_address.port)
        self.responses = 0
        self.matching = 0

    def add(self, payload: bytes) -> list[Effect]:
        """Count one response.

        An unreadable one is no vote, an unknown name is a vote against this node.
        """
        try:
            member = decode_conflict_response(payload)
        except RemoteProtocolError as error:
            return [Log(f"Failed to decode conflict query response: {error}", "error")]
        self.responses += 1
        if member is not None and (member_ip(member.addr or b""), member.port) == self._local:
            self.matching += 1
        return []

    @property
    def majority(self) -> int:
        """Votes needed to stay."""
        return self.responses // 2 + 1

    @property
    def keep_name(self) -> bool:
        """Whether this node may stay.

        QUIRK: with no vote at all the answer is no, so that two nodes with one name and no
        third node both stop; peers rely on the loser going away.
        """
        return self.matching >= self.majority
