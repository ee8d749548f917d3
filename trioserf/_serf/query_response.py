"""The responses to a query of this node: one by one as they arrive, or all of them together."""

from __future__ import annotations

from typing import final

import trio

from .. import _attrs as attrs
from .._cluster.query_collector import NodeAck, NodeResponse, QueryCollector
from .._public_names import set_public_module
from .._tables import Table, short_payload, shown_as_table


@final
@shown_as_table
@attrs.frozen(kw_only=True)
class QueryResult:
    """All responses and acks of one query.

    Args:
      responses: in order of arrival.
      acks: names of the nodes that acknowledged; empty unless acks were requested.
      missing: names of the members that could have responded, did not, and did not fail; and
        names in ``filter_nodes`` that are no members.
    """

    responses: tuple[NodeResponse, ...]
    acks: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        """Whether every member that could respond has."""
        return not self.missing

    def _table(self) -> Table:
        acked = frozenset(self.acks)
        rows: list[tuple[object, ...]] = [
            (r.node, short_payload(r.payload), "yes" if r.node in acked else "")
            for r in self.responses
        ]
        answered = {r.node for r in self.responses}
        rows += [(name, "", "yes") for name in self.acks if name not in answered]
        rows += [(name, "(no answer)", "") for name in sorted(self.missing - acked)]
        caption = f"{len(self.responses)} answers, {len(self.missing)} missing"
        return Table(caption=caption, header=("node", "answer", "ack"), rows=tuple(rows))


@final
class QueryResponse:
    """The responses to one open query: ``async for response in query_response``.

    The iteration ends at the deadline, when the query is closed, or with the node.  Each node
    responds at most once; copies that came through relays are dropped.
    """

    def __init__(self) -> None:
        raise TypeError("QueryResponse(): it comes from 'async with serf.query(...) as response'")

    @classmethod
    def _create(
        cls, collector: QueryCollector, *, capacity: int, waits_for_local: bool
    ) -> QueryResponse:
        """An open query.

        Args:
          collector: decides what counts.
          capacity: responses that may wait for the reader; as many acks.
          waits_for_local: whether the local response gets all the time there is.
        """
        self = cls.__new__(cls)
        self._set_up(collector, capacity, waits_for_local)
        return self

    def _set_up(self, collector: QueryCollector, capacity: int, waits_for_local: bool) -> None:
        self._collector = collector
        self._waits_for_local = waits_for_local
        self._settled = trio.Event()
        self._send, self._receive = trio.open_memory_channel[NodeResponse](capacity)
        self._send_ack: trio.MemorySendChannel[str] | None = None
        self._acks: trio.MemoryReceiveChannel[str] | None = None
        if collector.acks is not None:
            self._send_ack, self._acks = trio.open_memory_channel[str](capacity)

    def __repr__(self) -> str:
        query = self._collector.query
        return f"<QueryResponse {query.name!r} at time {query.ltime}>"

    @property
    def acks(self) -> trio.MemoryReceiveChannel[str] | None:
        """Names of the nodes that acknowledge, as they arrive; None unless requested."""
        return self._acks

    @property
    def deadline(self) -> float:
        """When the query ends (trio clock, seconds)."""
        return self._collector.deadline

    @property
    def finished(self) -> bool:
        """Whether the query was closed or is past its deadline."""
        return self._collector.finished(trio.current_time())

    def __aiter__(self) -> QueryResponse:
        return self

    async def __anext__(self) -> NodeResponse:
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Take no more responses; those that are here can still be read.  Idempotent."""
        self._collector.close()
        self._settled.set()
        self._send.close()
        if self._send_ack is not None:
            self._send_ack.close()

    async def wait_settled(self) -> None:
        """Wait until nothing more is to be expected: all have responded, or it is closed."""
        await self._settled.wait()

    def result(self) -> QueryResult:
        """Everything that arrived so far."""
        collector = self._collector
        return QueryResult(
            responses=tuple(NodeResponse(*item) for item in collector.responses.items()),
            acks=tuple(collector.acks or ()),
            missing=collector.unanswered,
        )

    def _settle(self) -> None:
        self._settled.set()

    def _deliver(self, item: NodeResponse | NodeAck) -> bool:
        """Pass a response or an ack to the reader; False if there is no room for it."""
        try:
            if isinstance(item, NodeResponse):
                self._send.send_nowait(item)
            elif self._send_ack is not None:
                self._send_ack.send_nowait(item.node)
        except trio.WouldBlock:
            return False
        except trio.BrokenResourceError:
            pass  # the reader closed the channel of acks: it does not want them
        return True


set_public_module(QueryResponse, QueryResult)
