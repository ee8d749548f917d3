"""A place in the imagined space in which distance is round-trip time.

The model: a node sits at ``vec`` in a Euclidean space of some dimensions, at a ``height``
above it that stands for the last mile to the network, which every packet climbs.  The
estimated round-trip time between two nodes is the distance of their vectors plus both
heights, then corrected by both ``adjustment`` terms unless the sum would not be positive.

The arithmetic is that of the Go code, operation by operation, so that a given history ends
in the same bits.  Two things would break that unseen.  ``sum()`` adds floats with a
correction since Python 3.12, hence the plain loops; and Go passes distances around as whole
nanoseconds, hence the truncation in `Coordinate.distance_to`.

Source: hashicorp/serf v0.9.4, coordinate/coordinate.go, config.go; Dabek et al., "Vivaldi: A
Decentralized Network Coordinate System" (2004), section 5.4 on heights; Lee et al., "On
Suitability of Euclidean Embedding for Host-based Network Coordinate Systems" (2010), on the
adjustment.
"""

from __future__ import annotations

import random
from math import isfinite, sqrt
from operator import add as plus
from operator import sub as minus
from typing import Final, TypeAlias, final

from .. import _attrs as attrs
from .._exceptions import CoordinateError
from .._public_names import set_public_module
from .._settings import COUNT, COUNT_1, bound, is_int, is_number

Vector: TypeAlias = tuple[float, ...]

ZERO_THRESHOLD: Final = 1.0e-6
"""What is shorter (seconds) has no direction."""
_NANOSECOND: Final = 1_000_000_000
_LONGEST: Final = float((1 << 63) - 1) / _NANOSECOND
"""The longest duration Go can hold (seconds)."""


# --- configuration ------------------------------------------------------------------------

_POSITIVE = bound(lambda v: is_number(v) and isfinite(v) and v > 0, "a number, more than 0")
_NOT_NEGATIVE = bound(lambda v: is_number(v) and isfinite(v) and v >= 0, "a number, 0 or more")


@final
@attrs.frozen(kw_only=True)
class CoordinateConfig:
    """How coordinates move.  Nodes of one cluster must agree on ``dimensionality``.

    Args:
      dimensionality: numbers in ``vec``, more than 0.
      vivaldi_error_max: first and largest error estimate.
      vivaldi_ce: how much one observation may change the error estimate.
      vivaldi_cc: how far one observation may move the node.
      adjustment_window_size: samples behind the adjustment term; 0 turns it off.
      height_min: first and smallest height (seconds).
      latency_filter_size: round-trip times kept for each peer; their median is used.
      gravity_rho: the larger, the weaker the pull towards the origin (seconds).
    """

    dimensionality: int = attrs.field(
        default=8, validator=bound(lambda v: is_int(v) and v > 0, "dimensionality > 0")
    )
    vivaldi_error_max: float = attrs.field(default=1.5, validator=_POSITIVE)
    vivaldi_ce: float = attrs.field(default=0.25, validator=_NOT_NEGATIVE)
    vivaldi_cc: float = attrs.field(default=0.25, validator=_NOT_NEGATIVE)
    adjustment_window_size: int = attrs.field(default=20, validator=COUNT)
    height_min: float = attrs.field(default=1.0e-5, validator=_NOT_NEGATIVE)
    latency_filter_size: int = attrs.field(default=3, validator=COUNT_1)
    gravity_rho: float = attrs.field(default=150.0, validator=_POSITIVE)


# --- vectors ------------------------------------------------------------------------------


def add(a: Vector, b: Vector) -> Vector:
    """``a + b``, both of the same dimensions."""
    return tuple(map(plus, a, b))


def difference(a: Vector, b: Vector) -> Vector:
    """``a - b``, both of the same dimensions."""
    return tuple(map(minus, a, b))


def scale(vec: Vector, factor: float) -> Vector:
    """``vec`` times ``factor``."""
    return tuple([x * factor for x in vec])


