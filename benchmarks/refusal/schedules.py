"""What is done to a simulated cluster, or between its nodes, and for how long."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import attrs
import trio

from trioserf.abc import Address
from trioserf.testing import SimCluster, SimNode
from trioserf.testing.sim_network import DEFAULT_PORT

LONG: Final = 40.0
"""Seconds that a firewall, a cut or a loss lasts."""
LONGEST: Final = 90.0
"""Seconds until a crash counts as unknown."""
BETWEEN_RESTARTS: Final = 6.0
"""Seconds."""


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
        await self.known_to_all(*nodes)

    async def known_to_all(self, *nodes: SimNode) -> None:
        """Wait until all know that these nodes, which have just crashed, are failed."""
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


async def scanners(s: Situation) -> None:
    """A stranger connects to every port, again and again, and sends garbage or nothing."""
    s.cluster.change_link(loss=0.1)
    host = s.cluster.network.free_host()
    scanner = s.cluster.network.transport(host)
    await scanner.open()
    with trio.move_on_after(LONG):
        while True:
            for node in s.cluster.running:
                to = Address(node.host, DEFAULT_PORT)
                s.cluster.network.inject(s.rng.randbytes(40), source=Address(host, 4711), to=to)
                try:
                    with trio.fail_after(1):
                        stream = await scanner.connect_stream(to)
                        await stream.send_all(s.rng.randbytes(s.rng.randrange(1, 40)))
                except (OSError, trio.TooSlowError, trio.BrokenResourceError):
                    continue
                await trio.aclose_forcefully(stream)
            await trio.sleep(0.2)
    scanner.close()


def restarts(down: float, times: int) -> Schedule:
    """A node is restarted in place, again and again; what others see of it counts as false."""

    async def schedule(s: Situation) -> None:
        [node] = s.pick()
        for _ in range(times):
            await s.cluster.crash(node)
            await trio.sleep(down)
            await s.cluster.restart(node, join=True)
            await trio.sleep(BETWEEN_RESTARTS)

    return schedule


# --- what nobody asked for -------------------------------------------------------------------


def hairpin(loss: float) -> Schedule:
    """Most of the nodes are behind one address translation, which begins to refuse what they send
    to each other; the rest reaches them all."""

    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        inside = s.hosts(s.pick(2 * len(s.cluster.running) // 3))
        for host in inside:
            s.cluster.network.reject(host, [other for other in inside if other != host])
        await trio.sleep(LONG)

    return schedule


def patchwork(loss: float) -> Schedule:
    """The firewall of one host rejects the TCP of some, all of some, and drops all of others."""

    async def schedule(s: Situation) -> None:
        s.cluster.change_link(loss=loss)
        node, *others = s.hosts(s.pick(len(s.cluster.running)))
        network = s.cluster.network
        network.reject(others[0::4], node, packets=False)
        network.reject(others[1::4], node)
        network.cut(others[2::4], node)
        await trio.sleep(LONG)

    return schedule


def flapping(rejects: float, lets: float) -> Schedule:
    """All that goes to one host is rejected, and let through, again and again."""

    async def schedule(s: Situation) -> None:
        [node] = s.pick()
        with trio.move_on_after(LONG):
            while True:
                s.cluster.network.reject(None, node.host)
                await trio.sleep(rejects)
                s.cluster.network.accept(None, node.host)
                await trio.sleep(lets)
        s.cluster.network.accept(None, node.host)

    return schedule


def rolling(down: float, at_once: int) -> Schedule:
    """All nodes but the first are restarted in place, some at a time: a host after the other."""

    async def schedule(s: Situation) -> None:
        nodes = list(s.cluster.running)[1:]
        for start in range(0, len(nodes), at_once):
            some = nodes[start : start + at_once]
            for node in some:
                await s.cluster.crash(node)
            await trio.sleep(down)
            for node in some:
                await s.cluster.restart(node, join=True)
            await trio.sleep(BETWEEN_RESTARTS)

    return schedule


def streams_first(seconds: float) -> Schedule:
    """A restart in place; the new process has its port for packets later than that for streams."""

    async def schedule(s: Situation) -> None:
        [node] = s.pick()
        await s.cluster.crash(node)
        await trio.sleep(0.2)
        s.cluster.network.reject(None, node.host, streams=None)
        await s.cluster.restart(node, join=True)
        await trio.sleep(seconds)
        s.cluster.network.accept(None, node.host)

    return schedule


def suspended(share: float, seconds: float) -> Schedule:
    """Virtual machines are suspended together, and go on together: to them no time has passed."""

    async def schedule(s: Situation) -> None:
        nodes = s.pick(round(share * len(s.cluster.running)))
        s.cluster.stop(*nodes)
        await trio.sleep(seconds)
        s.cluster.resume(*nodes)

    return schedule


async def taken(s: Situation) -> None:
    """A crash; some other program listens on the port at once, and says nothing."""
    [node] = s.pick()
    s.dead.add(node.name)
    await s.cluster.crash(node)
    stranger = s.cluster.network.transport(node.host)
    await stranger.open()
    await s.known_to_all(node)
    stranger.close()
