"""What a node spends, holds and knows in a cluster of a thousand to fifty thousand members.

One real node joins a cluster that does not exist: two programs answer for all of its members,
ping, gossip a churn of 1 % an hour and an event a second, and exchange state, with the intervals
of Go's ``lan`` profile (`benchmarks/synthetic`).  A Go agent lives beside it in the same cluster,
where ``serf`` is installed.

``python -m benchmarks.scale`` (six minutes; ``--quick``: 15 s).  Linux alone, in a network
namespace of its own, because members have all addresses of 127.0.0.0/8.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from benchmarks.events import connected, lines_of
from benchmarks.synthetic.world import PORT, World, host

HOURLY_CHURN: Final = 0.01
EVENTS: Final = 1.0
"""User events a second, of the whole cluster."""
HOLD_GOAL: Final = 0.05
"""Longest hold of the event loop that is wanted (seconds of processor time)."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_APART: Final = "TRIOSERF_SCALE_APART"


@attrs.define(eq=False)
class Program:
    """A program of this benchmark, which obeys lines of JSON."""

    process: trio.Process
    answers: AsyncIterator[dict[str, Any]]

    async def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        assert self.process.stdin is not None, "it has an input"
        await self.process.stdin.send_all(json.dumps({"do": do, **fields}).encode() + b"\n")
        return await anext(self.answers)


