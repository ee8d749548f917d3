"""The coordinate of the local node, moved a little by every probe.

Each round-trip time passes a median filter for that peer, then moves the node towards or
away from the peer (Vivaldi), feeds the adjustment term, and last a weak pull towards the
origin keeps the whole cloud of nodes from drifting away.

What a peer sends is not trusted.  Go takes any finite numbers: one coordinate of 1e308 makes
a node reset at each of its next twenty updates, and one of 1e12 throws it far out.  Here
what no correct node can send is refused, and what still went wrong does not outlive a reset.

Source: hashicorp/serf v0.9.4, coordinate/client.go; Ledlie et al., "Network Coordinates in
the Wild" (2007), for the latency filter and gravity.
"""

from __future__ import annotations

import random
from typing import Final, final

from .. import _attrs as attrs
from .._exceptions import CoordinateError
from .coordinate import ZERO_THRESHOLD, Coordinate, CoordinateConfig

MAX_RTT: Final = 10.0
"""Longest round-trip time that is accepted (seconds, itself allowed)."""
MAX_EXTENT: Final = 1000.0
"""Largest absolute value of anything in a believable coordinate, the error apart (seconds).

At `MAX_RTT` gravity holds every node within 150 * sqrt(2.5) = 237 seconds of the origin.
"""


@final
@attrs.frozen
class CoordinateStats:
    """How often the local coordinate had to start again from the origin."""

    resets: int


@attrs.define(eq=False)
class VivaldiClient:
    """Keeps one node's coordinate.

    Args:
      config: the constants, the same on every node of the cluster.
      rng: decides in which direction nodes in one place part.
    """

    config: CoordinateConfig
    _rng: random.Random
    _coordinate: Coordinate = attrs.field(init=False)
    _origin: Coordinate = attrs.field(init=False)
    _latencies: dict[str, tuple[float, ...]] = attrs.field(init=False, factory=dict)
    """The newest round-trip times of each peer, oldest first (seconds)."""
    _samples: list[float] = attrs.field(init=False)
    """The adjustment window: a ring of measured minus estimated times (seconds)."""
    _next_sample: int = attrs.field(init=False, default=0)
    _resets: int = attrs.field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._coordinate = self._origin = Coordinate.origin(self.config)
        self._samples = [0.0] * self.config.adjustment_window_size

    @property
    def coordinate(self) -> Coordinate:
        """Where the node is now."""
        return self._coordinate

    @property
    def stats(self) -> CoordinateStats:
        return CoordinateStats(self._resets)

    def set(self, coordinate: Coordinate) -> None:
        """Put the node somewhere else.

        Raises:
          CoordinateError: other dimensions, not finite, or implausible.
        """
        self._check(coordinate)
        self._coordinate = coordinate

    def distance_to(self, other: Coordinate) -> float:
        """The estimated round-trip time to ``other`` (seconds).

        Raises:
          CoordinateError: the dimensions differ.
        """
        return self._coordinate.distance_to(other)

    def forget(self, node: str) -> None:
        """Drop the latency samples of a node; unknown ones are fine."""
        self._latencies.pop(node, None)

    def update(self, node: str, other: Coordinate, rtt: float) -> Coordinate:
        """Learn from one probe, and return the local coordinate after it.

        Args:
          node: the name of the peer.
          other: the coordinate that the peer sent.
          rtt: the measured round-trip time (seconds).  Zero is used, but odd: callers
            count it.

        Raises:
          CoordinateError: the coordinate or the time cannot be; nothing has changed.
        """
        self._check(other)
        if not 0.0 <= rtt <= MAX_RTT:
            raise CoordinateError(
                f"round trip time not in valid range, duration {rtt!r} s is not a positive "
                f"value less than {MAX_RTT:g} s"
            )
        latency = self._filter(node, rtt)
        moved, error = self._move(other, latency)
        adjustment = self._adjustment(moved, other, latency)
        adjusted = Coordinate(moved.vec, error, adjustment, moved.height)
        self._coordinate = self._pulled_to_origin(adjusted)
        if not _is_plausible(self._coordinate):
            self._reset()
        return self._coordinate

    def _check(self, coordinate: Coordinate) -> None:
        if not self._origin.is_compatible(coordinate):
            raise CoordinateError(
                f"dimensions aren't compatible: {len(self._origin.vec)} here, "
                f"{len(coordinate.vec)} there"
            )
        # DIFFERS: Go stops at finite numbers.
        # Test: test_a_coordinate_that_no_correct_node_sends_is_refused.
        if not _is_plausible(coordinate):
            what = "implausible" if coordinate.is_valid else "invalid"
            raise CoordinateError(f"coordinate is {what}: {coordinate}")

    def _filter(self, node: str, rtt: float) -> float:
        """The upper median of the peer's newest times, this one included."""
        latencies = (*self._latencies.get(node, ()), rtt)[-self.config.latency_filter_size :]
        self._latencies[node] = latencies
        return sorted(latencies)[len(latencies) // 2]

    def _move(self, other: Coordinate, latency: float) -> tuple[Coordinate, float]:
        """The step of Vivaldi: a spring between both nodes relaxes a little.

        Returns the coordinate with its old error, and the new one.
        """
        config = self.config
        local = self._coordinate
        distance = local.distance_to(other)
        latency = max(latency, ZERO_THRESHOLD)
        wrongness = abs(distance - latency) / latency
        total_error = max(local.error + other.error, ZERO_THRESHOLD)
        weight = local.error / total_error
        step = config.vivaldi_ce * weight
        error = min(
            step * wrongness + local.error * (1.0 - step),
            config.vivaldi_error_max,
        )
        force = config.vivaldi_cc * weight * (latency - distance)
        return local.apply_force(config, force, other, self._rng), error

    def _adjustment(self, local: Coordinate, other: Coordinate, latency: float) -> float:
        """Half the mean of what the estimates were short of lately."""
        size = self.config.adjustment_window_size
        if not size:
            return local.adjustment
        self._samples[self._next_sample] = latency - local.raw_distance(other)
        self._next_sample = (self._next_sample + 1) % size
        total = 0.0
        for sample in self._samples:
            total += sample
        return total / (2.0 * size)

    def _pulled_to_origin(self, local: Coordinate) -> Coordinate:
        """Gravity: grows with the square of the distance."""
        pull = self._origin.distance_to(local) / self.config.gravity_rho
        return local.apply_force(self.config, -1.0 * (pull * pull), self._origin, self._rng)

    def _reset(self) -> None:
        """Start again from the origin.

        DIFFERS: Go keeps the adjustment window, and with it the bad sample that spoils the
        next twenty updates; and it resets for numbers that are not finite, not for those
        that are out of all proportion.
        Test: test_bad_samples_do_not_outlive_a_reset.
        """
        self._resets += 1
        self._coordinate = self._origin
        self._samples = [sample if abs(sample) <= MAX_EXTENT else 0.0 for sample in self._samples]


def _is_plausible(coordinate: Coordinate) -> bool:
    """Whether a correct node could be there; not if any number is NaN or infinite."""
    return (
        coordinate.is_valid
        and max(map(abs, coordinate.vec)) <= MAX_EXTENT
        and 0.0 <= coordinate.height <= MAX_EXTENT
        and abs(coordinate.adjustment) <= MAX_EXTENT
        and 0.0 <= coordinate.error
    )
