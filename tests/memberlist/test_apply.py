"""Effects of the rules, applied."""

import pytest
import trio

from trioserf._swim.effects import (
    Applied,
    Broadcast,
    Conflict,
    NodeDropped,
    NodeForgotten,
    Refused,
    Refuted,
    SendTo,
    TimeoutDegraded,
    TurnedAway,
)
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._wire.messages import Dead, encode_message

from .kit import AWAY, Tap, alive_of, one_node, opened

DEAD = encode_message(Dead(3, "n2", "n1"))


async def test_broadcasts_are_queued_under_their_name_and_forgotten_with_it(autojump_clock):
    async with one_node(probe_interval=0) as (node, _):
        apply, queue = node._apply, node._queue
        finished = []
        before = len(queue)
        apply([Broadcast("n2", DEAD, on_finished=lambda: finished.append(1))])
        apply([Broadcast("n2", DEAD)])
        assert before + 1 == len(queue)
        assert [1] == finished
        apply([NodeForgotten("n2")])
        assert before == len(queue)


async def test_what_happened_is_counted(autojump_clock):
    tap = Tap()
    async with one_node(tap=tap) as (node, _):
        apply = node._apply
        apply([Applied("dead", "n2"), TimeoutDegraded("n2"), Refuted(5)])
        counts = node.statistics().counts
        assert 1 == counts["memberlist.msg.dead"]
        assert 1 == counts["memberlist.degraded.timeout"]
        assert (1, 1) == (node.statistics().refuted, node.health_score)
        assert [1] == tap.values("memberlist.health.score")


async def test_the_score_is_a_gauge_when_it_changes(autojump_clock):
    tap = Tap()
    async with one_node(tap=tap) as (node, _):
        for delta in (-1, 0, 2, 100, 1, -1):
            node._apply.change_health(delta)
        assert [2, 7, 6] == tap.values("memberlist.health.score")


async def test_a_message_to_one_node_goes_out_at_once(autojump_clock):
    async with one_node(probe_interval=0, gossip_interval=0) as (node, wire):
        node._apply([SendTo(AWAY, "n2", DEAD)])
        assert (Dead(3, "n2", "n1"), AWAY) == opened(wire.sent)[0]
        wire.error = trio.BrokenResourceError("unreachable")
        node._apply([SendTo(AWAY, "n2", DEAD)])


async def test_refusals_are_counted_and_some_are_quiet(autojump_clock, caplog):
    async with one_node() as (node, _):
        node._apply([Refused("n2", "why not"), Refused("n3", "network", quiet=True)])
        assert 1 == node.statistics().bad_input["refused"]
        assert 2 == node.statistics().counts["trioserf.memberlist.refused"]
        assert ["n2"] == [name for name in ("n2", "n3") if name in caplog.text]


async def test_lost_nodes_are_remembered(autojump_clock):
    async with one_node() as (node, _):
        lost = Node(name="n2", addr=b"\x0a\x00\x00\x02", port=1, status=NodeStatus.DEAD)
        node._apply([NodeDropped(lost)])
        assert 1 == node.statistics().lost


async def test_suspicions_move_the_timer(autojump_clock):
    from trioserf._wire.messages import Suspect

    from .kit import alive_of

    async with one_node(probe_interval=1000.0, gossip_interval=0) as (node, wire):
        timer = node._apply.suspicion_timer
        for message in (alive_of("n2"), Suspect(1, "n2", "n3")):
            wire.deliver(encode_message(message))
        await trio.sleep(0.01)
        assert timer.due == node._table.next_deadline() < float("inf")
        await trio.sleep_until(timer.due + 0.01)
        assert NodeStatus.DEAD is node.node("n2").status
        assert float("inf") == timer.due


@pytest.mark.parametrize("faithful", [False, True])
async def test_what_is_queued_about_a_dropped_node_goes_with_it(autojump_clock, faithful):
    from trioserf._wire.messages import Suspect

    from .kit import alive_of

    fields = {"probe_interval": 1.0, "gossip_interval": 0, "gossip_to_the_dead_time": 0.1}
    async with one_node(faithful_go=faithful, **fields) as (node, wire):
        for message in (alive_of("n2"), Suspect(1, "n2", "n3")):
            wire.deliver(encode_message(message))
        await trio.sleep(0.01)
        await trio.sleep(30)
        assert node.node("n2") is None
        assert node._queue.discard("n2") is faithful


async def test_names_that_were_turned_away_are_counted_and_change_nothing(autojump_clock):
    async with one_node() as (node, _):
        changes = node._apply.changes
        node._apply([TurnedAway(1)])
        assert changes == node._apply.changes, "the state need not be encoded anew"
        node._apply([TimeoutDegraded("n2"), TurnedAway(20)])
        assert 21 == node.statistics().bad_input["unreached"]


@pytest.mark.parametrize("handled", [True, False])
async def test_a_conflict_is_counted_whether_or_not_somebody_handles_it(autojump_clock, handled):
    seen = []

    class Handler:
        def notify_conflict(self, existing, other):
            seen.append((existing.name, other.address))

    handlers = {"conflict": Handler()} if handled else {}
    async with one_node(**handlers) as (node, _):
        mine = Node(name="n2", addr=bytes((10, 0, 0, 2)), port=1)
        other = Node(name="n2", addr=bytes((10, 0, 0, 3)), port=1)
        node._apply([Conflict(mine, other)])
        assert 1 == node.statistics().conflicts
        assert 1 == node.statistics().bad_input["conflict"]
        assert ([("n2", other.address)] if handled else []) == seen


async def test_names_that_were_turned_away_ask_for_an_exchange_if_there_are_any(autojump_clock):
    asked = []
    async with one_node() as (node, _):
        for turned_away in (lambda: asked.append(1), None):
            node._apply.turned_away = turned_away
            node._apply([TurnedAway(3)])
        assert [1] == asked
        assert 6 == node.statistics().bad_input["unreached"]


async def test_who_joined_and_who_left_is_in_the_log_of_a_developer(autojump_clock, caplog):
    caplog.set_level("DEBUG", logger="trioserf")
    async with one_node(probe_interval=0, gossip_interval=0) as (_, wire):
        wire.deliver(encode_message(alive_of("n2")))
        await trio.sleep(0.1)
        wire.deliver(encode_message(Dead(1, "n2", "n2")))
        await trio.sleep(0.1)
        assert "n1: n2 joined from 10.0.0.2:7946" in caplog.text
        assert "n1: n2 is left" in caplog.text
