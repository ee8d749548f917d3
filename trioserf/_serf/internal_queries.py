"""The stage of the event pipeline that queries pass, and the responses of this node to them.

This node itself responds to queries named ``_serf_...``, which never reach the application;
the others become public `Query` objects.  Everything but the keyring file is done at once,
between the packet and the next event; writing that file is the work of a task, and the
response to the key query is sent when it is done.

Source: hashicorp/serf v0.9.4, serf/internal_query.go; serf/event.go,
Query.respondWithMessageAndResponse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import trio

from .. import _attrs as attrs
from .._cluster.effects import Deliver, Effect, SendTo
from .._cluster.internal_queries import answer_internal, file_not_written, is_internal
from .._cluster.key_responses import KeyAction
from .._cluster.responses import QueryResponder
from .._cluster.size_limits import payload_bytes
from .._events import Query
from .._exceptions import LocalProtocolError, QueryError, RelayError
from .._memberlist.memberlist import Memberlist
from .._memberlist.node_log import Log
from .._wire.keyring import Keyring
from .core import Core
from .pipeline import Sink

_MAX_WAITING: Final = 64
"""Key changes that may wait for the file; more get a failure as their response."""
_KEY_CHANGES: Final = {
    KeyAction.INSTALL: "installed a key",
    KeyAction.USE: "encrypts with another key of the ring",
    KeyAction.REMOVE: "removed a key",
}
"""What the log says; never the key."""


@attrs.frozen(eq=False)
class _KeyChange:
    """A ring to write, and the query to respond to after it."""

    keyring: Keyring
    delivery: Deliver
    payload: bytes


@attrs.define(eq=False, kw_only=True)
class InternalQueryStage:
    """Responds to internal queries, and passes the others on in their public form.

    Args:
      core: the rules.
      memberlist: has the key ring in force.
      send: sends one packet; raises as ``Memberlist.send_to_address``.
      apply: applies effects.
      log: where it is noted what could not be written or sent.
      then: the next stage.
    """

    core: Core
    memberlist: Memberlist
    send: Callable[[SendTo], object]
    apply: Callable[[Iterable[Effect]], object]
    log: Log
    then: Sink
    _send: trio.MemorySendChannel[_KeyChange] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[_KeyChange] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[_KeyChange](_MAX_WAITING)

    def put(self, delivery: Deliver) -> None:
        """Respond to a query, or pass it on."""
        if is_internal(delivery.query.name):
            self._answer(delivery)
        else:
            self.then.put(self._public_query(delivery))

    def _answer(self, delivery: Deliver) -> None:
        answer = answer_internal(
            delivery.query,
            local_name=self.core.name,
            find_member=self.core.members.get,
            keyring=self.memberlist.keyring,
            response_limit=self.core.config.query_response_size_limit,
        )
        self.apply(answer.effects)
        if answer.keyring is not None:
            self.memberlist.keyring = answer.keyring
            done, asked_by = (
                _KEY_CHANGES[KeyAction(delivery.query.name)],
                delivery.query.source_node,
            )
            count = len(answer.keyring.keys)
            self.log.info("%s, asked by %s; %d keys in the ring", done, asked_by, count)
        if answer.payload is None:
            return
        if answer.keyring is None or self.core.config.keyring_file is None:
            self._send_response(delivery, answer.payload)
            return
        try:
            self._send.send_nowait(_KeyChange(answer.keyring, delivery, answer.payload))
        except trio.WouldBlock:
            reason = f"{_MAX_WAITING} changes wait already"
            self._send_response(delivery, file_not_written(reason))

    async def write_keyring_file(self) -> None:
        """Task: write the file after each change, then respond, until cancelled."""
        from .keyring_store import KeyringStore  # few nodes have such a file

        path = self.core.config.keyring_file
        assert path is not None, "the task runs only where there is a keyring file"
        store = KeyringStore(path, self.log)
        async for change in self._receive:
            payload = change.payload
            try:
                await store.write(change.keyring)
            except OSError as error:
                self.log.error("failed to write keyring file %s: %s", path, error)
                payload = file_not_written(error)
            self._send_response(change.delivery, payload)

    # --- responses

    def _public_query(self, delivery: Deliver) -> Query:
        """The query as the application gets it."""
        responder = self._responder(delivery)

        async def respond(payload: bytes) -> None:
            await trio.lowlevel.checkpoint()
            self.core.require_open()
            self._respond(responder, payload_bytes(delivery.query.name, payload))

        message = delivery.query
        return Query(
            message.ltime,
            message.name,
            message.payload or b"",
            message.source_node,
            delivery.deadline,
            respond,
        )

    def _send_response(self, delivery: Deliver, payload: bytes) -> None:
        """Respond to an internal query; what goes wrong is only logged."""
        try:
            self._respond(self._responder(delivery), payload)
        except (QueryError, LocalProtocolError, trio.BrokenResourceError) as error:
            self.log.error("failed to respond to %r: %s", delivery.query.name, error)
        except trio.ClosedResourceError:
            self.log.debug("closed before the response to %r", delivery.query.name)

    def _responder(self, delivery: Deliver) -> QueryResponder:
        relays = self.core.queries.relays
        return QueryResponder(delivery.query, deadline=delivery.deadline, relays=relays)

    def _respond(self, responder: QueryResponder, payload: bytes) -> None:
        reply = responder.answer(payload, trio.current_time())
        try:
            self.send(reply)
        except (LocalProtocolError, trio.BrokenResourceError):
            responder.answered = False  # nothing went out, so it may be tried again
            raise
        try:
            for copy in responder.relayed():
                self.send(copy)
        except trio.BrokenResourceError as error:
            raise RelayError(f"failed to send relay response: {error}") from error
