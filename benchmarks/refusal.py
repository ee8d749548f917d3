"""A dead process says so: how soon a crash is known, and what is taken for one by mistake.

    python -m benchmarks.refusal [--quick] [--seeds N] [--nodes N] [--only WORD ...]

Simulated clusters (`trioserf.testing.SimCluster`: real node code, real bytes) go through the same
schedules three times, with the same seeds: with Go's rules (``faithful_go``), with trioserf's
without ``dead_on_refusal``, and with it.  Every schedule is a situation of `SCHEDULES`: what is
done to one node, or between nodes, and for how long.

Figures are, for each schedule:

* *false*: living nodes that were declared failed, each counted once for every time, however many
  members said so; and the members that said so;
* *known*: seconds from the crash until every running member has the node as failed, of those
  schedules that have a crash: median, and the 95th percentile.

The simulated kernel answers as Linux does: a reset and ICMP port unreachable, of the latter six to
one host in a row and one more every second (it sends more over loopback alone).  The rejects are
the worst that a firewall can do: they answer with resets, and in the name of the host.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import attrs
import trio

from trioserf import Config
from trioserf.testing import SimCluster, SimNode
from trioserf.testing.determinism import run

KINDS: Final[dict[str, dict[str, Any]]] = {
    "Go's rules": {"faithful_go": True},
    "without": {"dead_on_refusal": False},
    "with": {"dead_on_refusal": True},
}
SETTLED: Final = 10.0
"""Seconds of rest before anything happens: streams are tried, and round-trip times known."""
AFTERWARDS: Final = 12.0
"""Seconds after it: what was on its way to a declaration may still come."""
LONG: Final = 40.0
"""Seconds that a firewall, a cut or a loss lasts."""
LONGEST: Final = 90.0
"""Seconds until a crash counts as unknown."""


@attrs.define(eq=False)
class Situation:
    """One cluster in which something happens.

    Args:
      cluster: that has settled.
      rng: chooses the victims.
      dead: names of nodes that ended.
      only: names of nodes whose declarations count; none for all.
    """

    cluster: SimCluster
    rng: random.Random
    dead: set[str] = attrs.field(factory=set)
    only: set[str] = attrs.field(factory=set)
    known: list[float] = attrs.field(factory=list)
    false: set[tuple[str, int]] = attrs.field(factory=set)
    reports: int = 0
    _seen: dict[tuple[str, str], str] = attrs.field(factory=dict)
    _times: dict[str, int] = attrs.field(factory=dict)
    _failing: dict[str, int] = attrs.field(factory=dict)

    def pick(self, count: int = 1) -> list[SimNode]:
        """Some running nodes."""
        return self.rng.sample(self.cluster.running, count)

    def hosts(self, nodes: list[SimNode]) -> list[str]:
        return [node.host for node in nodes]

    async def crash(self, *nodes: SimNode) -> None:
        """Crash nodes at once, and wait until all know it."""
        for node in nodes:
            self.dead.add(node.name)
            await self.cluster.crash(node)
        start = trio.current_time()
        names = {node.name for node in nodes}
        with trio.move_on_after(LONGEST):
            while not all(self._failed(each, names) for each in self.cluster.running):  # noqa: ASYNC110
                await trio.sleep(0.01)
        self.known.append(trio.current_time() - start)

    def _failed(self, node: SimNode, names: set[str]) -> bool:
        view = node.view()
        return all(str(view.get(name, "failed")) == "failed" for name in names)

    async def watch(self) -> None:
        """Count declarations of nodes that live."""
        while True:
            for node in self.cluster.running:
                for name, status in node.view().items():
                    text = str(status)
                    before = self._seen.get((node.name, name), "alive")
                    self._seen[node.name, name] = text
                    if self.only and name not in self.only:
                        continue
                    if text == "failed" and before != "failed" and name not in self.dead:
                        if not self._failing.get(name):
                            self._times[name] = self._times.get(name, 0) + 1
                            self.false.add((name, self._times[name]))
                        self._failing[name] = self._failing.get(name, 0) + 1
                        self.reports += 1
                    elif before == "failed" and text != "failed" and self._failing.get(name):
                        self._failing[name] -= 1
            await trio.sleep(0.1)


Schedule: TypeAlias = Callable[[Situation], Awaitable[None]]


def crash(count: int = 1, loss: float = 0.0) -> Schedule:
    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        await s.crash(*s.pick(count or len(s.cluster.running) // 2))

    return schedule


async def gone(s: Situation) -> None:
    [node] = s.pick()
    s.cluster.network.power_off(node.host)
    await s.crash(node)


def stopped(seconds: float) -> Schedule:
    async def schedule(s: Situation) -> None:
        [node] = s.pick()
        s.cluster.stop(node)
        await trio.sleep(seconds)
        s.cluster.resume(node)

    return schedule


def blocked(seconds: float, times: int) -> Schedule:
    """The event loop of a node is blocked again and again."""

    async def schedule(s: Situation) -> None:
        [node] = s.pick()
        for _ in range(times):
            s.cluster.stop(node)
            await trio.sleep(seconds)
            s.cluster.resume(node)
            await trio.sleep(seconds / 3)

    return schedule


def lossy(loss: float, seconds: float) -> Schedule:
    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        await trio.sleep(seconds)

    return schedule


def one_way(loss: float = 0.0) -> Schedule:
    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        a, b = s.pick(2)
        s.cluster.cut(a, b)
        await trio.sleep(LONG)

    return schedule


def between(loss: float, *, both_ways: bool, streams: str | None = "rst") -> Schedule:
    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        a, b = s.pick(2)
        s.cluster.network.reject(a.host, b.host, both_ways=both_ways, streams=streams)  # type: ignore[arg-type]
        await trio.sleep(LONG)

    return schedule


def zones(loss: float, *, both_ways: bool) -> Schedule:
    """A third of the nodes is rejected by another third; the rest reaches both."""

    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        n = len(s.cluster.running) // 3
        nodes = s.pick(2 * n)
        here, there = s.hosts(nodes[:n]), s.hosts(nodes[n:])
        s.cluster.network.reject(here, there, both_ways=both_ways)
        await trio.sleep(LONG)

    return schedule


def everywhere(loss: float, **rejects: Any) -> Schedule:
    """One protocol is rejected everywhere."""

    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        s.cluster.network.reject(None, None, **rejects)
        await trio.sleep(LONG)

    return schedule


async def full_backlog(s: Situation) -> None:
    s.cluster.change_link(loss=0.1)
    for node in s.pick(3):
        s.cluster.network.fill_backlog(node.host)
    await trio.sleep(LONG)


def leaves(loss: float) -> Schedule:
    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        leaving = s.pick(3)
        s.only = {node.name for node in leaving}
        for node in leaving:
            await s.cluster.leave(node)
            await trio.sleep(3)

    return schedule


def egress(seconds: float) -> Schedule:
    """All that one node sends is rejected."""

    async def schedule(s: Situation) -> None:
        [node] = s.pick()
        s.cluster.network.reject(node.host, None)
        await trio.sleep(seconds)
        s.cluster.network.accept(node.host, None)

    return schedule


def host_wide(seconds: float, **rejects: Any) -> Schedule:
    """All that goes to one host is rejected, while its process lives."""

    async def schedule(s: Situation) -> None:
        [node] = s.pick()
        s.cluster.network.reject(None, node.host, **rejects)
        await trio.sleep(seconds)
        s.cluster.network.accept(None, node.host)

    return schedule


def restarts(down: float, times: int) -> Schedule:
    """A node is restarted in place, again and again; what others see of it counts as false."""

    async def schedule(s: Situation) -> None:
        [node] = s.pick()
        for _ in range(times):
            await s.cluster.crash(node)
            await trio.sleep(down)
            await s.cluster.restart(node, join=True)
            await trio.sleep(12)

    return schedule


SCHEDULES: Final[dict[str, Schedule]] = {
    "SIGKILL": crash(),
    "SIGKILL of 3 at once": crash(3),
    "SIGKILL of half at once": crash(0),
    "SIGKILL at 10 % loss": crash(loss=0.1),
    "SIGKILL at 30 % loss": crash(loss=0.3),
    "host gone": gone,
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
        f"TCP rejected everywhere at {loss:.0%} loss": everywhere(loss, packets=False)
        for loss in (0.0, 0.1, 0.3)
    },
    **{
        f"UDP rejected everywhere at {loss:.0%} loss": everywhere(loss, streams=None)
        for loss in (0.0, 0.1, 0.3)
    },
    "full backlogs at 10 % loss": full_backlog,
    "leaves at 10 % loss": leaves(0.1),
    "leaves at 30 % loss": leaves(0.3),
    "a node whose packets are all rejected, 10 s": egress(10),
    **{f"host-wide reject of {seconds} s": host_wide(seconds) for seconds in (0.3, 1, 3, 10)},
    "host-wide reject of 3 s, TCP by ICMP": host_wide(3, streams="icmp"),
    **{f"restart in place after {down} s, 5 ×": restarts(down, 5) for down in (0.2, 0.4, 1, 3)},
}


@attrs.frozen
class Result:
    """What one cluster showed."""

    false: int
    reports: int
    known: tuple[float, ...]
    health: int


async def one(name: str, kind: str, seed: int, nodes: int, fields: dict[str, Any]) -> Result:
    """Run one schedule on one cluster."""
    config = Config.lan(**{**KINDS[kind], **fields})
    cluster = SimCluster(seed=seed, config=config, record=False)
    async with cluster:
        await cluster.spawn(nodes)
        await cluster.converged()
        await trio.sleep(SETTLED)
        situation = Situation(cluster, random.Random(f"{seed} {name}"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(situation.watch)
            await SCHEDULES[name](situation)
            cluster.change_link(loss=0.0)
            worst = max(node.serf.statistics().memberlist.health_score for node in cluster.running)
            await trio.sleep(AFTERWARDS)
            nursery.cancel_scope.cancel()
        return Result(len(situation.false), situation.reports, tuple(situation.known), worst)


def job(task: tuple[str, str, int, int, dict[str, Any]]) -> Result:
    return run(task[2], one, *task)


def row(
    name: str, seeds: int, nodes: int, kinds: list[str], fields: dict[str, Any], pool: Any
) -> str:
    cells = []
    for kind in kinds:
        tasks = [(name, kind, seed, nodes, fields) for seed in range(seeds)]
        results = pool.map(job, tasks)
        false = sum(result.false for result in results)
        reports = sum(result.reports for result in results)
        known = sorted(time for result in results for time in result.known)
        text = f"{false} ({reports})" if reports else "0"
        if known:
            late = known[min(len(known) - 1, int(len(known) * 0.95))]
            text += f"; {statistics.median(known):.2f} / {late:.2f} s"
        cells.append(text)
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], help="parts of names of schedules")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--grace", type=float, help="another refusal_grace (seconds)")
    parser.add_argument("--quick", action="store_true", help="three seeds of eight nodes")
    asked = parser.parse_args()
    seeds, nodes = (2, 8) if asked.quick else (asked.seeds, asked.nodes)
    names = [
        name for name in SCHEDULES if not asked.only or any(word in name for word in asked.only)
    ]
    fields = {} if asked.grace is None else {"refusal_grace": asked.grace}
    print(f"| {nodes} nodes, {seeds} clusters each | {' | '.join(asked.kinds)} |")
    print(f"|---|{'---|' * len(asked.kinds)}")
    with multiprocessing.get_context("spawn").Pool(asked.jobs, maxtasksperchild=20) as pool:
        for name in names:
            print(row(name, seeds, nodes, asked.kinds, fields, pool), flush=True)


if __name__ == "__main__":
    main()
