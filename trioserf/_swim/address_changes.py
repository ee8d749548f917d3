"""When a name may move to another address.

A node that is dead or left comes back elsewhere: a container with a new address, a process
with a new port.  Then its alive message is applied at once, whatever incarnation it starts
from.  But a late message from before, with a *former* address, looks the same.  So the former
addresses of each node are remembered with the incarnations reached there, and an alive message
with one of them must have a higher incarnation, as at the present address.

If a live node has the name, either it moved and is not declared dead yet, or two nodes share a
name.  The old address is probed: silence lets the name move, an ack is a conflict.  And when
an alive message with the name of the local node has another address, that is a former address
of this node, or the address of another node: it is probed too before a conflict is reported.

DIFFERS: Go takes a new address at once only for nodes that left, or that are dead for longer
than ``dead_node_reclaim_time`` when that is not 0; everything else is a conflict until the
record is dropped.  Here 0 means at once; a time that was set is still waited for, but the old
address is probed meanwhile.
Tests: test_a_failed_node_may_return_from_another_address_at_once,
test_the_address_of_a_live_node_is_probed_before_its_name_moves,
test_the_former_address_of_the_local_node_is_no_conflict,
test_a_stale_message_with_a_former_address_does_not_resurrect.

Source: hashicorp/memberlist v0.2.2, state.go, aliveNode.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .nodes import AliveState, Incarnation, Node, NodeStatus

FORMER_ADDRESSES: Final = 8
"""Addresses remembered for each name; the oldest go first."""
QUIET_INTERVALS: Final = 3
"""For so many probe intervals the old address is not probed again after it acked."""

RawAddress: TypeAlias = tuple[bytes, int]
"""Address bytes and port, as in a record: comparing them needs no text."""


class AddressDecision(enum.Enum):
    """What to do about an alive message with another address."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    PROBE = "probe"
    WAIT = "wait"
    """The old address is being probed."""
    STALE = "stale"
    """The incarnation is no higher than the one reached at that address."""


@attrs.define(eq=False)
class _Probe:
    """A probe of an address, under way or acked.

    Args:
      address: what is probed.
      incarnation: of the record when the probe began.
      until: how long the probe, or its ack, counts (seconds, trio clock).
      answered: whether it was acked.
    """

    address: RawAddress
    incarnation: Incarnation
    until: float
    answered: bool = False


class AddressChanges:
    """Former addresses of nodes, and probes of present ones.

    Args:
      config: settings.
    """

    def __init__(self, config: MemberlistConfig) -> None:
        self._reclaim_time = config.dead_node_reclaim_time
        self._faithful = config.faithful_go
        self._time_limit = 2 * config.probe_timeout + config.probe_interval
        self._quiet_time = QUIET_INTERVALS * max(config.probe_interval, config.probe_timeout)
        self._former: dict[str, dict[RawAddress, Incarnation]] = {}
        self._probes: dict[str, _Probe] = {}
        self._local_addresses: dict[RawAddress, None] = {}

    def decide(self, node: Node, alive: AliveState, now: float) -> AddressDecision:
        """Decide about an alive message with another address than the record's.

        `PROBE` is returned once; until its result or a time limit, `WAIT`.
        """
        if self._faithful:
            return self._decide_as_go(node, now)
        if alive.incarnation <= self.highest_incarnation_at(node, alive):
            return AddressDecision.STALE
        if node.status is NodeStatus.LEFT or (
            node.status is NodeStatus.DEAD and now - node.changed_at >= self._reclaim_time
        ):
            return AddressDecision.ACCEPT
        return self._probe(node.name, (node.addr, node.port), node.incarnation, now)

    def decide_local(self, name: str, alive: AliveState, now: float) -> AddressDecision:
        """Decide about an alive message with the local name and another address.

        Here that other address is probed: it may be a former one of this node.
        """
        if self._faithful:
            return AddressDecision.REFUSE
        return self._probe(name, _raw_address(alive), 0, now)

    def _probe(
        self, name: str, address: RawAddress, incarnation: Incarnation, now: float
    ) -> AddressDecision:
        probe = self._probes.get(name)
        if probe is not None and probe.address == address and now < probe.until:
            return AddressDecision.REFUSE if probe.answered else AddressDecision.WAIT
        self._probes[name] = _Probe(address, incarnation, now + self._time_limit)
        return AddressDecision.PROBE

    def _decide_as_go(self, node: Node, now: float) -> AddressDecision:
        waited = now - node.changed_at > self._reclaim_time > 0
        if node.status is NodeStatus.LEFT or (node.status is NodeStatus.DEAD and waited):
            return AddressDecision.ACCEPT
        return AddressDecision.REFUSE

    def conclude(self, node: Node, answered: bool, now: float) -> bool:
        """Note the result of a probe; return whether the name may move.

        It may not if the record changed meanwhile: then silence means nothing, and the next
        message leads to a new probe.
        """
        return self._conclude(node.name, (node.addr, node.port), node.incarnation, answered, now)

    def conclude_local(self, name: str, alive: AliveState, answered: bool, now: float) -> bool:
        """Note the result of a probe for the local name; return whether no other node has it."""
        return self._conclude(name, _raw_address(alive), 0, answered, now)

    def _conclude(
        self, name: str, address: RawAddress, incarnation: Incarnation, answered: bool, now: float
    ) -> bool:
        probe = self._probes.get(name)
        if probe is None or probe.answered:
            return False
        if answered:
            probe.answered = True
            probe.until = now + self._quiet_time
            return False
        del self._probes[name]
        return probe.address == address and probe.incarnation == incarnation

    def highest_incarnation_at(self, node: Node, alive: AliveState) -> Incarnation:
        """The highest incarnation known of ``node`` at the address of ``alive``; 0 for none."""
        if alive.addr == node.addr and alive.port == node.port:
            return node.incarnation
        former = self._former.get(node.name)
        return former.get(_raw_address(alive), 0) if former else 0

    def remember(self, node: Node) -> None:
        """Note the address of ``node`` before it changes."""
        former = self._former.setdefault(node.name, {})
        address = (node.addr, node.port)
        highest = max(former.pop(address, 0), node.incarnation)
        former[address] = highest
        while len(former) > FORMER_ADDRESSES:
            del former[next(iter(former))]

    def note_local(self, address: RawAddress) -> bool:
        """Note a former address of the local node; whether it is new."""
        addresses, new = self._local_addresses, address not in self._local_addresses
        addresses[address] = None
        while len(addresses) > FORMER_ADDRESSES:
            del addresses[next(iter(addresses))]
        return new

    def forget(self, name: str) -> None:
        """The record is dropped."""
        self._former.pop(name, None)
        self._probes.pop(name, None)


def _raw_address(alive: AliveState) -> RawAddress:
    return alive.addr or b"", alive.port
