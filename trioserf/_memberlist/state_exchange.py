"""Both halves of a push/pull: encoding the local state, and merging the state of a peer.

A cluster at rest sends the same state again and again.  So the bytes are kept as long as
nothing changed: encoding and compressing the state of a thousand nodes costs more than all
probes of a push/pull interval together.

The delegate has its own part of the state: handed over whole as in Go, or encoded and merged in
pieces.  Serf's part of the state of 50,000 members takes a tenth of a second to handle.  A delegate
that is an `abc.LargeStateDelegate` encodes and decodes it in a thread, is not asked at all while
nothing changed, and merges it in short steps with other tasks in between.

Source: hashicorp/memberlist v0.2.2, net.go: sendLocalState; state.go: mergeRemoteState
(net.go of v0.2.2); delegate.go: LocalState, MergeRemoteState, which hold up the goroutine of the
exchange alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

import trio

from .. import _attrs as attrs
from .._swim.effects import Broadcast
from .._swim.nodes import NodeStatus
from .._swim.table import NodeTable
from .._wire.compression import compress_message
from .._wire.messages import NodeRecord
from .._wire.streams import PushPullState, frame, push_pull_bytes
from ..abc import Address, Delegate, LargeStateDelegate
from .apply import Applier
from .drop_log import DropLog
from .metrics import Metrics
from .stream_io import SHORT, let_readers_catch_up, run_cpu_bound, turn
from .wire_format import WireFormat

MERGE_SLICE: Final = 50
"""Most records merged before other tasks get their turn."""
MERGE_STEP: Final = 10
"""And after how many of them it is asked how long it took …"""
MERGE_TIME: Final = 0.002
"""… and whether that is enough (seconds): each new one becomes a member of Serf, too, and a line of
its snapshot."""
QUIET_STATE: Final = 1000
"""Records of a state from which on a node that joins keeps them to itself; see `merge`."""
RECORDS_SLICE: Final = 2000
"""Records collected before other tasks get their turn: two milliseconds if all have changed."""
_RECORD_SIZE = 140
"""About the length of one record and of what the delegate says of the node (bytes)."""
MAX_AGE: Final = 1.0
"""How old a state may be that a peer gets (seconds)."""
QUICK: Final = 0.005
"""Encoding that takes no longer than this (seconds) is done for every request."""
USER_STEP: Final = 0.002
"""How long steps in which a delegate merges may follow each other before others run (seconds)."""


@attrs.frozen
class _Encoded:
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

        *Checkpoint*: always.

        Args:
          fresh: that of this moment.  Else it may be as old as ten times the time that it took
            to encode, at most a second: then peers that change something and ask, again and
            again, cannot make this node do nothing else.
        """
        compress = self.wire.stream.compress
        outside, nonce = self.wire.stream_outside, self.wire.stream_nonce()
        self._count_nodes()
        known, began = self._encoded.get(join), trio.current_time()
        if known is not None and not fresh and known.may_serve(compress, began):
            inner = known.inner
            return await run_cpu_bound(lambda: frame(inner, outside, nonce), len(inner))
        version = self.user_state.version(join)
        depends_on = (self.apply.changes, version, compress)
        if known is not None and depends_on == known.depends_on:
            inner = known.inner
            return await run_cpu_bound(lambda: frame(inner, outside, nonce), len(inner))
        records = await self._records()
        size = _RECORD_SIZE * len(records)
        user_state = await run_cpu_bound(self.user_state.encoder(version, join), size)

        def build() -> tuple[bytes, bytes]:
            plain = push_pull_bytes(join, records, user_state)
            inner = compress_message(plain) if compress else plain
            return inner, frame(inner, outside, nonce)

        inner, framed = await run_cpu_bound(build, size + len(user_state))
        self.user_state.report_failure()
        self.metrics.gauge("memberlist.size.local", len(inner))
        now = trio.current_time()
        age = min(MAX_AGE, 10 * (now - began)) if now - began > QUICK else 0.0
        self._encoded[join] = _Encoded(depends_on, inner, now + age)
        return framed

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
        *Checkpoint*: always, before anything is merged too.  *Cancellation*: what was not
        merged yet is not.

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
        await trio.lowlevel.checkpoint()
        self.table.check(records, join=join)
        newcomer = source is not None and self.table.num_nodes == 1 and not self.faithful
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


# --- the part of the delegate -------------------------------------------------------------


@attrs.define(eq=False)
class UserState:
    """What the delegate adds to a push/pull.

    Whatever it raises is logged and counted, and its part left out.
    """

    delegate: Delegate | None
    drop_log: DropLog
    is_behind: Callable[[], bool] | None = attrs.field(init=False)
    """Whether readers of what the delegate published are catching up."""
    began: bool = attrs.field(default=False, init=False)
    """While the delegate merges: whether this node began the exchange."""
    _large: LargeStateDelegate | None = attrs.field(init=False)
    _failure: Exception | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        names = ("state_version", "state_encoder", "decode_state", "merge_decoded")
        able = all(hasattr(self.delegate, name) for name in names)
        self._large = cast(LargeStateDelegate, self.delegate) if able else None
        self.is_behind = getattr(self.delegate, "is_behind", None)

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
                self.began = began
                self.delegate.merge_remote_state(state, join)
            else:
                await self._merge_in_pieces(self._large, state, join, began)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate.merge_remote_state, error)

    async def _merge_in_pieces(
        self, large: LargeStateDelegate, state: bytes, join: bool, began: bool
    ) -> None:
        if len(state) <= SHORT:
            steps = large.merge_decoded(large.decode_state(state), join)
            if self._merge_some(steps, began):
                return
        else:
            decoded = await run_cpu_bound(lambda: large.decode_state(state), len(state))
            steps = large.merge_decoded(decoded, join)
            del decoded
        while True:
            async with turn():  # other peers may have as much to merge
                if self._merge_some(steps, began):
                    return
            await let_readers_catch_up(self.is_behind)

    def _merge_some(self, steps: Iterator[None], began: bool) -> bool:
        """Merge for as long as others can wait; whether that was all."""
        self.began = began
        until = trio.current_time() + USER_STEP
        while trio.current_time() < until:
            if next(steps, steps) is steps:
                return True
        return False
