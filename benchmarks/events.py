"""Are user events lost under load, and what does one cost?

Processes over loopback: trioserf nodes, Go agents, or both in turns.  One sender and eight at
once send as fast as ``await user_event()`` lets them; every process counts what it gets.

``python -m benchmarks.events [--quick] [--only NAME] [--loss SHARE]``; Go agents take part where
``serf`` is installed.  Packets and kernel drops are those of the network namespace, so run it in
a namespace of its own (``unshare -n sh -c 'ip link set lo up; python -m benchmarks.events'``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

import trioserf
from trioserf._net.udp_tcp import NetTransport
from trioserf.abc import Address
from trioserf.client import open_client

PAYLOAD = 32
"""Bytes of payload of each event."""
QUIET = 3.0
"""A run is over when no process got anything for so long (seconds)."""
SHOWN = 20
"""Missing events that are listed for each run."""
_TICKS = os.sysconf("SC_CLK_TCK")


# --- one node, as a program -----------------------------------------------------------------


class LossyTransport(NetTransport):
    """Loses a share of the datagrams that it sends, evenly."""

    def __init__(self, host: str, port: int, loss: float) -> None:
        super().__init__(host, port)
        self._loss = loss
        self._rng = random.Random()

    def send_packet(self, data: bytes, to: Address) -> None:
        if self._rng.random() >= self._loss:
            super().send_packet(data, to)


async def node_program(settings: dict[str, Any]) -> None:
    """A node that does what lines of JSON on its input say."""
    host, port = settings["bind"].split(":")
    fields: dict[str, Any] = {"faithful_go": settings.get("faithful", False)}
    if settings.get("loss"):
        fields["transport"] = LossyTransport(host, int(port), settings["loss"])
    if settings.get("push_pull"):
        fields["push_pull_interval"] = settings["push_pull"]
    config = trioserf.Config.lan(
        node_name=settings["name"], bind=settings["bind"], leave_on_exit=False
    )
    config = attrs.evolve(config, memberlist=attrs.evolve(config.memberlist, **fields))
    got: Counter[str] = Counter()
    seen: set[tuple[str, bytes]] = set()

    async def count(events: trio.MemoryReceiveChannel[trioserf.Event]) -> None:
        async for event in events:
            if isinstance(event, trioserf.UserEvent):
                if (event.name, event.payload) in seen:
                    got["twice"] += 1
                seen.add((event.name, event.payload))
                got[event.name] += 1

    async def send(name: str, total: int, rate: float) -> None:
        start = trio.current_time()
        for number in range(total):
            if rate:
                await trio.sleep_until(start + number / rate)
            await serf.user_event(name, payload_of(number), coalesce=False)
        got[f"sent {name}"] = total

    async def respond(queries: trio.MemoryReceiveChannel[trioserf.Event]) -> None:
        async for query in queries:
            if isinstance(query, trioserf.Query):
                await query.respond(b"here")

    async with (
        trioserf.open(config) as serf,
        serf.subscribe(trioserf.UserEvent, max_buffer_size=1 << 20) as events,
        serf.subscribe(trioserf.Query) as queries,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(count, events)
        nursery.start_soon(respond, queries)
        async for command in lines_of(trio.lowlevel.FdStream(os.dup(0))):
            answer: dict[str, Any] = {}
            if command["do"] == "join":
                await serf.join([command["address"]])
            elif command["do"] == "send":
                nursery.start_soon(send, command["name"], command["total"], command["rate"])
            elif command["do"] == "lacking":
                answer = {"lacking": lacking(seen, command["names"], command["each"])}
            elif command["do"] == "count":
                answer = {"got": got, "members": len(serf.members().alive)}
            elif command["do"] == "query":
                start = trio.current_time()
                found = await serf.ask("anybody")
                answer = {"answers": len(found.responses), "seconds": trio.current_time() - start}
            elif command["do"] == "statistics":
                numbers = serf.statistics().to_dict()
                answer = {"statistics": {k: v for k, v in numbers.items() if _plain(v)}}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        nursery.cancel_scope.cancel()


def payload_of(number: int) -> bytes:
    return (b"%d " % number).ljust(PAYLOAD, b".")


def lacking(seen: set[tuple[str, bytes]], names: Sequence[str], each: int) -> list[str]:
    """Events that did not come, as ``name#number``."""
    return [
        f"{name}#{number}"
        for name in names
        for number in range(each)
        if (name, payload_of(number)) not in seen
    ]


def _plain(value: object) -> bool:
    return isinstance(value, int | float | str)


async def lines_of(stream: trio.abc.ReceiveStream) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for chunk in stream:
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        for line in lines:
            yield json.loads(line)


