"""The stage of the event pipeline that queries pass: internal ones end here.

Queries named ``_serf_...`` are answered by the node itself and never reach the application;
the others become public `Query` objects.  Everything but the keyring file is done at once,
between the packet and the next event; writing that file is the work of a task, and the
answer to the key query goes out when it is done.

Source: hashicorp/serf v0.9.4, serf/internal_query.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import attrs
import trio

from .._cluster.effects import Deliver, Effect
from .._cluster.internal_queries import answer_internal, file_not_written, is_internal
from .._memberlist.memberlist import Memberlist
from .._memberlist.metrics import Log
from .._wire.keyring import Keyring, keyring_file_text
from .core import Core
from .files import replace_file
from .responding import Responding
from .stage import Occurrence, Sink

_MAX_WAITING: Final = 64
"""Key changes that may wait for the file; more are answered as failures."""
_KEYRING_MODE: Final = 0o600


@attrs.frozen(eq=False)
class _KeyChange:
    """A ring to write, and the query to answer after it."""

    keyring: Keyring
    delivery: Deliver
    payload: bytes


@attrs.define(eq=False, kw_only=True)
class InternalStage:
    """Answers internal queries, makes the others public, passes everything else on.

    Args:
      core: the rules.
      memberlist: holds the key ring in force.
      responding: sends the answers.
      apply: applies effects.
      log: told of files that cannot be written.
      then: the next stage.
    """

    core: Core
    memberlist: Memberlist
    responding: Responding
    apply: Callable[[Iterable[Effect]], object]
    log: Log
    then: Sink
    _send: trio.MemorySendChannel[_KeyChange] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[_KeyChange] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[_KeyChange](_MAX_WAITING)

    def put(self, item: Occurrence) -> None:
        """Answer, or pass on."""
        if not isinstance(item, Deliver):
            self.then.put(item)
        elif is_internal(item.query.name):
            self._answer(item)
        else:
            self.then.put(self.responding.public_query(item))

    def close(self) -> None:
        """Close the next stage."""
        self.then.close()

    def _answer(self, delivery: Deliver) -> None:
        answer = answer_internal(
            delivery.query,
            own_name=self.core.name,
            find_member=self.core.members.get,
            keyring=self.memberlist.keyring,
            response_limit=self.core.config.query_response_size_limit,
        )
        self.apply(answer.effects)
        if answer.keyring is not None:
            self.memberlist.keyring = answer.keyring
        if answer.payload is None:
            return
        if answer.keyring is None or self.core.config.keyring_file is None:
            self.responding.answer(delivery, answer.payload)
            return
        try:
            self._send.send_nowait(_KeyChange(answer.keyring, delivery, answer.payload))
        except trio.WouldBlock:
            reason = f"{_MAX_WAITING} changes wait already"
            self.responding.answer(delivery, file_not_written(reason))

    async def write_keyring_file(self) -> None:
        """Task: write the file after each change, then answer, until cancelled."""
        path = self.core.config.keyring_file
        assert path is not None, "the task runs only where there is a keyring file"
        async for change in self._receive:
            payload = change.payload
            try:
                await replace_file(path, keyring_file_text(change.keyring), mode=_KEYRING_MODE)
            except OSError as error:
                self.log.error("failed to write keyring file %s: %s", path, error)
                payload = file_not_written(error)
            self.responding.answer(change.delivery, payload)
