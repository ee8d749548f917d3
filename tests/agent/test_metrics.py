"""What an agent counts, and where it goes."""

from __future__ import annotations

import socket

import pytest
import trio

from trioserf._agent.metrics import MAX_NAMES, AgentMetrics


def test_the_page_has_every_sort() -> None:
    metrics = AgentMetrics()
    metrics.count("serf.events", 1, {})
    metrics.count("serf.events", 2)
    metrics.gauge("memberlist.health.score", 3, {})
    metrics.gauge("memberlist.health.score", 1)
    metrics.sample("memberlist.gossip", 1.5, {})
    metrics.sample("memberlist.gossip", 2.5)
    assert """\
# TYPE memberlist_gossip summary
memberlist_gossip_count 2
memberlist_gossip_sum 4
# TYPE memberlist_health_score gauge
memberlist_health_score 1
# TYPE serf_events_total counter
serf_events_total 3
""" == metrics.text()


def test_names_of_others_take_bounded_room() -> None:
    metrics = AgentMetrics()
    for number in range(MAX_NAMES + 100):
        metrics.count(f"serf.events.{number}")
    assert MAX_NAMES + 1 == metrics.text().count("# TYPE")
    assert "other_c_total 100" in metrics.text()


@pytest.mark.slow
async def test_statsd_gets_datagrams(nursery: trio.Nursery) -> None:
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        metrics = AgentMetrics("host", sending=True)
        nursery.start_soon(metrics.send_to_statsd, "127.0.0.1", sock.getsockname()[1])
        metrics.count("a")
        metrics.gauge("b", 2)
        with trio.fail_after(5):
            received = await sock.recv(2000)
        assert b"serf-agent.a:1.000000|c\nserf-agent.host.b:2.000000|g\n" == received
        nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_statsite_gets_the_same_lines_on_a_connection(nursery: trio.Nursery) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        metrics = AgentMetrics(sending=True)
        port = listener.socket.getsockname()[1]
        nursery.start_soon(metrics.send_to_statsite, "127.0.0.1", port)
        metrics.count("a")
        with trio.fail_after(5):
            async with await listener.accept() as stream:
                assert b"serf-agent.a:1.000000|c\n" == await stream.receive_some(1000)
        nursery.cancel_scope.cancel()


def test_without_a_receiver_nothing_is_kept_for_one() -> None:
    metrics = AgentMetrics()
    metrics.count("a")
    assert not metrics._lines
