"""Counting: every number goes into a table, and to the tap if there is one.

Names are Go's.  A tap is the user's code: one that raises is removed and logged.

Source: hashicorp/memberlist v0.2.2, the calls of go-metrics in net.go, state.go,
awareness.go, suspicion.go.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from ..abc import Tap
from .traffic import Traffic

Log = logging.LoggerAdapter[logging.Logger]


class _NodeLog(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: str, kwargs: Any) -> tuple[str, Any]:
        return f"{(self.extra or {}).get('node', '')}: {msg}", kwargs


def node_log(part: str, node: str) -> Log:
    """The logger ``trioserf.<part>``, with the node's name before each message."""
    return _NodeLog(logging.getLogger(f"trioserf.{part}"), {"node": node})


@attrs.define(eq=False)
class Metrics:
    """Go's metrics of one node.

    Args:
      tap: who else wants to know; None for nobody.
      labels: added to every metric.
      log: where a broken tap is reported.
    """

    tap: Tap | None
    labels: Mapping[str, str]
    log: Log
    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    sent: Traffic = attrs.field(factory=Traffic, init=False)
    received: Traffic = attrs.field(factory=Traffic, init=False)

    def count(self, name: str, value: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] += value
        if self.tap is not None:
            self._tell("count", name, value, None)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        if self.tap is not None:
            self._tell("gauge", name, value, labels)

    def sample(self, name: str, value: float) -> None:
        """Add one observation; durations are milliseconds, as in Go."""
        if self.tap is not None:
            self._tell("sample", name, value, None)

    def _tell(self, kind: str, name: str, value: float, labels: Mapping[str, str] | None) -> None:
        try:
            getattr(self.tap, kind)(
                name, value, {**self.labels, **labels} if labels else self.labels
            )
        except Exception:
            self.tap = None
            self.log.exception("the tap raised on %s and is removed", name)