def magnitude(vec: Vector) -> float:
    """The length of ``vec``."""
    total = 0.0
    for x in vec:
        total += x * x
    return sqrt(total)


def unit_vector_at(to: Vector, origin: Vector, rng: random.Random) -> tuple[Vector, float]:
    """The direction from ``origin`` to ``to``, and how far it is.

    Two points in one place get a random direction and the distance 0.
    """
    towards = difference(to, origin)
    length = magnitude(towards)
    if length > ZERO_THRESHOLD:
        return scale(towards, 1.0 / length), length
    towards = tuple([rng.random() - 0.5 for _ in towards])
    length = magnitude(towards)
    if length > ZERO_THRESHOLD:
        return scale(towards, 1.0 / length), 0.0
    return (1.0,) + (0.0,) * (len(towards) - 1), 0.0


# --- the coordinate -----------------------------------------------------------------------


@final
@attrs.frozen
class Coordinate:
    """Where a node is, in seconds of round-trip time.

    Args:
      vec: its place in the Euclidean part.
      error: how unsure the node is of its place; 1.5 is "not at all sure".
      adjustment: a correction learned from past estimates (seconds).
      height: what every packet to or from the node takes on top (seconds).
    """

    vec: tuple[float, ...]
    error: float
    adjustment: float
    height: float

    @classmethod
    def origin(cls, config: CoordinateConfig) -> Coordinate:
        """Where every node begins."""
        return cls(
            vec=(0.0,) * config.dimensionality,
            error=config.vivaldi_error_max,
            adjustment=0.0,
            height=config.height_min,
        )

    @property
    def is_valid(self) -> bool:
        """Whether every number is finite."""
        return (
            all(map(isfinite, self.vec))
            and isfinite(self.error)
            and isfinite(self.adjustment)
            and isfinite(self.height)
        )

    def is_compatible(self, other: Coordinate) -> bool:
        """Whether both are in a space of the same dimensions."""
        return len(self.vec) == len(other.vec)

    def raw_distance(self, other: Coordinate) -> float:
        """The distance without the adjustments (seconds).

        Raises:
          CoordinateError: the dimensions differ.
        """
        self._check_dimensions(other)
        return magnitude(difference(self.vec, other.vec)) + self.height + other.height

    def distance_to(self, other: Coordinate) -> float:
        """The estimated round-trip time (seconds, a whole number of nanoseconds).

        Raises:
          CoordinateError: the dimensions differ.

        DIFFERS: Go's conversion of a distance that does not fit a duration gives the most
        negative one; here it is the longest there is.
        Test: test_a_distance_beyond_all_measure_is_the_longest_duration.
        """
        raw = self.raw_distance(other)
        adjusted = raw + self.adjustment + other.adjustment
        distance = adjusted if adjusted > 0.0 else raw
        if not -_LONGEST < distance < _LONGEST:
            return _LONGEST
        nanoseconds = int(distance * _NANOSECOND)
        seconds, rest = divmod(abs(nanoseconds), _NANOSECOND)
        whole = seconds + rest / _NANOSECOND
        return whole if nanoseconds >= 0 else -whole

    def apply_force(
        self, config: CoordinateConfig, force: float, other: Coordinate, rng: random.Random
    ) -> Coordinate:
        """This coordinate pushed away from ``other`` by ``force`` (seconds; negative pulls).

        Raises:
          CoordinateError: the dimensions differ.
        """
        self._check_dimensions(other)
        unit, length = unit_vector_at(self.vec, other.vec, rng)
        height = self.height
        if length > ZERO_THRESHOLD:
            height = max(
                (self.height + other.height) * force / length + self.height, config.height_min
            )
        return Coordinate(
            vec=add(self.vec, scale(unit, force)),
            error=self.error,
            adjustment=self.adjustment,
            height=height,
        )

    def _check_dimensions(self, other: Coordinate) -> None:
        if not self.is_compatible(other):
            raise CoordinateError(
                "coordinate dimensionality does not match: "
                f"{len(self.vec)} here, {len(other.vec)} there"
            )


set_public_module(Coordinate)
