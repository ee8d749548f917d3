"""Task: let the cluster vote on who keeps this node's name, when another node uses it.

There is one vote at a time; a conflict during a vote is about the same dispute.

Source: hashicorp/serf v0.9.4, serf/serf.go, resolveNodeConflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio

from .. import _attrs as attrs
from .._cluster.conflicts import ConflictVotes
from .._cluster.effects import Effect
from .._cluster.internal_queries import CONFLICT
from .._cluster.queries import QueryParams
from .._events import MemberStatus
from .._exceptions import FeatureNotSupported, QueryError
from .._memberlist.memberlist import Memberlist
from .._memberlist.node_log import Log
from .._text import raw_text
from .core import Core
from .query_tracker import QueryTracker


@attrs.define(eq=False, kw_only=True)
class ConflictResolver:
    """Takes the votes, and stops the node when it loses one.

    Args:
      core: names the node, and stops it.
      memberlist: knows its address.
      tracker: sends the query.
      apply: applies effects.
      log: where the results are noted.
    """

    core: Core
    memberlist: Memberlist
    tracker: QueryTracker
    apply: Callable[[Iterable[Effect]], object]
    log: Log
    _conflict: trio.Event = attrs.field(factory=trio.Event, init=False)

    def request(self) -> None:
        """Another node uses this node's name."""
        self._conflict.set()

    async def run(self) -> None:
        """Take a vote after each conflict, until cancelled."""
        while True:
            await self._conflict.wait()
            try:
                keep = await self._vote()
            except (QueryError, FeatureNotSupported) as error:
                self.log.error("failed to start name resolution query: %s", error)
                keep = True
            if not keep:
                self.core.stop()
            self._conflict = trio.Event()

    async def _vote(self) -> bool:
        settings = self.core.config.memberlist
        here, faithful = self.memberlist.advertise_address, settings.faithful_go
        votes = ConflictVotes(here, faithful=faithful)
        voters = None if faithful else self._alive()
        asked = raw_text(self.core.name)
        response = self.tracker.start(CONFLICT, asked, QueryParams(), only=voters)
        try:
            async for answer in response:
                self.apply(votes.add(answer.payload, answer.node))
        finally:
            response.close()
        if voters is not None and settings.probe_interval > 0:
            # By now this node has probed some of them, also if it has just joined.
            votes.discard({name for name in voters if not self._was_reached(name)})
        outcome = "majority" if votes.keep_name else "minority"
        self.log.warning(
            "%s in name conflict resolution [%d / %d]", outcome, votes.matching, votes.responses
        )
        return votes.keep_name

    def _alive(self) -> frozenset[str]:
        """The names of the other members that are alive."""
        members = self.core.members.members()
        names = {member.name for member in members if member.status is MemberStatus.ALIVE}
        return frozenset(names - {self.core.name})

    def _was_reached(self, name: str) -> bool:
        """Whether this node ever got an answer of a node; names alone are easily made up."""
        node = self.memberlist.node(name)
        return node is not None and node.reached
