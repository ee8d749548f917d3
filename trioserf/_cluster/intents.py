"""Intents about nodes that are not members yet.

Gossip may deliver a leave intent before the alive message of the node.  The newest intent
about each name is kept for a while and applied when the member joins.

Source: hashicorp/serf v0.9.4, serf/serf.go, upsertIntent, recentIntent, reapIntents.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from .. import _attrs as attrs

IntentKind: TypeAlias = Literal["join", "leave"]

MAX_RECENT_INTENTS = 1 << 16
"""Names that are kept.

DIFFERS: beyond it the one stored first is dropped; Go has no bound
(test_a_full_store_drops_what_was_stored_first).
"""


@attrs.frozen
class RecentIntent:
    """An intent that waits for its member.

    Args:
      kind: join or leave.
      ltime: its Lamport time.
      seen_at: when it arrived (seconds).
    """

    kind: IntentKind
    ltime: int
    seen_at: float


@attrs.define(eq=False)
class RecentIntents:
    """The newest intent of every unknown name."""

    _intents: dict[str, RecentIntent] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._intents)

    def upsert(self, name: str, kind: IntentKind, ltime: int, now: float) -> bool:
        """Store an intent if it is newer than the one stored; returns whether it was."""
        known = self._intents.get(name)
        if known is not None and ltime <= known.ltime:
            return False
        if known is None and len(self._intents) >= MAX_RECENT_INTENTS:
            del self._intents[next(iter(self._intents))]
        self._intents[name] = RecentIntent(kind, ltime, now)
        return True

    def get(self, name: str) -> RecentIntent | None:
        """The stored intent about ``name``, if any."""
        return self._intents.get(name)

    def drop(self, name: str) -> None:
        """Drop the intent about ``name``, if any."""
        self._intents.pop(name, None)

    def expire(self, now: float, timeout: float) -> None:
        """Drop every intent that is older than ``timeout`` seconds."""
        old = [name for name, known in self._intents.items() if now - known.seen_at > timeout]
        for name in old:
            del self._intents[name]
