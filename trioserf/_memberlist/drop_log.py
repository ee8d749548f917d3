"""Input that was dropped: always counted, and logged once in a while.

A peer that floods a node with garbage must not fill its log as well.  Each layer is logged at most
once in `LOG_PERIOD`, with the number of cases since the last time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

import trio

from .. import _attrs as attrs
from .._exceptions import MergeRefused
from .node_log import Log

T = TypeVar("T")

LOG_PERIOD: Final = 10.0
"""Shortest time between two log lines about one layer (seconds)."""


@attrs.define(eq=False)
class DropLog:
    """Counts dropped input by layer.

    A layer is one word for the step that dropped the input.  The steps of decoding a packet are
    ``label``, ``decrypt``, ``crc``, ``compress``, ``compound`` and ``message``, see `PacketError`;
    each of the rest, such as ``handoff`` or ``merge``, is passed by the caller.  All of them, with
    what they mean, are in `docs/reference/meanings.toml` under ``[dropped]``; a test keeps that
    list complete.
    """

    log: Log
    record: Callable[[str, object, object], object] | None = None
    """Called with layer, source and problem of each case; keeps some for `Serf.explain`."""
    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    _logged: dict[str, tuple[float, int]] = attrs.field(factory=dict, init=False)

    def __call__(self, layer: str, source: object, problem: object, count: int = 1) -> None:
        """Count one case, or several that are alike.

        Args:
          layer: where it was noticed.
          source: of the input, for the log.
          problem: what was wrong, for the log.
          count: how many cases.
        """
        if self.record is not None:
            self.record(layer, source, problem)
        since = self._count(layer, count)
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

    def _count(self, layer: str, count: int = 1) -> int:
        """Count; how many cases to report now, 0 to stay silent."""
        self.counts[layer] += count
        total = self.counts[layer]
        now = trio.current_time()
        logged_at, logged = self._logged.get(layer, (-math.inf, 0))
        if now - logged_at < LOG_PERIOD:
            return 0
        self._logged[layer] = (now, total)
        return total - logged
