"""The constants of the coordinate system.

Source: hashicorp/serf v0.9.4, coordinate/config.go; Dabek et al., "Vivaldi: A Decentralized
Network Coordinate System" (2004), for the constants ce and cc.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, final

from .. import _attrs as attrs
from .._exceptions import ConfigError


def _bound(test: Callable[[Any], bool], expected: str) -> Any:
    def validate(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not test(value):
            raise ConfigError(attribute.name, value, expected)

    return validate


def _is_count(value: float) -> bool:
    return isinstance(value, int) and value >= 0


def _is_size(value: float) -> bool:
    return isinstance(value, int) and value > 0


_POSITIVE = _bound(lambda v: isfinite(v) and v > 0, "a number, more than 0")
_NOT_NEGATIVE = _bound(lambda v: isfinite(v) and v >= 0, "a number, 0 or more")


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

    dimensionality: int = attrs.field(default=8, validator=_bound(_is_size, "dimensionality > 0"))
    vivaldi_error_max: float = attrs.field(default=1.5, validator=_POSITIVE)
    vivaldi_ce: float = attrs.field(default=0.25, validator=_NOT_NEGATIVE)
    vivaldi_cc: float = attrs.field(default=0.25, validator=_NOT_NEGATIVE)
    adjustment_window_size: int = attrs.field(
        default=20, validator=_bound(_is_count, "a whole number, 0 or more")
    )
    height_min: float = attrs.field(default=1.0e-5, validator=_NOT_NEGATIVE)
    latency_filter_size: int = attrs.field(
        default=3, validator=_bound(_is_size, "a whole number, 1 or more")
    )
    gravity_rho: float = attrs.field(default=150.0, validator=_POSITIVE)
