"""Metrics, for the tap too, and traffic by kind."""

import logging

from trioserf._memberlist.metrics import Metrics
from trioserf._memberlist.node_log import node_log
from trioserf._wire.messages import Ack, Nack, Ping, UserMessage
from trioserf._wire.streams import PushPullState

from .kit import Tap


class Broken(Tap):
    def count(self, name, value, labels):
        super().count(name, value, labels)
        raise RuntimeError("tap")


def test_metrics_go_to_the_tap_with_labels():
    tap = Tap()
    metrics = Metrics(tap, {"dc": "one"}, node_log("memberlist", "n1"))
    metrics.count("memberlist.udp.sent", 7)
    metrics.gauge("memberlist.node.instances", 3, node_state="alive")
    metrics.sample("memberlist.gossip", 0.5)
    assert [
        ("count", "memberlist.udp.sent", 7, {"dc": "one"}),
        ("gauge", "memberlist.node.instances", 3, {"dc": "one", "node_state": "alive"}),
        ("sample", "memberlist.gossip", 0.5, {"dc": "one"}),
    ] == tap.seen
    assert 7 == metrics.counts["memberlist.udp.sent"]


def test_a_tap_that_raises_is_removed_and_logged(caplog):
    tap = Broken()
    metrics = Metrics(tap, {}, node_log("memberlist", "n1"))
    metrics.count("x")
    metrics.count("x")
    assert 1 == len(tap.seen)
    assert 2 == metrics.counts["x"]
    assert [logging.ERROR] == [record.levelno for record in caplog.records]


def test_a_packet_counts_under_its_leading_message():
    metrics = Metrics(None, {}, node_log("memberlist", "n1"))
    metrics.packet_sent([b"\x00ping", b"\x08user", b"\x08user"], 30)
    metrics.packet_sent([b"\x08user"], 6)
    statistics = metrics.sent.statistics()
    assert {"ping": 1, "user": 1} == statistics.packets
    assert {"ping": 30, "user": 6} == statistics.packet_bytes
    assert {"ping": 1, "user": 3} == statistics.messages
    assert 36 == metrics.counts["memberlist.udp.sent"]


def test_both_directions_have_the_same_names():
    tap = Tap()
    metrics = Metrics(tap, {}, node_log("memberlist", "n1"))
    metrics.packet_received([Ping(1), Nack(2), UserMessage(b"x")], 40)
    metrics.packet_received([Ack(1, None)], 10)
    metrics.packet_received([], 5)
    metrics.frame_received(PushPullState, 100)
    statistics = metrics.received.statistics()
    assert {"ping": 1, "ack": 1} == statistics.packets
    assert 50 == sum(statistics.packet_bytes.values())
    assert {"ping": 1, "nack": 1, "user": 1, "ack": 1} == statistics.messages
    assert ({"push_pull": 1}, {"push_pull": 100}) == (statistics.frames, statistics.frame_bytes)
    assert [40, 10, 5] == tap.values("memberlist.udp.received")
