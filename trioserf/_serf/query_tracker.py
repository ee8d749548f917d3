"""The queries of this node: sent, their responses collected, and ended at their deadline.

A query also comes to the application of the node that sent it, which may respond like any
other.  Whether it will is not known; if it does not, `ask` would always wait for the whole
timeout.  So once all other members have responded, the local response gets
`LOCAL_RESPONSE_GRACE` seconds more, unless this node is the only one that gets the query.

Gossip may miss a node, the more likely the fewer transmissions there are, and a query is not
repaired by push/pull as a user event is.

DIFFERS: the last few members that have not responded after a quarter of the time get the query
once more, directly.  A node that had it already drops the copy; Go nodes do so, too.
Test: test_a_member_that_gossip_missed_gets_the_query_directly.

Source: hashicorp/serf v0.9.4, serf/serf.go, Query, registerQueryResponse,
handleQueryResponse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

import trio

from .. import _attrs as attrs
from .._cluster.effects import Effect, SendTo
from .._cluster.member_record import member_address
from .._cluster.queries import QueryParams, default_timeout
from .._cluster.query_collector import QueryCollector, eligible_members
from .._memberlist.deadlines import Deadlines
from .._memberlist.memberlist import Memberlist
from .._memberlist.node_log import Log
from .._wire.serf_messages import QueryResponseMessage, encode_serf
from .core import Core
from .query_response import QueryResponse, QueryResult

LOCAL_RESPONSE_GRACE: Final = 0.05
"""Time for the last response if it is the local one, or for the last ack (seconds)."""
DIRECT_AFTER: Final = 0.25
"""When members without a response get the query directly, as a share of its time."""
DIRECT_LIMIT: Final = 16
"""If more members than this do not respond, the query is not meant to be responded to."""
_SPARE_RESPONSES: Final = 16
"""Room for responses of nodes that are not yet known as members."""


@attrs.define(eq=False, kw_only=True)
class QueryTracker:
    """Every open query of this node.

    Args:
      core: the rules.
      memberlist: says how many nodes are alive, and where responses are sent to.
      deadlines: ends each query at its own.
      apply: applies effects.
      log: where it is noted that a response found no room.

    Attributes:
      open: the open queries, and what their callers read.
    """

    core: Core
    memberlist: Memberlist
    deadlines: Deadlines
    apply: Callable[[Iterable[Effect]], object]
    log: Log
    open: dict[QueryCollector, QueryResponse] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self.open)

    def default_timeout(self) -> float:
        """How long a query is open by default (seconds)."""
        config = self.core.config
        return default_timeout(
            config.memberlist.gossip_interval,
            config.query_timeout_mult,
            self.memberlist.num_alive,
        )

    def start(
        self,
        name: str,
        payload: bytes,
        params: QueryParams,
        *,
        only: Collection[str] | None = None,
    ) -> QueryResponse:
        """Send a query.  Pair it with ``close`` of what it returns.

        Args:
          only: drop the responses of all but these; None for members and a few others.

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
            packet_limit=core.message_limit(),
        )
        eligible = eligible_members(members, query.message)
        unknown = {*params.filter_nodes} - {member.name for member in members}
        collector = QueryCollector(
            query.message, deadline=query.deadline, eligible=eligible, unknown=unknown
        )
        response = QueryResponse._create(
            collector,
            capacity=len(members) + _SPARE_RESPONSES,
            waits_for_local=eligible <= {core.name} or core.name in params.filter_nodes,
        )
        # Registered before the query is sent, so that no response can come too early.
        core.pending.add(collector)
        self.open[collector] = response
        if only is not None:
            collector.limit_strangers(only, 0)
        elif not core.config.memberlist.faithful_go:
            known = frozenset([member.name for member in members])
            collector.limit_strangers(known, _SPARE_RESPONSES)
        self.deadlines.call_at(query.deadline, partial(self._end, collector))
        self.apply(query.effects)
        self._check(collector)
        if not core.config.memberlist.faithful_go:
            again = trio.current_time()
            again += DIRECT_AFTER * (query.deadline - again)
            self.deadlines.call_at(again, partial(self._send_directly, collector))
        return response

    def _send_directly(self, collector: QueryCollector) -> None:
        """Send the query itself to the last few members that have not responded."""
        silent = collector.missing - {self.core.name}
        if collector.finished(trio.current_time()) or len(silent) > DIRECT_LIMIT:
            return
        raw = encode_serf(collector.query)
        members = map(self.core.members.get, sorted(silent))
        self.apply([SendTo(member_address(m), m.name, raw) for m in members if m is not None])

    async def ask(self, name: str, payload: bytes, params: QueryParams) -> QueryResult:
        """Send a query and wait until nothing more is to be expected.  Raises as `start`."""
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
        if not self.open[collector]._deliver(item):
            collector.undelivered(item)
            self.log.warning("dropped a response of %s: its reader is too slow", item.node)
        self._check(collector)

    def members_gone(self, names: Collection[str]) -> None:
        """Members failed, left or were reaped: their responses are not waited for any longer."""
        for collector in self.open:
            collector.drop_members(names)
            self._check(collector)

    def _check(self, collector: QueryCollector) -> None:
        """Settle the query if it has all its responses, or soon if little may be missing."""
        response, missing = self.open[collector], collector.missing
        if collector.everyone_answered:
            response._settle()
        elif not missing or (missing == {self.core.name} and not response._waits_for_local):
            due = trio.current_time() + LOCAL_RESPONSE_GRACE
            self.deadlines.call_at(due, response._settle)

    def _end(self, collector: QueryCollector) -> None:
        self.core.pending.remove(collector)
        response = self.open.pop(collector, None)
        if response is not None:
            response.close()

    def close(self) -> None:
        """End every query."""
        for collector in list(self.open):
            self._end(collector)
