"""How soon agents find out that a process was killed: of Go, of trioserf, and both in one cluster.

Run ``python -m benchmarks.refusal_agents`` from a checkout, as root for hosts of their own (network
namespaces), else with ``--where loopback``.  The clusters run at the same time and are treated
alike, so that each has the same share of the machine.  ``--scenario`` chooses what happens:

* ``kill``: SIGKILL of one agent after the other, each is started again.  How long until *all*
  others list it as failed.
* ``gone``: the host is taken out of the network, and comes back.  The same is measured.
* ``restart``: SIGKILL, and the start of the next process after ``--down`` seconds.  Nobody need
  notice; how many do is counted.
* ``stop``: SIGSTOP for ``--seconds``, then SIGCONT.  Everybody who lists it as failed is wrong.
* ``reject``: the firewall of the host rejects everything for ``--seconds``, as if its ports were
  closed, while the agent lives.  Needs ``--where wire``.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import attrs
import trio

from benchmarks.refusal_agents.agents import Agent, Cluster, Make, Plan, cluster, near
from tests.interop.agents import serf_binary
from tests.interop.namespaces import why_not
from tests.interop.rejections import Kind, Rejection
from tests.interop.wire import Packet

KINDS = {"go": "Go", "trioserf": "trioserf", "mixed": "mixed"}
TOO_LONG = 60.0
"""Seconds after which a member does not learn of it any more."""


class Noticed(NamedTuple):
    """How many members listed one as failed that came back, or never was away."""

    by: int
    of_go: int
    """How many of them are Go agents."""


@attrs.define
class Found:
    """What one cluster did.  Times are seconds."""

    all_know: list[float] = attrs.field(factory=list)
    """Of each end: when the last of the others listed it as failed."""
    first_knows: list[float] = attrs.field(factory=list)
    missed: int = 0
    """Members that did not learn of an end."""
    rounds: int = 0
    each: dict[float, list[Noticed]] = attrs.field(factory=dict)
    """For each length of time (seconds), of a member that came back, or never was away: who listed
    it as failed, round by round."""
    others: int = 0
    """Failures reported of members to which nothing was done."""


class Watch:
    """What the others say of one agent from now on."""

    def __init__(self, running: Cluster, victim: Agent) -> None:
        self.victim = victim
        self.others = running.others(victim)
        self.start = trio.current_time()
        self._from = {agent.name: len(agent.seen) for agent in self.others}

    def failed(self, make: Make | None = None) -> list[float]:
        """When each listed it as failed, those who did; seconds since the beginning.

        Args:
          make: of whom alone.
        """
        times = []
        for agent in self.others:
            if make not in (None, agent.make):
                continue
            seen = agent.seen[self._from[agent.name] :]
            when = (s.when for s in seen if (s.what, s.name) == ("Failed", self.victim.name))
            if (first := next(when, None)) is not None:
                times.append(first - self.start)
        return times

    def wrong(self) -> int:
        """Failures reported of somebody else."""
        return sum(
            (s.what == "Failed" and s.name != self.victim.name)
            for agent in self.others
            for s in agent.seen[self._from[agent.name] :]
        )


async def ended(running: Cluster, found: Found, watch: Watch) -> None:
    """Wait until all others know of an end."""
    await running.until(lambda: len(watch.failed()) == len(watch.others), seconds=TOO_LONG)
    times = watch.failed()
    found.rounds += 1
    found.missed += len(watch.others) - len(times)
    if times:
        found.first_knows.append(min(times))
        found.all_know.append(max(times))
    shown = " ".join(f"{seconds:.2f}" for seconds in sorted(times)[-3:])
    first = f"{min(times, default=0):.2f}"
    say(f"{running.plan.kind}: {watch.victim.name} known first after {first}, last after {shown} s")


async def back(running: Cluster, found: Found, watch: Watch, chance: random.Random) -> None:
    """Wait until all agree again, and a moment more, so that no rounds of probes keep step."""
    await running.agree()
    found.others += watch.wrong()
    await trio.sleep(chance.uniform(2, 4))


async def kill(running: Cluster, found: Found, victim: Agent, options: Options) -> None:
    watch = Watch(running, victim)
    running.kill(victim)
    await ended(running, found, watch)
    if found.rounds == 1 and not found.missed:
        for agent in watch.others:
            status = (await running.statuses(agent))[victim.name]
            assert status == "failed", f"{agent.name}: the log says failed, the list {status}"
    running.start(victim)
    await back(running, found, watch, options.chance(running))


async def gone(running: Cluster, found: Found, victim: Agent, options: Options) -> None:
    assert running.network is not None, "only hosts can be taken away"
    watch = Watch(running, victim)
    await running.network.split([h for h in running.network.hosts if h.ip == victim.ip])
    await ended(running, found, watch)
    # What it thinks of the others meanwhile is right as well.
    running.kill(victim)
    await running.network.heal()
    running.start(victim)
    await back(running, found, watch, options.chance(running))


async def restart(running: Cluster, found: Found, victim: Agent, options: Options) -> None:
    watch = Watch(running, victim)
    running.kill(victim)
    await trio.sleep(options.down)
    running.start(victim)
    await trio.sleep(options.wait)
    noticed(running, found, watch, options.down)
    await back(running, found, watch, options.chance(running))


async def stop(running: Cluster, found: Found, victim: Agent, options: Options) -> None:
    watch = Watch(running, victim)
    running.signal(victim, signal.SIGSTOP)
    await trio.sleep(seconds := options.seconds[found.rounds % len(options.seconds)])
    running.signal(victim, signal.SIGCONT)
    await trio.sleep(2)
    noticed(running, found, watch, seconds)
    await back(running, found, watch, options.chance(running))


async def reject(running: Cluster, found: Found, victim: Agent, options: Options) -> None:
    assert running.wire is not None, "firewalls need a wire"

    def rule(packet: Packet) -> float | Rejection:
        if packet.target != victim.ip or packet.protocol not in ("tcp", "udp"):
            return 0.0
        return Rejection(Kind.RESET if packet.protocol == "tcp" else Kind.PORT_UNREACHABLE)

    watch = Watch(running, victim)
    running.wire.rule = rule
    await trio.sleep(seconds := options.seconds[found.rounds % len(options.seconds)])
    running.wire.rule = near
    await trio.sleep(2)
    noticed(running, found, watch, seconds)
    await back(running, found, watch, options.chance(running))


def noticed(running: Cluster, found: Found, watch: Watch, seconds: float) -> None:
    by = Noticed(len(watch.failed()), len(watch.failed(Make.GO)))
    found.each.setdefault(seconds, []).append(by)
    found.rounds += 1
    say(f"{running.plan.kind}: {watch.victim.name} listed as failed by {by.by}")


SCENARIOS = {"kill": kill, "gone": gone, "restart": restart, "stop": stop, "reject": reject}


@attrs.define
class Options:
    """What was asked for on the command line."""

    scenario: str
    kinds: Sequence[str]
    members: int
    rounds: int
    profile: str
    encrypted: bool
    where: str
    down: float
    wait: float
    seconds: Sequence[float]
    settings: dict[str, object]
    seed: int
    _chances: dict[str, random.Random] = attrs.field(factory=dict)

    def chance(self, running: Cluster) -> random.Random:
        """The same numbers for each cluster."""
        return self._chances.setdefault(running.plan.kind, random.Random(self.seed))


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


async def measured(kind: str, options: Options, binary: Path, folder: Path) -> Found:
    """Everything about one cluster."""
    folder = folder / kind
    folder.mkdir()
    plan = Plan(kind, options.members, options.profile, options.encrypted, options.settings)
    found = Found()
    async with cluster(plan, binary=binary, folder=folder, where=options.where) as running:
        say(f"{kind}: runs")
        await trio.sleep(options.chance(running).uniform(2, 4))
        for number in range(options.rounds):
            # Never the first, so that somebody knows all; in a mixed cluster both makes in turns.
            victim = running.agents[1 + number % (len(running.agents) - 1)]
            await SCENARIOS[options.scenario](running, found, victim, options)
    return found


async def main(options: Options) -> None:
    binary = serf_binary()
    if binary is None:
        print("no `serf` program: nothing to compare with")
        return
    if options.where != "loopback" and (reason := why_not()):
        print(f"{reason}: use --where loopback")
        return
    results: dict[str, Found] = {}

    async def one(kind: str, folder: str) -> None:
        results[kind] = await measured(kind, options, binary, Path(folder))

    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            for kind in options.kinds:
                nursery.start_soon(one, kind, folder)
    show(options, {kind: results[kind] for kind in options.kinds})


def part(times: Sequence[float], share: float) -> float:
    """The time that this share of them does not exceed."""
    return sorted(times)[min(len(times) - 1, round(share * (len(times) - 1)))]


def show(options: Options, results: dict[str, Found]) -> None:
    """Print the table, as Markdown."""
    print(
        f"{options.scenario}: {options.members} members ({options.where}), "
        f"profile {options.profile}, "
        f"{'encrypted, ' if options.encrypted else ''}{options.rounds} rounds; "
        f"trioserf with {json.dumps(options.settings)}\n"
    )
    if options.scenario in ("kill", "gone"):
        _show_times(results)
    else:
        _show_noticed(results)


def _show_noticed(results: dict[str, Found]) -> None:
    print(
        "| cluster | seconds | rounds | listed as failed in | by members | of them Go agents "
        "| failures of others |"
    )
    print(f"|---|{'---:|' * 6}")
    for kind, found in results.items():
        for seconds, each in sorted(found.each.items()):
            rounds = [f"{seconds:g}", len(each), sum(one.by > 0 for one in each)]
            cells = [*rounds, sum(one.by for one in each), sum(one.of_go for one in each)]
            print(f"| {KINDS[kind]} | {' | '.join(map(str, cells))} | {found.others} |")


def _show_times(results: dict[str, Found]) -> None:
    base = results.get("go")
    unit = statistics.median(base.all_know) if base is not None and base.all_know else None
    print(
        "| cluster | first (median) | all: median | 95 % | slowest | median / Go | 95 % / Go's "
        "median | missed | failures of others |"
    )
    print(f"|---|{'---:|' * 8}")
    for kind, found in results.items():
        middle, late = statistics.median(found.all_know), part(found.all_know, 0.95)
        times = [statistics.median(found.first_knows), middle, late, max(found.all_know)]
        cells = [f"{seconds:.2f} s" for seconds in times]
        cells += [f"{middle / unit:.2f}", f"{late / unit:.2f}"] if unit else ["", ""]
        cells += [str(found.missed), str(found.others)]
        print(f"| {KINDS[kind]} | {' | '.join(cells)} |")


def arguments() -> Options:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refusal_agents")
    parser.add_argument("--scenario", choices=tuple(SCENARIOS), default="kill")
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--profile", choices=("lan", "wan", "local"), default="lan")
    parser.add_argument("--encrypted", action="store_true")
    parser.add_argument("--where", choices=("hosts", "wire", "loopback"), default="hosts")
    parser.add_argument("--down", type=float, default=0.0, help="of restart (seconds)")
    parser.add_argument(
        "--wait", type=float, default=12.0, help="after a restart, until it is counted (seconds)"
    )
    parser.add_argument(
        "--seconds", type=float, nargs="+", default=[1, 3, 10, 30], help="of stop, reject"
    )
    parser.add_argument("--settings", default="{}", help="of trioserf's agents (JSON)")
    parser.add_argument("--seed", type=int, default=1)
    given = vars(parser.parse_args())
    given["settings"] = json.loads(given["settings"])
    return Options(**given)


if __name__ == "__main__":
    trio.run(main, arguments())
