"""Every metric that Go has appears in the run of a cluster, with its kind and its labels."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest
import trio
from trio.testing import MockClock

from trioserf.testing import SimCluster

GO = {
    "memberlist.tcp.accept": "count",
    "memberlist.tcp.connect": "count",
    "memberlist.tcp.sent": "count",
    "memberlist.udp.sent": "count",
    "memberlist.udp.received": "count",
    "memberlist.msg.alive": "count",
    "memberlist.msg.suspect": "count",
    "memberlist.msg.dead": "count",
    "memberlist.probeNode": "sample",
    "memberlist.gossip": "sample",
    "memberlist.pushPullNode": "sample",
    "memberlist.degraded.probe": "count",
    "memberlist.degraded.timeout": "count",
    "memberlist.health.score": "gauge",
    "memberlist.queue.broadcasts": "sample",
    "memberlist.node.instances": "gauge",
    "memberlist.size.remote": "sample",
    "memberlist.size.local": "gauge",
}
"""Name to kind.  Source: hashicorp/memberlist v0.5.0, the calls of go-metrics."""


@attrs.define(eq=False)
class Recorder:
    """A tap that keeps everything."""

    kinds: dict[str, set[str]] = attrs.field(factory=dict)
    labels: dict[str, list[dict[str, str]]] = attrs.field(factory=dict)
    values: dict[str, list[float]] = attrs.field(factory=dict)

    def _note(self, kind: str, name: str, value: float, labels: Mapping[str, str]) -> None:
        self.kinds.setdefault(name, set()).add(kind)
        self.labels.setdefault(name, []).append(dict(labels))
        self.values.setdefault(name, []).append(value)

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self._note("count", name, value, labels)

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self._note("gauge", name, value, labels)

    def sample(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self._note("sample", name, value, labels)


async def run_of_a_cluster() -> Recorder:
    """Nodes join, one is cut off alone until it declares others dead, one crashes."""
    tap = Recorder()
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(6, tap=tap, metric_labels={"dc": "a"}, secret_key=bytes(range(16)))
        await cluster.converged()
        await trio.sleep(35)
        cluster.partition([0])
        await trio.sleep(60)
        cluster.heal()
        await cluster.crash(5)
        await trio.sleep(60)
    return tap


@pytest.mark.slow
async def test_every_metric_of_go_appears_in_a_run(autojump_clock: MockClock) -> None:
    tap = await run_of_a_cluster()
    assert {name: {kind} for name, kind in GO.items()} == {name: tap.kinds.get(name) for name in GO}
    for name in GO:
        assert all("a" == labels["dc"] for labels in tap.labels[name])
    states = {labels["node_state"] for labels in tap.labels["memberlist.node.instances"]}
    assert {"alive", "suspect", "dead", "left"} == states
    assert min(tap.values["memberlist.size.local"]) > 100
    assert all(
        value > 0 for name in ("udp", "tcp") for value in tap.values[f"memberlist.{name}.sent"]
    )
    assert max(tap.values["memberlist.health.score"]) <= 7
