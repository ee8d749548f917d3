"""Whether the state of a peer is that of this cluster, or of a stranger at a former address.

Addresses are given out again: to containers, by DHCP.  A node that looks for a lost one by its
address may find a node of another cluster there.  It is of this cluster if it has the name that
is looked for, or knows a member that is known here::

    same name at the same address                          a member in common
    same name elsewhere, and the one known here is gone    it may have moved: likely in common
    same name elsewhere, and the one known here is alive   two clusters that name nodes alike

DIFFERS: Go merges with any node that answers.  Test:
test_an_address_that_another_cluster_has_by_now_merges_nothing.

Source: hashicorp/serf v0.9.4, serf/serf.go, reconnect, handleRejoin, for what Go does instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .._wire.messages import NodeRecord
from ..abc import Address
from .nodes import Node, NodeStatus


def is_same_cluster(
    records: Sequence[NodeRecord],
    name: str,
    address: Address,
    known: Mapping[str, Node],
    local_name: str,
) -> bool:
    """Whether a state is that of a cluster in which this node was, or is.

    Args:
      records: the state of a peer.
      name, address: which node was looked for there.
      known: nodes that are known here, those that were lost included.
      local_name: this node's name, which is no sign for anything at another address.
    """
    moved = elsewhere = False
    for record in records:
        found = _address(record)
        if record.name == name and found == address:
            return True
        node = known.get(record.name)
        if node is None or found is None:
            continue
        if node.address == found:
            return True
        if record.name == local_name:
            continue
        if node.is_gone:
            moved = True
        elif record.status < NodeStatus.DEAD:
            elsewhere = True
    return moved and not elsewhere


def name_at(records: Sequence[NodeRecord], address: Address) -> str:
    """The name of the live node at an address; "" if there is none."""
    return next(
        (
            record.name
            for record in records
            if record.status < NodeStatus.DEAD and _address(record) == address
        ),
        "",
    )


def is_only(records: Sequence[NodeRecord], local: Node, known: Mapping[str, Node]) -> bool:
    """Whether a state is that of the local node, to which an address led back.

    Every node is alive in its own state.  So it is, where nobody else is.
    """
    found = False
    for record in records:
        if record.name == local.name:
            found = _address(record) == local.address
        else:
            node = known.get(record.name)
            if record.status < NodeStatus.DEAD or node is None or not node.is_gone:
                return False
    return found


def _address(record: NodeRecord) -> Address | None:
    if len(record.addr or b"") not in (4, 16):
        return None
    return Address.from_bytes(record.addr or b"", record.port)
