"""Both halves of a push/pull: what we tell, and what becomes of what we are told.

A cluster at rest tells the same again and again.  So the bytes are kept as long as nothing
changed: encoding and compressing the state of a thousand nodes costs more than all probes
of a push/pull interval together.

Source: hashicorp/memberlist v0.2.2, net.go: sendLocalState; state.go: mergeRemoteState
(net.go of v0.2.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from .. import _attrs as attrs
from .._swim.nodes import NodeStatus
from .._swim.table import NodeTable
from .._wire.compression import compress_message
from .._wire.messages import NodeRecord
from .._wire.streams import frame, push_pull_bytes
from ..abc import Address, Delegate
from .apply import Applier
from .drop_log import DropLog
from .metrics import Metrics
from .stream_io import run_cpu_bound
from .wire_format import WireFormat

MERGE_SLICE = 250
"""Records merged before other tasks get their turn; a few milliseconds if all are new."""
_RECORD_SIZE = 100
"""About the length of one record (bytes)."""


@attrs.frozen
class _Told:
    """What the bytes depend on, and the bytes before encryption."""

    changes: int
    join: bool
    user_state: bytes
    compressed: bool
    inner: bytes


@attrs.define(eq=False, kw_only=True)
class StateExchange:
    """Builds and merges full state.

    Args:
      table: the nodes.
      apply: applies what a merge brings; knows whether anything changed.
      delegate: the user state, out and in.
      wire: compression and keys.
      bad_input, metrics: where it is noted.
    """

    table: NodeTable
    apply: Applier
    delegate: Delegate | None
    wire: WireFormat
    drop_log: DropLog
    metrics: Metrics
    _told: _Told | None = attrs.field(default=None, init=False)

    async def local_frame(self, *, join: bool) -> bytes:
        """Our whole state as one frame for a stream.

        *Checkpoint*: always.
        """
        user_state = self._user_state(join)
        compressed = self.wire.stream.compress
        told = self._told
        self._count_nodes()
        if (
            told is None
            or told.changes != self.apply.changes
            or told.join != join
            or told.user_state != user_state
            or told.compressed != compressed
        ):
            told = await self._tell(join, user_state, compressed)
        nonce = self.wire.stream_nonce()
        codec = attrs.evolve(self.wire.stream, compress=False)
        return await run_cpu_bound(lambda: frame(told.inner, codec, nonce), len(told.inner))

    def _user_state(self, join: bool) -> bytes:
        if self.delegate is None:
            return b""
        try:
            return self.delegate.local_state(join)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate.local_state, error)
            return b""

    async def _tell(self, join: bool, user_state: bytes, compressed: bool) -> _Told:
        changes = self.apply.changes
        records = self.table.records()

        def build() -> bytes:
            plain = push_pull_bytes(join, records, user_state)
            return compress_message(plain) if compressed else plain

        size = _RECORD_SIZE * len(records) + len(user_state)
        inner = await run_cpu_bound(build, size)
        self.metrics.gauge("memberlist.size.local", len(inner))
        self._told = _Told(changes, join, user_state, compressed, inner)
        return self._told

    async def merge(
        self,
        records: Sequence[NodeRecord],
        user_state: bytes,
        *,
        join: bool,
        source: Address | None,
        peer: str = "",
    ) -> None:
        """Believe what a peer told, as far as the rules allow.

        A large state is merged bit by bit, so that pings are answered in between.
        *Checkpoint*: always, before anything is merged too.  *Cancellation*: what was not
        merged yet is not.

        Args:
          records: its nodes.
          user_state: for the delegate.
          join: the flag of the exchange.
          source: the address that we dialled; None if the peer dialled us.
          peer: the host of the peer, whoever dialled; "" for unknown.

        Raises:
          RemoteProtocolError: versions that cannot live together; nothing was merged.
          MergeRefused: by the merge handler; nothing was merged.
        """
        await trio.lowlevel.checkpoint()
        self.table.check(records, join=join)
        for start in range(0, len(records), MERGE_SLICE):
            if start:
                await trio.lowlevel.checkpoint()
            some, now = records[start : start + MERGE_SLICE], trio.current_time()
            self.apply(self.table.merge_checked(some, now, source=source, peer=peer))
        if user_state and self.delegate is not None:
            try:
                self.delegate.merge_remote_state(user_state, join)
            except Exception as error:
                self.drop_log.crash("handler", self.delegate.merge_remote_state, error)

    def _count_nodes(self) -> None:
        if self.metrics.tap is not None:
            counts = self.table.counts()
            for status in NodeStatus:
                self.metrics.gauge(
                    "memberlist.node.instances", counts.get(status, 0), node_state=str(status)
                )
