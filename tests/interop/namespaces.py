"""Hosts of their own on this machine: network namespaces, joined by links that can lose and be cut.

::

    async with hosts(4) as network:
        one, two, *_ = network.hosts
        async with go_agent(binary, tmp_path, name="go-1", address=one.gossip, inside=one.inside):
            await network.lose(10)
            await network.cut(one, two)
            await network.split([one, two])
            await network.heal()

Each host is a namespace with one address on ``eth0``; a further namespace holds the bridge and
the other end of every link, so the machine's own network is never touched.  A namespace has no
name: it exists as long as the process that holds it, which the kernel kills with the tests.  So
nothing is left behind, however the tests end.

Loss is made where the bridge sends to a host, so that each packet passes one lossy link and its
sender never knows: by ``netem`` where the kernel has it, else by a classifier that draws a random
number for each packet and sends some to a queue that holds nothing.  Cuts need no filter: the
sender gets a wrong hardware address for the receiver.

Needs root and the programs of iproute2 and util-linux; `why_not` says what is missing.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio

from tests.interop.processes import Child, child
from tests.interop.waiting import found

REFUSED = "this machine allows no network namespaces with loss"
"""How the reason of a skip begins when it is the machine's; `.ci/check_interop.py` knows it."""

PORT = 7946
_NO_HOST = "02:00:00:00:ff:ff"
_PROGRAMS = ("ip", "tc", "unshare", "nsenter")
_RANDOM = 0xFFFFF000 + 56
"""Where the classic packet filter reads a random number of 32 bits (SKF_AD_OFF, SKF_AD_RANDOM)."""


@attrs.frozen
class _Netem:
    """The kernel's own network emulator."""

    def prepared(self, device: str) -> list[str]:
        """Commands of `tc`, to be given once."""
        return [f"qdisc add dev {device} root netem"]

    def losing(self, device: str, percent: float, delay: float) -> list[str]:
        """Commands of `tc` that lose a share of what goes out of ``device``, and delay the rest."""
        late = f" delay {delay * 1000:g}ms" if delay else ""
        return [f"qdisc change dev {device} root netem loss {percent:g}%{late}"]


@attrs.frozen
class _Classifier:
    """A number is drawn for each packet; class 2 has a queue of one byte, which no packet fits."""

    def prepared(self, device: str) -> list[str]:
        fast = "htb rate 10gbit quantum 60000"
        return [
            f"qdisc add dev {device} root handle 1: htb",
            f"class add dev {device} parent 1: classid 1:1 {fast}",
            f"class add dev {device} parent 1: classid 1:2 {fast}",
            f"qdisc add dev {device} parent 1:2 handle 2: bfifo limit 1",
        ]

    def losing(self, device: str, percent: float, delay: float) -> list[str]:
        assert not delay, "delays need netem"
        lost = min(round(percent / 100 * 2**32), 2**32 - 1)
        program = f"4,32 0 0 {_RANDOM},53 0 1 {lost},6 0 0 {0x10001},6 0 0 {0x10002}"
        return [f"filter replace dev {device} parent 1: prio 1 handle 1 bpf bytecode {program!r}"]


_WAYS: dict[str, _Netem | _Classifier] = {"netem": _Netem(), "classifier": _Classifier()}


@functools.cache
def ways() -> frozenset[str]:
    """Ways to lose packets that this kernel has, of ``netem`` and ``classifier``."""
    return frozenset(
        name
        for name, way in _WAYS.items()
        if not _tried([*way.prepared("v0"), *way.losing("v0", 10, 0)])
    )


def _tried(rules: Sequence[str] = ()) -> str:
    """Make two joined hosts in a namespace that is gone at once; what failed, or an empty text."""
    script = [
        *("set -e", "ip link set lo up", "ip link add hub type bridge"),
        *("ip link add v0 type veth peer name eth0", "ip link set v0 master hub up"),
        *(f"tc {rule}" for rule in rules),
    ]
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", "\n".join(script)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return "" if done.returncode == 0 else " ".join(done.stderr.split()) or "unknown error"


@functools.cache
def why_not() -> str | None:
    """Why this machine cannot have such hosts, for people; None when it can."""
    if not sys.platform.startswith("linux"):
        return f"{REFUSED}: they are a part of Linux"
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{REFUSED}: no program {', '.join(missing)} (Debian: iproute2, util-linux)"
    if os.geteuid() != 0:
        return f"{REFUSED}: not root"
    if failed := _tried():
        return f"{REFUSED}: {failed}"
    if not ways():
        return f"{REFUSED}: the kernel has neither netem nor htb with a bpf classifier"
    return None


def _entering(holder: Child) -> tuple[str, ...]:
    """The beginning of a command that runs where ``holder`` is; its process becomes the program."""
    return ("nsenter", f"--net=/proc/{holder.process.pid}/ns/net", "--")


