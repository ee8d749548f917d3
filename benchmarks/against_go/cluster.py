"""Clusters of real agents, of trioserf nodes, or of both, that show when each member learns what.

Both kinds write a line for each event to a pipe; it is stamped when it is read, by one process
for all, so that clocks and formats of time play no part.
"""

from __future__ import annotations

import enum
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio

from tests.interop.addresses import free_host
from tests.interop.namespaces import Network, hosts
from tests.interop.processes import Child, child

ROOT = Path(__file__).parents[2]
_LINE = re.compile(
    r"serf: EventMember(?P<what>Join|Failed|Leave): (?P<name>\S+)"
    r"|agent: Received event: user-event: (?P<event>\S+)"
)
_TICKS = os.sysconf("SC_CLK_TCK")


class Make(enum.Enum):
    """Who made a member."""

    GO = "Go"
    TRIOSERF = "trioserf"


@attrs.frozen
class Report:
    """What one member reported: ``Join``, ``Failed`` or ``Leave`` of a member, or ``Event``."""

    when: float
    """Seconds, trio clock."""
    what: str
    name: str


@attrs.define(eq=False)
class Member:
    """A place in the cluster, whose process may be killed and started again."""

    name: str
    make: Make
    host: str
    inside: Sequence[str]
    process: Child | None = None
    reports: list[Report] = attrs.field(factory=list)
    """Since its last start."""
    view: dict[str, str] = attrs.field(factory=dict)
    """Name to the last report about it."""
    starts: int = 0

    @property
    def address(self) -> str:
        return f"{self.host}:7946"

    def reported(self, what: str, name: str) -> float | None:
        """When it first reported so (trio clock); None if never."""
        return next((r.when for r in self.reports if (r.what, r.name) == (what, name)), None)

    def read(self, line: str) -> None:
        if match := _LINE.search(line):
            what, name = match["what"] or "Event", match["name"] or match["event"]
            self.reports.append(Report(trio.current_time(), what, name))
            if what != "Event":
                self.view[name] = what

    def cpu(self) -> float:
        """Seconds of CPU since the last start."""
        assert self.process is not None, "not started"
        text = Path(f"/proc/{self.process.process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> float:
        """Resident memory (MiB)."""
        assert self.process is not None, "not started"
        text = Path(f"/proc/{self.process.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found is not None, "every process has memory"
        return int(found[1]) / 1024


@attrs.define(eq=False)
class Cluster:
    """Members that run, each on its own host or loopback address; see `cluster`."""

    members: Sequence[Member]
    network: Network | None
    binary: Path
    profile: str
    folder: Path
    nursery: trio.Nursery
    processes: ExitStack
    numbers: Iterator[int]
    reported: trio.Event = attrs.field(factory=trio.Event)
    """Fires at the next report of any member."""

    def start(self, member: Member) -> None:
        """Start a member, or start it again; it joins one that runs."""
        seeds = [m.address for m in self.members if m.process is not None and m is not member]
        member.starts += 1
        pipe = self.folder / f"{member.name}-{member.starts}"
        os.mkfifo(pipe)
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        command = [*member.inside, *self._command(member, seeds[0] if seeds else None)]
        member.reports, member.view = [], {}
        running = child(command, output_path=pipe, cwd=ROOT)
        member.process = self.processes.enter_context(running)
        self.nursery.start_soon(self._read, member, member.starts, reading)

    def _command(self, member: Member, seed: str | None) -> list[str]:
        if member.make is Make.GO:
            rpc = f"-rpc-addr={member.host}:7373"
            joins = [f"-join={seed}"] if seed else []
            words = [str(self.binary), "agent", f"-node={member.name}", f"-bind={member.address}"]
            return [*words, rpc, f"-profile={self.profile}", "-log-level=info", *joins]
        settings = {
            "name": member.name,
            "bind": member.address,
            "profile": self.profile,
            "join": seed,
        }
        return [sys.executable, "-m", "benchmarks.against_go.node", json.dumps(settings)]

    async def _read(self, member: Member, start: int, reading: int) -> None:
        """Take what a member writes, until its end."""
        rest = b""
        async with trio.lowlevel.FdStream(reading) as stream:
            async for chunk in stream:
                *lines, rest = (rest + chunk).split(b"\n")
                if member.starts == start:
                    for line in lines:
                        member.read(line.decode(errors="replace"))
                    self.reported.set()
                    self.reported = trio.Event()

    def kill(self, member: Member) -> None:
        """End a member abruptly: the others must find out."""
        assert member.process is not None, "already dead"
        member.process.kill()
        member.process = None

    def others(self, member: Member) -> list[Member]:
        return [m for m in self.members if m is not member and m.process is not None]

    async def send_event(self, member: Member) -> str:
        """Have a member send a user event; its name."""
        number = next(self.numbers)
        assert member.process is not None, "dead members are silent"
        if member.make is Make.TRIOSERF:
            sent = sum(r.what == "Event" and r.name.startswith(member.name) for r in member.reports)
            member.process.process.send_signal(signal.SIGUSR1)
            return f"{member.name}-{sent}"
        name = f"{member.name}-{number}"
        rpc = f"-rpc-addr={member.host}:7373"
        command = [*member.inside, str(self.binary), "event", rpc, "-coalesce=false", name]
        await trio.run_process(command, capture_stdout=True)
        return name

    async def until(self, true: Callable[[], bool], *, seconds: float) -> bool:
        """Wait until reports have made something true; False when it takes too long."""
        with trio.move_on_after(seconds):
            while not true():
                await self.reported.wait()
            return True
        return False

    async def started(self, member: Member) -> bool:
        """Wait until a member knows at least itself."""
        return await self.until(lambda: member.name in member.view, seconds=30)

    async def agree(self, *, seconds: float = 60.0) -> float:
        """Wait until everybody sees everybody alive; how long that took (seconds)."""
        start = trio.current_time()
        everybody = {m.name: "Join" for m in self.members}
        agreed = await self.until(
            lambda: all(m.view == everybody for m in self.members), seconds=seconds
        )
        assert agreed, f"no agreement in {seconds} s: {[m.view for m in self.members]}"
        return trio.current_time() - start


def makes(kind: str, size: int) -> list[Make]:
    """Who is who: a cluster of ``go``, of ``trioserf``, or ``mixed``, in turns."""
    turns = {"go": [Make.GO], "trioserf": [Make.TRIOSERF], "mixed": [Make.GO, Make.TRIOSERF]}[kind]
    return [turns[i % len(turns)] for i in range(size)]


@asynccontextmanager
async def cluster(
    kind: str, size: int, *, binary: Path, profile: str, folder: Path, apart: bool
) -> AsyncIterator[Cluster]:
    """Run a cluster for the length of the block.

    Args:
      kind: ``go``, ``trioserf`` or ``mixed``.
      apart: on hosts of their own, where loss and counters can be had; else on loopback.
    """
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(hosts(size)) if apart else None
        nursery = await stack.enter_async_context(trio.open_nursery())
        processes = stack.enter_context(ExitStack())
        members = []
        for index, make in enumerate(makes(kind, size)):
            at = network.hosts[index] if network is not None else None
            host, inside = (at.ip, at.inside) if at is not None else (free_host(), ())
            members.append(Member(f"node-{index}", make, host, inside))
        running = Cluster(
            *(members, network, binary, profile, folder, nursery, processes),
            iter(range(1_000_000)),
        )
        for member in members:
            running.start(member)
            assert await running.started(member), f"{member.name} did not start"
        await running.agree(seconds=90)
        yield running
