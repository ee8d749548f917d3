"""How many seconds of how many nodes one real second simulates.

    python -m benchmarks.simulation [--quick] [N ...]

Each cluster runs the real node code and real bytes (`trioserf.testing.SimCluster`), first
until all nodes know each other, then at rest: probing, state exchange, coordinates.  Figures
are node-seconds for each second of processor time, so a busy machine changes them little; the
last column sets them beside real time.
"""

from __future__ import annotations

import argparse
import time

import trio

from trioserf.testing import SimCluster
from trioserf.testing.schedule import run

SIZES = (10, 100, 1000)
SECONDS = {10: 300.0, 100: 60.0, 1000: 20.0, 5000: 2.0}


async def measure(nodes: int, seconds: float) -> None:
    async with SimCluster(seed=nodes, record=False) as cluster:
        began = time.process_time()
        await cluster.spawn(nodes, enable_compression=False)
        took = await cluster.converged(within=600)
        start = time.process_time() - began
        await trio.sleep(5)
        began = time.process_time()
        await trio.sleep(seconds)
        spent = time.process_time() - began
        rate = nodes * seconds / spent
        print(
            f"{nodes:6} {start:11.1f} s {took:13.2f} s {rate:17,.0f} {seconds / spent:12.2f} x",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nodes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--quick", action="store_true", help="10 and 30 nodes for some seconds")
    options = parser.parse_args()
    print(" nodes  start (CPU)  agreed after  node-s per CPU s     real time")
    for nodes in [10, 30] if options.quick else options.nodes:
        seconds = 10.0 if options.quick else SECONDS.get(nodes, 2000.0 / nodes)
        run(nodes, measure, nodes, seconds)


if __name__ == "__main__":
    main()
