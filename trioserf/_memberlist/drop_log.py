"""The log of one node, and what it says about input that was dropped.

Dropped input is always counted and logged once in a while: a peer that floods a node with
garbage must not fill its log as well.  Each layer is logged at most once in `LOG_PERIOD`,
with the number of cases since the last time.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import trio

from .. import _attrs as attrs
from .._exceptions import MergeRefused

T = TypeVar("T")
Log: TypeAlias = logging.LoggerAdapter[logging.Logger]

LOG_PERIOD: Final = 10.0
"""Shortest time between two log lines about one layer (seconds)."""


# Silent until the application routes the logs.
logging.getLogger("trioserf").addHandler(logging.NullHandler())


class _NodeLog(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: str, kwargs: Any) -> tuple[str, Any]:
        return f"{(self.extra or {}).get('node', '')}: {msg}", kwargs


def node_log(part: str, node: str) -> Log:
    """The logger ``trioserf.<part>``, with the node's name before each message."""
    return _NodeLog(logging.getLogger(f"trioserf.{part}"), {"node": node})


@attrs.define(eq=False)
class DropLog:
    """Counts dropped input by layer.

    Layers are those of the packet ladder (``label``, ``decrypt``, ``crc``, ``compound``,
    ``compress``, ``message``), and what comes after it: ``name``, ``address``, ``relay``,
    ``requests``, ``handoff``, ``refused``, ``conflict``, ``merge``, ``stream``, ``streams``
    and ``handler``.
    """

    log: Log
    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    _logged: dict[str, tuple[float, int]] = attrs.field(factory=dict, init=False)

    def __call__(self, layer: str, source: object, problem: object) -> None:
        """Count one case.

        Args:
          layer: where it was noticed.
          source: of the input, for the log.
          problem: what was wrong, for the log.
        """
        since = self._count(layer)
        if since:
            self.log.warning(
                "dropped input of %s (%s): %s [%d such since the last line]",
                source,
                layer,
                problem,
                since,
            )

    def crash(self, layer: str, what: object, error: Exception) -> None:
        """Count an exception of a handler, or a bug; the traceback goes to the log."""
        since = self._count(layer)
        if since:
            self.log.error(
                "%r raised, which was ignored [%d such since the last line]",
                what,
                since,
                exc_info=error,
            )

    def checked(self, hook: Callable[[T], object]) -> Callable[[T], None]:
        """A hook that can do nothing but refuse: a crash of it is logged, and refuses."""

        def check(subject: T) -> None:
            try:
                hook(subject)
            except MergeRefused:
                raise
            except Exception as error:
                self.crash("handler", hook, error)
                raise MergeRefused(f"the handler raised {error!r}") from error

        return check

    def _count(self, layer: str) -> int:
        """Count; how many cases to report now, 0 to stay silent."""
        self.counts[layer] += 1
        total = self.counts[layer]
        now = trio.current_time()
        logged_at, logged = self._logged.get(layer, (-math.inf, 0))
        if now - logged_at < LOG_PERIOD:
            return 0
        self._logged[layer] = (now, total)
        return total - logged
