"""The encryption keys of the whole cluster, changed while it runs.

Every operation is an internal query that all members respond to.  The order of a safe change is:
install the new key everywhere, use it everywhere, then remove the old one; `rotate` does that
and checks each step.

Source: hashicorp/serf v0.9.4, serf/keymanager.go.
"""

from __future__ import annotations

from itertools import islice
from typing import Final, final

import trio

from .._cluster.key_responses import (
    KeyAction,
    KeyResponse,
    KeyTally,
    decode_key,
    key_payload,
)
from .._cluster.key_rotation import KeyRotation
from .._cluster.queries import QueryParams
from .._events import MemberStatus
from .._exceptions import KeyOperationError
from .._public_names import set_public_module
from .._text import printable
from .core import Core
from .query_tracker import QueryTracker

ROTATION_ATTEMPTS: Final = 10
"""Reports with missing confirmations in a row after which a rotation gives up."""
MAX_NOTES: Final = 8
"""Messages of nodes that an error shows in a traceback; ``response`` has all."""
_RETRY_PAUSE: Final = 1.0
"""Pause before a step of a rotation is repeated (seconds)."""


@final
class KeyManager:
    """The keys of all members: ``serf.keys``.

    Keys are standard base64 text, as ``serf keygen`` prints it, or raw bytes.
    """

    def __init__(self) -> None:
        raise TypeError("KeyManager(): that of a running node is 'serf.keys'")

    @classmethod
    def _create(cls, core: Core, tracker: QueryTracker) -> KeyManager:
        self = cls.__new__(cls)
        self._set_up(core, tracker)
        return self

    def _set_up(self, core: Core, tracker: QueryTracker) -> None:
        self._core = core
        self._tracker = tracker
        self._changing = trio.Lock()

    def __repr__(self) -> str:
        return f"<KeyManager of {self._core.name!r}>"

    async def install(self, key: str | bytes, *, relay_factor: int = 0) -> KeyResponse:
        """Add a key to every ring: nodes can decrypt with it, and none encrypts with it yet.

        Raises:
          KeyOperationError: not every member confirmed; its ``response`` tells which.
          KeyringError: the key is no base64.
          FeatureNotSupported: the protocol version knows no queries.
          trio.ClosedResourceError: the node is closed.
        """
        return await self._change(KeyAction.INSTALL, key, relay_factor)

    async def use(self, key: str | bytes, *, relay_factor: int = 0) -> KeyResponse:
        """Make an installed key the primary key of every node.  Raises as `install`."""
        return await self._change(KeyAction.USE, key, relay_factor)

    async def remove(self, key: str | bytes, *, relay_factor: int = 0) -> KeyResponse:
        """Remove a key, not the primary one, from every ring.  Raises as `install`."""
        return await self._change(KeyAction.REMOVE, key, relay_factor)

    async def list(self, *, relay_factor: int = 0) -> KeyResponse:
        """Which keys are in the rings of how many nodes.  Raises as `install`."""
        with self._core.until_closed():
            tally = await self._ask(KeyAction.LIST, None, relay_factor)
        return _confirmed(tally)

    async def rotate(self, new_key: str | bytes, *, remove_old: bool = True) -> KeyResponse:
        """Move every member from its old keys to ``new_key``, and lock none out.

        No step is taken before every alive member confirmed the one before.  A rotation that
        was cancelled or gave up can be started again, with the same key, on any node.

        Args:
          new_key: the key that all shall use.
          remove_old: whether all other keys are removed in the end.

        Returns:
          The last list of keys.

        Raises:
          KeyOperationError: some member did not confirm a step for a long time.
          KeyringError: the key is no base64.
        """
        rotation = KeyRotation(decode_key(new_key), remove_old=remove_old)
        with self._core.until_closed():
            async with self._changing:
                return await self._rotate(rotation)

    async def _rotate(self, rotation: KeyRotation) -> KeyResponse:
        attempts = 0
        while True:
            step = rotation.step
            assert step is not None, "the loop ends with the last step"
            tally = await self._ask(step.action, step.key, 0)
            rotation.on_report(tally.answers, self._alive())
            if rotation.step is None:
                return tally.response()
            attempts = attempts + 1 if rotation.waiting_for else 0
            if attempts >= ROTATION_ATTEMPTS:
                raise KeyOperationError(
                    f"no confirmation of {step.action.name.lower()} from "
                    f"{', '.join(rotation.waiting_for)}",
                    tally.response(),
                )
            if rotation.waiting_for:
                await trio.sleep(_RETRY_PAUSE)

    def _alive(self) -> frozenset[str]:
        members = self._core.members.members()
        return frozenset(m.name for m in members if m.status is MemberStatus.ALIVE)

    async def _change(self, action: KeyAction, key: str | bytes, relay_factor: int) -> KeyResponse:
        raw = decode_key(key)
        with self._core.until_closed():
            async with self._changing:
                tally = await self._ask(action, raw, relay_factor)
        return _confirmed(tally)

    async def _ask(self, action: KeyAction, key: bytes | None, relay_factor: int) -> KeyTally:
        """Query all nodes, and count until every one has responded or the query ends."""
        params = QueryParams(relay_factor=relay_factor)
        memberlist = self._tracker.memberlist
        names = None
        if not memberlist.config.faithful_go:
            names = frozenset([node.name for node in memberlist.members()])
        response = self._tracker.start(action.value, key_payload(key), params, only=names)
        tally = KeyTally(memberlist.num_alive)
        try:
            async for answer in response:
                tally.add(answer.node, answer.payload)
                if tally.complete:
                    break
        finally:
            response.close()
        return tally


def _confirmed(tally: KeyTally) -> KeyResponse:
    response = tally.response()
    error = tally.error()
    if error is not None:
        refused = KeyOperationError(error, response)
        for node, message in islice(response.messages.items(), MAX_NOTES):
            refused.add_note(f"{printable(node)}: {printable(message)}")
        raise refused
    return response


set_public_module(KeyManager)
