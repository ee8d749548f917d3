"""Lifeguard: false alarms when members are slow, with each of its three parts alone.

Run ``python -m benchmarks.papers.lifeguard`` (``--quick``: a smaller cluster, one run).

What some members send and are sent is delayed for a while, passes for a moment, and is delayed
back again, as in an overloaded process.  Their timers go on, as in the paper.  They are
suspected with good reason; a false alarm is every "failed" that a member reports of one that was
never blocked, and the worse ones are reported by members that were never blocked themselves.

Source: the Lifeguard paper (Dadgar, Phillips, Currey, 2018), tables of false positives and of
message load, and the chart of the alpha trade-off.
"""

from __future__ import annotations

import random
import statistics
import sys
from contextlib import nullcontext
from typing import NamedTuple

import trio

from benchmarks.papers.without import no_buddies
from trioserf import Config, EventType, MemberlistConfig
from trioserf.testing import Link, SimCluster
from trioserf.testing.determinism import run


class Variant(NamedTuple):
    name: str
    probe: bool
    """The health score (LHA-Probe)."""
    suspicion: bool
    """Suspicions that begin long (LHA-Suspicion)."""
    buddy: bool
    """Suspects are notified at once (Buddy System)."""
    published: tuple[float, float, float, float]
    """Share of plain SWIM's false positives, of those at healthy members, of messages, of bytes."""


VARIANTS = (
    Variant("SWIM", False, False, False, (100.0, 100.0, 100.0, 100.0)),
    Variant("LHA-Probe", True, False, False, (67.72, 32.88, 98.46, 90.03)),
    Variant("LHA-Suspicion", False, True, False, (3.00, 6.71, 111.31, 106.52)),
    Variant("Buddy System", False, False, True, (94.08, 44.57, 100.07, 99.01)),
    Variant("Lifeguard", True, True, True, (1.53, 1.89, 110.59, 97.97)),
)
CRASHES = 5
"""True crashes of a run, one after the other: their detection has a median."""
ALPHA, BETA = 5, 6
PUBLISHED_ALPHA = {5: (100, 2), 4: (84, 5), 2: (57, 14)}
"""Alpha to latency and false positives, in percent of SWIM's with alpha 5 (read off a chart)."""


class Setup(NamedTuple):
    members: int
    slow: int
    blocked_for: float
    runs_for: float
    lasts: float
    runs: int


FULL = Setup(members=48, slow=12, blocked_for=16.384, runs_for=0.064, lasts=120.0, runs=2)
QUICK = Setup(members=24, slow=6, blocked_for=16.384, runs_for=0.064, lasts=60.0, runs=1)


class Counts(NamedTuple):
    alarms: int
    healthy: int
    packets: int
    bytes: int
    latencies: list[float]

    @property
    def latency(self) -> float:
        """Seconds until the first member reports a crash, the median."""
        return statistics.median(self.latencies)


def settings(variant: Variant, alpha: int) -> Config:
    """One of the five configurations."""
    below = MemberlistConfig(
        suspicion_mult=alpha,
        suspicion_max_timeout_mult=BETA if variant.suspicion else 1,
        awareness_max_multiplier=8 if variant.probe else 1,
        enable_compression=False,
        faithful_go=True,
    )
    return Config(node_name="?", memberlist=below, disable_coordinates=True)


def block_links(cluster: SimCluster, slow: set[str]) -> dict[str, float]:
    """Delay what the slow members send and receive until a time that the caller sets.

    Returns:
      When each of them opens again (seconds, trio clock).
    """
    opens_at = dict.fromkeys(slow, 0.0)

    def link_of(*names: str) -> Link:
        def latency(_rng: random.Random) -> float:
            now = trio.current_time()
            return 0.0005 + max(0.0, max(opens_at[name] for name in names) - now)

        return Link(latency=latency)

    for name in sorted(slow):
        host = cluster[name].host
        cluster.network.set_link(host, None, link_of(name), both_ways=True)
        for other in sorted(slow - {name}):
            cluster.network.set_link(host, cluster[other].host, link_of(name, other))
    return opens_at


