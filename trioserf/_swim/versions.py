"""Which protocol versions can live together.

Source: hashicorp/memberlist v0.2.2, state.go, verifyProtocol and aliveNode.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._wire.messages import NodeRecord
from .nodes import Node


def sound(versions: bytes | None) -> bool:
    """Whether a version vector has six bytes and a possible range of protocols."""
    return versions is not None and len(versions) >= 6 and 0 < versions[0] <= versions[1]


def verify(records: Sequence[NodeRecord], nodes: Iterable[Node], *, strict: bool = False) -> None:
    """Raise unless everybody speaks what everybody alive understands.

    Args:
      records: what a peer told.
      nodes: what we hold.
      strict: refuse all for a record without sound versions, as Go does; otherwise such
        records are left out (and dropped when merged).

    Raises:
      RemoteProtocolError: the first record or node that does not fit; merge nothing.
    """
    ...
