"""Who has been gone long enough to be forgotten, and who is worth a try to reach again.

Source: hashicorp/serf v0.9.4, serf/serf.go, reap, reconnect; main, reap
(ReconnectTimeoutOverride).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from .._events import Member
from .records import Record


def overdue(
    records: Iterable[Record],
    now: float,
    timeout: float,
    override: Callable[[Member, float], float] | None = None,
) -> list[Record]:
    """The records that have been gone for more than ``timeout`` seconds; equal stays.

    Args:
      override: asked for the timeout of each member, given the member and ``timeout``.
    """
    gone: list[Record] = []
    for record in records:
        assert record.leave_time is not None, "a failed or left record has a time of leaving"
        limit = timeout if override is None else override(record.member, timeout)
        if now - record.leave_time > limit:
            gone.append(record)
    return gone


def choose_reconnect(
    rng: random.Random, *, num_members: int, failed: Sequence[Member], num_left: int
) -> Member | None:
    """The failed member to try in this round, or None to let the round pass.

    The chance of a try is the number of failed members over that of the others that are up,
    so that the whole cluster together tries about each failed member once per round.
    """
    if not failed:
        return None
    chance = len(failed) / max(1, num_members - len(failed) - num_left)
    if rng.random() > chance:
        return None
    return failed[rng.randrange(len(failed))]
