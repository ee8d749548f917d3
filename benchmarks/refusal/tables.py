"""The tables, and how one cell of them is found."""

from __future__ import annotations

import random
import statistics
from typing import Any, Final

import attrs
import trio

from benchmarks.refusal.schedules import (
    LONG,
    Schedule,
    Situation,
    between,
    blocked,
    crash,
    egress,
    everywhere,
    flapping,
    full_backlog,
    gone,
    hairpin,
    host_wide,
    leaves,
    lossy,
    one_way,
    patchwork,
    restarts,
    rolling,
    scanners,
    stopped,
    streams_first,
    suspended,
    taken,
    zones,
)
from trioserf import Config
from trioserf.testing import SimCluster
from trioserf.testing.determinism import run

SETTLED: Final = 10.0
"""Seconds of rest before anything happens: streams are tried, and round-trip times known."""
AFTERWARDS: Final = 12.0
"""Seconds after it: what was on its way to a declaration may still come."""
RESTARTED: Final = 20
"""Restarts in place of one cluster."""


@attrs.frozen
class Row:
    """A line of a table.

    Args:
      schedule: what happens.
      nodes: how many there are.
      settings: of all nodes.
      half: whether every second node goes by Go's rules, whatever the column says.
    """

    schedule: Schedule
    nodes: int = 9
    settings: dict[str, Any] = attrs.field(factory=dict)
    half: bool = False


@attrs.frozen
class Table:
    """Rows by their names, and columns: settings by their names."""

    rows: dict[str, Row]
    columns: dict[str, dict[str, Any]]


BESIDE: Final[dict[str, dict[str, Any]]] = {
    "Go's rules": {"faithful_go": True},
    "trioserf": {},
}
KEY: Final = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
CRASHES: Final = Table(
    {
        "SIGKILL, 3 nodes": Row(crash(), 3),
        "SIGKILL, 16 nodes": Row(crash(), 16),
        "SIGKILL, 50 nodes": Row(crash(), 50),
        "SIGKILL, 16 nodes, encrypted": Row(crash(), 16, {"encrypt_key": KEY}),
        "SIGKILL, 16 nodes, half with Go's rules": Row(crash(), 16, half=True),
        "SIGKILL of 3 at once, 16 nodes": Row(crash(3), 16),
        "SIGKILL of half at once, 16 nodes": Row(crash(0), 16),
        "SIGKILL at 10 % loss, 16 nodes": Row(crash(loss=0.1), 16),
        "SIGKILL at 30 % loss, 16 nodes": Row(crash(loss=0.3), 16),
        "host gone, 16 nodes": Row(gone, 16),
        "SIGKILL, another program takes the port, 16 nodes": Row(taken, 16),
    },
    BESIDE,
)
MISTAKES: Final = Table(
    {
        name: Row(schedule)
        for name, schedule in {
            **{f"SIGSTOP for {seconds} s": stopped(seconds) for seconds in (1, 3, 5, 10, 60)},
            "event loop blocked, 10 × 3 s": blocked(3.0, 10),
            "10 % loss": lossy(0.1, LONG),
            "30 % loss": lossy(0.3, LONG),
            "one-way link": one_way(),
            "one-way link at 30 % loss": one_way(0.3),
            "firewall between two": between(0.0, both_ways=True),
            "firewall between two, one-way": between(0.0, both_ways=False),
            "firewall between two at 10 % loss": between(0.1, both_ways=True),
            "firewall between two at 30 % loss": between(0.3, both_ways=True),
            "firewall between two, one-way, at 30 % loss": between(0.3, both_ways=False),
            "firewall between two zones": zones(0.0, both_ways=True),
            "firewall between two zones, one-way": zones(0.0, both_ways=False),
            "firewall between two zones at 10 % loss": zones(0.1, both_ways=True),
            "firewall between two zones at 30 % loss": zones(0.3, both_ways=True),
            **{
                f"TCP rejected everywhere at {loss * 100:.0f} % loss": everywhere(
                    loss, packets=False
                )
                for loss in (0.0, 0.1, 0.3)
            },
            **{
                f"UDP rejected everywhere at {loss * 100:.0f} % loss": everywhere(
                    loss, streams=None
                )
                for loss in (0.0, 0.1, 0.3)
            },
            "full backlogs at 10 % loss": full_backlog,
            "port scanners at 10 % loss": scanners,
            "leaves at 10 % loss: of those that leave": leaves(0.1),
            "leaves at 30 % loss: of those that leave": leaves(0.3),
            "a node whose packets are all rejected, 10 s": egress(10),
        }.items()
    },
    BESIDE,
)
ODD: Final = Table(
    {
        **{
            f"address translation that refuses, at {loss * 100:.0f} % loss": Row(hairpin(loss))
            for loss in (0.0, 0.1, 0.3)
        },
        **{
            f"rejects TCP, all, or drops, at {loss * 100:.0f} % loss": Row(patchwork(loss))
            for loss in (0.0, 0.1, 0.3)
        },
        "rejects all of 0.4 s, lets pass for 0.2 s": Row(flapping(0.4, 0.2)),
        "rejects all of 0.1 s, lets pass for 0.1 s": Row(flapping(0.1, 0.1)),
        "each node in turn restarts in place in 0.3 s": Row(rolling(0.3, 1)),
        "hosts of three in turn restart in place in 0.3 s": Row(rolling(0.3, 3)),
        "restart, packets are refused for 2 s longer": Row(streams_first(2.0)),
        "a third of the machines is suspended for 3 s": Row(suspended(1 / 3, 3.0)),
        "a third of the machines is suspended for 30 s": Row(suspended(1 / 3, 30.0)),
        "all machines but one are suspended for 3 s": Row(suspended(8 / 9, 3.0)),
    },
    BESIDE,
)
PRICE: Final = Table(
    {
        **{
            f"host-wide reject of {seconds} s": Row(host_wide(seconds))
            for seconds in (0.3, 1, 3, 10)
        },
        "host-wide reject of 3 s, TCP by ICMP": Row(host_wide(3, streams="icmp")),
    },
    BESIDE,
)
RESTARTS: Final = Table(
    {f"{down} s": Row(restarts(down, RESTARTED), 6) for down in (0.2, 0.5, 1, 2)},
    {
        "Go's rules": {"faithful_go": True},
        **{f"grace {grace} s": {"refusal_grace": grace} for grace in (0.25, 0.5, 1, 2)},
        "half with Go's rules": {"half": True},
    },
)
QUICK: Final = frozenset(
    (
        "SIGKILL, 16 nodes",
        "SIGKILL, 16 nodes, half with Go's rules",
        "host gone, 16 nodes",
        "SIGSTOP for 3 s",
        "firewall between two",
        "host-wide reject of 0.3 s",
        "0.2 s",
    )
)
"""The rows of the quick form."""
TABLES: Final = {
    "until a crash is known": CRASHES,
    "living nodes declared failed": MISTAKES,
    "other schedules": ODD,
    "the price": PRICE,
    f"{RESTARTED} restarts in place, absent for": RESTARTS,
}


