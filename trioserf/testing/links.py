"""What a simulated path does to what travels along it.

A `Link` is the quality of one direction between two hosts.  It is frozen: to change the
network while it runs, give the network another link.  Latencies are functions of a random
source, so that one seed gives one run.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, TypeAlias, TypedDict, final

from .. import _attrs as attrs

Latency: TypeAlias = Callable[[random.Random], float]
"""Draws the time of one journey (seconds)."""
LatencyLike: TypeAlias = "float | tuple[float, float] | Latency"
"""Seconds, a range of seconds, or a function that draws."""


def _not_negative(_instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{attribute.name}={value!r}: expected 0 or more")


def _share(_instance: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name}={value!r}: expected a share from 0 to 1")


@final
@attrs.frozen
class Constant:
    """Every journey takes the same time (seconds): nothing overtakes."""

    seconds: float = attrs.field(validator=_not_negative)

    def __call__(self, _rng: random.Random) -> float:
        return self.seconds


@final
@attrs.frozen
class Uniform:
    """Any time from ``low`` to ``high`` (seconds), all alike probable."""

    low: float = attrs.field(validator=_not_negative)
    high: float = attrs.field(validator=_not_negative)

    def __call__(self, rng: random.Random) -> float:
        return self.low + (self.high - self.low) * rng.random()


@final
@attrs.frozen
class Normal:
    """Around ``mean`` with a standard ``deviation``, never below ``least`` (seconds)."""

    mean: float = attrs.field(validator=_not_negative)
    deviation: float = attrs.field(validator=_not_negative)
    least: float = attrs.field(default=0.0, validator=_not_negative)

    def __call__(self, rng: random.Random) -> float:
        return max(self.least, rng.gauss(self.mean, self.deviation))


@final
@attrs.frozen
class LongTail:
    """Half of the journeys are faster than ``median``, a few are very slow (log-normal).

    Args:
      median: seconds.
      sigma: how long the tail is; with 0.5 one journey in a hundred takes 3.2 medians,
        with 1.0 ten.
      most: no journey takes longer (seconds).
    """

    median: float = attrs.field(validator=_not_negative)
    sigma: float = attrs.field(default=0.5, validator=_not_negative)
    most: float = attrs.field(default=math.inf, validator=_not_negative)

    def __call__(self, rng: random.Random) -> float:
        return min(self.most, self.median * math.exp(rng.gauss(0.0, self.sigma)))


def as_latency(value: LatencyLike) -> Latency:
    """A latency from seconds, from a range of seconds, or from itself."""
    if isinstance(value, tuple):
        low, high = value
        return Uniform(low, high)
    if isinstance(value, (int, float)):
        return Constant(float(value))
    return value


@final
@attrs.frozen(kw_only=True)
class Link:
    """One direction between two hosts.

    Packets meet all of it.  Streams are TCP to their users: they meet the latency, the
    bandwidth, and loss as delay by retransmission; nothing else.

    Args:
      latency: time of a journey: seconds, a range, or one of the distributions.  Packets
        overtake each other where it varies; streams never do.
      loss: share of packets that never arrive.
      duplicate: share of packets that arrive twice.
      reorder: share of packets delayed by a further ``reorder_by`` seconds.
      corrupt: share of packets in which one bit arrives flipped.
      bandwidth: bytes per second.
      queue: bytes that wait for the bandwidth; what finds no room is dropped.
      mtu: longer packets are dropped (bytes), as by a router that forbids fragments.
    """

    latency: Latency = attrs.field(default=Constant(0.0005), converter=as_latency)
    loss: float = attrs.field(default=0.0, validator=_share)
    duplicate: float = attrs.field(default=0.0, validator=_share)
    reorder: float = attrs.field(default=0.0, validator=_share)
    reorder_by: float = attrs.field(default=0.01, validator=_not_negative)
    corrupt: float = attrs.field(default=0.0, validator=_share)
    bandwidth: float = attrs.field(default=math.inf)
    queue: int = attrs.field(default=256 * 1024, validator=_not_negative)
    mtu: int = attrs.field(default=65507, validator=_not_negative)
    simple: bool = attrs.field(init=False, repr=False, eq=False)
    """Whether only latency and loss matter to a packet, whatever its length."""

    @bandwidth.validator
    def _check_bandwidth(self, _attribute: attrs.Attribute[float], value: float) -> None:
        if not value > 0:
            raise ValueError(f"bandwidth={value!r}: expected more than 0 bytes per second")

    @simple.default
    def _is_simple(self) -> bool:
        special = self.duplicate or self.reorder or self.corrupt
        return not special and self.bandwidth == math.inf and self.mtu >= 65507


class LinkChanges(TypedDict, total=False):
    """The fields of `Link`, for calls that change some of them."""

    latency: LatencyLike
    loss: float
    duplicate: float
    reorder: float
    reorder_by: float
    corrupt: float
    bandwidth: float
    queue: int
    mtu: int
