"""How fast an event reaches everybody: Serf's formula, and the real rules in simulation.

Run ``python -m benchmarks.papers.convergence`` (``--quick``: one small cluster).

The formula of Serf's convergence simulator: with fan-out ``f``, ``n`` nodes, loss ``p``, failed
share ``q`` and gossip interval ``i``, ``contact = f / n (1 - p) (1 - q) / 2`` and the share
informed after round ``r`` is ``1 / (1 + (n + 1) exp(-contact n r))``.

Source: hashicorp/serf, the convergence simulator of its documentation (2013).
"""

from __future__ import annotations

import math
import random
import statistics
import sys

import trio

from trioserf import Config, MemberlistConfig
from trioserf.testing import SimCluster
from trioserf.testing.determinism import run

FANOUT, INTERVAL = 3, 0.2
SHARES = (0.5, 0.99, 1.0)


def formula(n: int, loss: float, share: float) -> float:
    """Seconds until the share is informed, by the formula; whole rounds."""
    share = min(share, 0.9999)
    contact = FANOUT / n * (1 - loss) * 0.5
    rounds = math.log((n + 1) * share / (1 - share)) / (contact * n)
    return math.ceil(rounds) * INTERVAL


async def simulate(n: int, loss: float, eager: bool, events: int) -> list[tuple[float, ...]]:
    """Seconds until the shares were informed, for each event."""
    config = Config(
        node_name="?",
        disable_coordinates=True,
        memberlist=MemberlistConfig(
            eager_gossip=eager, enable_compression=False, push_pull_interval=0.0
        ),
    )
    rng = random.Random(n)
    async with SimCluster(seed=n, config=config, latency=(0.0002, 0.0006)) as cluster:
        # Without push/pulls a member that missed the broadcast of a join would never learn of it.
        await cluster.spawn(n, join="everybody")
        await cluster.converged()
        cluster.change_link(loss=loss)
        found = []
        for number in range(events):
            start, name = trio.current_time(), f"event-{number}"
            await rng.choice(cluster.nodes).serf.user_event(name)
            await trio.sleep(4)
            times = sorted(entry.time - start for entry in cluster.timeline.user_events(name))
            times += [math.inf] * (n - len(times))
            found.append(tuple(times[math.ceil(share * n) - 1] for share in SHARES))
            await trio.sleep(rng.random())
        return found


def main(arguments: list[str]) -> None:
    quick = "--quick" in arguments
    sizes, events = ((30,), 5) if quick else ((30, 100, 300), 30)
    print(
        f"Seconds until a user event has reached a share of n nodes (fan-out {FANOUT}, interval"
        f" {INTERVAL} s;\nlinks of 0.2 to 0.6 ms; median of {events} events; the formula never"
        " ends, so all is 99.99 %)\n"
    )
    head = "".join(f"{share:>9.0%}" for share in SHARES)
    print(f"{'n':>5}{'loss':>7}  {'':22}{head}")
    for n in sizes:
        for loss in (0.0, 0.25):
            row = "".join(f"{formula(n, loss, share):9.3f}" for share in SHARES)
            print(f"{n:5}{loss:7.0%}  {'formula (published)':22}{row}")
            for eager, name in ((False, "Go's interval"), (True, "trioserf, eager")):
                found = run(1, simulate, n, loss, eager, events)
                medians = "".join(
                    f"{statistics.median(column):9.3f}" for column in zip(*found, strict=True)
                )
                print(f"{'':12}  {name:22}{medians}")
    print(
        "\nThe formula is slower than what the rules do: its factor of one half is pessimistic."
        "\nEager rounds spend the same number of copies, but at once.  Push/pulls are off: they"
        "\nwould catch within half a minute the rare node that gossip misses (inf)."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
