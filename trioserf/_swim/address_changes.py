"""When a name may move to another address.

A node that died or left comes back elsewhere: a container with a new address, a process with
a new port.  Then its claim counts at once, with whatever incarnation it starts from.  But a
late message of an earlier life, from where the node *was*, looks the same.  So each record
remembers its former addresses with the incarnations it reached there, and a claim from one
of them must be newer than that, as any other claim.

If the name is held by a live node, either it moved and its death is not known yet, or two
nodes share a name.  The old address is asked: silence yields the name, an answer refuses.
And when a claim to our own name names another address, that is where we were before we moved,
or the address of somebody else: it is asked as well, before anybody speaks of a conflict.

DIFFERS: Go takes a new address at once only for nodes that left, or that are dead for longer
than ``dead_node_reclaim_time`` when that is not 0; everything else is a conflict until the
record is dropped.  Here 0 means at once; a time that was set is still waited for, but the old
address is asked meanwhile.
Tests: test_a_failed_node_may_return_from_another_address_at_once,
test_a_live_name_is_challenged_before_it_moves,
test_our_own_former_address_is_no_conflict,
test_a_stale_claim_from_a_former_address_does_not_resurrect.

Source: hashicorp/memberlist v0.2.2, state.go, aliveNode.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias, final

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._wire.messages import Alive
from .nodes import Incarnation, Node, NodeStatus

FORMER_ADDRESSES: Final = 8
"""Addresses remembered for each name; the oldest go first."""
QUIET_INTERVALS: Final = 3
"""For so many probe intervals the old address is not asked again after it answered."""

Place: TypeAlias = tuple[bytes, int]


class AddressDecision(enum.Enum):
    """What to do about a claim from another address."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    PROBE = "probe"
    WAIT = "wait"
    """The old address is being asked."""
    STALE = "stale"
    """The claim is no newer than what was known of that address."""


@attrs.define(eq=False)
class _Inquiry:
    """What we asked of a record.

    Args:
      place: where it was.
      incarnation: which it had.
      until: how long the question, or its answer, counts (seconds, trio clock).
      answered: whether the node is there.
    """

    place: Place
    incarnation: Incarnation
    until: float
    answered: bool = False


@final
class AddressChanges:
    """Former addresses of nodes, and inquiries about present ones.

    Args:
      config: settings.
    """

    def __init__(self, config: MemberlistConfig) -> None:
        self._reclaim_time = config.dead_node_reclaim_time
        self._faithful = config.faithful_go
        self._patience = 2 * config.probe_timeout + config.probe_interval
        self._quiet = QUIET_INTERVALS * max(config.probe_interval, config.probe_timeout)
        self._former: dict[str, dict[Place, Incarnation]] = {}
        self._inquiries: dict[str, _Inquiry] = {}

    def decide(self, node: Node, claim: Alive, now: float) -> AddressDecision:
        """Judge a claim about ``node`` from another address than the record's.

        `PROBE` is returned once; until its result or a time limit, `WAIT`.
        """
        if self._faithful:
            return self._decide_as_go(node, now)
        if claim.incarnation <= self.reached(node, claim):
            return AddressDecision.STALE
        if node.status is NodeStatus.LEFT or (
            node.status is NodeStatus.DEAD and now - node.changed_at >= self._reclaim_time
        ):
            return AddressDecision.ACCEPT
        return self._inquire(node.name, (node.addr, node.port), node.incarnation, now)

    def decide_local(self, name: str, claim: Alive, now: float) -> AddressDecision:
        """Judge a claim to our own name from another address.

        Here the other address is asked: after we moved, it is where we were.
        """
        if self._faithful:
            return AddressDecision.REFUSE
        return self._inquire(name, _place(claim), 0, now)

    def _inquire(
        self, name: str, place: Place, incarnation: Incarnation, now: float
    ) -> AddressDecision:
        inquiry = self._inquiries.get(name)
        if inquiry is not None and inquiry.place == place and now < inquiry.until:
            return AddressDecision.REFUSE if inquiry.answered else AddressDecision.WAIT
        self._inquiries[name] = _Inquiry(place, incarnation, now + self._patience)
        return AddressDecision.PROBE

    def _decide_as_go(self, node: Node, now: float) -> AddressDecision:
        waited = now - node.changed_at > self._reclaim_time > 0
        if node.status is NodeStatus.LEFT or (node.status is NodeStatus.DEAD and waited):
            return AddressDecision.ACCEPT
        return AddressDecision.REFUSE

    def conclude(self, node: Node, answered: bool, now: float) -> bool:
        """Note the result of a challenge; return whether the name may move.

        It may not if the record changed meanwhile: then silence means nothing, and the next
        claim is asked about anew.
        """
        return self._conclude(node.name, (node.addr, node.port), node.incarnation, answered, now)

    def conclude_local(self, name: str, claim: Alive, answered: bool, now: float) -> bool:
        """Note the result of a challenge to our own name; return whether it is ours alone."""
        return self._conclude(name, _place(claim), 0, answered, now)

    def _conclude(
        self, name: str, place: Place, incarnation: Incarnation, answered: bool, now: float
    ) -> bool:
        inquiry = self._inquiries.get(name)
        if inquiry is None or inquiry.answered:
            return False
        if answered:
            inquiry.answered = True
            inquiry.until = now + self._quiet
            return False
        del self._inquiries[name]
        return inquiry.place == place and inquiry.incarnation == incarnation

    def reached(self, node: Node, claim: Alive) -> Incarnation:
        """The highest incarnation known of ``node`` at the address of ``claim``; 0 for none."""
        if claim.addr == node.addr and claim.port == node.port:
            return node.incarnation
        former = self._former.get(node.name)
        return former.get(_place(claim), 0) if former else 0

    def remember(self, node: Node) -> None:
        """Note where ``node`` is, before it moves."""
        former = self._former.setdefault(node.name, {})
        place = (node.addr, node.port)
        reached = max(former.pop(place, 0), node.incarnation)
        former[place] = reached
        while len(former) > FORMER_ADDRESSES:
            del former[next(iter(former))]

    def forget(self, name: str) -> None:
        """The record is dropped."""
        self._former.pop(name, None)
        self._inquiries.pop(name, None)


def _place(claim: Alive) -> Place:
    return claim.addr or b"", claim.port
