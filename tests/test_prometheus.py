"""Metrics for Prometheus: the right kinds, bounded, and never an exception."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trioserf.prometheus import OTHER, PrometheusTap, prometheus_name
from trioserf.testing import SimCluster

prometheus_client = pytest.importorskip("prometheus_client")


@pytest.fixture
def registry():  # type: ignore[no-untyped-def]
    return prometheus_client.CollectorRegistry()


def text(registry) -> str:  # type: ignore[no-untyped-def]
    return prometheus_client.generate_latest(registry).decode()


def test_counts_gauges_and_samples_are_what_prometheus_calls_so(registry) -> None:  # type: ignore[no-untyped-def]
    tap = PrometheusTap(registry)
    labels = {"dc": "a"}
    tap.count("memberlist.udp.sent", 5, labels)
    tap.count("memberlist.udp.sent", 6, labels)
    tap.gauge("memberlist.health.score", 3, labels)
    tap.gauge("memberlist.health.score", 2, labels)
    tap.sample("memberlist.gossip", 1.5, labels)
    tap.sample("memberlist.gossip", 2.5, labels)
    value = registry.get_sample_value
    assert 11 == value("memberlist_udp_sent_total", labels)
    assert 2 == value("memberlist_health_score", labels)
    assert 2 == value("memberlist_gossip_count", labels)
    assert 4.0 == value("memberlist_gossip_sum", labels)
    assert 0 == tap.dropped


def test_nodes_that_share_a_tap_differ_by_their_labels(registry) -> None:  # type: ignore[no-untyped-def]
    tap = PrometheusTap(registry)
    tap.count("x", 1, {"node": "a"})
    tap.count("x", 2, {"node": "b"})
    assert 1 == registry.get_sample_value("x_total", {"node": "a"})
    assert 2 == registry.get_sample_value("x_total", {"node": "b"})


def test_label_values_without_end_share_one_series(registry) -> None:  # type: ignore[no-untyped-def]
    tap = PrometheusTap(registry, max_series=4)
    for number in range(100):
        tap.count("x", 1, {"node": f"n{number}"})
    assert 4 == text(registry).count("x_total{")
    assert 97 == registry.get_sample_value("x_total", {"node": OTHER})
    assert 0 == tap.dropped


def test_names_without_end_are_dropped_and_counted(registry) -> None:  # type: ignore[no-untyped-def]
    tap = PrometheusTap(registry, max_metrics=3)
    for number in range(10):
        tap.gauge(f"g{number}", 1, {})
    assert 3 == text(registry).count("# TYPE")
    assert 7 == tap.dropped


def test_a_metric_keeps_the_labels_that_it_began_with(registry) -> None:  # type: ignore[no-untyped-def]
    tap = PrometheusTap(registry)
    tap.count("x", 1, {"dc": "a"})
    tap.count("x", 1, {"dc": "a", "more": "b"})
    tap.count("x", 1, {})
    assert 2 == registry.get_sample_value("x_total", {"dc": "a"})
    assert 1 == registry.get_sample_value("x_total", {"dc": ""})


@pytest.mark.parametrize(
    "tell",
    [
        lambda tap: tap.gauge("x", 1, {}),  # a counter already
        lambda tap: tap.sample("x", 1, {}),
        lambda tap: tap.count("x", -1, {}),
        lambda tap: tap.count("taken", 1, {}),
        lambda tap: tap.count("y", 1, {"__name__": "z"}),
    ],
)
def test_what_prometheus_does_not_allow_is_dropped_not_raised(tell, registry) -> None:  # type: ignore[no-untyped-def]
    prometheus_client.Counter("taken", "by somebody else", registry=registry)
    tap = PrometheusTap(registry)
    tap.count("x", 1, {})
    tell(tap)
    assert 1 == registry.get_sample_value("x_total")


def test_names_are_made_of_the_characters_allowed() -> None:
    assert "serf_queue_Intent" == prometheus_name("serf.queue.Intent")
    assert "n1st_tag_" == prometheus_name("1st-tag!")
    assert "n" == prometheus_name("")


@pytest.mark.slow
async def test_a_node_exports_its_metrics(registry, autojump_clock: MockClock) -> None:  # type: ignore[no-untyped-def]
    tap = PrometheusTap(registry)
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(2, tap=tap, metric_labels={"dc": "a"})
        await cluster.converged()
        await trio.sleep(2)
    assert registry.get_sample_value("memberlist_udp_sent_total", {"dc": "a"}) > 0
    assert registry.get_sample_value("memberlist_msg_alive_total", {"dc": "a"}) >= 4
    assert 0 == tap.dropped


async def test_what_a_watched_node_is_is_true_at_the_scrape(
    registry,  # type: ignore[no-untyped-def]
    autojump_clock: MockClock,
) -> None:
    tap = PrometheusTap(registry)

    def value(name: str, **labels: str) -> float | None:
        found: float | None = registry.get_sample_value(name, {"node": "node-1", **labels})
        return found

    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(3, tap=tap)
        await cluster.converged()
        serf = cluster["node-1"].serf
        tap.watch(serf)
        tap.watch(serf)  # again is nothing new
        assert 3 == value("trioserf_members", status="alive")
        assert 0 == value("trioserf_members", status="failed")
        await cluster.crash("node-3")
        await trio.sleep(60)
        assert 2 == value("trioserf_members", status="alive")
        assert 1 == value("trioserf_members", status="failed")
        assert registry.get_sample_value("trioserf_serf_detection_count") >= 1
        assert 1000 < registry.get_sample_value("trioserf_serf_detection_sum") < 60_000 * 2
        assert 0 == value("trioserf_queue_depth", queue="event")
        serf.user_event_nowait("x")
        assert 1 == value("trioserf_queue_depth", queue="event")
        assert 0 == value("trioserf_queue_age_seconds", queue="event")
        assert value("trioserf_loop_lag_seconds", which="worst") is not None
        assert 0 == value("trioserf_dropped_total", reason="slow_reader")
        serf._delegate.drop_log("serf", "10.0.0.9", "garbage")
        assert 1 == value("trioserf_dropped_total", reason="serf")
        serf._delegate.metrics.count("trioserf.serf.queries_over_budget")
        assert 1 == value("trioserf_dropped_total", reason="queries_over_budget")
        async with SimCluster(seed=2) as other:
            await other.spawn(1)
            namesake = other["node-1"].serf
            with pytest.raises(ValueError, match="another node named 'node-1' is watched"):
                tap.watch(namesake)
        with pytest.raises(ValueError, match="watched already"):
            PrometheusTap(prometheus_client.CollectorRegistry(), max_series=0).watch(serf)
        before = text(registry)
        assert before.count('node="node-1"') < 60
    assert 'node="node-1"' not in text(registry)
