"""Which protocol versions can live together.

Each node understands a range of protocols and speaks one of them.  What each node speaks
must lie in the range that every live node understands; the same for the versions of the
delegate, that is, of Serf.

Source: hashicorp/memberlist v0.2.2, state.go, verifyProtocol and aliveNode.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._exceptions import RemoteProtocolError
from .._wire.messages import NodeRecord
from .nodes import VERSIONS_LENGTH, Node, NodeStatus

_UNKNOWN = bytes(VERSIONS_LENGTH)


def sound(versions: bytes | None) -> bool:
    """Whether a version vector has six bytes and a possible range of protocols."""
    return (
        versions is not None and len(versions) >= VERSIONS_LENGTH and 0 < versions[0] <= versions[1]
    )


def verify(records: Sequence[NodeRecord], nodes: Iterable[Node], *, strict: bool = False) -> None:
    """Raise unless every node speaks what every live node understands.

    DIFFERS: Go refuses the state of a peer as a whole for one record without versions, so
    that one bad node splits a cluster.  Such a record is left out here, and refused if it
    is an alive one when it is merged.
    Test: test_one_record_without_versions_does_not_refuse_the_others.

    Args:
      records: what a peer sent.
      nodes: the local table.
      strict: refuse all for a record without sound versions, as Go does.

    Raises:
      RemoteProtocolError: the first record or node that does not fit; merge nothing.
    """
    speakers: dict[bytes, str] = {}
    live: set[bytes] = set()
    for record in records:
        vector = record.versions or b""
        if vector not in speakers and not sound(vector):
            if not strict:
                continue
            if len(vector) < VERSIONS_LENGTH:
                speakers.setdefault(_UNKNOWN, record.name)
                continue
        speakers.setdefault(vector, record.name)
        if record.status == 0:
            live.add(vector)
    for node in nodes:
        speakers.setdefault(node.versions, node.name)
        if node.status is NodeStatus.ALIVE:
            live.add(node.versions)
    _compare(live, speakers)


def _compare(live: set[bytes], speakers: dict[bytes, str]) -> None:
    """Raise unless every vector that is spoken fits into what the live ones understand."""
    low = max((vector[0] for vector in live), default=0)
    high = min((vector[1] for vector in live), default=255)
    delegate_low = max((vector[3] for vector in live), default=0)
    delegate_high = min((vector[4] for vector in live), default=255)
    for vector, name in speakers.items():
        if not low <= vector[2] <= high:
            raise RemoteProtocolError(
                f"node {name!r} speaks protocol {vector[2]}, the live nodes {low} to {high}"
            )
        if not delegate_low <= vector[5] <= delegate_high:
            raise RemoteProtocolError(
                f"node {name!r} speaks delegate protocol {vector[5]},"
                f" the live nodes {delegate_low} to {delegate_high}"
            )