@attrs.frozen
class Host:
    """One namespace with one address."""

    index: int
    holder: Child

    @property
    def ip(self) -> str:
        return f"10.77.0.{self.index + 1}"

    @property
    def gossip(self) -> str:
        return f"{self.ip}:{PORT}"

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command begins with that shall run on this host."""
        return _entering(self.holder)

    @property
    def link(self) -> str:
        """The bridge's end of the link to this host."""
        return f"v{self.index}"

    @property
    def hardware(self) -> str:
        return f"02:00:00:00:00:{self.index + 1:02x}"

    def knows(self, other: Host, hardware: str) -> str:
        """A line for `ip` on this host: where packets for ``other`` go."""
        return f"neigh replace {other.ip} lladdr {hardware} dev eth0 nud permanent"

    def set_up(self, others: Iterable[Host]) -> list[str]:
        """Lines for `ip` on this host.

        No host asks for hardware addresses, so that a lost question delays nothing; and
        without IPv6 the only traffic is that of the programs.
        """
        return [
            "link set lo up",
            f"link set eth0 address {self.hardware} addrgenmode none",
            f"addr add {self.ip}/24 dev eth0",
            "link set eth0 up",
            *(self.knows(other, other.hardware) for other in others if other != self),
        ]


@attrs.frozen
class Sent:
    """What a host has sent since it exists, as the kernel counts at the other end of its link."""

    packets: int
    octets: int
    """Bytes, with the Ethernet header of 14."""


@attrs.define(eq=False)
class Network:
    """Hosts and the bridge between them; see `hosts`."""

    hosts: Sequence[Host]
    holder: Child
    way: _Netem | _Classifier
    cuts: set[tuple[Host, Host]] = attrs.field(factory=set)

    async def lose(self, percent: float, *, delay: float = 0.0) -> None:
        """Lose this share of all packets, on each link to a host; 0 loses none any more.

        Args:
          delay: of what is not lost (seconds); needs netem.
        """
        rules = [rule for h in self.hosts for rule in self.way.losing(h.link, percent, delay)]
        await _feed(self.holder, "tc", rules)

    async def cut(self, sender: Host, receiver: Host) -> None:
        """Lose all that ``sender`` sends to ``receiver``; the other direction works on."""
        self.cuts.add((sender, receiver))
        await _feed(sender.holder, "ip", [sender.knows(receiver, _NO_HOST)])

    async def split(self, part: Iterable[Host]) -> None:
        """Take these hosts out of the network into one of their own."""
        await _feed(self.holder, "ip", [f"link set {host.link} master other" for host in part])

    async def heal(self) -> None:
        """End every cut and split."""
        await _feed(self.holder, "ip", [f"link set {h.link} master hub" for h in self.hosts])
        for sender, receiver in self.cuts:
            await _feed(sender.holder, "ip", [sender.knows(receiver, receiver.hardware)])
        self.cuts.clear()

    async def sent(self) -> list[Sent]:
        """What each host has sent so far, in the order of the hosts."""
        text = await _output([*_entering(self.holder), "ip", "-s", "-j", "link"])
        rows = {row["ifname"]: row["stats64"]["rx"] for row in json.loads(text)}
        counted = [rows[host.link] for host in self.hosts]
        return [Sent(row["packets"], row["bytes"]) for row in counted]


async def _output(command: Sequence[str], stdin: bytes = b"") -> str:
    done = await trio.run_process(
        command, stdin=stdin, capture_stdout=True, stderr=subprocess.STDOUT, check=False
    )
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{command}: {text}"
    return text


async def _feed(holder: Child, program: str, lines: Sequence[str]) -> None:
    """Have `ip` or `tc` do these lines where ``holder`` is."""
    text = "".join(f"{line}\n" for line in lines)
    await _output([*_entering(holder), program, "-batch", "-"], text.encode())


def _namespace(pid: int | str) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


async def _holder(stack: ExitStack, folder: Path, name: str) -> Child:
    """A process with a network namespace of its own, for as long as ``stack`` is open."""
    command = ["unshare", "--net", "sleep", "infinity"]
    held = stack.enter_context(child(command, output_path=folder / name, cwd=folder))
    here = _namespace("self")

    def apart() -> bool | None:
        assert held.exit_status is None, held.output
        return _namespace(held.process.pid) != here or None

    await found(apart, seconds=10)
    return held


@asynccontextmanager
async def hosts(count: int) -> AsyncIterator[Network]:
    """Make so many hosts, joined by a bridge, for the length of the block; up to 250.

    What runs on the hosts ends before the block does, or loses its network.
    """
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        bridge = await _holder(stack, folder, "bridge")
        made = [Host(i, await _holder(stack, folder, f"host-{i}")) for i in range(count)]
        lines = [f"link add {hub} type bridge\nlink set {hub} up" for hub in ("hub", "other")]
        for host in made:
            pid = host.holder.process.pid
            lines += [
                f"link add {host.link} type veth peer name eth0 netns {pid}",
                f"link set {host.link} addrgenmode none master hub up",
            ]
        await _feed(bridge, "ip", lines)
        for host in made:
            await _feed(host.holder, "ip", host.set_up(made))
        way = _WAYS["netem" if "netem" in ways() else "classifier"]
        await _feed(bridge, "tc", [rule for host in made for rule in way.prepared(host.link)])
        network = Network(made, bridge, way)
        await network.lose(0)
        yield network
