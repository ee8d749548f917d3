"""Agents of Go and of this library, started, killed and watched by one program, over RPC.

Both write to their log, at once, which member they see join, fail or leave; events of agents come
a second or more later, since they are merged.  So it is the log that is followed, by RPC, and in
the end `RPCClient.members` is asked whether it agrees.
"""

from __future__ import annotations

import base64
import ctypes
import enum
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import trio

from tests.interop.addresses import free_host
from tests.interop.namespaces import Host, Network, hosts
from tests.interop.processes import Child, child
from tests.interop.wire import Packet, Wire, WiredHost, wired
from trioserf._rpc.client import RPCClient, client_on

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(bytes(range(32))).decode()
GOSSIP, RPC = 7946, 7373
_CLONE_NEWNET = 0x40000000
_GO = re.compile(r"serf: EventMember(?P<what>Join|Failed|Leave): (?P<name>\S+)")
_OURS = re.compile(r"serf: \S+ (?P<name>\S+) at \S+ (?P<what>joined|is back|failed:|left)")
_WORDS = {"joined": "Join", "is back": "Join", "failed:": "Failed", "left": "Leave"}


class Make(enum.Enum):
    """Who made an agent."""

    GO = "Go"
    TRIOSERF = "trioserf"


class Plan(NamedTuple):
    """What clusters are made of.

    Args:
      kind: ``go``, ``trioserf``, or ``mixed``, in turns.
      size: number of members.
      profile: of everybody.
      encrypted: whether all packets and streams are.
      settings: for the configuration file of trioserf's agents.
    """

    kind: str
    size: int
    profile: str
    encrypted: bool
    settings: dict[str, Any]


class Seen(NamedTuple):
    """What one agent said in its log: ``Join``, ``Failed`` or ``Leave`` of a member."""

    when: float
    """Seconds, trio clock, when it was received here."""
    what: str
    name: str


@attrs.define(eq=False)
class Agent:
    """A place in a cluster, whose process may be killed and started again."""

    name: str
    make: Make
    ip: str
    inside: Sequence[str]
    host: Host | WiredHost | None
    process: Child | None = None
    seen: list[Seen] = attrs.field(factory=list)
    """Since its last start."""
    view: dict[str, str] = attrs.field(factory=dict)
    """Name to what was said of it last."""
    starts: int = 0

    @property
    def rpc(self) -> tuple[str, int]:
        """On a host of its own loopback will do."""
        return ("127.0.0.1" if self.host is not None else self.ip), RPC

    def read(self, line: str) -> bool:
        """Take a line of the log; whether it says something of a member."""
        match = _GO.search(line) or _OURS.search(line)
        if match is None:
            return False
        what = _WORDS.get(match["what"], match["what"])
        self.seen.append(Seen(trio.current_time(), what, match["name"]))
        self.view[match["name"]] = what
        return True

    def running(self) -> Child:
        assert self.process is not None, f"{self.name} does not run"
        return self.process

    def socket(self) -> socket.socket:
        """A socket on the host of this agent."""
        if self.host is None:
            return socket.socket()
        return _socket_in(self.host.holder.process.pid)


