"""Probes that are answered, late, by others, by stream, or never."""

from itertools import pairwise

import pytest
import trio
import trio.lowlevel

from trioserf._exceptions import LocalProtocolError
from trioserf._swim.nodes import NodeStatus
from trioserf._wire.messages import (
    Ack,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    encode_message,
)
from trioserf.abc import Address

from .kit import AWAY, Pings, Tap, alive_of, cluster, one_node, opened


def pings(wire):
    return [(message, to) for message, to in opened(wire.sent) if type(message) is Ping]


async def next_ping(wire):
    """The next ping that the node sends."""
    seen = len(pings(wire))
    while len(pings(wire)) == seen:
        wire.packet_sent = trio.Event()
        await wire.packet_sent.wait()
    return pings(wire)[-1][0]


def introduce(wire, *names):
    for number, name in enumerate(names, 2):
        wire.deliver(encode_message(alive_of(name, bytes((10, 0, 0, number)))))


async def test_an_answered_probe_gives_its_round_trip_time(autojump_clock):
    handler, tap = Pings(b""), Tap()
    async with one_node(ping=handler, gossip_interval=0, tap=tap) as (node, wire):
        introduce(wire, "n2")
        ping = await next_ping(wire)
        assert ("n2", "n1") == (ping.node, ping.source_node)
        await trio.sleep(0.2)
        wire.deliver(encode_message(Ack(ping.seq_no, b"payload")))
        assert [("n2", pytest.approx(0.2), b"payload")] == handler.seen
        assert [pytest.approx(200)] == tap.values("memberlist.probeNode")
        assert 0 == node.statistics().pending_acks


async def test_probes_come_one_each_interval_however_long_acks_take(autojump_clock):
    async with one_node(gossip_interval=0) as (node, wire):
        introduce(wire, "n2")
        times = []
        for _ in range(4):
            ping = await next_ping(wire)
            times.append(trio.current_time())
            await trio.sleep(0.3)
            wire.deliver(encode_message(Ack(ping.seq_no, b"")))
        assert [pytest.approx(1.0)] * 3 == [b - a for a, b in pairwise(times)]
        assert 0 < times[0] <= 2
        assert 0 == node.statistics().probes_failed


async def test_what_can_wait_is_done_when_a_probe_begins_anyway(autojump_clock):
    async with one_node(gossip_interval=0) as (node, wire):
        introduce(wire, "n2")
        await next_ping(wire)
        wanted = trio.current_time() + 2.5
        due = node._prober.wakes_at(wanted)
        assert wanted <= due < wanted + node.config.probe_interval
        while trio.current_time() < due - 1e-6:
            await next_ping(wire)
        assert pytest.approx(due) == trio.current_time()
    async with one_node(probe_interval=0) as (node, _):
        assert 7.5 == node._prober.wakes_at(7.5)


async def test_helpers_are_asked_after_the_direct_timeout_with_the_same_number(autojump_clock):
    async with one_node(gossip_interval=0, disable_tcp_pings=True) as (node, wire):
        introduce(wire, "n2", "n3", "n4")
        ping = await next_ping(wire)
        wire.sent.clear()
        await trio.sleep(0.49)
        assert [] == wire.sent
        await trio.sleep(0.02)
        requests = [m for m, _ in opened(wire.sent) if type(m) is IndirectPing]
        assert 2 == len(requests)
        assert {(ping.seq_no, ping.node, True)} == {(m.seq_no, m.node, m.nack) for m in requests}
        # A late ack counts as success, by whatever way it comes.
        wire.deliver(encode_message(Ack(ping.seq_no, None)), Address("10.0.0.4", 7946))
        await trio.sleep(0.01)
        assert 0 == node.statistics().pending_acks
        assert NodeStatus.ALIVE is node.node(ping.node).status
        assert 0 == node.health_score


async def test_a_late_ack_is_no_round_trip_time(autojump_clock):
    handler = Pings()
    async with one_node(gossip_interval=0, ping=handler) as (_, wire):
        introduce(wire, "n2")
        ping = await next_ping(wire)
        await trio.sleep(0.7)
        wire.deliver(encode_message(Ack(ping.seq_no, b"late")))
        assert [] == handler.seen


async def test_silence_means_suspicion_and_doubt_about_oneself(autojump_clock):
    async with one_node(gossip_interval=0, disable_tcp_pings=True) as (node, wire):
        introduce(wire, "n2")
        await next_ping(wire)
        await trio.sleep(1.001)
        assert NodeStatus.SUSPECT is node.node("n2").status
        assert 1 == node.health_score
        assert 1 == node.statistics().probes_failed


