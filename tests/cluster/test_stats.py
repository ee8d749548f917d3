"""The numbers of a node, as texts."""

from __future__ import annotations

from trioserf._cluster.clock import LamportClock
from trioserf._cluster.effects import Queue
from trioserf._cluster.members import MemberRegistry
from trioserf._cluster.outbox import Outbox
from trioserf._cluster.queries import QueryLog
from trioserf._cluster.stats import stats
from trioserf._cluster.user_events import UserEventLog

from .samples import OWN, config, node


def parts() -> tuple[MemberRegistry, UserEventLog, QueryLog, Outbox]:
    settings = config()
    members = MemberRegistry(OWN, settings, clock=LamportClock(1))
    members.on_node_join(node(OWN), 0.0)
    return (
        members,
        UserEventLog(settings, clock=LamportClock(1)),
        QueryLog(OWN, settings, clock=LamportClock(1)),
        Outbox(settings, num_members=lambda: members.num_members),
    )


def test_the_stats_of_a_fresh_node() -> None:
    """Checklist 97."""
    assert {
        "members": "1",
        "failed": "0",
        "left": "0",
        "health_score": "0",
        "member_time": "1",
        "event_time": "1",
        "query_time": "1",
        "intent_queue": "0",
        "event_queue": "0",
        "query_queue": "0",
        "encrypted": "false",
        "coordinate_resets": "0",
    } == stats(*parts(), health_score=0, encrypted=False, coordinate_resets=0)


def test_stats_without_coordinates() -> None:
    members, events, queries, outbox = parts()
    outbox.add(Queue(queue="intent", message=b"i", name="a", ltime=1))
    members.on_node_join(node("foo"), 0.0)
    members.on_node_leave(node("foo"), 0.0)
    numbers = stats(
        members, events, queries, outbox, health_score=2, encrypted=True, coordinate_resets=None
    )
    assert "1" == numbers["intent_queue"]
    assert ("2", "1") == (numbers["members"], numbers["failed"])
    assert ("2", "true") == (numbers["health_score"], numbers["encrypted"])
    assert "coordinate_resets" not in numbers
