"""The settings of a simulated node, and of one whose clock runs at another speed.

A run has one clock.  A node whose own clock is fast by a thousandth waits a thousandth less
each time, so its durations are made that much shorter.  What the node measures, round-trip
times for one, is not changed; neither are the few waits that are no settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .. import _attrs as attrs
from .._config import Config
from .._memberlist_config import MemberlistConfig
from .._settings import POSITIVE, SECONDS

_MEMBERLIST_FIELDS = {field.name for field in attrs.fields(MemberlistConfig)} - {
    field.name for field in attrs.fields(Config)
}


def node_settings(
    base: Config, name: str, disk: str | None, drift: float, fields: Mapping[str, Any]
) -> Config:
    """The settings of one node.

    Args:
      base: what all nodes have in common.
      name: of the node.
      disk: path of its snapshot; None for none.
      drift: see `with_drift`.
      fields: settings of either half that are its own; they go before all others.

    Raises:
      ConfigError: a bad value.
      TypeError: no such setting.
    """
    below = {key: value for key, value in fields.items() if key in _MEMBERLIST_FIELDS}
    above = {key: value for key, value in fields.items() if key not in below}
    usual: dict[str, Any] = {
        "node_name": name,
        "leave_on_exit": False,
        "memberlist": attrs.evolve(base.memberlist, **below),
    }
    if disk is not None:
        usual["snapshot_path"] = disk
    config = attrs.evolve(base, **{**usual, **above})
    return with_drift(config, drift) if drift else config


def with_drift(config: Config, drift: float) -> Config:
    """The settings of a node whose clock gains ``drift`` seconds in each second.

    Raises:
      ValueError: a clock that stands still or runs backwards.
    """
    if not drift > -1:
        raise ValueError(f"drift={drift!r}: expected more than -1")
    return _slowed(
        attrs.evolve(config, memberlist=_slowed(config.memberlist, 1 + drift)), 1 + drift
    )


C = TypeVar("C", Config, MemberlistConfig)


def _slowed(config: C, speed: float) -> C:
    durations = [
        field.name
        for field in attrs.fields(type(config))
        if field.validator is POSITIVE or field.validator is SECONDS
    ]
    return attrs.evolve(config, **{name: getattr(config, name) / speed for name in durations})