def _socket_in(pid: int) -> socket.socket:
    """A socket in the network namespace of a process; this thread is there for a moment."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.socket()
        finally:
            if libc.setns(here, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(here)
        os.close(there)


@attrs.define(eq=False)
class Cluster:
    """Agents that run; see `cluster`."""

    plan: Plan
    agents: Sequence[Agent]
    network: Network | None
    wire: Wire | None
    binary: Path
    folder: Path
    nursery: trio.Nursery
    processes: ExitStack
    said: trio.Event = attrs.field(factory=trio.Event)
    """Fires at the next line of anybody's log that says something of a member."""

    def start(self, agent: Agent) -> None:
        """Start an agent, or start it again; it joins one that runs."""
        seeds = [a.ip for a in self.agents if a.process is not None and a is not agent]
        agent.starts += 1
        agent.seen, agent.view = [], {}
        output = self.folder / f"{agent.name}-{agent.starts}.log"
        command = [*agent.inside, *self._command(agent, seeds[:1])]
        agent.process = self.processes.enter_context(child(command, output_path=output, cwd=ROOT))
        self.nursery.start_soon(self._follow, agent, agent.starts)

    def _command(self, agent: Agent, seeds: Iterable[str]) -> list[str]:
        words = [sys.executable, "-m", "trioserf"]
        if agent.make is Make.GO:
            words = [str(self.binary)]
        host, port = agent.rpc
        words += ["agent", f"-node={agent.name}", f"-bind={agent.ip}:{GOSSIP}"]
        words += [f"-rpc-addr={host}:{port}", f"-profile={self.plan.profile}", "-log-level=info"]
        words += [f"-retry-join={seed}:{GOSSIP}" for seed in seeds] + ["-retry-interval=1s"]
        if self.plan.encrypted:
            words.append(f"-encrypt={KEY}")
        if agent.make is Make.TRIOSERF and self.plan.settings:
            file = self.folder / "settings.json"
            file.write_text(json.dumps(self.plan.settings))
            words.append(f"-config-file={file}")
        return words

    async def _follow(self, agent: Agent, start: int) -> None:
        """Follow the log of an agent, until that process ends."""
        while agent.starts == start and agent.process is not None:
            with suppress(OSError, trio.TooSlowError, trio.BrokenResourceError):
                async with self.client(agent) as client, client.monitor("INFO") as lines:
                    async for line in lines:
                        if agent.starts == start and agent.read(line):
                            self.said.set()
                            self.said = trio.Event()
            await trio.sleep(0.05)

    @asynccontextmanager
    async def client(self, agent: Agent) -> AsyncIterator[RPCClient]:
        sock = trio.socket.from_stdlib_socket(agent.socket())
        try:
            await sock.connect(agent.rpc)
        except BaseException:
            sock.close()
            raise
        stream = trio.SocketStream(sock)
        async with client_on(stream, agent.name, None, connect_timeout=10) as client:
            yield client

    def kill(self, agent: Agent) -> None:
        """End an agent abruptly, with its children: the others must find out."""
        agent.running().kill()
        agent.process = None

    def signal(self, agent: Agent, number: signal.Signals) -> None:
        agent.running().process.send_signal(number)

    def others(self, agent: Agent) -> list[Agent]:
        return [a for a in self.agents if a is not agent and a.process is not None]

    async def until(self, true: Callable[[], bool], *, seconds: float) -> bool:
        """Wait until logs have made something true; False when it takes too long."""
        with trio.move_on_after(seconds):
            while not true():
                await self.said.wait()
            return True
        return False

    async def agree(self, *, seconds: float = 120.0) -> None:
        """Wait until everybody sees everybody alive."""
        everybody = {agent.name: "Join" for agent in self.agents}

        def agreed() -> bool:
            # trioserf says nothing of the node itself.
            return all(a.view | {a.name: "Join"} == everybody for a in self.agents)

        if not await self.until(agreed, seconds=seconds):
            wrong = {a.name: _difference(a.view, everybody) for a in self.agents}
            raise AssertionError(f"{self.plan.kind}: no agreement in {seconds} s: {wrong}")

    async def statuses(self, agent: Agent) -> dict[str, str]:
        """What an agent answers when asked."""
        async with self.client(agent) as client:
            return {member.name: str(member.status) for member in await client.members()}


def _difference(view: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    return {name: view.get(name, "?") for name in wanted if view.get(name) != wanted[name]}


def makes(kind: str, size: int) -> list[Make]:
    """Who is who."""
    turns = {"go": [Make.GO], "trioserf": [Make.TRIOSERF], "mixed": [Make.GO, Make.TRIOSERF]}[kind]
    return [turns[index % len(turns)] for index in range(size)]


def near(_packet: Packet) -> float:
    """The rule of a wire on which nothing happens."""
    return 0.0


@asynccontextmanager
async def cluster(plan: Plan, *, binary: Path, folder: Path, where: str) -> AsyncIterator[Cluster]:
    """Run a cluster for the length of the block.

    Args:
      where: ``hosts`` of their own (network namespaces), where the kernel refuses as between
        machines, and which can be taken away; a ``wire`` between such hosts, on which firewalls
        can be played, carried by this program; or ``loopback``.
    """
    async with AsyncExitStack() as stack:
        network, wire = None, None
        places: Sequence[Host | WiredHost] = ()
        if where == "hosts":
            network = await stack.enter_async_context(hosts(plan.size))
            places = network.hosts
        elif where == "wire":
            addresses = [[f"10.79.0.{number + 1}"] for number in range(plan.size)]
            wire = await stack.enter_async_context(wired(addresses, near))
            places = wire.hosts
        nursery = await stack.enter_async_context(trio.open_nursery())
        processes = stack.enter_context(ExitStack())
        agents = []
        for index, make in enumerate(makes(plan.kind, plan.size)):
            host = places[index] if places else None
            ip, inside = (host.ip, host.inside) if host is not None else (free_host(), ())
            agents.append(Agent(f"node-{index}", make, ip, inside, host))
        running = Cluster(plan, agents, network, wire, binary, folder, nursery, processes)
        for index, agent in enumerate(agents):
            running.start(agent)
            if index % 4 == 0:  # all at once would take each other's time to start
                await trio.sleep(1.5)
        await running.agree()
        yield running
        nursery.cancel_scope.cancel()
