"""Numbers for the tap."""

import logging

from trioserf._memberlist.metrics import Metrics, node_log

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
