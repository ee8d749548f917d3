"""Answers of this node to the queries of others: direct, and through relays.

Source: hashicorp/serf v0.9.4, serf/event.go, Query.respondWithMessageAndResponse.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from .._cluster.effects import Deliver, Reply
from .._cluster.queries import QueryResponder
from .._events import Query
from .._exceptions import LocalProtocolError, QueryError, RelayError
from .._memberlist.metrics import Log
from .core import Core


@attrs.define(eq=False, kw_only=True)
class Responding:
    """Gives delivered queries their public form, and sends the answers.

    Args:
      core: the rules.
      send: sends one packet; raises as ``Memberlist.send_to_address``.
      log: told of answers of our own that could not be sent.
    """

    core: Core
    send: Callable[[Reply], object]
    log: Log

    def public_query(self, delivery: Deliver) -> Query:
        """The query as the application gets it."""
        right = self._right(delivery)

        async def respond(payload: bytes) -> None:
            await trio.lowlevel.checkpoint()
            self.core.require_open()
            self._respond(right, bytes(payload))

        message = delivery.query
        return Query(
            message.ltime,
            message.name,
            message.payload or b"",
            message.source_node,
            delivery.deadline,
            respond,
        )

    def answer(self, delivery: Deliver, payload: bytes) -> None:
        """Answer an internal query; what goes wrong is only logged."""
        try:
            self._respond(self._right(delivery), payload)
        except (QueryError, LocalProtocolError, trio.BrokenResourceError) as error:
            self.log.error("failed to answer %r: %s", delivery.query.name, error)
        except trio.ClosedResourceError:
            self.log.debug("closed before %r was answered", delivery.query.name)

    def _right(self, delivery: Deliver) -> QueryResponder:
        return QueryResponder(
            delivery.query,
            deadline=delivery.deadline,
            own_name=self.core.name,
            limit=self.core.config.query_response_size_limit,
        )

    def _respond(self, right: QueryResponder, payload: bytes) -> None:
        reply = right.answer(payload, trio.current_time())
        try:
            self.send(reply)
        except (LocalProtocolError, trio.BrokenResourceError):
            right.answered = False  # nothing went out, so it may be tried again
            raise
        try:
            members = self.core.members.members()
            for copy in right.relays(rng=self.core.rng, members=members):
                self.send(copy)
        except trio.BrokenResourceError as error:
            raise RelayError(f"failed to send relay response: {error}") from error
