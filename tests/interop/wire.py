"""A wire between hosts that this program carries itself: delays and losses by a rule in Python.

::

    def rule(packet: Packet) -> float | None:
        return None if packet.protocol == "udp" else 0.005

    async with wired([("10.79.0.1", "fd79::1"), ("10.79.0.2", "fd79::2")], rule) as wire:
        one, two = wire.hosts

Each host is a network namespace with a ``tun`` device, whose packets this process reads and writes.
So hosts can be far from each other, or apart for some packets only, on a kernel without ``netem``,
and a packet can be rejected by a RST or an ICMP message on one without a packet filter;
see `tests.interop.namespaces` for links of the kernel's own.  The rule is asked for every packet,
and may change its mind at any time.

Needs root, ``/dev/net/tun``, and the programs of iproute2 and util-linux; `why_not` says what is
missing.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import heapq
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, TypeAlias

import attrs
import trio

from tests.interop.namespaces import REFUSED, _entering, _feed, _holder
from tests.interop.processes import Child
from tests.interop.rejections import Rejection

_TUN = "/dev/net/tun"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000
_CLONE_NEWNET = 0x40000000
_PROTOCOLS = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp"}
_LONGEST = 65536
_AT_ONCE = 64
"""Packets read from one host before the others get their turn."""
_PORT = 7946


class Packet(NamedTuple):
    """A packet on its way.

    Args:
      source, target: IP addresses.
      protocol: ``tcp``, ``udp``, ``icmp``, or "".
      size: with all headers (bytes).
      port: that it goes to, of TCP or UDP; else 0.
    """

    source: str
    target: str
    protocol: str
    size: int
    port: int = 0


Rule: TypeAlias = Callable[[Packet], float | Rejection | None]
"""How long a packet takes (seconds); None loses it, a `Rejection` answers it."""


@functools.cache
def why_not() -> str | None:
    """Why this machine cannot have such a wire, for people; None when it can."""
    if not sys.platform.startswith("linux"):
        return f"{REFUSED}: they are a part of Linux"
    missing = [name for name in ("ip", "unshare", "nsenter", "mount") if shutil.which(name) is None]
    if missing:
        return f"{REFUSED}: no program {', '.join(missing)} (Debian: iproute2, util-linux)"
    if os.geteuid() != 0:
        return f"{REFUSED}: not root"
    script = (
        "ip link set lo up && ip tuntap add dev eth0 mode tun && mount --bind /dev/null /etc/hosts"
    )
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return None if done.returncode == 0 else f"{REFUSED}: {' '.join(done.stderr.split())}"


@attrs.define(eq=False)
class WiredHost:
    """One namespace with a device, and the program's end of that.

    Args:
      addresses: of the host; the first is the one that it is called by.
    """

    addresses: Sequence[str]
    holder: Child
    device: int

    @property
    def ip(self) -> str:
        return self.addresses[0]

    @property
    def gossip(self) -> str:
        return f"[{self.ip}]:{_PORT}" if ":" in self.ip else f"{self.ip}:{_PORT}"

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with that shall run on this host."""
        return _entering(self.holder)

    def knowing(self, folder: Path, names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """The same, for a command that also knows these names: name to addresses."""
        hosts = folder / f"hosts-{self.ip.replace(':', '-')}"
        lines = ["127.0.0.1 localhost", *(f"{ip} {name}" for name in names for ip in names[name])]
        hosts.write_text("\n".join(lines) + "\n")
        script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
        return (*self.inside, "unshare", "--mount", "sh", "-c", script, "sh")

    async def set_addresses(self, *addresses: str) -> None:
        """Give the host other addresses; its routes follow them."""
        lines = ["addr flush dev eth0", *map(_with_network, addresses)]
        await _feed(self.holder, "ip", lines)
        self.addresses = addresses


@functools.lru_cache
def _text(packed: bytes) -> str:
    return str(ip_address(packed))


def _with_network(address: str) -> str:
    return f"addr add {address}/{'64 nodad' if ':' in address else '24'} dev eth0"


@attrs.define(eq=False)
class Wire:
    """The hosts and what lies between them; see `wired`.

    Attributes:
      rule: asked for every packet; may be replaced.
      carried, lost, rejected: numbers of packets by protocol.
    """

    hosts: Sequence[WiredHost]
    rule: Rule
    carried: Counter[str] = attrs.field(factory=Counter, init=False)
    lost: Counter[str] = attrs.field(factory=Counter, init=False)
    rejected: Counter[str] = attrs.field(factory=Counter, init=False)
    _late: list[tuple[float, int, int, bytes]] = attrs.field(factory=list, init=False)
    _number: int = attrs.field(default=0, init=False)
    _earlier: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def carry(self, nursery: trio.Nursery) -> None:
        for host in self.hosts:
            nursery.start_soon(self._read, host)
        nursery.start_soon(self._deliver)

    async def _read(self, host: WiredHost) -> None:
        while True:
            await trio.lowlevel.wait_readable(host.device)
            for _ in range(_AT_ONCE):
                try:
                    raw = os.read(host.device, _LONGEST)
                except BlockingIOError:
                    break
                self._take(host, raw)

    def _take(self, host: WiredHost, raw: bytes) -> None:
        if raw[0] >> 4 == 4:
            source, target, protocol, ports = raw[12:16], raw[16:20], raw[9], 4 * (raw[0] & 15)
        else:
            source, target, protocol, ports = raw[8:24], raw[24:40], raw[6], 40
        name = _PROTOCOLS.get(protocol, "")
        port = int.from_bytes(raw[ports + 2 : ports + 4]) if name in ("tcp", "udp") else 0
        packet = Packet(_text(source), _text(target), name, len(raw), port)
        receiver = next((host for host in self.hosts if packet.target in host.addresses), None)
        delay = None if receiver is None else self.rule(packet)
        if isinstance(delay, Rejection):
            self.rejected[name] += 1
            if (answer := delay.answer(raw)) is not None:
                self._send(host, answer, delay.delay)
        elif receiver is None or delay is None:
            self.lost[name] += 1
        else:
            self.carried[name] += 1
            self._send(receiver, raw, delay)

    def _send(self, receiver: WiredHost, raw: bytes, delay: float) -> None:
        self._number += 1
        due = trio.current_time() + delay
        first = not self._late or due < self._late[0][0]
        heapq.heappush(self._late, (due, self._number, receiver.device, raw))
        if first:
            self._earlier.set()

    async def _deliver(self) -> None:
        while True:
            self._earlier = trio.Event()
            with trio.CancelScope() as wait:
                if self._late:
                    wait.deadline = self._late[0][0]
                await self._earlier.wait()
            while self._late and self._late[0][0] <= trio.current_time():
                *_, device, raw = heapq.heappop(self._late)
                try:
                    os.write(device, raw)
                except OSError:
                    self.lost["full"] += 1


def _open_device(holder: Child) -> int:
    """The program's end of a new device in the namespace of ``holder``."""
    libc = ctypes.CDLL(None, use_errno=True)
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/proc/{holder.process.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Only this thread goes there, and it comes back before anything else runs.
        if libc.setns(there, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            device = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            request = struct.pack("16sH22x", b"eth0", _IFF_TUN | _IFF_NO_PI)
            fcntl.ioctl(device, _TUNSETIFF, request)
        finally:
            if libc.setns(here, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(here)
        os.close(there)
    return device


@asynccontextmanager
async def wired(addresses: Sequence[Sequence[str]], rule: Rule) -> AsyncIterator[Wire]:
    """Hosts with these addresses, joined by a wire, for the length of the block.

    Args:
      addresses: for each host its IP addresses, all in networks of /24 (IPv4) and /64 (IPv6).
      rule: what the wire does to each packet.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        hosts = []
        for number, own in enumerate(addresses):
            holder = await _holder(stack, folder, f"host-{number}")
            device = _open_device(holder)
            stack.callback(os.close, device)
            host = WiredHost(tuple(own), holder, device)
            await _feed(holder, "ip", ["link set lo up", "link set eth0 up"])
            await host.set_addresses(*own)
            hosts.append(host)
        wire = Wire(hosts, rule)
        async with trio.open_nursery() as nursery:
            await wire.carry(nursery)
            yield wire
            nursery.cancel_scope.cancel()


def zones(*parts: Sequence[str], near: float, far: float) -> Rule:
    """Packets take ``near`` within each part, and ``far`` between two (seconds, one way)."""
    where = {address: number for number, part in enumerate(parts) for address in part}

    def rule(packet: Packet) -> float | None:
        return near if where.get(packet.source) == where.get(packet.target) else far

    return rule