async def test_nacks_say_that_the_fault_is_not_local(autojump_clock):
    async with one_node(gossip_interval=0, disable_tcp_pings=True) as (node, wire):
        introduce(wire, "n2", "n3", "n4")
        ping = await next_ping(wire)
        await trio.sleep(0.6)
        for _ in range(2):
            wire.deliver(encode_message(Nack(ping.seq_no)))
        await trio.sleep(0.401)
        assert NodeStatus.SUSPECT is node.node(ping.node).status
        assert 0 == node.health_score


async def test_missing_nacks_raise_the_score_and_stretch_the_next_probe(autojump_clock):
    tap = Tap()
    async with one_node(gossip_interval=0, disable_tcp_pings=True, tap=tap) as (node, wire):
        introduce(wire, "n2", "n3", "n4")
        await next_ping(wire)
        await trio.sleep(1.001)
        assert 2 == node.health_score
        assert [2] == tap.values("memberlist.health.score")
        # The next probe waits three intervals for an answer.
        await trio.sleep(1.5)
        assert 1 == node.statistics().probes_failed
        assert 1 == len(tap.values("memberlist.degraded.probe"))
        await trio.sleep(1.6)
        assert 2 == node.statistics().probes_failed


async def test_a_suspect_is_sent_the_suspect_message(autojump_clock):
    async with one_node(gossip_interval=0, disable_tcp_pings=True) as (node, wire):
        introduce(wire, "n2")
        await next_ping(wire)
        await next_ping(wire)
        messages = [message for message, _ in opened(wire.sent[-1:])]
        assert [Ping, Suspect] == [type(message) for message in messages]
        assert ("n2", "n1") == (messages[1].node, messages[1].from_node)
        assert NodeStatus.SUSPECT is node.node("n2").status


async def test_a_refused_ping_asks_helpers_at_once(autojump_clock):
    async with one_node(gossip_interval=0, disable_tcp_pings=True) as (node, wire):
        introduce(wire, "n2", "n3")
        wire.refuse = 1
        await wire.until_sent()
        assert IndirectPing is type(opened(wire.sent)[0][0])
        assert wire.refused_at == trio.current_time()
        await trio.sleep(1.001)
        assert 1 == node.statistics().probes_failed


async def test_a_refused_ping_that_helpers_saved_leaves_the_health_score(autojump_clock):
    async with one_node(gossip_interval=0, disable_tcp_pings=True) as (node, wire):
        introduce(wire, "n2", "n3")
        await trio.sleep(0.01)
        node._apply.change_health(3)
        wire.refuse = 1
        await wire.until_sent()
        request = opened(wire.sent)[0][0]
        assert IndirectPing is type(request)
        wire.deliver(encode_message(Ack(request.seq_no, None)))
        assert 3 == node.health_score


async def test_a_helper_that_could_not_be_asked_is_named_so(autojump_clock, caplog):
    async with one_node(gossip_interval=0, disable_tcp_pings=True) as (node, wire):
        introduce(wire, "n2", "n3", "n4")
        ping = await next_ping(wire)
        helpers = {"n2", "n3", "n4"} - {ping.node}
        wire.refuse = 1
        wire.sent.clear()
        await wire.until_sent()
        (_, asked_at) = opened(wire.sent)[0]
        (asked,) = (name for name in helpers if node.node(name).address == asked_at)
        (unasked,) = helpers - {asked}
        assert f"cannot ask {unasked} to probe: port unreachable" in caplog.text
        await trio.sleep(0.6)
        (note,) = (n for n in node.history.notes(ping.node) if n.what == "probe unanswered")
        assert {asked: "silent", unasked: "not asked"} == dict(note.detail.helpers)


async def test_of_two_acks_the_first_one_counts(autojump_clock):
    handler = Pings(b"")
    async with one_node(ping=handler, gossip_interval=0, disable_tcp_pings=True) as (node, wire):
        introduce(wire, "n2")
        ping = await next_ping(wire)
        await trio.sleep(0.2)
        for _ in range(2):
            wire.deliver(encode_message(Ack(ping.seq_no, b"")))
        await trio.sleep(0.1)
        assert [("n2", pytest.approx(0.2), b"")] == handler.seen
        assert pytest.approx(0.2) == node.node("n2").rtt


async def test_a_closed_transport_ends_probes_without_a_result(autojump_clock):
    async with one_node(gossip_interval=0) as (node, wire):
        introduce(wire, "n2")
        await trio.sleep(0.01)
        wire.error = trio.ClosedResourceError("closed")
        await trio.sleep(10)
        assert 0 == node.statistics().probes_failed
        assert 0 == node.statistics().pending_acks


