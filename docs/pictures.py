"""Draw the pictures of the pages: ``python docs/pictures.py``, from the root of the repository.

Every curve comes from the real rules, most of them in simulated clusters; one seed gives one
picture.
"""

from __future__ import annotations

import math
from pathlib import Path

import trio

import trioserf
from trioserf._swim.scaling import suspicion_timeout
from trioserf.notebook import Chart, Moment, coordinate_map, curves, latency, spread, timeline
from trioserf.testing import Constant, SimCluster
from trioserf.testing.determinism import run

FOLDER = Path(__file__).parent / "_pictures"


async def one_event(eager: bool) -> dict[str, float]:
    """When each of thirty nodes had an event."""
    async with SimCluster(seed=1, latency=0.0005) as cluster:
        await cluster.spawn(30, eager_gossip=eager)
        await cluster.converged()
        await trio.sleep(20)  # let the broadcasts of the start end
        sent = trio.current_time()
        await cluster["node-1"].serf.user_event("deploy", b"!")
        await cluster.until(lambda: len(cluster.timeline.user_events("deploy")) == 30)
        entries = cluster.timeline.user_events("deploy")
        return {entry.node: entry.time - sent for entry in entries}


def events() -> None:
    save("event-at-once", spread(run(1, one_event, True), title="sent at once: 30 nodes"))
    by_interval = spread(run(1, one_event, False), title="at gossip intervals, as Go: 30 nodes")
    save("event-by-interval", by_interval)


async def one_death() -> list[Moment]:
    """What one of twelve nodes sees of another's death and return."""
    async with SimCluster(seed=5) as cluster:
        await cluster.spawn(12)
        await cluster.converged()
        start = trio.current_time()
        await trio.sleep(10)
        await cluster.crash("node-5")
        await trio.sleep(60)
        await cluster.restart("node-5", join="first")
        await cluster.converged()
        await trio.sleep(5)
        return [
            Moment(entry.time - start, entry.event)
            for entry in cluster.timeline
            if entry.node == "node-1" and entry.event is not None
        ]


async def detection(n: int, seed: int) -> list[float]:
    """How long after a death each other node says so."""
    async with SimCluster(seed=seed) as cluster:
        await cluster.spawn(n)
        await cluster.converged()
        await trio.sleep(5)
        died = trio.current_time()
        await cluster.crash(f"node-{n}")
        await cluster.converged()
        found = cluster.timeline.about(f"node-{n}", trioserf.EventType.MEMBER_FAILED)
        return [entry.time - died for entry in found]


def failures() -> None:
    save("failure", timeline(run(5, one_death), start=0.0, title="what node-1 of twelve sees"))
    samples = {
        f"{n} nodes": [t for seed in range(4) for t in run(seed, detection, n, seed)]
        for n in (4, 10, 30)
    }
    save("detection", latency(samples, title="from a death to the word of it, at each node"))


def suspicions() -> None:
    """How long a suspect has, by the number of nodes that confirm it."""
    series = {}
    for n in (10, 100, 1000):
        low = suspicion_timeout(4, n, 1.0)
        high = 6 * low
        series[f"{n} nodes"] = [
            (c, max(low, high - (high - low) * math.log(c + 1) / math.log(3))) for c in range(4)
        ]
    save(
        "suspicion",
        curves(
            series,
            title="how long a suspect member has to refute",
            x_label="others that confirm the suspicion",
            y_label="seconds",
        ),
    )


SITES = {"paris": (0.0, 0.0), "oslo": (0.0, 0.020), "rome": (0.010, 0.0)}


def one_way(a: str, b: str) -> float:
    (ax, ay), (bx, by) = SITES[a], SITES[b]
    return 0.0005 + math.hypot(ax - bx, ay - by)


async def world() -> dict[str, trioserf.Coordinate]:
    """The coordinates of twelve nodes in three places, after ten minutes."""
    async with SimCluster(seed=3, record=False) as cluster:
        names = [f"{site}-{i}" for i in range(4) for site in SITES]
        await cluster.spawn(*names, join=None)
        for a in names:
            for b in names:
                if a != b:
                    delay = one_way(a.split("-")[0], b.split("-")[0])
                    cluster.change_link(a, b, latency=Constant(delay))
        for name in names[1:]:
            await cluster[name].serf.join([cluster[names[0]].address])
        await trio.sleep(600)
        return {name: cluster[name].serf.coordinate() for name in names}


def places() -> None:
    save("places", coordinate_map(run(3, world), title="three places, as the nodes see them"))


def save(name: str, chart: Chart) -> None:
    (FOLDER / f"{name}.svg").write_text(chart.svg + "\n")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for draw in (events, failures, suspicions, places):
        draw()


if __name__ == "__main__":
    main()
