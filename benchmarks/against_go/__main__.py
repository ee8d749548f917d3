"""Clusters of Go agents, of trioserf nodes, and of both in turns, measured side by side.

Run ``python -m benchmarks.against_go`` from a checkout (``--quick``: less than a minute).  Who is
root on a Linux with network namespaces gets the whole table; elsewhere everybody is on loopback,
where neither loss can be made nor packets be counted.

The three clusters run at the same time, so that each has the same share of the machine.  What is
wanted: with the same settings no later detection than Go, no more false positives, no more packets.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import trio

from benchmarks.against_go import measure, table
from benchmarks.against_go.cluster import cluster
from benchmarks.against_go.measure import Figures
from tests.interop.agents import serf_binary
from tests.interop.namespaces import why_not


class Plan(NamedTuple):
    """How much is measured."""

    profile: str
    members: int
    events: int
    kills: int
    window: float
    """Seconds that each kill with its return takes at least."""
    settle: float
    """Seconds until the exchanges of states come as regularly as they ever will."""
    losses: Sequence[int]
    """Percent; at 0 the clusters are at rest."""
    lossy: float
    """Seconds for each of these."""


QUICK = Plan("local", 4, 4, 1, 8, 1, (0, 10), 6)
FULL = Plan("lan", 8, 64, 10, 14, 35, (0, 10, 30), 120)


async def measured(kind: str, plan: Plan, binary: Path, apart: bool, folder: Path) -> Figures:
    """Everything about one cluster."""
    figures = Figures()
    folder = folder / kind
    folder.mkdir()
    async with cluster(
        kind, plan.members, binary=binary, profile=plan.profile, folder=folder, apart=apart
    ) as running:
        say(f"{kind}: runs")
        await measure.events(running, figures, plan.events)
        say(f"{kind}: killing")
        await measure.detection(running, figures, plan.kills, plan.window)
        await trio.sleep(plan.settle)
        for percent in plan.losses if apart else (0,):
            say(f"{kind}: {percent} % loss")
            await measure.under_loss(running, figures, percent, plan.lossy)
        running.nursery.cancel_scope.cancel()
    return figures


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


async def main(plan: Plan, kinds: Sequence[str]) -> None:
    binary = serf_binary()
    if binary is None:
        print("no `serf` program: nothing to compare with")
        return
    reason = why_not()
    if reason:
        print(f"{reason}.\nOn loopback instead: no loss, no counters.\n")
    found: dict[str, Figures] = {}

    async def one(kind: str, folder: str) -> None:
        found[kind] = await measured(kind, plan, binary, reason is None, Path(folder))

    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            for kind in kinds:
                nursery.start_soon(one, kind, folder)
    print(
        f"profile {plan.profile}, {plan.members} members, {plan.kills} kills, {plan.events} events,"
        f" {plan.lossy:g} s at each loss; traffic and CPU for each member and second\n"
    )
    table.show(found, plan.losses)
    if "mixed" in found:
        table.show_inside(found["mixed"])


def arguments() -> tuple[Plan, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against_go")
    parser.add_argument("--quick", action="store_true", help="less than a minute, few figures")
    parser.add_argument("--profile", choices=("lan", "wan", "local"), help="settings of everybody")
    parser.add_argument("--members", type=int, help="of each cluster")
    parser.add_argument("--kills", type=int, help="how often a member is killed")
    parser.add_argument("--lossy", type=float, help="seconds at each loss")
    parser.add_argument(
        "--clusters", nargs="+", choices=tuple(table.TITLES), default=list(table.TITLES)
    )
    given = vars(parser.parse_args())
    kinds = given.pop("clusters")
    plan = QUICK if given.pop("quick") else FULL
    given = {name: value for name, value in given.items() if value is not None}
    return plan._replace(**given), kinds


if __name__ == "__main__":
    trio.run(main, *arguments())