# --- the cluster ----------------------------------------------------------------------------


@attrs.define(eq=False)
class Ours:
    """A trioserf node in a process of its own."""

    name: str
    address: str
    process: trio.Process
    answers: AsyncIterator[dict[str, Any]]

    async def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps({"do": do, **fields}).encode() + b"\n")
        return await anext(self.answers)

    async def send(self, name: str, total: int, rate: float) -> None:
        await self.ask("send", name=name, total=total, rate=rate)

    async def count(self) -> Counter[str]:
        return Counter((await self.ask("count"))["got"])

    async def lacking(self, names: Sequence[str], each: int) -> list[str]:
        answer = await self.ask("lacking", names=names, each=each)
        return list(answer["lacking"])

    async def alive(self) -> int:
        alive: int = (await self.ask("count"))["members"]
        return alive


@attrs.define(eq=False)
class Agent:
    """A Go agent; its events are read over its RPC port."""

    name: str
    address: str
    process: trio.Process
    client: trioserf.client.RPCClient
    nursery: trio.Nursery
    got: Counter[str] = attrs.field(factory=Counter)
    seen: set[tuple[str, bytes]] = attrs.field(factory=set)

    async def listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        stream = self.client.stream("user", max_buffer_size=1 << 20)
        with suppress(trio.ClosedResourceError):
            async with stream as events:
                task_status.started()
                async for event in events:
                    if isinstance(event, trioserf.UserEvent):
                        self.got[event.name] += 1
                        self.seen.add((event.name, event.payload))

    async def send(self, name: str, total: int, rate: float) -> None:
        self.nursery.start_soon(self._send, name, total, rate)

    async def _send(self, name: str, total: int, rate: float) -> None:
        start = trio.current_time()
        for number in range(total):
            if rate:
                await trio.sleep_until(start + number / rate)
            await self.client.user_event(name, payload_of(number), coalesce=False)
        self.got[f"sent {name}"] = total

    async def count(self) -> Counter[str]:
        return Counter(self.got)

    async def lacking(self, names: Sequence[str], each: int) -> list[str]:
        return lacking(self.seen, names, each)

    async def alive(self) -> int:
        return len([m for m in await self.client.members() if str(m.status) == "alive"])


@asynccontextmanager
async def cluster(kinds: Sequence[str], **settings: Any) -> AsyncIterator[list[Ours | Agent]]:
    """Processes on loopback that know each other: ``go`` or ``ours`` for each."""
    base = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}"
    members: list[Ours | Agent] = []
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        for number, kind in enumerate(kinds):
            host, name = f"{base}.{number + 1}", f"{kind}-{number}"
            address = f"{host}:7946"
            given = {"name": name, "bind": address, **settings}
            if kind == "go":
                command = ["serf", "agent", f"-node={name}", f"-bind={address}", "-log-level=err"]
                command += [f"-rpc-addr={host}:7373", "-profile=lan"]
            else:
                command = [sys.executable, "-m", "benchmarks.events", "--node", json.dumps(given)]
            process = await nursery.start(
                partial(
                    trio.run_process,
                    command,
                    stdin=-1 if kind != "go" else b"",
                    stdout=-1,
                    check=False,
                )
            )
            stack.callback(process.kill)
            if kind == "go":
                client = await stack.enter_async_context(await connected(f"{host}:7373"))
                agent = Agent(name, address, process, client, nursery)
                await nursery.start(agent.listen)
                members.append(agent)
                if len(members) > 1:
                    await client.join([members[0].address])
            else:
                node = Ours(name, address, process, lines_of(process.stdout))
                members.append(node)
                await node.alive()  # it runs
                if len(members) > 1:
                    await node.ask("join", address=members[0].address)
        with trio.fail_after(90):
            for member in members:
                while await member.alive() < len(kinds):  # noqa: ASYNC110
                    await trio.sleep(0.2)
        await trio.sleep(3)
        yield members
        nursery.cancel_scope.cancel()


async def connected(address: str) -> Any:
    """A client of an agent that has just been started."""
    host, _, port = address.rpartition(":")
    with trio.fail_after(20):
        while True:
            try:
                stream = await trio.open_tcp_stream(host, int(port))
            except OSError:
                await trio.sleep(0.1)
            else:
                await stream.aclose()
                return open_client(address)


def udp_counts() -> tuple[int, int]:
    """Datagrams sent, and those that found a receive buffer full, in this namespace."""
    rows = [row.split() for row in Path("/proc/net/snmp").read_text().splitlines()]
    names, values = (row[1:] for row in rows if row[0] == "Udp:")
    found = dict(zip(names, map(int, values), strict=True))
    return found["OutDatagrams"], found["RcvbufErrors"]


