"""How many seconds of how many nodes one real second simulates.

    python -m benchmarks.simulation [--quick] [N ...]

Each cluster runs the real node code and real bytes (`trioserf.testing.SimCluster`) in a process
of its own: first until all nodes know each other, then at rest: probing, state exchange,
coordinates.  Figures are node-seconds for each second of processor time, so a busy machine
changes them less than it changes the time that passes; the last column sets them beside real
time.  Two nodes run and stop before anything is measured: what a process loads and compiles
once, with its first node, belongs to no node.

Memory is what is in use more than before, after a minute at rest, garbage that waits for its
collection included.  It is asked of the C library, in a process of its own in which Python takes
each object from there: how much a process has of the system says little about ten nodes, since
they first fill what earlier work gave back, half a megabyte or none.

Up to 200 nodes join the first one and gossip does the rest.  Beyond, they begin with full state,
`SimCluster.spawn(n, join="everybody")`: with gossip, each of n nodes receives each join some 25
times, which is n² work of no interest when the cluster is watched at rest.

Each node has a record of each other: memory grows with the square of the cluster as well,
about a kilobyte for each pair.  5,000 nodes need some 20 GB and a quarter of an hour to start;
they are run only if asked for, and refused where the machine has no room for them.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import math
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import trio

from trioserf.testing import SimCluster
from trioserf.testing.determinism import run

SIZES = (10, 100, 1000)
SECONDS = {10: 300.0, 30: 300.0, 100: 360.0, 1000: 210.0, 5000: 2.0}
"""How long each size is watched at rest.

Each node makes its first state exchange 30 to 60 seconds after the start, and of a thousand the
next one three minutes later: 210 seconds see each of them once, shorter times too many or none.
"""
REST = 60.0
"""How long two nodes run before, and how long memory is given to come to rest (seconds)."""
SETTLING = 1.5
"""How long, times nodes, until each has probed each other, and opened a stream to it (seconds)."""
MOST_GOSSIP = 200
"""Nodes that still come to know each other by gossip."""
PAIR = 800
"""Least memory that a record of one node by another takes (bytes)."""


class Mallinfo(ctypes.Structure):
    """What glibc tells of its heap (`mallinfo2`, since 2.33)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def in_use() -> float:
    """Memory in use (megabytes)."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Mallinfo
    info = mallinfo()
    return (int(info.uordblks) + int(info.hblkhd)) / 2**20


async def run_two() -> None:
    """Run two nodes for a while: they load and compile what all need."""
    async with SimCluster(seed=2, record=False) as cluster:
        await cluster.spawn(2, join="first", enable_compression=False)
        await cluster.converged(within=600)
        await trio.sleep(REST)


async def measure_memory(nodes: int, result: Connection) -> None:
    await run_two()
    gc.collect()
    before = in_use()
    async with SimCluster(seed=nodes, record=False) as cluster:
        gossip = nodes <= MOST_GOSSIP
        join = "first" if gossip else "everybody"
        await cluster.spawn(nodes, join=join, enable_compression=False, dead_on_refusal=gossip)
        await cluster.converged(within=600)
        await trio.sleep(REST if nodes <= MOST_GOSSIP else 5)
        result.send((in_use() - before) / nodes)


async def measure(nodes: int, seconds: float, memory: float) -> None:
    await run_two()
    async with SimCluster(seed=nodes, record=False) as cluster:
        began = time.process_time()
        gossip = nodes <= MOST_GOSSIP
        join = "first" if gossip else "everybody"
        await cluster.spawn(nodes, join=join, enable_compression=False, dead_on_refusal=gossip)
        await cluster.converged(within=600)
        await trio.sleep(5 + (SETTLING * nodes if gossip else 0.0))
        start = time.process_time() - began
        began = time.process_time()
        await trio.sleep(seconds)
        spent = time.process_time() - began
        rate = nodes * seconds / spent
        how = "gossip" if gossip else "full state"
        print(
            f"{nodes:6} {how:>11} {start:10.1f} s {memory:11.3f} MB {seconds:7.0f} s"
            f" {rate:16,.0f} {seconds / spent:10.2f} x",
            flush=True,
        )


def alone(nodes: int, function: Callable[..., Awaitable[None]], *args: object) -> None:
    """Measure in a process that does nothing else."""
    process = multiprocessing.get_context("spawn").Process(
        target=run, args=(nodes, function, nodes, *args)
    )
    process.start()
    process.join()


def memory_of(nodes: int) -> float:
    """Memory a node (megabytes)."""
    result, send = multiprocessing.Pipe(duplex=False)
    os.environ["PYTHONMALLOC"] = "malloc"
    alone(nodes, measure_memory, send)
    del os.environ["PYTHONMALLOC"]
    return float(result.recv()) if result.poll() else math.nan


def room_for(nodes: int) -> bool:
    """Whether the machine has the memory that so many nodes take at least."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return PAIR * nodes * nodes < 0.8 * memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("nodes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--quick", action="store_true", help="10 and 30 nodes for 10 seconds")
    options = parser.parse_args()
    print(" nodes       start        (CPU)  memory/node   watched  node-s per CPU s  real time")
    for nodes in [10, 30] if options.quick else options.nodes:
        if not room_for(nodes):
            print(f"{nodes:6}  left out: needs more memory than the machine has", flush=True)
            continue
        seconds = 10.0 if options.quick else SECONDS.get(nodes, 5000.0 / nodes)
        alone(nodes, measure, seconds, memory_of(nodes))


if __name__ == "__main__":
    main()
