"""Intents about nodes that are not members yet.

Source: hashicorp/serf v0.9.4, serf/serf.go, upsertIntent, recentIntent, reapIntents.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from .. import _attrs as attrs
from .._swim.token_bucket import TokenBucket

IntentKind: TypeAlias = Literal["join", "leave"]

MAX_RECENT_INTENTS: Final = 1 << 12
"""Names that are kept: as many as leave and join within a gossip delay, in the largest clusters.

A push/pull may bring more, of members that left; they come again with the next one.

DIFFERS (unless ``faithful_go``): beyond it the one stored first is dropped; Go has no bound
(test_a_full_store_drops_what_was_stored_first).
"""
UNKNOWN_BURST: Final = 1 << 10
"""Intents about unknown names that are taken from gossip and passed on at once: gossip overtakes
the alive messages of so many nodes that start together."""
UNKNOWN_RATE: Final = 32.0
"""Further ones for each second."""


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
    """The newest intent of every unknown name.

    Gossip may deliver a leave intent before the alive message of the node.  The newest intent
    about each name is kept for a while and applied when the member joins.

    Anybody can make up names, so intents that came by gossip are rate-limited: what is beyond the
    limit is as if it had never come.  An honest intent is not lost by that.  It is about a
    member as soon as the alive message is here, and its further copies are taken then; and every
    push/pull says the same again.

    DIFFERS (unless ``faithful``): Go passes on every one
    (test_intents_about_unknown_names_are_rate_limited).

    Args:
      faithful: keep and pass on all of them, as Go.
    """

    faithful: bool = False
    _intents: dict[str, RecentIntent] = attrs.field(factory=dict, init=False)
    """The one stored first in front."""
    _unknown: TokenBucket = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._unknown = TokenBucket(UNKNOWN_BURST, UNKNOWN_RATE)

    def __len__(self) -> int:
        return len(self._intents)

    def is_newer(self, name: str, ltime: int) -> bool:
        """Whether an intent of this time would replace what is stored."""
        known = self._intents.get(name)
        return known is None or ltime > known.ltime

    def take_unknown(self, now: float) -> bool:
        """Whether one more intent of gossip is taken; it counts as taken then."""
        return self.faithful or self._unknown.take(now)

    def upsert(self, name: str, kind: IntentKind, ltime: int, now: float) -> bool:
        """Store an intent if it is newer than the one stored; returns whether it was."""
        if not self.is_newer(name, ltime):
            return False
        intents = self._intents
        intents.pop(name, None)
        if len(intents) >= MAX_RECENT_INTENTS and not self.faithful:
            del intents[next(iter(intents))]
        intents[name] = RecentIntent(kind, ltime, now)
        return True

    def get(self, name: str) -> RecentIntent | None:
        """The stored intent about ``name``, if any."""
        return self._intents.get(name)

    def drop(self, name: str) -> None:
        """Drop the intent about ``name``, if any."""
        self._intents.pop(name, None)

    def expire(self, now: float, timeout: float) -> None:
        """Drop every intent that is older than ``timeout`` seconds."""
        intents = self._intents
        while intents:
            name = next(iter(intents))
            if now - intents[name].seen_at <= timeout:
                return
            del intents[name]
