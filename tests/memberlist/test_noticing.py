"""Counting and logging of what goes wrong, and of what goes well."""

import logging

import trio

from trioserf._memberlist.bad_input import LOG_PERIOD, BadInput
from trioserf._memberlist.metrics import Metrics, node_log


class Recorder:
    def __init__(self):
        self.seen = []

    def count(self, name, value, labels):
        self.seen.append(("count", name, value, dict(labels)))

    def gauge(self, name, value, labels):
        self.seen.append(("gauge", name, value, dict(labels)))

    def sample(self, name, value, labels):
        self.seen.append(("sample", name, value, dict(labels)))


class Broken(Recorder):
    def count(self, name, value, labels):
        super().count(name, value, labels)
        raise RuntimeError("tap")


async def test_a_flood_is_counted_in_full_and_logged_once_in_a_while(autojump_clock, caplog):
    bad = BadInput(node_log("memberlist", "n1"))
    for _ in range(1000):
        bad("crc", "10.0.0.9:1", "bad sum")
    assert 1000 == bad.counts["crc"]
    assert 1 == len(caplog.records)
    assert caplog.records[0].getMessage().startswith("n1: dropped input of 10.0.0.9:1 (crc)")
    await trio.sleep(LOG_PERIOD)
    bad("crc", "10.0.0.9:1", "bad sum")
    assert "[1000 such since the last line]" in caplog.records[1].getMessage()


async def test_each_layer_is_logged_on_its_own(autojump_clock, caplog):
    bad = BadInput(node_log("memberlist", "n1"))
    bad("crc", "a", "x")
    bad("label", "a", "x")
    assert 2 == len(caplog.records)


async def test_a_crash_of_a_handler_shows_its_traceback_once(autojump_clock, caplog):
    bad = BadInput(node_log("memberlist", "n1"))
    for _ in range(3):
        bad.crash("handler", "hook", ValueError("boom"))
    assert 3 == bad.counts["handler"]
    (record,) = caplog.records
    assert record.exc_info is not None


def test_metrics_go_to_the_tap_with_labels():
    tap = Recorder()
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
