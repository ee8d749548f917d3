"""The numbers of a node as ``serf info`` shows them.

Source: hashicorp/serf v0.9.4, serf/serf.go, Stats.
"""

from __future__ import annotations

from .members import MemberRegistry
from .outbox import Outbox
from .queries import QueryLog
from .user_events import UserEventLog


def stats(
    members: MemberRegistry,
    events: UserEventLog,
    queries: QueryLog,
    outbox: Outbox,
    *,
    health_score: int,
    encrypted: bool,
    coordinate_resets: int | None,
) -> dict[str, str]:
    """Go's keys and texts.

    Args:
      health_score: memberlist's awareness, 0 is best.
      coordinate_resets: None if coordinates are disabled.
    """
    numbers = {
        "members": str(members.num_members),
        "failed": str(members.num_failed),
        "left": str(members.num_left),
        "health_score": str(health_score),
        "member_time": str(members.clock.time),
        "event_time": str(events.clock.time),
        "query_time": str(queries.clock.time),
        "intent_queue": str(outbox.depth("intent")),
        "event_queue": str(outbox.depth("event")),
        "query_queue": str(outbox.depth("query")),
        "encrypted": "true" if encrypted else "false",
    }
    if coordinate_resets is not None:
        numbers["coordinate_resets"] = str(coordinate_resets)
    return numbers