@attrs.define(eq=False)
class Place:
    """A real node in the cluster: of this library, or a Go agent."""

    name: str
    host: str
    port: int
    process: trio.Process
    program: Program | None = None
    client: Any = None

    async def join(self, address: str) -> float:
        start = time.monotonic()
        if self.program is not None:
            await self.program.ask("join", address=address)
        else:
            await self.client.join([address])
        return time.monotonic() - start

    async def view(self, folder: Path) -> dict[str, str]:
        if self.program is None:
            return {m.name: str(m.status) for m in await self.client.members()}
        file = folder / "view"
        await self.program.ask("view", file=str(file))
        view: dict[str, str] = json.loads(file.read_text())
        return view

    def cpu(self) -> float:
        text = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> float:
        """Resident memory (bytes)."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found is not None, "every process has memory"
        return int(found[1]) * 1024.0


@attrs.define(eq=False)
class Cluster:
    """The members that do not exist, and the nodes that do."""

    world: World
    packets: Program
    streams: Program
    places: list[Place]
    start: float = 0.0


@asynccontextmanager
async def cluster(size: int, seconds: float, go: bool, folder: Path) -> AsyncIterator[Cluster]:
    """Start the programs, and nobody joins yet."""
    settings = {"size": size, "churn": HOURLY_CHURN, "events": EVENTS, "seconds": seconds}
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())

        async def start(command: list[str], *, obeys: bool) -> trio.Process:
            pipes = {"stdin": -1, "stdout": -1} if obeys else {"stdout": -3, "stderr": -3}
            run: Any = partial(trio.run_process, command, check=False, **pipes)
            process: trio.Process = await nursery.start(run)
            stack.callback(process.kill)
            return process

        async def program(module: str, given: Mapping[str, Any]) -> Program:
            command = [sys.executable, "-m", f"benchmarks.synthetic.{module}", json.dumps(given)]
            process = await start(command, obeys=True)
            assert process.stdout is not None, "it has an output"
            return Program(process, lines_of(process.stdout))

        packets = await program("packets", {"world": settings})
        streams = await program("streams", {"world": settings})
        at = "127.0.1.1"
        snapshot = str(folder / f"snapshot-{size}")
        node = await program(
            "node", {"name": "trioserf", "bind": f"{at}:7001", "snapshot": snapshot}
        )
        places = [Place("trioserf", at, 7001, node.process, program=node)]
        if go:
            command = ["serf", "agent", "-node=go", f"-bind={at}:7002", "-profile=lan"]
            command += [f"-rpc-addr={at}:7373", "-log-level=err", f"-snapshot={snapshot}-go"]
            process = await start(command, obeys=False)
            client = await stack.enter_async_context(await connected(f"{at}:7373"))
            places.append(Place("go", at, 7002, process, client=client))
        await streams.ask("prepare")
        for place in places:
            if place.program is not None:
                await place.program.ask("mark")
            await packets.ask("target", name=place.name, host=place.host, port=place.port)
        yield Cluster(World(**settings), packets, streams, places)
        nursery.cancel_scope.cancel()


@attrs.define
class Phase:
    """What one node spent in some time, and how it answered."""

    seconds: float
    cpu: float
    deaf: float
    """The longest time from a ping to its ack (seconds)."""
    lost: int
    """Pings without an ack."""
    packets: int
    hold: float = 0.0
    """Longest step of a task (seconds of processor time), without collections of garbage."""
    holds: Sequence[Sequence[Any]] = ()
    collection: float = 0.0
    """Longest collection of garbage (seconds)."""


async def phase(found: Cluster, place: Place, work: Any) -> Phase:
    """Measure one node while something is done with it."""
    await found.packets.ask("mark")
    if place.program is not None:
        await place.program.ask("mark")
    used, start = place.cpu(), time.monotonic()
    await work()
    seconds, cpu = time.monotonic() - start, place.cpu() - used
    seen = (await found.packets.ask("mark"))["targets"][place.name]
    result = Phase(
        seconds=seconds,
        cpu=cpu,
        deaf=seen["worst"],
        lost=seen["lost"],
        packets=seen["packets"].get("packets", 0),
    )
    if place.program is not None:
        marked = await place.program.ask("mark")
        result.holds = marked["longest"]
        result.hold = max((entry[0] for entry in marked["longest"]), default=0.0)
        result.collection = marked["worst_collection"]
    return result


@attrs.define
class Row:
    """Everything about one node in one cluster."""

    place: str
    size: int
    phases: dict[str, Phase]
    memory: float
    """Bytes a member."""
    wrong: int
    """Members that it sees as they are not."""
    known: int


async def measure(size: int, plan: Plan, go: bool, folder: Path) -> list[Row]:
    """Both nodes in a cluster of so many members."""
    rows = []
    async with cluster(size, plan.seconds + 120, go, folder) as found:
        await trio.sleep(0.5)
        empty = {place.name: place.memory() for place in found.places}
        phases: dict[str, dict[str, Phase]] = {place.name: {} for place in found.places}
        await found.packets.ask("watch", on=True)
        seed = f"{host(1)}:{PORT}"
        for place in found.places:

            async def join(place: Place = place) -> None:
                await place.join(seed)
                await trio.sleep(2 + size / 25_000)  # what follows a join

            phases[place.name]["join"] = await phase(found, place, join)
        start = time.monotonic()
        for program in (found.packets, found.streams):
            await program.ask("clock", start=start)
        await found.packets.ask("watch", on=False)
        used = [place.cpu() for place in found.places]
        for place in found.places[:1]:
            phases[place.name]["rest"] = await phase(
                found, place, partial(trio.sleep, plan.seconds)
            )
        for place, before in zip(found.places, used, strict=True):
            if place.program is None:
                spent = place.cpu() - before
                phases[place.name]["rest"] = Phase(plan.seconds, spent, 0.0, 0, 0)
        full = {place.name: place.memory() for place in found.places}
        await found.streams.ask("prepare")
        await found.packets.ask("watch", on=True)
        for place in found.places:
            for title, began in (("exchange that a peer began", False), ("its own", True)):

                async def exchange(place: Place = place, began: bool = began) -> None:
                    if began:
                        await place.join(seed)
                    else:
                        await found.streams.ask("exchange", host=place.host, port=place.port)
                    await trio.sleep(1 + size / 50_000)

                phases[place.name][title] = await phase(found, place, exchange)
        for place in found.places:
            seen, now = await place.view(folder), time.monotonic() - start
            truth = found.world.statuses(now)
            wrong = [who for who, status in truth.items() if seen.get(who) != status]
            if wrong and place.program is not None:
                say(f"{place.name}: {[(w, truth[w], seen.get(w)) for w in wrong[:5]]}")
            rows.append(
                Row(
                    place.name,
                    size,
                    phases[place.name],
                    (full[place.name] - empty[place.name]) / size,
                    len(wrong),
                    len(seen),
                )
            )
        node = found.places[0].program
        assert node is not None, "the first is of this library"
        say(f"{await node.ask('statistics')}, {await found.packets.ask('mark')}")
    return rows


@attrs.frozen
class Plan:
    """How much is measured."""

    sizes: Sequence[int]
    seconds: float
    """At rest, in each cluster."""


FULL = Plan((1_000, 10_000, 50_000), 60)
QUICK = Plan((1_000,), 3)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def show(rows: Sequence[Row], verbose: bool) -> None:
    print(
        "| members | | CPU at rest (ms/s) | CPU of the join (s) | of an exchange (s) |"
        " memory (bytes a member) | longest hold: join, exchange, rest (ms) | collection (ms) |"
        " longest wait for an ack (ms) | wrong |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        one, at_rest = row.phases["join"], row.phases["rest"]
        others = [row.phases["exchange that a peer began"], row.phases["its own"]]
        every = [one, at_rest, *others]
        holds = [one.hold, max(p.hold for p in others), at_rest.hold]
        mine = row.place != "go"
        print(
            f"| {row.size:,} | {row.place} | {at_rest.cpu / at_rest.seconds * 1000:.1f}"
            f" | {one.cpu:.2f} | {' '.join(f'{p.cpu:.2f}' for p in others)} | {row.memory:.0f}"
            f" | {', '.join(f'{hold * 1000:.0f}' for hold in holds) if mine else ''}"
            f" | {max(p.collection for p in every) * 1000 if mine else 0:.0f}"
            f" | {' '.join(f'{p.deaf * 1000:.0f}' for p in (one, *others))}"
            f" | {row.wrong} of {row.known} |"
        )
    if verbose:
        for row in rows:
            for title, marked in row.phases.items():
                print(
                    f"{row.size} {row.place} {title}: {marked.packets} packets, {marked.lost} lost"
                )
                for cpu, took, task in marked.holds:
                    print(f"    {task}: {cpu * 1000:.1f} ms of CPU, {took * 1000:.1f} ms")


async def main(plan: Plan, go: bool, verbose: bool) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in plan.sizes:
            say(f"{size} members")
            rows += await measure(size, plan, go, Path(folder))
    show(rows, verbose)
    slowest = max(p.hold for row in rows for p in row.phases.values())
    kept = "kept" if slowest <= HOLD_GOAL else "missed"
    print(
        f"\nlongest hold {slowest * 1000:.0f} ms: the goal of {HOLD_GOAL * 1000:.0f} ms is {kept}"
    )


def apart() -> None:
    """Begin anew in a network namespace of its own, unless this is one."""
    if os.environ.get(_APART):
        return
    command = f'ip link set lo up && exec {sys.executable} -m benchmarks.scale "$@"'
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        print("no network namespace can be made here: nothing was measured")
        sys.exit(0)
    environment = {**os.environ, _APART: "1"}
    os.execvpe(unshare[0], [*unshare, "sh", "-c", command, "sh", *sys.argv[1:]], environment)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--quick", action="store_true", help="15 s, a thousand members")
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--seconds", type=float, help="at rest, in each cluster")
    parser.add_argument("--without-go", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="which tasks held the loop")
    given = parser.parse_args()
    apart()
    chosen = QUICK if given.quick else FULL
    chosen = Plan(given.sizes or chosen.sizes, given.seconds or chosen.seconds)
    with_go = shutil.which("serf") is not None and not given.without_go
    trio.run(main, chosen, with_go, given.verbose)