async def test_a_cancelled_prober_leaves_no_ack_behind(autojump_clock):
    async with one_node(gossip_interval=0) as (node, wire):
        introduce(wire, "n2")
        await next_ping(wire)
        assert 1 == node.statistics().pending_acks
    assert 0 == node.statistics().pending_acks


async def test_a_crash_of_the_ping_handler_is_survived(autojump_clock):
    class Broken(Pings):
        def notify_ping_complete(self, node, rtt, payload):
            raise RuntimeError("ping")

    async with one_node(ping=Broken(), gossip_interval=0) as (node, wire):
        introduce(wire, "n2")
        ping = await next_ping(wire)
        wire.deliver(encode_message(Ack(ping.seq_no, b"")))
        await next_ping(wire)
        assert 1 == node.statistics().bad_input["handler"]


async def test_with_packets_blocked_a_stream_saves_the_node(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(2)
        await trio.sleep(2)
        c.network.change_link("10.0.0.1", "10.0.0.2", loss=0.0)
        real = nodes[1]._transport.send_packet
        nodes[1]._transport.send_packet = lambda data, to: None
        await trio.sleep(30)
        assert 2 == nodes[0].num_alive
        assert NodeStatus.ALIVE is nodes[0].node("n2").status
        assert 0 == nodes[0].statistics().probes_failed
        nodes[1]._transport.send_packet = real


async def test_streams_can_be_left_out_for_single_nodes(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(2, disable_tcp_pings_for_node=lambda name: name == "n2")
        await trio.sleep(2)
        nodes[1]._transport.send_packet = lambda data, to: None
        await c.events[1].until(("failed", "n2"))
        assert NodeStatus.DEAD is nodes[0].node("n2").status


async def test_turned_off_no_node_is_probed(autojump_clock):
    async with one_node(gossip_interval=0, probe_interval=0) as (node, wire):
        introduce(wire, "n2")
        await trio.sleep(20)
        assert [] == wire.sent
        assert 0 == node.statistics().probes


async def test_after_a_pause_of_the_process_one_probe_stands_for_all_missed(
    autojump_clock,
):
    async with one_node(gossip_interval=0) as (_, wire):
        introduce(wire, "n2")
        ping = await next_ping(wire)
        first = trio.current_time()
        wire.deliver(encode_message(Ack(ping.seq_no, b"")))
        autojump_clock.jump(5.5)
        times = []
        for _ in range(3):
            ping = await next_ping(wire)
            times.append(trio.current_time() - first)
            wire.deliver(encode_message(Ack(ping.seq_no, b"")))
        assert [pytest.approx(5.5, abs=0.01), pytest.approx(6), pytest.approx(7)] == times
        assert AWAY == pings(wire)[-1][1]


async def test_failures_are_detected_however_many_pings_are_under_way(autojump_clock):
    async with one_node(gossip_interval=0) as (node, wire):
        introduce(wire, "n2")
        node._pending_acks.limit = 0
        with pytest.raises(LocalProtocolError):
            await node.ping("n2", AWAY)
        await next_ping(wire)
        assert 1 == node.statistics().probes


async def test_a_function_that_raises_leaves_streams_on(autojump_clock):
    def broken(name):
        raise RuntimeError(name)

    async with one_node(gossip_interval=0, disable_tcp_pings_for_node=broken) as (node, wire):
        introduce(wire, "n2")
        await next_ping(wire)
        await trio.sleep(5)
        assert 0 < node.statistics().bad_input["handler"]
        assert 0 < node.statistics().probes_failed


async def test_blocked_packets_are_logged_once(autojump_clock, caplog):
    async with cluster() as c:
        nodes = await c.start_many(2)
        await trio.sleep(2)
        nodes[1]._transport.send_packet = lambda data, to: None
        await trio.sleep(30)
        lines = [record.getMessage() for record in caplog.records]
        assert 2 == sum("UDP blocked" in line for line in lines), "each node says it once"


async def test_a_transport_closed_while_helpers_are_asked_ends_nothing_else(autojump_clock):
    async with one_node(gossip_interval=0) as (node, wire):
        introduce(wire, "n2", "n3", "n4")
        await next_ping(wire)
        wire.error = trio.ClosedResourceError("closed")
        await trio.sleep(5)
        wire.error = None
        await next_ping(wire)
        assert 0 < node.statistics().probes
