"""SWIM's own experiments: who survives heavy loss, and how many messages it takes.

Run ``python -m benchmarks.papers.swim`` (``--quick``: fewer repetitions).

Source: the SWIM paper (Das, Gupta, Motivala, 2002), section 5.
"""

from __future__ import annotations

import statistics
import sys
from contextlib import ExitStack

import trio

from benchmarks.papers.without import no_buddies, no_suspicion
from trioserf import Config, MemberlistConfig, MemberStatus
from trioserf.testing import SimCluster
from trioserf.testing.determinism import run

PERIOD = 2.0
"""Protocol period (seconds), as in the paper."""
MEMBERS, LOSS, LASTS = 17, 0.10, 175.0
SUSPICION = 7
"""``suspicion_mult``: 7 · log10(17) periods = 17 s; the paper has 3⌈ln 18⌉ periods = 18 s."""
PUBLISHED = {"SWIM+Inf+Susp": 12, "SWIM+Inf": 4, "basic SWIM": 2}


def settings(variant: str) -> Config:
    """SWIM as in the paper, as far as settings go."""
    basic = variant == "basic SWIM"
    below = MemberlistConfig(
        probe_interval=PERIOD,
        probe_timeout=0.5,
        indirect_checks=1,
        suspicion_mult=SUSPICION,
        suspicion_max_timeout_mult=1,
        awareness_max_multiplier=1,
        disable_tcp_pings=True,
        push_pull_interval=0.0,
        # Broadcasts travel on pings and acks alone; in basic SWIM each is sent to all at once.
        gossip_interval=0.01 if basic else 0.0,
        gossip_nodes=MEMBERS - 1 if basic else 3,
        retransmit_mult=(MEMBERS - 1) // 2 if basic else 3,
        eager_gossip=False,
        enable_compression=False,
        faithful_go=True,
    )
    return Config(
        node_name="?", memberlist=below, disable_coordinates=True, reconnect_interval=86400.0
    )


async def survivors(variant: str, seed: int) -> int:
    """Members never declared dead; one that is declared dead leaves the group, as in SWIM."""
    async with SimCluster(seed=seed, config=settings(variant), record=False) as cluster:
        # Without push/pulls a member that missed the broadcast of a join would never learn of it.
        await cluster.spawn(MEMBERS, join="everybody")
        cluster.change_link(loss=LOSS)
        start = trio.current_time()
        while trio.current_time() < start + LASTS and cluster.running:
            dead = {
                name
                for node in cluster.running
                for name, status in node.view().items()
                if status is MemberStatus.FAILED and cluster[name].running
            }
            await cluster.crash(*sorted(dead))
            await trio.sleep(0.05)
        return len(cluster.running)


async def load(members: int, periods: int) -> float:
    """Packets that a member sends in a period, no member failing."""
    async with SimCluster(config=settings("SWIM+Inf+Susp"), record=False) as cluster:
        await cluster.spawn(members, join="everybody")
        await trio.sleep(3 * PERIOD)
        before = cluster.network.statistics().packets_sent
        await trio.sleep(periods * PERIOD)
        sent = cluster.network.statistics().packets_sent - before
        return sent / members / periods


def main(arguments: list[str]) -> None:
    runs = 3 if "--quick" in arguments else 20
    print(
        f"Survivors of {MEMBERS} members after {LASTS:g} s with {LOSS:.0%} of packets lost\n"
        f"(period {PERIOD:g} s, 1 helper; {runs} runs, the paper has one)\n"
    )
    print(f"{'':16}{'paper':>8}{'here, mean':>12}{'range':>10}")
    for variant, published in PUBLISHED.items():
        with ExitStack() as stack:
            stack.enter_context(no_buddies())
            if variant != "SWIM+Inf+Susp":
                stack.enter_context(no_suspicion())
            found = [run(seed, survivors, variant, seed) for seed in range(1, runs + 1)]
        spread = f"{min(found)}-{max(found)}"
        print(f"{variant:16}{published:8}{statistics.mean(found):12.1f}{spread:>10}")
    print("\nPackets sent per member and period, no member failing\n")
    print(f"{'members':16}{'paper':>8}{'here':>12}")
    for members in (8, 28) if "--quick" in arguments else (8, 17, 28, 55):
        print(f"{members:<16}{'≈ 2.0':>8}{run(1, load, members, 20):12.2f}")
    print(
        "\nWhat differs: who is declared dead leaves the group here the moment any member says so"
        " (in\nthe paper when it receives that).  trioserf cannot do without dissemination on pings"
        " and acks:\nbasic SWIM's multicast is simulated by sending each message to all at once,"
        " and members\npass it on, so dead messages are more reliable than a single multicast."
        "  Loss is drawn\nfor each packet on its way; helpers' packets meet it too."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
