"""Events, bursts, queries and CPU at rest: agents of both kinds beside each other, with the goals.

Run ``python -m benchmarks.against_go.goals`` (five minutes; ``--quick``: one, of few figures) from
a checkout with `serf` installed.  All are processes on loopback, of the same settings (profile
``lan``), and driven over RPC by one program.  Both clusters run at the same time; what is short is
measured in one and then in the other, what is long in both at once.

Packets are those of the network namespace less those of an idle time, so who may have a namespace
of its own runs it there (``unshare -n sh -c 'ip link set lo up; python -m ...'``).
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import attrs
import trio

import trioserf
from benchmarks import events as loads
from benchmarks.events import connected, cpu_of, payload_of, udp_counts
from tests.interop.agents import serf_binary
from trioserf.client import RPCClient

SETTLE = 40.0
"""Seconds until the exchanges of states of a start are over."""
REPEATS = 3
"""Bursts of each kind, of which the median counts."""


@attrs.define(eq=False)
class Agent:
    """An agent of either kind, and when it reported which event."""

    name: str
    address: str
    process: trio.Process
    client: RPCClient
    seen: dict[str, float] = attrs.field(factory=dict)
    """Name of an event to the time at which it was read here (seconds)."""

    async def listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        stream = self.client.stream("user", max_buffer_size=1 << 18)
        with suppress(trio.ClosedResourceError):
            async with stream as events:
                task_status.started()
                async for event in events:
                    if isinstance(event, trioserf.UserEvent):
                        self.seen.setdefault(event.name, time.monotonic())

    async def answer(self, *, task_status: trio.TaskStatus[None]) -> None:
        with suppress(trio.ClosedResourceError):
            async with self.client.stream("query") as events:
                task_status.started()
                async for event in events:
                    if isinstance(event, trioserf.Query):
                        await event.respond(b"here")


@asynccontextmanager
async def agents(kind: str, size: int) -> AsyncIterator[list[Agent]]:
    """A cluster of agents, ``go`` or ``trioserf``, for the length of the block."""
    program = [str(serf_binary())] if kind == "go" else [sys.executable, "-m", "trioserf"]
    base = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}"
    found: list[Agent] = []
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        for number in range(size):
            host, name = f"{base}.{number + 1}", f"{kind}-{number}"
            command = [*program, "agent", f"-node={name}", f"-bind={host}:7946"]
            command += [f"-rpc-addr={host}:7373", "-profile=lan", "-log-level=err"]
            run = partial(trio.run_process, command, stdout=-3, stderr=-3, check=False)
            process = await nursery.start(run)
            stack.callback(process.kill)
            client = await stack.enter_async_context(await connected(f"{host}:7373"))
            agent = Agent(name, f"{host}:7946", process, client)
            await nursery.start(agent.listen)
            await nursery.start(agent.answer)
            found.append(agent)
            if number:
                await client.join([found[0].address])
        with trio.fail_after(90):
            for agent in found:
                while True:
                    members = await agent.client.members()
                    if sum(str(member.status) == "alive" for member in members) == size:
                        break
                    await trio.sleep(0.2)
        yield found
        nursery.cancel_scope.cancel()


@attrs.frozen
class Figure:
    """One line of the table: what was measured in both, and the goal."""

    what: str
    go: float
    trioserf: float
    goal: float
    """Highest ratio that is wanted."""
    form: str = "{:.2f}"

    @property
    def ratio(self) -> float:
        return self.trioserf / self.go if self.go else float("inf")

    def __str__(self) -> str:
        values = " | ".join(self.form.format(value) for value in (self.go, self.trioserf))
        said = "yes" if self.ratio <= self.goal else "**no**"
        return f"| {self.what} | {values} | {self.ratio:.3f} | {self.goal:g} | {said} |"


HEADER = "| | Go | trioserf | ratio | goal | reached |\n|---|---:|---:|---:|---:|---|"


@attrs.define
class Cost:
    """What a cluster spent."""

    seconds: float = 0.0
    packets: float = 0.0
    cpu: float = 0.0


def cpu(cluster: Sequence[Agent]) -> float:
    return cpu_of(cluster)  # type: ignore[arg-type]  # it looks at the processes alone


async def until_all(cluster: Sequence[Agent], names: set[str], seconds: float) -> int:
    """Wait until all agents reported these events; how many reports are missing."""
    until = time.monotonic() + seconds
    while True:
        missing = sum(len(names - agent.seen.keys()) for agent in cluster)
        if not missing or time.monotonic() > until:
            return missing
        await trio.sleep(0.02)


async def one_by_one(
    cluster: Sequence[Agent], count: int, idle_rate: float
) -> tuple[list[float], Cost]:
    """Single events, one each half second: delays to the others (seconds), and what it cost."""
    cost, before, used, start = Cost(), udp_counts()[0], cpu(cluster), time.monotonic()
    delays: list[float] = []
    for number in range(count):
        sender = cluster[number % len(cluster)]
        name = f"single-{number}"
        await sender.client.user_event(name, payload_of(number), coalesce=False)
        await trio.sleep(0.5)
        await until_all(cluster, {name}, 3)
        sent = sender.seen[name]
        delays += [a.seen[name] - sent for a in cluster if a is not sender and name in a.seen]
    await trio.sleep(1)  # copies that wait for a ping
    cost.seconds = time.monotonic() - start
    cost.packets = udp_counts()[0] - before - idle_rate * cost.seconds
    cost.cpu = cpu(cluster) - used
    return delays, cost


async def burst(cluster: Sequence[Agent], number: int, size: int, idle_rate: float) -> Cost:
    """Events given to one agent all at once, until everybody reported all."""
    names = {f"burst-{number}-{index}" for index in range(size)}
    before, used, start = udp_counts()[0], cpu(cluster), time.monotonic()
    send = partial(cluster[0].client.user_event, coalesce=False)
    async with trio.open_nursery() as nursery:
        for index, name in enumerate(sorted(names)):
            nursery.start_soon(send, name, payload_of(index))
    missing = await until_all(cluster, names, 120)
    assert not missing, f"{missing} of {size} events for {len(cluster)} agents are missing"
    end = max(agent.seen[name] for agent in cluster for name in names)
    cost = Cost(end - start)
    await trio.sleep(3)  # until the copies that nobody waits for were sent
    cost.packets = udp_counts()[0] - before - idle_rate * (time.monotonic() - start)
    cost.cpu = cpu(cluster) - used
    for agent in cluster:
        agent.seen.clear()
    return cost


async def question(agent: Agent, size: int) -> float:
    """How long a query takes that every agent answers at once (seconds)."""
    start, answers = time.monotonic(), 0
    async with agent.client.query("anybody") as stream:
        async for _ in stream:
            answers += 1
    assert answers == size, f"{answers} answers of {size}"
    return time.monotonic() - start


def ranked(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


@attrs.frozen
class Plan:
    """How much is measured."""

    size: int
    settle: float
    idle: float
    singles: int
    burst: int
    repeats: int
    sustained: float
    """Seconds at 1,000 events a second, of one sender and of five."""


FULL = Plan(16, SETTLE, 60, 64, 500, REPEATS, 60)
QUICK = Plan(5, 5, 5, 10, 200, 1, 3)


async def compared(plan: Plan) -> AsyncIterator[Figure]:
    """Measure both kinds, and give the lines of the table."""
    async with agents("go", plan.size) as go, agents("trioserf", plan.size) as ours:
        say(f"{plan.size} agents of each kind run; waiting until they are at rest")
        await trio.sleep(plan.settle)
        both = (go, ours)
        packets, start, used = udp_counts()[0], time.monotonic(), [cpu(one) for one in both]
        await trio.sleep(plan.idle)
        seconds = time.monotonic() - start
        rate = (udp_counts()[0] - packets) / seconds
        idle = [
            (cpu(one) - was) * 1000 / seconds / plan.size
            for one, was in zip(both, used, strict=True)
        ]
        yield Figure("CPU at rest (ms a second and node)", *idle, goal=0.7)
        say("single events")
        singles = [await one_by_one(one, plan.singles, rate) for one in both]
        for share, goal in ((0.5, 0.04), (0.99, 0.05)):
            delays = [ranked(found, share) * 1000 for found, _ in singles]
            yield Figure(f"event to each other node, p{share * 100:g} (ms)", *delays, goal)
        each = [cost.packets / plan.singles / plan.size for _, cost in singles]
        yield Figure("packets for an event and node", *each, goal=1.05)
        per_second = [cost.cpu / cost.seconds * 1000 / plan.size for _, cost in singles]
        yield Figure("CPU at 2 events a second (ms a second and node)", *per_second, goal=1.0)
        say("bursts")
        bursts: list[list[Cost]] = [[], []]
        for number in range(plan.repeats):
            for one, costs in zip(both, bursts, strict=True):
                costs.append(await burst(one, number, plan.burst, rate))
        title = f"burst of {plan.burst} events to everybody"
        spent = [[statistics.median(column) for column in _columns(costs)] for costs in bursts]
        goals = (("s", 0.15), ("packets, each node", 1.2), ("s of CPU, all together", 1.3))
        for (unit, goal), first, second in zip(goals, *spent, strict=True):
            divided = plan.size if "packets" in unit else 1
            yield Figure(f"{title} ({unit})", first / divided, second / divided, goal)
        say("queries")
        took = statistics.median([await question(agent, plan.size) for agent in go[:2]])
    asked = await questions(plan.size)
    title = f"query that {plan.size} nodes answer, the other `ask()` (s)"
    yield Figure(title, took, asked, goal=0.01, form="{:.4f}")


async def questions(size: int) -> float:
    """How long ``Serf.ask`` takes among nodes of this library: the median (seconds)."""
    took = []
    async with loads.cluster(["ours"] * size) as nodes:
        for node in nodes:
            assert isinstance(node, loads.Ours), "all are of this library"
            said = await node.ask("query")
            assert said["answers"] == size, f"{said['answers']} answers of {size}"
            took.append(said["seconds"])
    return statistics.median(took)


def _columns(costs: Sequence[Cost]) -> Iterator[list[float]]:
    yield [cost.seconds for cost in costs]
    yield [cost.packets for cost in costs]
    yield [cost.cpu for cost in costs]


async def sustained(plan: Plan) -> AsyncIterator[str]:
    """1,000 events a second among 5 nodes of this library; the goal is that none is lost."""
    total = int(1000 * plan.sustained)
    async with loads.cluster(["ours"] * 5) as nodes:
        for senders in (1, 5):
            say(f"1,000 events a second from {senders}")
            found = await loads.run(f"from {senders}", nodes, senders, total, rate=1000)
            said = "yes" if not found.missing else "**no**"
            took = f"{found.events / found.seconds:.0f} events/s, {found.cpu:.1f} s of CPU"
            yield (
                f"| 1,000 events a second for {plan.sustained:g} s from {senders} of 5 nodes: lost "
                f"| | {found.missing} of {found.wanted} ({took}) | | 0 | {said} |"
            )
            await trio.sleep(2)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


async def main(plan: Plan, only: str) -> None:
    if serf_binary() is None:
        print("no `serf` program: nothing to compare with")
        return
    load = os.getloadavg()[0]
    lines = []
    if only != "sustained":
        lines += [str(line) async for line in compared(plan)]
    if only != "compared":
        lines += [line async for line in sustained(plan)]
    print(f"load before {load:.1f}, after {os.getloadavg()[0]:.1f}\n")
    print("\n".join([HEADER, *lines]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against_go.goals")
    parser.add_argument("--quick", action="store_true", help="a minute, few figures")
    parser.add_argument("--only", choices=("compared", "sustained"), default="")
    given = parser.parse_args()
    trio.run(main, QUICK if given.quick else FULL, given.only)
