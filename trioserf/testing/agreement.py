"""Whether nodes agree on which are alive, and how long healthy ones may take to agree.

After the last fault - nothing is cut any more, no node crashes, stops or starts - every running
node must come to see every running node alive, and no other.  `agreement_bound` adds up the
longest times of what has to happen one after the other:

* *probing*: a node that is gone is probed.  Each node is probed about once in each probe interval
  by one of the others, and after 2n - 1 intervals for certain; a node whose health score is bad
  stretches its interval up to ``awareness_max_multiplier`` times.
* *suspicion*: the longest timeout, and once more, because a push/pull takes a dead node for a
  suspect one.
* *reunion*: after a partition, the first exchange of state across it.  Serf tries about one
  failed member in each ``reconnect_interval``, the healer one in each ``push_pull_interval``,
  the whole cluster taken together, so that waiting times are exponential.
* *spreading*: gossip, and then push/pulls for the nodes that it missed.  A message is sent
  ``limit`` times by each node, so it misses a node with the probability
  ``exp(-limit * (1 - loss))``; in each push/pull the node asks one that was missed with the same
  probability.

Each time that depends on chance is chosen so long that it is exceeded with a probability of at
most ``risk``.

Source: the SWIM paper (2002), sections 4.1 and 4.3; the Lifeguard paper (2018), on suspicion
timeouts; hashicorp/memberlist v0.2.2, util.go, state.go; hashicorp/serf v0.9.4, serf/serf.go:
reconnect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias, final

from .. import _attrs as attrs
from .._config import Config
from .._events import Member, MemberStatus

View: TypeAlias = Callable[[], Iterable[Member]]
"""What a node knows now."""

_SHOWN = 5
"""Disagreements listed before the rest is counted."""
_SCALING_FROM: Final = 32
"""Nodes up to which push/pulls are not rarer than configured."""


def alive_names(members: Iterable[Member]) -> set[str]:
    """The names of the members that are alive."""
    return {member.name for member in members if member.status is MemberStatus.ALIVE}


@attrs.define(eq=False)
class Agreement:
    """Do these nodes see each other, and no other node, alive?

    Asked again and again while a cluster settles, so it looks first at those that disagreed
    last time, and stops at the first that still does.

    Args:
      views: the nodes by name.
      tags: the tags that each is known to have; a node that shows others disagrees.
    """

    views: Mapping[str, View]
    tags: Callable[[str], Mapping[str, str]]
    _pending: list[str] = attrs.field(factory=list, init=False)

    def reached(self) -> bool:
        """Whether all agree now."""
        if not self._pending:
            self._pending = list(self.views)
        while self._pending:
            if self._complaints_of(self._pending[-1], stop_at_first=True):
                return False
            self._pending.pop()
        # Those that agreed at first may see it otherwise by now.
        return not any(self._complaints_of(name, stop_at_first=True) for name in self.views)

    def complaints(self) -> list[str]:
        """Every disagreement, in words."""
        return [text for name in self.views for text in self._complaints_of(name)]

    def summary(self) -> str:
        """The first disagreements, in one line."""
        found = self.complaints()
        rest = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return "; ".join(found[:_SHOWN]) + rest

    def _complaints_of(self, name: str, *, stop_at_first: bool = False) -> list[str]:
        members = {member.name: member for member in self.views[name]()}
        found = []
        for other in self.views:
            member = members.pop(other, None)
            if member is None:
                found.append(f"{name} does not know {other}")
            elif member.status is not MemberStatus.ALIVE:
                found.append(f"{name} sees {other} {member.status}")
            elif member.tags != self.tags(other):
                found.append(f"{name} sees old tags of {other}")
            if found and stop_at_first:
                return found
        found += [f"{name} still sees {other} alive" for other in alive_names(members.values())]
        return found


@final
@attrs.frozen(kw_only=True)
class AgreementBound:
    """The parts of a bound, in seconds; see the head of this module."""

    probing: float
    suspicion: float
    reunion: float
    spreading: float

    @property
    def total(self) -> float:
        """All of it: seconds from the last fault to agreement."""
        return self.probing + self.suspicion + self.reunion + self.spreading


def agreement_bound(
    config: Config, n: int, *, loss: float = 0.0, parted: bool = False, risk: float = 1e-6
) -> AgreementBound:
    """The longest time from the last fault until all running nodes agree.

    Args:
      config: settings of the nodes.
      n: how many names there are, dead ones included.
      loss: share of packets lost.
      parted: whether nodes may have declared each other dead while both ran: after partitions,
        one-way links and long stops.
      risk: probability that a part that depends on chance is exceeded, for each.
    """
    below = config.memberlist
    odds = math.log(1 / risk)
    probes = min(2 * n - 1, math.ceil(odds) + 1)
    shortest = below.suspicion_mult * max(1.0, math.log10(n)) * below.probe_interval
    return AgreementBound(
        probing=probes * below.probe_interval * below.awareness_max_multiplier,
        suspicion=2 * below.suspicion_max_timeout_mult * shortest,
        reunion=odds / _attempts(config) if parted else 0.0,
        spreading=_spreading(config, n, loss, odds),
    )


def _attempts(config: Config) -> float:
    """Attempts per second, of the whole cluster, to reach one node on the other side."""
    below = config.memberlist
    rate = 1 / config.reconnect_interval
    if not below.faithful_go and below.push_pull_interval > 0 and below.seed_memory > 0:
        rate += 1 / below.push_pull_interval
    return rate


def _spreading(config: Config, n: int, loss: float, odds: float) -> float:
    below = config.memberlist
    limit = below.retransmit_mult * math.ceil(math.log10(n + 1))
    gossip = limit * below.gossip_interval
    chances = (odds + math.log(n)) / (limit * (1 - loss))
    rounds = max(1, math.ceil(chances) - 1)
    scale = 1
    if n > _SCALING_FROM:
        scale = math.ceil(math.log2(n) - math.log2(_SCALING_FROM)) + 1
    return gossip + rounds * scale * below.push_pull_interval