def cpu_of(members: Sequence[Ours | Agent]) -> float:
    """Seconds of CPU of all processes so far."""
    total = 0
    for member in members:
        text = Path(f"/proc/{member.process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


# --- one run --------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Result:
    """What a run showed: ``wanted`` deliveries, and those that are ``missing``."""

    name: str
    wanted: int
    missing: int
    twice: int
    seconds: float
    packets: int
    overflows: int
    cpu: float
    members: int
    events: int
    drops: dict[str, int]
    worst: dict[str, int]

    def __str__(self) -> str:
        each = self.packets / self.members
        return (
            f"{self.name:34} {self.missing:7} of {self.wanted:7} missing, {self.twice} twice, "
            f"{self.seconds:6.1f} s, {self.events / max(self.seconds, 0.01):6.0f} events/s, "
            f"{each:7.0f} packets/node ({each / self.events:5.2f} per event), "
            f"CPU {self.cpu:5.1f} s, kernel drops {self.overflows}, {self.drops} {self.worst}"
        )


async def run(
    name: str, members: list[Ours | Agent], senders: int, total: int, rate: float = 0.0
) -> Result:
    """``senders`` send ``total`` events together; wait until nothing more arrives."""
    each = total // senders
    before, cpu, started = udp_counts(), cpu_of(members), time.monotonic()
    base = [await member.count() for member in members]
    names = [f"{name}:{index}" for index in range(senders)]
    for event, member in zip(names, members, strict=False):
        await member.send(event, each, rate / senders)
    last, changed = -1, time.monotonic()
    finished = changed
    while True:
        counts = [await member.count() for member in members]
        now = sum(sum(count.values()) for count in counts)
        if now != last:
            last, changed, finished = now, time.monotonic(), time.monotonic()
        sent = sum(count[f"sent {event}"] for count in counts for event in names)
        complete = all(count[event] >= each for count in counts for event in names)
        if complete or (sent == each * senders and time.monotonic() - changed > QUIET):
            break
        if time.monotonic() - changed > 60:
            break
        await trio.sleep(0.1)
    after = udp_counts()
    used = cpu_of(members) - cpu
    wanted = each * senders * len(members)
    arrived = sum(min(count[event], each) for count in counts for event in names)
    drops: Counter[str] = Counter()
    for member in members:
        if isinstance(member, Ours):
            numbers = (await member.ask("statistics"))["statistics"]
            for key, value in numbers.items():
                if ("bad_input" in key or "dropped" in key or "_lost" in key) and value:
                    drops[key] += value
    worst = {
        member.name: sum(each - min(count[event], each) for event in names)
        for member, count in zip(members, counts, strict=True)
    }
    lackers: dict[str, list[str]] = {}
    for member in members:
        for event in await member.lacking(names, each):
            lackers.setdefault(event, []).append(member.name)
    for event, those in list(lackers.items())[:SHOWN]:
        sender = members[int(event.partition(":")[2].partition("#")[0])].name
        print(f"  event {event} of {sender} is missing at {', '.join(those)}")
    return Result(
        name=name,
        wanted=wanted,
        missing=wanted - arrived,
        twice=sum(count["twice"] - old["twice"] for count, old in zip(counts, base, strict=True)),
        seconds=finished - started,
        packets=after[0] - before[0],
        overflows=after[1] - before[1],
        cpu=used,
        members=len(members),
        events=each * senders,
        drops=dict(drops),
        worst={key: value for key, value in worst.items() if value},
    )


async def main(options: argparse.Namespace) -> None:
    quick = options.quick
    total = options.events or (500 if quick else 5000)
    kinds: list[tuple[str, list[str]]] = [("5 ours", ["ours"] * 5)]
    if not quick:
        kinds.append(("16 ours", ["ours"] * 16))
    if shutil.which("serf"):
        kinds.append(("5 mixed", ["ours", "go"] * 2 + ["ours"]))
        if not quick:
            kinds += [
                ("5 go", ["go"] * 5),
                ("16 mixed", ["ours", "go"] * 8),
                ("16 go", ["go"] * 16),
            ]
    settings = {"loss": options.loss} if options.loss else {}
    for label, members in kinds:
        if options.only and options.only not in label:
            continue
        async with cluster(members, **settings) as processes:
            for senders in (1, 8) if len(members) >= 8 else (1, len(members)):
                result = await run(
                    f"{label}, {senders} senders", processes, senders, total, options.rate
                )
                print(result, flush=True)
                await trio.sleep(2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="clusters whose name has this in it")
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0, help="events a second, all together")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--node", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.node:
        trio.run(node_program, json.loads(given.node))
    else:
        trio.run(main, given)
