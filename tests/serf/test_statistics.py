"""The numbers of a node, as texts."""

from __future__ import annotations

from trio.testing import MockClock

from tests.cluster.samples import node
from tests.serf.clusters import cluster
from trioserf._cluster.effects import Broadcast
from trioserf._config import Config
from trioserf._serf.core import Core
from trioserf._serf.statistics import stats
from trioserf._tables import Table


def core() -> Core:
    core = Core.create(Config(node_name="self"), None)
    core.members.on_node_join(node("self"), 0.0)
    return core


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
    } == stats(core(), health_score=0, encrypted=False, coordinate_resets=0)


async def test_stats_without_coordinates() -> None:
    node_core = core()
    node_core.broadcasts.add(Broadcast(queue="intent", message=b"i", name="a", ltime=1))
    node_core.members.on_node_join(node("foo"), 0.0)
    node_core.members.on_node_leave(node("foo"), 0.0)
    numbers = stats(node_core, health_score=2, encrypted=True, coordinate_resets=None)
    assert "1" == numbers["intent_queue"]
    assert ("2", "1") == (numbers["members"], numbers["failed"])
    assert ("2", "true") == (numbers["health_score"], numbers["encrypted"])
    assert "coordinate_resets" not in numbers


async def test_statistics_show_in_groups_what_is_not_0(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b")
        found = a.statistics()
    numbers = found.to_dict()
    assert 2 == numbers["members.alive"]
    assert numbers["counts.serf.member.join"] == found.counts["serf.member.join"] == 2
    assert numbers["memberlist.sent.packets.ping"] == found.memberlist.sent.packets["ping"]
    rows = {(group, what): value for group, what, value in _filled(found._table())}
    assert "2" == rows["members", "alive"]
    assert "2" == rows["counts", "serf.member.join"]
    assert ("members", "failed") not in rows
    assert "members.failed" in found._repr_html_().partition("<details>")[2]


def _filled(table: Table) -> list[tuple[str, str, str]]:
    """The rows with the group in each of them."""
    group, rows = "", []
    for first, what, value in table.rows:
        group = first or group
        rows.append((group, what, value))
    return rows
