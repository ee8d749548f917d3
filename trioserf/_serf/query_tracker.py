"""The queries of this node: asked, collected, and ended at their deadline.

The node that asks is also one of those asked: its query comes to its own application, which
may answer like any other.  Nobody can tell whether it will; if it stays silent, `ask` would
always wait for the whole timeout.  So once all others have answered, the own answer gets
`OWN_ANSWER_GRACE` seconds more, unless this node is the only one that was asked.

Gossip may miss a node, the more likely the fewer transmissions there are, and a query is not
repaired by state exchange as a user event is.

DIFFERS: the last few members that have not answered after a quarter of the time are asked once
more, directly.  A node that had the query already drops the copy, of Go's as well.
Test: test_who_was_missed_by_gossip_is_asked_directly.

Source: hashicorp/serf v0.9.4, serf/serf.go, Query, registerQueryResponse,
handleQueryResponse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import trio

from .. import _attrs as attrs
from .._cluster.effects import Effect, SendTo
from .._cluster.queries import QueryParams, default_timeout
from .._cluster.query_collector import QueryCollector, eligible_members
from .._memberlist.drop_log import Log
from .._memberlist.memberlist import Memberlist
from .._wire.serf_messages import QueryResponseMessage, encode_serf
from ..abc import Address
from .core import Core
from .deadlines import Deadlines
from .query_response import QueryResponse, QueryResult

OWN_ANSWER_GRACE: Final = 0.05
"""Time for the last answer if it is the own one, or the last ack (seconds)."""
DIRECT_AFTER: Final = 0.25
"""When silent members are asked directly, as a share of the query's time."""
DIRECT_LIMIT: Final = 16
"""If more members than this are silent, answering is not what this query is for."""
_SPARE_ANSWERS: Final = 16
"""Room for answers of nodes that are not yet known as members."""


@attrs.frozen(eq=False)
class _OpenQuery:
    """A query under way; ``patient`` if the own answer gets all the time there is."""

    collector: QueryCollector
    response: QueryResponse
    patient: bool


@attrs.define(eq=False, kw_only=True)
class QueryTracker:
    """Every open query of this node.

    Args:
      core: the rules.
      memberlist: says how many nodes are alive, and where answers come to.
      deadlines: ends each query at its own.
      apply: applies effects.
      log: where it is noted that an answer found no room.
    """

    core: Core
    memberlist: Memberlist
    deadlines: Deadlines
    apply: Callable[[Iterable[Effect]], object]
    log: Log
    _open: dict[QueryCollector, _OpenQuery] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._open)

    def default_timeout(self) -> float:
        """How long a query is open if nothing else is said (seconds)."""
        config = self.core.config
        return default_timeout(
            config.memberlist.gossip_interval,
            config.query_timeout_mult,
            self.memberlist.num_alive,
        )

    def start(self, name: str, payload: bytes, params: QueryParams) -> QueryResponse:
        """Ask.  Pair it with ``close`` of what it returns.

        Raises:
          QueryTooLarge: nothing was sent.
          FeatureNotSupported: the protocol version knows no queries.
          trio.ClosedResourceError: the node is closed.
        """
        core = self.core
        core.require_open()
        members = core.members.members()
        query = core.queries.originate(
            name,
            payload,
            params,
            now=trio.current_time(),
            address=self.memberlist.advertise_address,
            live_members=self.memberlist.num_alive,
            tags=core.tags,
        )
        eligible = eligible_members(members, query.message)
        collector = QueryCollector(query.message, deadline=query.deadline, eligible=eligible)
        response = QueryResponse(collector, capacity=len(members) + _SPARE_ANSWERS)
        patient = eligible <= {core.name} or core.name in params.filter_nodes
        # Registered before the query goes out, so that no answer can come too early.
        core.pending.add(collector)
        self._open[collector] = _OpenQuery(collector, response, patient)
        self.deadlines.call_at(query.deadline, partial(self._end, collector))
        self.apply(query.effects)
        self._check(collector)
        if not core.config.memberlist.faithful_go:
            again = trio.current_time()
            again += DIRECT_AFTER * (query.deadline - again)
            self.deadlines.call_at(again, partial(self._ask_directly, collector))
        return response

    def _ask_directly(self, collector: QueryCollector) -> None:
        """Send the query itself to the last few members that have not answered."""
        silent = collector.missing - {self.core.name}
        if collector.finished(trio.current_time()) or len(silent) > DIRECT_LIMIT:
            return
        raw = encode_serf(collector.query)
        members = (self.core.members.get(name) for name in sorted(silent))
        self.apply(
            SendTo(Address(str(member.addr), member.port), member.name, raw)
            for member in members
            if member is not None
        )

    async def ask(self, name: str, payload: bytes, params: QueryParams) -> QueryResult:
        """Ask, and wait until nothing more is to be expected.  Raises as `start`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        with self.core.until_closed():
            response = self.start(name, payload, params)
            try:
                await response.wait_settled()
            finally:
                response.close()
        return response.result()

    def on_response(self, msg: QueryResponseMessage) -> None:
        """A response arrived from the network."""
        collector, item, effects = self.core.pending.on_response(msg, trio.current_time())
        self.apply(effects)
        if collector is None or item is None:
            return
        if not self._open[collector].response._deliver(item):
            collector.undelivered(item)
            self.log.warning("dropped an answer of %s: its reader is too slow", item.node)
        self._check(collector)

    def members_gone(self, names: Iterable[str]) -> None:
        """Members failed, left or were forgotten: nobody waits for them any longer."""
        gone = tuple(names)
        for collector in self._open:
            collector.drop_members(gone)
            self._check(collector)

    def _check(self, collector: QueryCollector) -> None:
        """Settle the query if it has all its answers, or soon if little may be missing."""
        query = self._open[collector]
        if collector.everyone_answered:
            query.response._settle()
        elif not collector.missing or (not query.patient and collector.missing == {self.core.name}):
            due = trio.current_time() + OWN_ANSWER_GRACE
            self.deadlines.call_at(due, query.response._settle)

    def _end(self, collector: QueryCollector) -> None:
        self.core.pending.remove(collector)
        query = self._open.pop(collector, None)
        if query is not None:
            query.response.close()

    def close(self) -> None:
        """End every query."""
        for collector in list(self._open):
            self._end(collector)
