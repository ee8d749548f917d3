"""A cluster inside a test: real nodes, a simulated network, a jumping clock.

::

    async def test_failover(autojump_clock):
        async with SimCluster(seed=1) as cluster:
            await cluster.spawn(5)
            await cluster.converged()
            await cluster.crash("node-3")
            await cluster.converged()
            print(cluster.timeline)

Every node is a process of its own on a host of its own: it can crash, be restarted with its
disk, be stopped and go on.  Nodes go by name or by number.  Code of the application that is to
live and die with a node is given to `SimNode.start_soon`.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, Unpack, final
from urllib.parse import quote

import trio

from .. import _attrs as attrs
from .._config import Config
from .agreement import Agreement
from .bootstrap import JoinVia, join_all
from .links import LatencyLike, LinkChanges
from .sim_network import SimNetwork
from .sim_node import SimNode, node_settings
from .timeline import Timeline

Which: TypeAlias = "str | int | SimNode"
"""A node by its name, by its number (from 0, in order of spawning), or itself."""

_POLL = 0.05
"""Seconds between two looks at whether a condition is true."""

_LONGEST_FILE_NAME: Final = 200
"""How much of a node's name is in the name of its file; systems allow 255 bytes."""


@final
class SimCluster:
    """Nodes on a simulated network.

    Args:
      seed: fixes every random choice of the network and of the nodes.
      network: a network with other properties; the cluster runs and closes it.
      latency, loss: of the links, where no network is given.
      config: what the settings of every node start from; the defaults are Go's for a local
        network.  Hundreds of nodes start faster with ``enable_compression=False``.
      disks: give every node a snapshot file, which it finds again after a restart.
      record: keep the events of all nodes in `timeline`; costs a task for each node.
    """

    def __init__(
        self,
        *,
        seed: int | str = 0,
        network: SimNetwork | None = None,
        latency: LatencyLike = 0.0005,
        loss: float = 0.0,
        config: Config | None = None,
        disks: bool = False,
        record: bool = True,
    ) -> None:
        self.network: SimNetwork = (
            SimNetwork(seed=f"{seed} network", latency=latency, loss=loss)
            if network is None
            else network
        )
        self.timeline: Timeline = Timeline()
        """The events of every node, and what was done to it."""
        self._seed = seed
        self._rng = random.Random(f"{seed} cluster")
        self._config = Config.lan(node_name="?") if config is None else config
        self._disks = disks
        self._disk_folder = ""
        self._record = record
        self._nodes: dict[str, SimNode] = {}
        self._nursery: trio.Nursery | None = None
        self._failure: BaseException | None = None
        self._manager: AbstractAsyncContextManager[None] | None = None

    # --- start and end ------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Start the network."""
        self._manager = self._living()
        await self._manager.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Crash every node that still runs, and end the network.

        What the block raised leaves it bare.  If a node failed by a bug, its error comes
        out, whatever the block did.
        """
        assert self._manager is not None, "entered before"
        return await self._manager.__aexit__(exc_type, exc, traceback)

    @asynccontextmanager
    async def _living(self) -> AsyncIterator[None]:
        raised: BaseException | None = None
        with ExitStack() as stack:
            if self._disks:
                folder = tempfile.TemporaryDirectory(prefix="trioserf-disks-")
                self._disk_folder = stack.enter_context(folder)
            async with self.network, trio.open_nursery() as self._nursery:
                try:
                    yield
                except trio.Cancelled:
                    raise
                except BaseException as error:
                    raised = error
                finally:
                    for node in self._nodes.values():
                        self.network.resume(node.host)
                    self._nursery.cancel_scope.cancel()
        raised = self._failure or raised
        if raised is not None:
            raise raised

    # --- nodes --------------------------------------------------------------------------------

    @property
    def nodes(self) -> tuple[SimNode, ...]:
        """All nodes, oldest first, whether they run or not."""
        return tuple(self._nodes.values())

    @property
    def running(self) -> tuple[SimNode, ...]:
        """The nodes that run."""
        return tuple(node for node in self._nodes.values() if node.running)

    def __getitem__(self, which: Which) -> SimNode:
        """A node by name or number.  Raises ``KeyError`` or ``IndexError``."""
        if isinstance(which, SimNode):
            return which
        return self._nodes[which] if isinstance(which, str) else self.nodes[which]

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[SimNode]:
        return iter(self.nodes)

    async def spawn(
        self,
        *which: int | str,
        join: JoinVia = "first",
        drift: float = 0.0,
        **fields: Any,
    ) -> list[SimNode]:
        """Start new nodes, and let each join the cluster.

        Args:
          which: names, or a number of nodes that are named ``node-1``, ``node-2``, …
          join: which node each joins.  ``"everybody"`` makes all that run know each other at once,
            with nothing left to gossip: for large clusters that are watched after the start.
          drift: how much their clocks gain (seconds in each second).
          fields: settings of either half, for these nodes.

        Raises:
          ValueError: a name is taken.
          JoinError: a node could not join.
        """
        nodes = [self._new_node(name, drift, fields) for name in self._names(which)]
        for node in nodes:
            await self._start(node)
        await join_all(nodes, join, self._reachable, self._rng)
        return nodes

    def _names(self, which: Iterable[int | str]) -> Iterator[str]:
        number = 0
        for each in which:
            if isinstance(each, str):
                yield each
                continue
            for _ in range(each):
                while (name := f"node-{(number := number + 1)}") in self._nodes:
                    pass
                yield name

    def _new_node(self, name: str, drift: float, fields: Mapping[str, Any]) -> SimNode:
        if name in self._nodes:
            raise ValueError(f"there is a node {name!r} already")
        # A name may have any character, the one between folders included, and any length.
        file_name = quote(name, safe="", errors="surrogateescape")
        if len(file_name) > _LONGEST_FILE_NAME:
            file_name = f"{file_name[:_LONGEST_FILE_NAME]}~{len(self._nodes)}"
        disk = str(Path(self._disk_folder, f"{file_name}.snapshot")) if self._disks else None
        config = node_settings(self._config, name, disk, drift, fields)
        node = SimNode(name, self.network.free_host(), config)
        self._nodes[name] = node
        return node

    async def _start(self, node: SimNode) -> None:
        if node.running:
            raise RuntimeError(f"{node.name} is running already")
        if self._nursery is None:
            raise RuntimeError("enter the cluster first: async with SimCluster() as cluster")
        node.lives += 1
        self._note(node, "starts" if node.lives == 1 else "starts again")
        life_of = f"{self._seed} {node.name} {node.lives}"
        config = attrs.evolve(node.config, rng=random.Random(life_of))
        nonces = random.Random(f"{life_of} nonces").randbytes
        timeline = self.timeline if self._record else None
        life = partial(node.live, self.network, config, timeline, self._failed, nonces)
        await self._nursery.start(life, name=f"process of {node.name}")

    def _failed(self, error: BaseException) -> None:
        """A node failed by a bug: the block ends, and its error comes out."""
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        self._failure = self._failure or error
        assert self._nursery is not None, "nodes live in it"
        self._nursery.cancel_scope.cancel()

    def _reachable(self) -> list[SimNode]:
        return [node for node in self.running if not self.is_stopped(node)]

    async def crash(self, *which: Which) -> None:
        """End the processes of nodes at once, as ``kill -9``: no other node is notified.

        Their disks keep what was written by then.
        """
        for node in self._chosen(which):
            disk = node.disk
            written = disk.read_bytes() if disk is not None and disk.exists() else None
            await self._end(node, "crashes")
            if disk is not None and written is not None:
                # The last lines, written while the node ended, come too late for a crash.
                disk.write_bytes(written)

    async def leave(self, *which: Which) -> None:
        """Let nodes leave gracefully, then end their processes."""
        for node in self._chosen(which):
            self._note(node, "leaves")
            await node.serf.leave()
            await self._end(node, "ends")

    async def _end(self, node: SimNode, what: str) -> None:
        self._note(node, what)
        self.network.resume(node.host)
        await node.end()

    async def restart(
        self, *which: Which, new_address: bool = False, join: bool | None = None
    ) -> None:
        """Start nodes again, with their disks; running ones crash first.

        Args:
          which: the nodes.
          new_address: on another host, as a container may.
          join: whether each joins the first other node that runs; None means only those
            without a disk, whose snapshot has addresses to join.
        """
        for node in self._chosen(which):
            if node.running:
                await self.crash(node)
            if new_address:
                node.host = self.network.free_host()
            await self._start(node)
            wanted = node.config.snapshot_path is None if join is None else join
            others = [other for other in self.running if other is not node]
            if wanted and others:
                await node.serf.join([others[0].address])

    def stop(self, *which: Which) -> None:
        """Stop the processes of nodes while time goes on, as SIGSTOP."""
        for node in self._chosen(which):
            self._note(node, "is stopped")
            self.network.pause(node.host)

    def resume(self, *which: Which) -> None:
        """Let stopped processes go on, as SIGCONT."""
        for node in self._chosen(which):
            self._note(node, "goes on")
            self.network.resume(node.host)

    def is_stopped(self, which: Which) -> bool:
        """Whether the process of a node is stopped."""
        return self.network.is_paused(self[which].host)

    def _chosen(self, which: Iterable[Which]) -> list[SimNode]:
        return [self[each] for each in which]

    def _note(self, node: SimNode | None, what: str) -> None:
        self.timeline.note(trio.current_time(), "" if node is None else node.name, f"— {what}")

    # --- network ------------------------------------------------------------------------------

    def _hosts(self, which: Which | Iterable[Which] | None) -> tuple[str, ...] | None:
        if which is None:
            return None
        if isinstance(which, (str, int, SimNode)):
            which = (which,)
        return tuple(node.host for node in self._chosen(which))

    def partition(self, *groups: Iterable[Which]) -> None:
        """Let nothing pass between groups of nodes; those not named form one more group."""
        names = [[node.name for node in self._chosen(group)] for group in groups]
        self._note(None, f"partition: {' | '.join(', '.join(group) for group in names)}")
        self.network.partition(*[self._hosts(group) for group in names])

    def heal(self) -> None:
        """Take away the partition and every cut."""
        self._note(None, "healed")
        self.network.heal()

    def cut(
        self,
        source: Which | Iterable[Which] | None,
        target: Which | Iterable[Which] | None = None,
        *,
        both_ways: bool = False,
    ) -> None:
        """Let nothing pass from ``source`` to ``target`` (None: all); see `heal`."""
        self.network.cut(self._hosts(source), self._hosts(target), both_ways=both_ways)

    def change_link(
        self,
        source: Which | Iterable[Which] | None = None,
        target: Which | Iterable[Which] | None = None,
        *,
        both_ways: bool = False,
        **changes: Unpack[LinkChanges],
    ) -> None:
        """Change some fields of the links from ``source`` to ``target`` (None: all)."""
        self.network.change_link(
            self._hosts(source), self._hosts(target), both_ways=both_ways, **changes
        )

    # --- waiting ------------------------------------------------------------------------------

    async def converged(self, *which: Which, within: float = 120.0) -> float:
        """Wait until nodes see each other, and no other node, alive, with their present tags.

        Args:
          which: the nodes that are to agree; none means all that run and are not stopped.
          within: seconds.

        Returns:
          How long it took (seconds).

        Raises:
          trio.TooSlowError: they did not agree in time; the text says which disagree.
        """
        nodes = self._chosen(which) or self._reachable()
        agreement = Agreement(
            {node.name: node.serf.members for node in nodes},
            lambda name: self._nodes[name].serf.local_member.tags,
        )
        start = trio.current_time()
        with trio.move_on_after(within):
            await self.until(agreement.reached, within=within + 1)
            return trio.current_time() - start
        raise trio.TooSlowError(f"no agreement within {within:g} s: {agreement.summary()}")

    async def until(self, condition: Callable[[], object], *, within: float = 120.0) -> None:
        """Wait until ``condition()`` is true; it is looked at every 50 ms.

        Raises:
          trio.TooSlowError: not within so many seconds; the text says which condition.
        """
        with trio.move_on_after(within):
            await trio.lowlevel.checkpoint()
            while not condition():  # noqa: ASYNC110
                await trio.sleep(_POLL)
            return
        raise trio.TooSlowError(f"not within {within:g} s: {_described(condition)}")


def _described(condition: Callable[[], object]) -> str:
    """Where a condition is written, for the error that it did not become true."""
    code = getattr(condition, "__code__", None)
    name = getattr(condition, "__name__", repr(condition))
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
