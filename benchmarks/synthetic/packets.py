"""The packets of a large cluster: acks, pings, and gossip, for the real nodes in it.

One socket stands for all members: it is bound to every address of this namespace, and sends from
the address that was asked.  Each target gets what a node of a cluster of that size gets: a ping a
second, and three times in each gossip interval of 0.2 s, on average, a packet of some node's
queue, if that has anything.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import time
from collections import Counter
from typing import Any, Final

import attrs
import trio

from benchmarks.events import lines_of
from benchmarks.synthetic.world import (
    GOSSIP_INTERVAL,
    GOSSIP_NODES,
    PORT,
    World,
    host,
    index_of,
    name,
)
from trioserf._wire.messages import (
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    encode_message,
)
from trioserf._wire.packets import PacketCodec, decode_packet, encode_packet, make_compound
from trioserf._wire.serf_messages import CoordinateRecord, encode_ping_payload

_PKTINFO: Final = 8
"""``IP_PKTINFO`` of Linux: the address to which a datagram came, or from which to send it."""
ROOM: Final = 1390
WATCH: Final = 25
"""Pings a second with which it is watched how long a target takes to ack."""


@attrs.define(eq=False)
class Target:
    """A real node, and what was seen of it since it was asked last."""

    name: str
    host: str
    port: int
    packets: Counter[str] = attrs.field(factory=Counter)
    delays: list[float] = attrs.field(factory=list)
    """How long each ping waited for its ack (seconds)."""


class Members:
    """All members of the world, at one socket."""

    def __init__(self, world: World, start: float) -> None:
        self.world, self.start = world, start
        self.targets: dict[str, Target] = {}
        self.watching = False
        self._rng = random.Random(2)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setsockopt(socket.IPPROTO_IP, _PKTINFO, 1)
        self._socket.bind(("0.0.0.0", PORT))
        self._codec = PacketCodec(compress=False)
        self._waiting: dict[int, tuple[Target, float]] = {}
        self._incarnations: Counter[int] = Counter()
        coordinate = CoordinateRecord((0.0,) * 8, 1.5, 0.0, 1e-5)
        self._payload = encode_ping_payload(coordinate)
        self.refuted = 0

    @property
    def now(self) -> float:
        return time.monotonic() - self.start

    # --- what the targets send

    async def receive(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            for _ in range(64):
                try:
                    data, ancillary, _, source = self._socket.recvmsg(65536, 64)
                except BlockingIOError:
                    break
                at = socket.inet_ntoa(ancillary[0][2][8:12])
                self._on_packet(data, at, source)

    def _on_packet(self, data: bytes, at: str, source: tuple[str, int]) -> None:
        target = self.targets.get(f"{source[0]}:{source[1]}")
        if target is None:
            return
        target.packets["packets"] += 1
        for message in decode_packet(data, self._codec).messages:
            target.packets[type(message).__name__] += 1
            match message:
                case Ping():
                    if self.world.lives(index_of(at), self.now):
                        ack = encode_message(Ack(message.seq_no, self._payload))
                        self._send(ack, at, source)
                case IndirectPing():
                    assert message.target is not None, "it says whom to ping"
                    asked = index_of(".".join(map(str, message.target)))
                    if self.world.lives(index_of(at), self.now):
                        alive = self.world.lives(asked, self.now)
                        kind = Ack(message.seq_no, None) if alive else Nack(message.seq_no)
                        self._send(encode_message(kind), at, source)
                case Ack():
                    asked_at = self._waiting.pop(message.seq_no, None)
                    if asked_at is not None:
                        target.delays.append(time.monotonic() - asked_at[1])
                case Suspect() | Dead():
                    self._perhaps_refute(message)
                case _:
                    pass

    def _perhaps_refute(self, message: Suspect | Dead) -> None:
        """A member that lives is suspected: it says that it lives, by gossip and soon."""
        number = message.node.removeprefix("node-").partition(".")[0]
        if not number.isdigit() or not self.world.lives(int(number), self.now):
            return
        if message.incarnation > self._incarnations[int(number)]:
            self.refuted += 1
            self._incarnations[int(number)] = message.incarnation
            alive = self.world.alive(int(number), message.incarnation + 1)
            self.world.add_message(self.now, alive)

    def _send(self, message: bytes, at: str, to: tuple[str, int]) -> None:
        data = encode_packet(message, self._codec, crc=True, nonce=None)
        info = struct.pack("=I4s4s", 0, socket.inet_aton(at), bytes(4))
        self._socket.sendmsg([data], [(socket.IPPROTO_IP, _PKTINFO, info)], 0, to)

    # --- what they get

    async def ping(self, target: Target) -> None:
        """A ping a second by some other node, at any time."""
        while True:
            await trio.sleep(self._rng.expovariate(1.0))
            self._ping(target)

    async def watch(self, target: Target) -> None:
        """Pings that follow each other closely, while somebody wants to know."""
        while True:
            await trio.sleep(1 / WATCH)
            if self.watching:
                self._ping(target)

    def _ping(self, target: Target) -> None:
        at = host(self._somebody())
        seq_no = self._rng.getrandbits(32)
        self._waiting[seq_no] = target, time.monotonic()
        addr = bytes(map(int, at.split(".")))
        ping = Ping(seq_no, target.name, addr, PORT, name(index_of(at)))
        self._send(encode_message(ping), at, (target.host, target.port))

    async def gossip(self, target: Target) -> None:
        """What random nodes have in their queues."""
        while True:
            await trio.sleep(self._rng.expovariate(GOSSIP_NODES / GOSSIP_INTERVAL))
            if messages := self.world.gossip_of(self.now, self._rng):
                self._rng.shuffle(messages)
                packet, room = list[bytes](), ROOM
                for message in messages:
                    if (room := room - len(message) - 2) >= 0:
                        packet.append(message)
                self._send(
                    make_compound(packet), host(self._somebody()), (target.host, target.port)
                )

    def _somebody(self) -> int:
        while True:
            index = self._rng.randint(1, self.world.size)
            if self.world.lives(index, self.now):
                return index

    # --- what the driver wants

    async def obey(self, nursery: trio.Nursery) -> None:
        async for command in lines_of(trio.lowlevel.FdStream(0)):
            answer: dict[str, Any] = {}
            if command["do"] == "target":
                target = Target(command["name"], command["host"], command["port"])
                self.targets[f"{target.host}:{target.port}"] = target
                for task in (self.ping, self.watch, self.gossip):
                    nursery.start_soon(task, target)
            elif command["do"] == "clock":
                self.start = command["start"]
            elif command["do"] == "watch":
                self.watching = command["on"]
            elif command["do"] == "mark":
                answer = {"refuted": self.refuted, "targets": self._mark()}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        nursery.cancel_scope.cancel()

    def _mark(self) -> dict[str, Any]:
        found = {}
        now = time.monotonic()
        overdue = [key for key, (_, at) in self._waiting.items() if now - at > 1]
        lost = Counter(self._waiting.pop(key)[0].name for key in overdue)
        for target in self.targets.values():
            delays = sorted(target.delays)
            found[target.name] = {
                "packets": dict(target.packets),
                "worst": max(delays, default=0.0),
                "p99": delays[int(0.99 * len(delays))] if delays else 0.0,
                "acks": len(delays),
                "lost": lost[target.name],
            }
            target.packets.clear()
            target.delays.clear()
        return found


async def main(settings: dict[str, Any]) -> None:
    members = Members(World(**settings["world"]), float("inf"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(members.receive)
        nursery.start_soon(members.obey, nursery)


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