@attrs.frozen
class Result:
    """What one cluster showed."""

    false: int
    reports: int
    known: tuple[float, ...]


@attrs.frozen
class Task:
    """One cluster to run."""

    table: str
    row: str
    column: str
    seed: int


async def one(task: Task) -> Result:
    """Run one schedule on one cluster."""
    table = TABLES[task.table]
    row = table.rows[task.row]
    settings = {**row.settings, **table.columns[task.column]}
    half = settings.pop("half", False) or (row.half and not settings.get("faithful_go"))
    seed = task.seed
    cluster = SimCluster(seed=seed, config=Config.lan(**settings), record=False)
    async with cluster:
        of_go = row.nodes // 2 if half else 0
        await cluster.spawn(row.nodes - of_go)
        if of_go:
            await cluster.spawn(of_go, faithful_go=True)
        await cluster.converged()
        await trio.sleep(SETTLED)
        situation = Situation(cluster, random.Random(f"{seed} {task.row}"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(situation.watch)
            await row.schedule(situation)
            cluster.change_link(loss=0.0)
            await trio.sleep(AFTERWARDS)
            nursery.cancel_scope.cancel()
        return Result(len(situation.false), situation.reports, tuple(situation.known))


def job(task: Task) -> tuple[Task, Result]:
    return task, run(task.seed, one, task)


def cell(results: list[Result]) -> str:
    false = sum(result.false for result in results)
    reports = sum(result.reports for result in results)
    known = sorted(time for result in results for time in result.known)
    text = f"{false} ({reports})" if reports else "0"
    if not known:
        return text
    late = known[min(len(known) - 1, int(len(known) * 0.95))]
    times = f"{statistics.median(known):.2f} / {late:.2f} s"
    return f"{times}; {text} false" if reports else times


def show(results: dict[tuple[str, str, str], list[Result]], seeds: int) -> None:
    """Print the tables of what there is so far."""
    for title, table in TABLES.items():
        rows = [name for name in table.rows if (title, name, next(iter(table.columns))) in results]
        if not rows:
            continue
        print(f"\n| {title}; {seeds} clusters each | {' | '.join(table.columns)} |")
        print(f"|---|{'---:|' * len(table.columns)}")
        for name in rows:
            cells = [cell(results[title, name, column]) for column in table.columns]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
