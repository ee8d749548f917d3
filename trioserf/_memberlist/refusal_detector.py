"""Tasks: check the ports of nodes whose hosts refuse, and answer peers that ask for a check.

The network says which addresses refuse packets (`abc.Transport.refusals`).  That is a reason to
check and no more, for anybody can forge it.  A *port check* sends one more ping and opens a stream;
a *round* is the checks of one node until it is declared dead or shows that it lives, by the rules
of `_swim/refusal.py`.  Three things make this node check:

* an address of a node refuses packets, or the stream of a probe is refused: a round begins;
* a suspicion arrives: some of the nodes that receive it begin a round;
* the packet of an indirect ping is refused: one check for the peer that asked for the ping.

Checks are bounded, for each node and in all, and no more than `MAX_ROUNDS` rounds run.

The detector does nothing, and costs nothing, with ``dead_on_refusal=False``, with
``faithful_go``, and on transports that do not learn of refusals.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from heapq import heappop, heappush
from typing import Final, assert_never

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError
from .._swim.effects import Applied
from .._swim.nodes import Node, NodeStatus
from .._swim.probing import NACK_PROTOCOL, STREAM_PING_PROTOCOL
from .._swim.refusal import (
    ASKED_AT_ONCE,
    CHECKERS,
    QUIET_TIME,
    PortCheck,
    RefusalReport,
    RefusalRound,
    Step,
)
from .._swim.selection import select
from .._swim.table import NodeTable
from .._swim.token_bucket import TokenBucket
from .._wire.messages import Ack, Dead, IndirectPing, Nack, Suspect, encode_message
from ..abc import Address, Transport
from .alarm import Alarm
from .apply import Applier
from .history import History
from .indirect_pings import IndirectPings
from .node_log import Log
from .packet_sender import PacketSender
from .pending_acks import PendingAcks, host_of
from .port_checks import PortChecker
from .short_tasks import ShortTasks
from .stream_client import StreamClient

MAX_ROUNDS: Final = 32
"""Most rounds at once: a rack full of processes may end together."""
CHECK_BURST: Final = 32
"""Checks, each because of a hint from the network, that may begin before `CHECK_RATE` applies."""
CHECK_RATE: Final = 20.0
"""Further checks that may begin in a second."""
FRESH_TIME: Final = 0.5
"""Time after a refused check in which this node need not check the same node again (seconds)."""
MANY_REFUSING: Final = 2
"""If so many nodes refused this node alone within `REFUSED_MEMORY`, its health score rises: nothing
may get out of this node."""
REFUSED_MEMORY: Final = 10.0
"""Time for which it is remembered that a node refused (seconds)."""
STREAM_PERIOD: Final = 0.2
"""Time between two streams that this node opens to see whether streams work (seconds)."""
STREAM_SPREAD: Final = 0.1
"""Each node opens its stream to a new node within this time, multiplied by the number of nodes
(seconds)."""
STREAM_AGAIN: Final = 1.0
"""Time until a stream that did not work is tried again; doubled each time (seconds)."""
MAX_STREAM_AGAIN: Final = 60.0
"""Longest time until a stream that did not work is tried again (seconds)."""

_SEND_ERRORS = (LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.define(eq=False)
class _Running:
    """A round under way, and how it is woken."""

    round: RefusalRound
    packet_refused: bool = False
    """Whether the address has refused a packet since the last check."""
    asked: set[str] = attrs.field(factory=set)
    changed: trio.Event = attrs.field(factory=trio.Event)

    def wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


@attrs.define(eq=False)
class RefusalDetector:
    """Checks the ports of nodes because of what this node found out, and because peers ask for it.

    Attributes:
      wanted: whether the settings turn the detector on.
      refusals: how often a node began to refuse this one.
      declared: nodes that this node declared dead because they refused.
    """

    client: StreamClient
    apply: Applier
    pending_acks: PendingAcks
    indirect_pings: IndirectPings
    rng: random.Random
    tasks: ShortTasks
    refusals: int = attrs.field(default=0, init=False)
    declared: int = attrs.field(default=0, init=False)
    wanted: bool = attrs.field(init=False)
    _port_checker: PortChecker = attrs.field(init=False)
    _stream_checker: StreamChecker = attrs.field(init=False)
    config: MemberlistConfig = attrs.field(init=False)
    transport: Transport = attrs.field(init=False)
    table: NodeTable = attrs.field(init=False)
    sender: PacketSender = attrs.field(init=False)
    history: History = attrs.field(init=False)
    log: Log = attrs.field(init=False)
    _on: bool = attrs.field(default=False, init=False)
    _running: dict[str, _Running] = attrs.field(factory=dict, init=False)
    _rounds_at: dict[Address, _Running] = attrs.field(factory=dict, init=False)
    """The rounds of `_running`, by the address of the node."""
    _quiet_until: dict[str, float] = attrs.field(factory=dict, init=False)
    _refused_at: dict[str, float] = attrs.field(factory=dict, init=False)
    """When a node last refused this one, if it was lately and the node showed no life since."""
    _alone_refused: dict[str, float] = attrs.field(factory=dict, init=False)
    """When a round about a node last ended because nobody else was refused."""
    _asked: dict[int, tuple[_Running, str]] = attrs.field(factory=dict, init=False)
    _budget: TokenBucket = attrs.field(
        factory=lambda: TokenBucket(CHECK_BURST, CHECK_RATE), init=False
    )

    def __attrs_post_init__(self) -> None:
        client, apply = self.client, self.apply
        self.config, self.transport, self.table = client.config, client.transport, client.table
        self.sender, self.history, self.log = apply.sender, apply.history, apply.log
        self._port_checker = PortChecker(
            config=self.config,
            transport=self.transport,
            table=self.table,
            sender=self.sender,
            pending_acks=self.pending_acks,
            log=self.log,
        )
        self._stream_checker = StreamChecker(client, self.pending_acks, self.rng)
        self.wanted = self.config.dead_on_refusal and not self.config.faithful_go
        if self.wanted:
            apply.applied = self.applied

    async def run(self) -> None:
        """Check ports where something refuses, until cancelled.  Returns at once if turned off."""
        refusals = self.transport.refusals() if self.wanted else None
        if refusals is None:
            if self.wanted:
                self.log.debug("this transport does not learn of refusals")
            await trio.lowlevel.checkpoint()
            return
        await self.tasks.begun.wait()
        for node in self.table.sequence:
            self._stream_checker.add(node.name)
        self._on = self.tasks.start(self._stream_checker.run)
        try:
            async for address in refusals:
                self._packet_refused(address)
        finally:
            self._on = False

    # --- what makes this node check ---------------------------------------------------------

    def _packet_refused(self, address: Address) -> None:
        """The network says that an address refuses packets."""
        if self._port_checker.packet_refused(address):
            return
        running = self._rounds_at.get(address)
        if running is not None:
            running.packet_refused = True
            if self._refused_lately(running.round.node):
                self._answer_who_asked(running.round.node)
            return
        now = trio.current_time()
        if self._budget.ready_at > now:
            return
        # Before it is known whose address it is: with many nodes that is most of the work.
        self._budget.spend(now)
        node = next((each for each in self.table.at(address) if each.was_connected), None)
        if node is None:
            return
        if self.indirect_pings.waiting_for(address):
            self.tasks.start(self._check_for_others, node)
        else:
            self._begin(node, packet_refused=True)

    def stream_refused(self, node: Node) -> None:
        """The stream of a probe was refused."""
        known = self.table.nodes.get(node.name)
        if self._on and known is not None and known.was_connected:
            self._begin(known)

    def applied(self, effect: Applied) -> None:
        """A message changed the record of a node."""
        match effect.kind:
            case "alive":
                self._stream_checker.add(effect.name)
            case "suspect" if effect.by != self.table.name:
                self._suspected(effect.name)
            case "dead" if self.refused(effect.name):
                self.apply.spread_soon()  # it was looked into here, too
            case _:
                pass

    def _suspected(self, name: str) -> None:
        """A suspicion arrived."""
        node = self.table.nodes.get(name)
        if not self._on or node is None or not node.was_connected:
            return
        if self.rng.random() * self.table.live_count() < CHECKERS:
            self._begin(node)

    def refused(self, name: str) -> bool:
        """Whether this node was refused just now by a node."""
        at = self._refused_at.get(name, -math.inf)
        return trio.current_time() - at <= max(FRESH_TIME, 2 * self.config.probe_interval)

    def _refused_lately(self, node: Node) -> bool:
        """Whether a check of this node was refused so recently that it need not check again."""
        return trio.current_time() - self._refused_at.get(node.name, -math.inf) <= FRESH_TIME

    # --- a round ---------------------------------------------------------------------------

    def _begin(self, node: Node, *, packet_refused: bool = False) -> None:
        now = trio.current_time()
        if now < self._quiet_until.get(node.name, -math.inf):
            return
        if node.name in self._running or node.address in self._rounds_at:
            return
        if len(self._running) >= MAX_ROUNDS or node is self.table.local_node or self.table.leaving:
            return
        round = RefusalRound(
            node,
            local=self.table.name,
            now=now,
            config=self.config,
            alone=self.table.live_count() <= 2,
        )
        running = _Running(round, packet_refused)
        self._running[node.name] = self._rounds_at[node.address] = running
        self.tasks.start(self._run_round, running)

    async def _run_round(self, running: _Running) -> None:
        round, name = running.round, running.round.node.name
        try:
            with ExitStack() as expected:
                while True:
                    round.on_record(self.table.nodes.get(name))
                    now = trio.current_time()
                    match round.next_step(now):
                        case Step.CHECK:
                            seen, running.packet_refused = running.packet_refused, False
                            result = await self._check_ports(
                                round.node, suspected=round.suspected, packet_refused=seen
                            )
                            round.checked(result, trio.current_time())
                        case Step.ASK:
                            self._ask(running, expected)
                        case Step.SUSPECT:
                            self._suspect(round, now)
                        case Step.DECLARE_DEAD:
                            self._declare_dead(round, now)
                            return
                        case Step.END:
                            self._end(round, now)
                            return
                        case Step.WAIT:
                            with trio.move_on_at(round.wake_at):
                                await running.changed.wait()
                        case never:
                            assert_never(never)
        finally:
            del self._running[name], self._rounds_at[round.node.address]
            self._quiet_until[name] = trio.current_time() + QUIET_TIME
            if len(self._quiet_until) > MAX_ROUNDS * 4:
                del self._quiet_until[next(iter(self._quiet_until))]

    def _ask(self, running: _Running, expected: ExitStack) -> None:
        """Ask some nodes that were not asked yet to ping the node: they check, if it refuses."""
        round, local = running.round, self.table.local_node
        node, refused = round.node, self._refused_at
        _drop_old(refused, trio.current_time())

        def exclude(other: Node) -> bool:
            return (
                other.status is not NodeStatus.ALIVE
                or not other.reached
                or other.protocol_max < NACK_PROTOCOL
                or other.name in (node.name, local.name)
                or other.name in running.asked
                or other.name in refused
            )

        k = max(ASKED_AT_ONCE, self.config.indirect_checks)
        for helper in select(self.rng, self.table.sequence, k, exclude):
            running.asked.add(helper.name)
            seq_no = self.pending_acks.next_seq_no()
            request = IndirectPing(
                seq_no=seq_no,
                target=node.addr,
                port=node.port,
                node=node.name,
                nack=True,
                source_addr=local.addr,
                source_port=local.port,
                source_node=local.name,
            )
            expected.enter_context(self._expected(seq_no, running, helper))
            try:
                self.sender.send(encode_message(request), helper.address, helper.name)
            except _SEND_ERRORS as error:
                self.log.debug(
                    "cannot ask %s to check the ports of %s: %s", helper.name, node.name, error
                )

    @contextmanager
    def _expected(self, seq_no: int, running: _Running, helper: Node) -> Iterator[None]:
        """While the block runs, what a helper answers counts."""

        def on_ack(_ack: Ack, _at: float, _source: Address | None) -> None:
            running.round.sign_of_life(f"it answered {helper.name}")
            running.wake()

        self._asked[seq_no] = running, helper.name
        try:
            with self.pending_acks.expect(seq_no, on_ack, hosts={*helper.hosts}, always=True):
                yield
        finally:
            del self._asked[seq_no]

    def answered(self, seq_no: int, suspect: Suspect, source: Address) -> bool:
        """A nack came with the suspicion of its sender before it; whether it was asked for."""
        running, name = self._asked.get(seq_no, (None, ""))
        if running is None or suspect.from_node != name:
            return False
        helper = self.table.nodes.get(name)
        node = running.round.node
        if helper is None or host_of(source) not in helper.hosts or suspect.node != node.name:
            return False
        if suspect.incarnation >= node.incarnation:
            running.round.corroborated(name)
            running.wake()
        return True

    def _suspect(self, round: RefusalRound, now: float) -> None:
        node = round.node
        report = round.report()
        self.log.info("suspecting %s: %s", node.name, report)
        self.history.note(node.name, "refuses", detail=str(report))
        self.apply(self.table.suspect_failed(node.name, node.incarnation, now))
        self.apply.spread_soon()
        suspect = Suspect(node.incarnation, node.name, self.table.name)
        try:
            self.sender.send_together([encode_message(suspect)], node.address, node.name)
        except _SEND_ERRORS as error:
            self.log.debug("cannot send a suspicion to %s: %s", node.name, error)

    def _declare_dead(self, round: RefusalRound, now: float) -> None:
        node, report = round.node, round.report()
        self.declared += 1
        self.apply.metrics.count("trioserf.memberlist.dead_on_refusal")
        self.log.info("declaring %s dead: %s", node.name, report)
        self.apply(self.table.declare_refused(node.name, node.incarnation, str(report), now))

    def _end(self, round: RefusalRound, now: float) -> None:
        name = round.node.name
        self.log.debug("%s refuses no longer, or to nobody else: %s", name, round.ended)
        if not round.uncorroborated:
            self._refused_at.pop(name, None)
            return
        self.history.note(
            name, "refuses", detail=f"its host refused its ports to this node alone: {round.ended}"
        )
        self._alone_refused[name] = now
        _drop_old(self._alone_refused, now)
        if len(self._alone_refused) >= MANY_REFUSING:
            self.apply.change_health(1)

    async def _check_ports(self, node: Node, *, suspected: bool, packet_refused: bool) -> PortCheck:
        result = await self._port_checker.check(
            node, suspected=suspected, packet_refused=packet_refused
        )
        if result is PortCheck.REFUSED:
            _drop_old(self._refused_at, trio.current_time())
            if node.name not in self._refused_at:
                self.refusals += 1
                seen = RefusalReport((self.table.name,))
                self.history.note(node.name, "refuses", detail=str(seen))
            self._refused_at[node.name] = trio.current_time()
            self._answer_who_asked(node)
        elif result is PortCheck.ANSWERED:
            self._refused_at.pop(node.name, None)
        return result

    # --- for others --------------------------------------------------------------------------

    async def _check_for_others(self, node: Node) -> None:
        """Check because an indirect ping was refused, and answer those who asked for it."""
        await self._check_ports(node.copy(), suspected=False, packet_refused=True)

    def _answer_who_asked(self, node: Node) -> None:
        """This node was refused: say so to those whose indirect pings to the same node wait."""
        known = self.table.nodes.get(node.name)
        if known is None or known.is_gone or known.incarnation != node.incarnation:
            return
        for request, reply_to in self.indirect_pings.take(node.address):
            self._answer(node, request, reply_to)

    def _answer(self, node: Node, request: IndirectPing, reply_to: Address) -> None:
        if not request.nack:
            return  # protocol 3 or older: the peer does not understand it
        suspect = encode_message(Suspect(node.incarnation, node.name, self.table.name))
        nack = encode_message(Nack(seq_no=request.seq_no))
        try:
            self.sender.send_together([suspect, nack], reply_to, request.source_node)
        except _SEND_ERRORS as error:
            self.log.debug("cannot answer %s: %s", reply_to, error)

    def asked(self, seq_no: int, request: IndirectPing, reply_to: Address) -> None:
        """An indirect ping arrived, which goes on; there may be something to say at once.

        Who asks may not know that the node has left.  And where this node was refused just now,
        in a round of its own, both would otherwise wait for each other.

        Args:
          seq_no: of the ping that goes on.
        """
        node = self.table.nodes.get(request.node)
        if not self._on or node is None:
            return
        if node.was_connected and self._refused_lately(node):
            self._answer(node, request, reply_to)
            self.indirect_pings.nacked(seq_no)
        if node.status is not NodeStatus.LEFT:
            return
        dead = encode_message(Dead(node.incarnation, node.name, node.name))
        try:
            self.sender.send_together([dead], reply_to, request.source_node)
        except _SEND_ERRORS as error:
            self.log.debug("cannot answer %s: %s", reply_to, error)


def _drop_old(times: dict[str, float], now: float) -> None:
    """Forget what was longer than `REFUSED_MEMORY` ago: nodes come back, and names may be new."""
    for name in [name for name, at in times.items() if now - at > REFUSED_MEMORY]:
        del times[name]


# --- streams that work --------------------------------------------------------------------


@attrs.define(eq=False)
class StreamChecker:
    """Opens a stream to each node once, so that a later refusal of a stream means something.

    A port that was never reachable from this node may refuse because of a firewall.  So this node
    opens one stream to each node, with a ping on it, a little after the node has become known, and
    another when its incarnation has changed.  All nodes of a cluster do that to a new node, each
    at a random moment of a time that grows with the cluster: so the new node sees ten streams a
    second, however many nodes there are.
    """

    client: StreamClient
    pending_acks: PendingAcks
    rng: random.Random
    _due: list[tuple[float, float, str]] = attrs.field(factory=list, init=False)
    """A heap: when, how long to wait if that fails, and the name."""
    _names: set[str] = attrs.field(factory=set, init=False)
    """Those in the heap."""
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)

    def __len__(self) -> int:
        return len(self._due)

    def add(self, name: str) -> None:
        """A node is alive, and perhaps in another incarnation."""
        table = self.client.table
        if name == table.name or name in self._names:
            return
        node = table.nodes.get(name)
        if node is not None and node.connected_in != node.incarnation:
            delay = self.rng.random() * STREAM_SPREAD * len(table.sequence)
            self._push(trio.current_time() + delay, STREAM_AGAIN, name)

    def _push(self, due: float, again: float, name: str) -> None:
        if name in self._names:
            return
        heappush(self._due, (due, again, name))
        self._names.add(name)
        self._alarm.advance(due)

    async def run(self) -> None:
        """Open streams until cancelled."""
        while True:
            if not self._due:
                self._names = set()  # a set that was large stays as large
            self._alarm.deadline = self._due[0][0] if self._due else math.inf
            if self._alarm.deadline > trio.current_time():
                await self._alarm.wait()
                continue
            await self._check()
            await trio.sleep(STREAM_PERIOD)

    async def _check(self) -> None:
        _, again, name = heappop(self._due)
        self._names.discard(name)
        node = self.client.table.nodes.get(name)
        if node is None or node.is_gone or node.was_connected:
            return
        if node.protocol_max < STREAM_PING_PROTOCOL:
            return
        worked = await self.client.check(node, self.pending_acks.next_seq_no())
        if not (worked and node.was_connected):
            self._push(trio.current_time() + again, min(2 * again, MAX_STREAM_AGAIN), name)
