"""Push/pulls, which exchange full state: those of this node, and what is sent and merged in each.

A cluster at rest sends the same state again and again.  So the bytes are kept as long as
nothing changed: encoding and compressing the state of a thousand nodes costs more than all
probes of a push/pull interval together.

The delegate has its own part of the state: handed over whole as in Go, or encoded and merged in
pieces.  Serf's part of the state of 50,000 members takes a tenth of a second to handle.  A delegate
that is an `abc.LargeStateDelegate` encodes and decodes it in a thread, is not asked at all while
nothing changed, and merges it in short steps with other tasks in between.

Source: hashicorp/memberlist v0.2.2, net.go: sendLocalState; state.go: pushPullTrigger, pushPull,
pushPullNode, mergeRemoteState; delegate.go: LocalState, MergeRemoteState, which hold up the
goroutine of the exchange alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, MergeRefused, RemoteProtocolError
from .._swim.effects import Broadcast
from .._swim.nodes import Node, NodeStatus
from .._swim.same_cluster import is_only
from .._swim.scaling import push_pull_scale
from .._swim.selection import select
from .._swim.table import NodeTable
from .._wire.compression import compress_message
from .._wire.limits import ENCRYPTED_PER_PLAIN
from .._wire.messages import ErrorReply, MessageType, NodeRecord
from .._wire.streams import PushPullState, frame, push_pull_bytes
from ..abc import Address, Delegate, LargeStateDelegate, PublishingDelegate
from .alarm import Alarm
from .apply import Applier
from .drop_log import DropLog
from .history import History
from .metrics import Metrics
from .node_log import Log
from .stream_client import StreamClient
from .stream_io import (
    INLINE_FRAME,
    INLINE_SIZE,
    let_readers_catch_up,
    make_way,
    read_reply,
    run_cpu_bound,
    turn,
)
from .wire_format import WireFormat

T = TypeVar("T")

MERGE_SLICE: Final = 50
"""Most records merged before other tasks get their turn."""
MERGE_STEP: Final = 10
"""Records merged before the time is looked at; see `MERGE_TIME`."""
MERGE_TIME: Final = 0.002
"""Time after which other tasks get their turn, even before `MERGE_SLICE` records are merged
(seconds): each new node becomes a member of Serf, too, and a line of its snapshot."""
QUIET_STATE: Final = 1000
"""Least records of a state that a node that joins does not gossip on; see `StateExchange.merge`."""
RECORDS_SLICE: Final = 2000
"""Records collected before other tasks get their turn: two milliseconds if all have changed."""
_RECORD_SIZE = 140
"""Estimated length of one record, with what the delegate says of the node (bytes)."""
MAX_AGE: Final = 1.0
"""Greatest age of an encoded state that is sent again (seconds); see `QUICK`."""
QUICK: Final = 0.005
"""An encoded state is sent again, for ten times as long as its encoding took, only if that took
longer than this (seconds)."""
USER_STEP: Final = 0.002
"""Time after which a delegate that merges in steps lets other tasks run (seconds)."""
SPREAD: Final = 3
"""Nodes with which this node exchanges state at once when peers may lack something that gossip does
not bring them; each of those nodes does the same."""
SPREAD_PERIOD: Final = 1.0
"""Shortest time between two rounds of exchanges with `SPREAD` nodes (seconds)."""
SOON = (5.0, 10.0)
"""Least and greatest time from an exchange that brought something new to the next one (gossip
intervals)."""
REPAIRS: Final = 3
"""Exchanges that follow when nodes were turned away for want of room: not every peer knows them."""
REPAIR_PERIOD: Final = 5.0
"""Shortest time between two exchanges of which `REPAIRS` are made (seconds)."""
SUSPECT_PERIOD: Final = 1.0
"""Shortest time between two exchanges with suspects (seconds); it grows with the cluster as the
interval of regular exchanges does."""
UNTIL_MERGED: Final = 0.05
"""Time that most peers need to merge a state that they were sent (seconds)."""
EXCHANGE_ERRORS = (OSError, RemoteProtocolError, LocalProtocolError, MergeRefused)
"""How an exchange may fail because of the peer or the network."""


class _Encoded(NamedTuple):
    """The local state in bytes, before encryption, and what the bytes depend on."""

    depends_on: tuple[int, object, bool]
    inner: bytes
    good_until: float

    def may_serve(self, compress: bool, now: float) -> bool:
        """Whether it may be sent although something may have changed."""
        return now < self.good_until and self.depends_on[2] == compress


@attrs.define(eq=False, kw_only=True)
class StateExchange:
    """Encodes and merges full state."""

    table: NodeTable
    apply: Applier
    delegate: Delegate | None
    wire: WireFormat
    drop_log: DropLog
    metrics: Metrics
    faithful: bool = False
    user_state: UserState = attrs.field(init=False)
    _encoded: dict[bool, _Encoded] = attrs.field(factory=dict, init=False)
    """The local state as it was last encoded, by the join flag: peers may alternate it."""

    def __attrs_post_init__(self) -> None:
        self.user_state = UserState(self.delegate, self.drop_log)

    async def local_frame(self, *, join: bool, fresh: bool = True) -> bytes:
        """The whole local state as one frame for a stream.

        *Checkpoint*: where the state is large.

        Args:
          fresh: that of this moment.  Else it may be as old as ten times the time that it took
            to encode, at most a second: then peers that change something and ask, again and
            again, cannot make this node do nothing else.
        """
        compress = self.wire.stream.compress
        self._count_nodes()
        known, began = self._encoded.get(join), trio.current_time()
        if known is not None and not fresh and known.may_serve(compress, began):
            return await self._framed(known.inner)
        version = self.user_state.version(join)
        depends_on = (self.apply.changes, version, compress)
        if known is not None and depends_on == known.depends_on:
            return await self._framed(known.inner)
        records = await self._records()
        size = _RECORD_SIZE * len(records)
        user_state = await _inline_or_apart(self.user_state.encoder(version, join), size)
        outside = self.wire.stream_outside
        nonce = None if outside.key is None else self.wire.stream_nonce()

        def build() -> tuple[bytes, bytes]:
            plain = push_pull_bytes(join, records, user_state)
            inner = compress_message(plain, make_way) if compress else plain
            return inner, frame(inner, outside, nonce)

        inner, framed = await _inline_or_apart(build, size + len(user_state))
        self.user_state.report_failure()
        if self.metrics.tap is not None:
            self.metrics.gauge("memberlist.size.local", len(inner))
        now = trio.current_time()
        age = min(MAX_AGE, 10 * (now - began)) if now - began > QUICK else 0.0
        self._encoded[join] = _Encoded(depends_on, inner, now + age)
        return framed

    async def _framed(self, inner: bytes) -> bytes:
        """A frame around a state that was encoded before."""
        outside = self.wire.stream_outside
        nonce = None if outside.key is None else self.wire.stream_nonce()
        size = len(inner) // ENCRYPTED_PER_PLAIN
        return await _inline_or_apart(lambda: frame(inner, outside, nonce), size)

    async def _records(self) -> list[NodeRecord]:
        """Every node; each as it is at some moment during the call.

        *Checkpoint*: where there are many.
        """
        nodes = list(self.table.sequence)
        records = list[NodeRecord]()
        for start in range(0, len(nodes), RECORDS_SLICE):
            if start:
                await trio.lowlevel.checkpoint()
            records += [node.record for node in nodes[start : start + RECORDS_SLICE]]
        return records

    async def merge(
        self, state: PushPullState, *, join: bool, source: Address | None, peer: str = ""
    ) -> None:
        """Merge the state of a peer, as far as the rules allow.

        A large state is merged in slices, so that pings are answered in between.

        DIFFERS (unless ``faithful_go``): a node that knows nobody and joins a large cluster does
        not gossip what it learns.  Go would fill each of its packets for half an hour with
        50,000 members that everybody knows.  If it joins two clusters at once the exchanges that
        follow a join bring each what it lacks.
        Test: test_a_newcomer_does_not_gossip_the_state_of_a_large_cluster.
        *Checkpoint*: where there is much to merge.  *Cancellation*: what was not merged yet is
        not.

        Args:
          state: its nodes, and the user state for the delegate.
          join: the flag of the exchange.
          source: the address that was dialled; None for an accepted stream.
          peer: the host of the peer; "" for unknown.

        Raises:
          RemoteProtocolError: versions that cannot live together; nothing was merged.
          MergeRefused: by the merge handler; nothing was merged.
        """
        records = state.records
        if len(records) > MERGE_SLICE:
            await trio.lowlevel.checkpoint()
        self.table.check(records, join=join)
        newcomer = source is not None and len(self.table.sequence) == 1 and not self.faithful
        quiet = newcomer and len(records) >= QUIET_STATE
        if len(records) <= MERGE_STEP:
            self._merge_slice(records, source, peer, quiet=False)
        else:
            done = 0
            while done < len(records):
                some = records[done : done + MERGE_SLICE]
                async with turn():  # other peers may have as much to merge
                    done += self._merge_slice(some, source, peer, quiet=quiet)
                await let_readers_catch_up(self.user_state.is_behind)
        await self.user_state.merge(state.user_state, join=join, began=source is not None)

    def _merge_slice(
        self, records: Sequence[NodeRecord], source: Address | None, peer: str, *, quiet: bool
    ) -> int:
        """Merge records, until that took long; returns how many."""
        done, until = 0, trio.current_time() + MERGE_TIME
        while done < len(records):
            some, now = records[done : done + MERGE_STEP], trio.current_time()
            if now > until:
                break
            effects = self.table.merge_checked(some, now, source=source, peer=peer)
            if quiet:
                effects = [one for one in effects if not isinstance(one, Broadcast) or one.local]
            self.apply(effects, peer)
            done += len(some)
        return done

    def _count_nodes(self) -> None:
        if self.metrics.tap is not None:
            counts = self.table.counts()
            for status in NodeStatus:
                self.metrics.gauge(
                    "memberlist.node.instances", counts.get(status, 0), node_state=str(status)
                )


async def _inline_or_apart(work: Callable[[], T], size: int) -> T:
    """As `run_cpu_bound`, without its checkpoint if the work is small: a stream is awaited next."""
    return work() if size < INLINE_SIZE else await run_cpu_bound(work, size)


# --- push/pulls of this node --------------------------------------------------------------


class LeadsHere(OSError):
    """What was to be joined is this node itself."""


@attrs.define(eq=False, kw_only=True)
class PushPuller:
    """Push/pulls that this node begins: those of the anti-entropy task, and those of joins.

    Anti-entropy repairs what gossip lost.  In a larger cluster a node exchanges more rarely:
    otherwise the traffic of full states would grow with the square of the number of nodes.

    DIFFERS: an exchange that this node began and that brought nodes which it did not know is
    soon followed by another one.  When many nodes join at once, gossip is budgeted for the
    cluster that each of them knows at that time, so some never learn of some others; in Go only
    the next regular exchange repairs that, after a minute or more.  A cluster where nothing is
    new makes as many exchanges as with Go.
    Test: test_an_exchange_that_brought_something_new_is_soon_followed_by_another.
    The regular exchanges keep their times.  Otherwise nodes that started together would make
    regular exchanges all at the same moment, and the states that one of them gets would all have
    the suspicions of that moment.
    Test: test_an_exchange_out_of_turn_leaves_the_regular_ones_their_times.

    DIFFERS (unless ``faithful_go``): nodes that were turned away because too many are known by
    hearsay alone (`_swim/admission.py`) may be real.  A state that this node asks for has no such
    bound, so this node soon exchanges state.  And if the node that was drawn for an exchange was
    never reached and does not answer, a node that was reached is asked instead: where most nodes
    are made up, hardly any exchange would take place otherwise.
    Tests: test_nodes_that_were_turned_away_are_soon_asked_for,
    test_instead_of_a_silent_node_that_was_never_reached_another_is_asked.

    DIFFERS (unless ``faithful_go``): a suspect that answers on a stream, but not to packets, is
    sent state, and a moment later once more, which brings its refutation.  Where UDP is blocked
    and TCP is not, neither the suspicion nor the refutation gets there in Go, and each probe
    that fails by chance ends as a failure.
    Test: test_a_suspect_that_answers_on_streams_alone_may_refute.
    """

    config: MemberlistConfig
    table: NodeTable
    client: StreamClient
    exchange: StateExchange
    rng: random.Random
    history: History
    metrics: Metrics
    log: Log
    push_pulls: int = attrs.field(default=0, init=False)
    push_pulls_failed: int = attrs.field(default=0, init=False)
    _alarm: Alarm = attrs.field(factory=Alarm, init=False)
    _regular_at: float = attrs.field(default=math.inf, init=False)
    _spread: bool = attrs.field(default=False, init=False)
    _spread_at: float = attrs.field(default=-math.inf, init=False)
    _repairs: int = attrs.field(default=0, init=False)
    _repair_at: float = attrs.field(default=-math.inf, init=False)
    _suspect_at: float = attrs.field(default=-math.inf, init=False)

    def exchange_soon(self) -> None:
        """Let the task exchange with `SPREAD` nodes, at once or when it may again."""
        if not self._spread:
            self._spread = True
            self._alarm.advance(max(trio.current_time(), self._spread_at + SPREAD_PERIOD))

    def nodes_turned_away(self) -> None:
        """There was no room for nodes: let the task exchange soon.  Cheap."""
        self._repairs = REPAIRS
        self._plan_repair()

    def _plan_repair(self) -> None:
        if self._repairs and not self.config.faithful_go and self.config.push_pull_interval > 0:
            now, interval = trio.current_time(), self.config.gossip_interval or 0.2
            self._alarm.advance(max(now + SOON[0] * interval, self._repair_at))

    async def push_pull(self, to: Address, name: str, *, join: bool) -> None:
        """Exchange full state with a node, and merge its state.

        Args:
          to, name: the node's address, and its name if known.
          join: whether this is a join: merge handlers on both sides may refuse.

        Raises:
          OSError: no connection, too slow, or broken off; or a join led to this node itself.
          RemoteProtocolError: an error reply, bytes that break the protocol, or versions
            that cannot live together; nothing was merged.
          MergeRefused: by the local merge handler; nothing was merged.
          LocalProtocolError: node names are required and there is none.
        """
        started = trio.current_time()
        self.push_pulls += 1
        try:
            state = await self._ask(to, name, join)
            if join and is_only(state.records, self.table.local_node, self.table.nodes):
                raise LeadsHere(f"{to} leads back to this node itself")
            known = len(self.table.sequence)
            await self.exchange.merge(state, join=join, source=to, peer=to.host)
            if len(self.table.sequence) > known:
                self._repeat_soon()
        except Exception as error:
            self.push_pulls_failed += 1
            self.history.exchange_failed(to, error)
            raise
        else:
            node = self.table.nodes.get(name)
            found = [node] if node is not None and node.address == to else self.table.at(to)
            for answering in found:
                answering.answered(trio.current_time())
        finally:
            if self.metrics.tap is not None:
                duration = (trio.current_time() - started) * 1000
                self.metrics.sample("memberlist.pushPullNode", duration)

    async def peek(self, to: Address, name: str) -> PushPullState:
        """The state of a node, which learns nothing of this one.  Raises as `push_pull`."""
        return await self._ask(to, name, None)

    async def _ask(self, to: Address, name: str, join: bool | None) -> PushPullState:
        """The state of a node, which is sent the local one before; nothing if ``join`` is None."""
        self.metrics.count("memberlist.tcp.connect")
        async with self.client.dial(to, name, self.config.tcp_timeout) as stream:
            if join is None:
                request = self.client.wire.encode_frame(push_pull_bytes(False, [], b""))
            else:
                request = await self.exchange.local_frame(join=join)
            broken = None
            try:
                await stream.send_all(request)
            except trio.BrokenResourceError as error:
                broken = error
            else:
                self.metrics.frame_sent(MessageType.PUSH_PULL, len(request))
            # A peer that has no room may have said so before it closed the stream.
            codec, budget = self.client.wire.stream, self.client.budget
            reply = await read_reply(stream, codec, self.metrics, budget)
        if broken is not None and not isinstance(reply, ErrorReply):
            raise broken
        match reply:
            case PushPullState():
                return reply
            case None:
                raise RemoteProtocolError(
                    f"{to} closed the stream without a reply: has it another label "
                    f"(this node's is {self.config.label!r}), or too much to do?"
                )
            case ErrorReply(error=text):
                raise RemoteProtocolError(f"{to} replied with an error: {text}")
            case _:
                raise RemoteProtocolError(f"{to} replied with {type(reply).__name__}")

    async def run(self) -> None:
        """Exchange until cancelled.  Returns at once if turned off."""
        interval = self.config.push_pull_interval
        if interval <= 0:
            await trio.lowlevel.checkpoint()
            return
        self._plan(self.rng.random() * interval)
        while True:
            await self._alarm.wait()
            now, count = trio.current_time(), 1
            self._repair_at, self._repairs = now + REPAIR_PERIOD, max(0, self._repairs - 1)
            if self._spread and now >= self._spread_at + SPREAD_PERIOD:
                self._spread, self._spread_at, count = False, now, SPREAD
            async with trio.open_nursery() as nursery:
                for node in select(self.rng, self.table.sequence, count, self._is_no_partner):
                    nursery.start_soon(self._exchange_with, node)
            if now >= self._regular_at:
                self._plan(0.0)
            self._alarm.advance(self._regular_at)
            self._plan_repair()
            if self._spread:
                self._alarm.advance(self._spread_at + SPREAD_PERIOD)

    async def _exchange_with(self, node: Node) -> None:
        try:
            await self.push_pull(node.address, node.name, join=False)
        except EXCHANGE_ERRORS as error:
            self.log.warning("push/pull with %s failed: %s", node.name, error)
            if not node.reached and not self.config.faithful_go:
                for other in select(self.rng, self.table.sequence, 1, self._is_no_sure_partner):
                    await self._exchange_with(other)

    async def let_refute(self, node: Node) -> None:
        """Exchange state with a suspect that answers on streams, and again for its refutation.

        Does nothing if there was another one just now, and with ``faithful_go``.
        """
        now = trio.current_time()
        if now < self._suspect_at or self.config.faithful_go:
            await trio.lowlevel.checkpoint()
            return
        self._suspect_at = now + push_pull_scale(SUSPECT_PERIOD, self.table.num_nodes)
        await self._exchange_with(node)
        await trio.sleep(UNTIL_MERGED)
        if node.status is NodeStatus.SUSPECT:
            await self._exchange_with(node)

    def _is_no_sure_partner(self, node: Node) -> bool:
        return not node.reached or self._is_no_partner(node)

    def _repeat_soon(self) -> None:
        if not self.config.faithful_go and self.config.push_pull_interval > 0:
            delay = self.rng.uniform(*SOON) * (self.config.gossip_interval or 0.2)
            self._alarm.advance(trio.current_time() + delay)

    def _plan(self, extra: float) -> None:
        period = push_pull_scale(self.config.push_pull_interval, self.table.num_nodes)
        self._regular_at = trio.current_time() + extra + period
        self._alarm.advance(self._regular_at)

    def _is_no_partner(self, node: Node) -> bool:
        return node is self.table.local_node or node.status is not NodeStatus.ALIVE


# --- the part of the delegate -------------------------------------------------------------


@attrs.define(eq=False)
class UserState:
    """What the delegate adds to a push/pull.

    Whatever it raises is logged and counted, and its part left out.
    """

    delegate: Delegate | None
    drop_log: DropLog
    is_behind: Callable[[], bool] | None = attrs.field(default=None, init=False)
    """Whether readers of what the delegate published are catching up."""
    _large: LargeStateDelegate | None = attrs.field(init=False)
    _failure: Exception | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        delegate = self.delegate
        self._large = delegate if isinstance(delegate, LargeStateDelegate) else None
        if isinstance(delegate, PublishingDelegate):
            self.is_behind = delegate.is_behind

    def version(self, join: bool) -> object:
        """What is equal as long as nothing changed; without pieces, the state itself."""
        try:
            if self._large is not None:
                return self._large.state_version()
            return b"" if self.delegate is None else self.delegate.local_state(join)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate, error)
            return b""

    def encoder(self, version: object, join: bool) -> Callable[[], bytes]:
        """What encodes the state, in any thread; call `report_failure` after it.

        Args:
          version: of this moment.
        """
        if self._large is None or version == b"":
            state = version if isinstance(version, bytes) else b""
            return lambda: state
        try:
            encode = self._large.state_encoder(join)
        except Exception as error:
            self.drop_log.crash("handler", self._large.state_encoder, error)
            return bytes

        def checked() -> bytes:
            try:
                return encode()
            except Exception as error:
                self._failure = error
                return b""

        return checked

    def report_failure(self) -> None:
        """Log what went wrong in a thread, if anything did."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self.drop_log.crash("handler", self.delegate, failure)

    async def merge(self, state: bytes, *, join: bool, began: bool) -> None:
        """Let the delegate merge what a peer sent.

        *Checkpoint*: where the delegate does it in pieces, unless it is short.
        *Cancellation*: between two of them.
        """
        if not state or self.delegate is None:
            return
        try:
            if self._large is None:
                self.delegate.merge_remote_state(state, join)
            else:
                await self._merge_in_pieces(self._large, state, join, began)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate.merge_remote_state, error)

    async def _merge_in_pieces(
        self, large: LargeStateDelegate, state: bytes, join: bool, began: bool
    ) -> None:
        if len(state) <= INLINE_FRAME:
            steps = large.merge_decoded(large.decode_state(state), join, began)
            if self._merge_some(steps):
                return
        else:
            decoded = await run_cpu_bound(lambda: large.decode_state(state), len(state))
            steps = large.merge_decoded(decoded, join, began)
            del decoded
        while True:
            async with turn():  # other peers may have as much to merge
                if self._merge_some(steps):
                    return
            await let_readers_catch_up(self.is_behind)

    def _merge_some(self, steps: Iterator[None]) -> bool:
        """Merge for as long as others can wait; whether that was all."""
        until = trio.current_time() + USER_STEP
        while trio.current_time() < until:
            if next(steps, steps) is steps:
                return True
        return False
