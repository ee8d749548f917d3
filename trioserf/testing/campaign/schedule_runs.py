"""One fault schedule on one cluster, watched from beginning to end.

After the last fault the cluster must agree within the bound of `bounds`; then a user event and
a query must still reach every node.  Whatever goes wrong on the way, a crash of a node by a bug
included, is the failure of the run.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeAlias, final

import trio

from ... import _attrs as attrs
from ..._events import Query
from ..._exceptions import SerfError
from ..agreement import AgreementBound, agreement_bound
from ..determinism import run
from ..invariants import Invariant, InvariantViolation, Memory, all_invariants, watched
from ..links import Link, LinkChanges
from ..observation import TraceDigest
from ..sim_cluster import SimCluster
from ..sim_network import SimNetwork
from ..sim_node import SimNode
from .fault_schedules import OF_LINKS, Fault, FaultKind, Schedule

Invariants: TypeAlias = Callable[[], Sequence[Invariant]]
"""Makes fresh invariants for a run."""

_STEP: Final = 0.25
"""Seconds between two looks at the invariants."""
_AFTERWARDS: Final = 5.0
"""Seconds that a run goes on when all is well: events may still be in their pipelines."""
_JOIN_AGAIN: Final = 3.0
"""Seconds until a node that could not join tries another address."""
_KEY: Final = bytes(range(16))
_COALESCING: Final = {
    "coalesce_period": 3.0,
    "quiescent_period": 1.0,
    "user_coalesce_period": 1.0,
    "user_quiescent_period": 0.3,
}
_TRIES: Final = 5
"""Queries that may miss a node in a cluster that agrees: a query is gossiped once."""


def campaign_invariants() -> tuple[Invariant, ...]:
    """All invariants, and bounded memory: a run keeps no data of its own."""
    return (*all_invariants(), Memory())


@final
@attrs.frozen(kw_only=True)
class Outcome:
    """How a run ended.

    Args:
      schedule: what was done.
      kind: of the failure: the name of an exception; "" if nothing failed.
      failure: what was wrong, in words.
      agreed_after: seconds from the last fault until all agreed; None if they did not.
      bound: the most seconds that this was allowed to take.
      steps: how often the invariants were looked at.
      digest: hash of every packet and every event; one schedule gives one digest.
      timeline: what the nodes saw.
    """

    schedule: Schedule
    kind: str
    failure: str
    agreed_after: float | None
    bound: float
    steps: int
    digest: str
    timeline: str = attrs.field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.kind


def run_schedule(schedule: Schedule, *, invariants: Invariants = campaign_invariants) -> Outcome:
    """Run it on a jumping clock, from its seed alone.

    Args:
      schedule: what is done.
      invariants: what must be true all the time.
    """
    return run(schedule.seed, _Run(schedule, invariants).outcome)


@attrs.define(eq=False)
class _Run:
    schedule: Schedule
    invariants: Invariants
    cluster: SimCluster = attrs.field(init=False)
    _links: LinkFaults = attrs.field(init=False)
    _joined: dict[str, None] = attrs.field(factory=dict, init=False)
    """Nodes that belong to the cluster, so that others may join them."""
    _busy: set[str] = attrs.field(factory=set, init=False)
    """Nodes that are down, stopped, or about to be."""
    _agreed_after: float | None = attrs.field(default=None, init=False)
    _bound: float = attrs.field(default=0.0, init=False)
    _steps: int = attrs.field(default=0, init=False)

    async def outcome(self) -> Outcome:
        digest = TraceDigest()
        kind = failure = ""
        setup, seed = self.schedule.setup, self.schedule.seed
        self.cluster = SimCluster(seed=seed, disks=setup.disks, latency=setup.latency)
        self.cluster.network.trace = digest
        self._links = LinkFaults(self.cluster.network, Link(latency=setup.latency))
        try:
            async with self.cluster:
                invariants = self.invariants()
                async with watched(self.cluster, step=_STEP, invariants=invariants) as watch:
                    try:
                        await self._live()
                    finally:
                        self._steps = watch.steps
        except Exception as error:  # whatever it is, it is what the run was made to find
            while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]
            kind, failure = type(error).__name__, str(error)
        timeline = str(self.cluster.timeline)
        both = hashlib.sha256(f"{digest.hexdigest()}\n{timeline}".encode())
        return Outcome(
            schedule=self.schedule,
            kind=kind,
            failure=failure,
            agreed_after=self._agreed_after,
            bound=self._bound,
            steps=self._steps,
            digest=both.hexdigest(),
            timeline=timeline,
        )

    async def _live(self) -> None:
        cluster = self.cluster
        await self._spawn()
        bound = self._agreement_bound()
        self._bound = bound.total
        await cluster.converged()
        async with trio.open_nursery() as nursery:
            for fault in self.schedule.faults:
                nursery.start_soon(self._apply, fault)
        self._agreed_after = await cluster.converged(within=bound.total)
        await self._reaches_everybody(bound.spreading)
        await trio.sleep(_AFTERWARDS)

    async def _spawn(self) -> None:
        setup = self.schedule.setup
        settings: dict[str, Any] = {"enable_compression": setup.compressed}
        if setup.refusals:
            settings["dead_on_refusal"] = True
        if setup.encrypted:
            settings["secret_key"] = _KEY
        if setup.coalescing:
            settings.update(_COALESCING)
        for drift in setup.drifts:
            for node in await self.cluster.spawn(1, drift=drift, **settings):
                self._settle(node)

    def _agreement_bound(self) -> AgreementBound:
        """That of the node whose clock is the slowest."""
        nodes, parted = self.cluster.nodes, self.schedule.parting
        bounds = [agreement_bound(node.config, len(nodes), parted=parted) for node in nodes]
        return max(bounds, key=lambda bound: bound.total)

    def _settle(self, node: SimNode) -> None:
        self._joined[node.name] = None
        node.start_soon(_answer, node)

    async def _reaches_everybody(self, spreading: float) -> None:
        """A user event arrives everywhere; some query is answered by all.

        The node whose event clock is ahead sends the event.  A node that sent an event which no
        other node received, and that returns with its disk, ignores all events up to that Lamport
        time, as in Go; it would ignore an event of a node that has not yet seen its clock.
        """
        cluster = self.cluster
        names = {node.name for node in cluster.running}
        ahead = max(cluster.running, key=lambda node: node.serf.statistics().event_time)
        await ahead.serf.user_event("finally")

        def missed() -> set[str]:
            reached = {entry.node for entry in cluster.timeline.user_events("finally")}
            return names - reached

        coalescing = max(node.config.user_coalesce_period for node in cluster)
        with trio.move_on_after(spreading + coalescing + 1):
            await cluster.until(lambda: not missed(), within=math.inf)
        if missed():
            raise InvariantViolation(f"a user event did not reach {sorted(missed())}")
        for _ in range(_TRIES):
            answered = {each.node for each in (await ahead.serf.ask("finally")).responses}
            if answered == names:
                return
        raise InvariantViolation(f"no query reached {sorted(names - answered)}")

    # --- faults ---------------------------------------------------------------------------

    async def _apply(self, fault: Fault) -> None:
        await trio.sleep(fault.at)
        nodes = [self.cluster[number] for number in fault.nodes]
        match fault.kind:
            case FaultKind.PARTITION | FaultKind.CUT:
                await self._part(fault, nodes)
            case FaultKind.TAGS | FaultKind.EVENT | FaultKind.QUERY:
                await self._use(fault, nodes[0])
            case FaultKind.REJECT:
                await self._reject(fault, nodes)
            case _ if fault.kind not in OF_LINKS:
                if nodes[0].name not in self._busy:
                    await self._take_down(fault, nodes[0])
            case _:
                with self._links.lasting(tuple(node.host for node in nodes), fault.changes):
                    await trio.sleep(fault.lasts)

    async def _part(self, fault: Fault, nodes: list[SimNode]) -> None:
        network = self.cluster.network
        two_way = fault.kind is FaultKind.PARTITION
        if two_way:
            here = tuple(node.host for node in nodes)
            there = tuple(node.host for node in self.cluster if node not in nodes)
        else:
            here, there = (nodes[0].host,), tuple(node.host for node in nodes[1:])
        network.cut(here, there, both_ways=two_way)
        await trio.sleep(fault.lasts)
        network.mend(here, there, both_ways=two_way)

    async def _reject(self, fault: Fault, nodes: list[SimNode]) -> None:
        network, reject = self.cluster.network, fault.reject
        assert reject is not None, "drawn with every firewall"
        there, here = nodes[0].host, tuple(node.host for node in nodes[1:]) or None
        network.reject(here, there, packets=reject.packets, streams=reject.streams, by=reject.by)
        await trio.sleep(fault.lasts)
        network.accept(here, there)

    async def _use(self, fault: Fault, node: SimNode) -> None:
        if node.name in self._busy:
            return
        name = f"fault-{fault.number}"
        # The node may crash or leave meanwhile, or reach no other: that is no bug.
        with suppress(SerfError, trio.ClosedResourceError):
            if fault.kind is FaultKind.EVENT:
                await node.serf.user_event(name, b"x" * 20)
            elif fault.kind is FaultKind.TAGS:
                await node.serf.set_tags({"fault": name})
            else:
                await node.serf.ask(name)

    async def _take_down(self, fault: Fault, node: SimNode) -> None:
        with self._marked_busy(node):
            if fault.kind is FaultKind.STOP:
                self.cluster.stop(node)
                await trio.sleep(fault.lasts)
                self.cluster.resume(node)
                return
            self._joined.pop(node.name, None)
            if fault.kind is FaultKind.LEAVE:
                await self.cluster.leave(node)
            else:
                if fault.kind is FaultKind.POWER_OFF:
                    self.cluster.network.power_off(node.host)
                await self.cluster.crash(node)
            if fault.lasts == math.inf:
                return
            await trio.sleep(fault.lasts)
            self.cluster.network.power_on(node.host)
            moves = fault.kind is FaultKind.MOVE
            await self.cluster.restart(node, join=False, new_address=moves)
            await self._rejoin(node)

    @contextmanager
    def _marked_busy(self, node: SimNode) -> Iterator[None]:
        """Let no other fault take the node; for good if it is down at the end."""
        self._busy.add(node.name)
        yield
        if node.running:
            self._busy.discard(node.name)

    async def _rejoin(self, node: SimNode) -> None:
        """Join a node that belongs to the cluster; again until it works."""
        while others := [self.cluster[name] for name in self._joined]:
            ready = [other for other in others if not self.cluster.is_stopped(other)]
            if ready:
                with suppress(SerfError):
                    await node.serf.join([ready[0].address])
                    break
                # Another one the next time.
                self._joined[ready[0].name] = self._joined.pop(ready[0].name, None)
            await trio.sleep(_JOIN_AGAIN)
        self._settle(node)


async def _answer(node: SimNode) -> None:
    """What runs in every node: it answers every query."""
    async with node.serf.subscribe(Query) as queries:
        async for query in queries:
            if isinstance(query, Query):
                with suppress(SerfError):
                    await query.respond(node.name.encode())


@final
@attrs.define(eq=False)
class LinkFaults:
    """The faults of the links of one network; each may end while others go on.

    What a link is like follows from the faults that last at the moment: those of all links
    first, then those of a host's outgoing ones, the later before the earlier where two change
    the same.

    Args:
      network: its links are changed here only.
      usual: what every link is like without faults.
    """

    network: SimNetwork
    usual: Link
    _lasting: list[tuple[tuple[str, ...], LinkChanges]] = attrs.field(factory=list, init=False)

    @contextmanager
    def lasting(self, hosts: tuple[str, ...], changes: LinkChanges) -> Iterator[None]:
        """A fault for the length of a block.

        Args:
          hosts: whose outgoing links; none means all links.
          changes: what is different.
        """
        fault = (hosts, changes)
        self._lasting.append(fault)
        self._settle(hosts)
        try:
            yield
        finally:
            self._lasting = [each for each in self._lasting if each is not fault]
            self._settle(hosts)

    def _settle(self, changed: tuple[str, ...]) -> None:
        everywhere = self._with_faults(self.usual, None)
        self.network.set_link(None, None, everywhere)
        hosts = {host: None for others, _ in self._lasting for host in others}
        for host in changed:
            if host not in hosts:
                self.network.set_link(host, None, None)
        for host in hosts:
            self.network.set_link(host, None, self._with_faults(everywhere, host))

    def _with_faults(self, link: Link, host: str | None) -> Link:
        for hosts, changes in self._lasting:
            if host in hosts or (host is None and not hosts):
                link = attrs.evolve(link, **changes)
        return link