async def anomalies(variant: Variant, alpha: int, setup: Setup, seed: int) -> Counts:
    """False alarms while members are slow, then the time to see a true crash."""
    rng = random.Random(seed)
    async with SimCluster(seed=seed, config=settings(variant, alpha)) as cluster:
        await cluster.spawn(setup.members)
        await cluster.converged()
        slow = {node.name for node in rng.sample(cluster.nodes, setup.slow)}
        before, start = cluster.network.statistics(), len(cluster.timeline)

        opens_at = block_links(cluster, slow)

        async def block_often(name: str) -> None:
            await trio.sleep(rng.random())
            while True:
                opens_at[name] = trio.current_time() + setup.blocked_for
                await trio.sleep(setup.blocked_for + setup.runs_for)

        async with trio.open_nursery() as nursery:
            for name in sorted(slow):
                nursery.start_soon(block_often, name)
            await trio.sleep(setup.lasts)
            nursery.cancel_scope.cancel()
        opens_at.update(dict.fromkeys(slow, 0.0))
        await trio.sleep(setup.blocked_for + 5)
        after = cluster.network.statistics()
        alarms = [
            (entry.node, member.name)
            for entry in cluster.timeline.since(start)
            if entry.event is not None and entry.event.type is EventType.MEMBER_FAILED
            for member in entry.event.members  # type: ignore[union-attr]
            if member.name not in slow
        ]
        at_healthy = [observer for observer, _ in alarms if observer not in slow]
        await cluster.converged(within=600)
        victims = [node for node in cluster.nodes if node.name not in slow][-CRASHES:]
        return Counts(
            len(alarms),
            len(at_healthy),
            after.packets_sent - before.packets_sent,
            after.bytes_sent - before.bytes_sent,
            [await time_to_detect(cluster, victim.name) for victim in victims],
        )


async def time_to_detect(cluster: SimCluster, victim: str) -> float:
    """Seconds from a crash until the first member reports it."""

    def detections() -> int:
        return len(cluster.timeline.about(victim, EventType.MEMBER_FAILED))

    crashed, before = trio.current_time(), detections()
    await cluster.crash(victim)
    await cluster.until(lambda: detections() > before)
    return trio.current_time() - crashed


def measure(variant: Variant, alpha: int, setup: Setup) -> Counts:
    """Sums over some seeds, and all latencies."""
    with nullcontext() if variant.buddy else no_buddies():
        found = [
            run(seed, anomalies, variant, alpha, setup, seed) for seed in range(1, setup.runs + 1)
        ]
    return Counts(
        sum(each.alarms for each in found),
        sum(each.healthy for each in found),
        sum(each.packets for each in found),
        sum(each.bytes for each in found),
        [latency for each in found for latency in each.latencies],
    )


def share(part: float, whole: float) -> str:
    return f"{part / whole:8.1%}" if whole else "       -"


def main(arguments: list[str]) -> None:
    setup = QUICK if "--quick" in arguments else FULL
    print(
        f"{setup.members} members, {setup.slow} of them blocked for {setup.blocked_for:g} s and "
        f"open for {setup.runs_for:g} s, in turns,\nfor {setup.lasts:g} s; alpha {ALPHA}, beta "
        f"{BETA}; {setup.runs} runs.  The paper: 128 members, up to 32 slow,\nmany lengths of both."
        "  FP: false positives about healthy members; FP-: those at healthy members.\n"
    )
    print(
        f"{'':15}{'FP':>6}{'FP-':>6}{'packets':>9}{'MB':>7}  "
        f"{'here: FP, FP-, packets, bytes':^36}{'paper: the same':^37}"
    )
    plain, latest = None, None
    for variant in VARIANTS:
        latest = measure(variant, ALPHA, setup)
        plain = plain or latest
        shares = [share(mine, theirs) for mine, theirs in zip(latest[:4], plain[:4], strict=True)]
        paper = "".join(f"{percent:8.1f}%" for percent in variant.published)
        print(
            f"{variant.name:15}{latest.alarms:6}{latest.healthy:6}{latest.packets:9}"
            f"{latest.bytes / 1e6:7.1f}  "
            f"{' '.join(shares)}  {paper}"
        )
    assert plain is not None
    assert latest is not None
    print(
        "\nThe alpha trade-off of Lifeguard: median time to detect a crash, and false positives, in"
        "\npercent of SWIM's with alpha 5\n"
    )
    print(f"{'alpha':8}{'latency':>10}{'here':>9}{'paper':>8}{'FP':>7}{'here':>9}{'paper':>8}")
    for alpha, (latency, alarms) in PUBLISHED_ALPHA.items():
        mine = latest if alpha == ALPHA else measure(VARIANTS[-1], alpha, setup)
        print(
            f"{alpha:<8}{mine.latency:8.1f} s{share(mine.latency, plain.latency):>9}"
            f"{latency:6} %{mine.alarms:7}{share(mine.alarms, plain.alarms):>9}{alarms:6} %"
        )
    print(
        "\nWhat differs: fewer members, one length of block and of run, minutes instead of days of"
        "\nruns.  What a blocked member sends or is sent is late, as in the paper; streams too."
        "\nStream pings are left on, as in the shipped code.  A stretched interval saves packets,"
        "\nthe more so where a quarter of the members is in trouble all the time."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
