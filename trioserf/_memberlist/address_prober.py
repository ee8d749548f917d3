"""Task: probes the old address of a node before an alive message from a new one is refused.

A node that moved (a container that was started anew) sends alive messages with another address
while its old record is still alive.  Go refuses them until the old record is dead.  Here the old
address is pinged: if no node of that name answers, the message is applied at once.

Source: hashicorp/memberlist v0.2.2, state.go: aliveNode, the case of conflicting addresses, for
what Go does instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, NoAckError
from .._swim.effects import Effect, ProbeAddress
from .._swim.table import NodeTable
from .history import History
from .pending_acks import Pinger

Apply: TypeAlias = Callable[[Sequence[Effect]], object]

MAX_PROBES: Final = 16
"""Most addresses probed at once; a message that would need one more is refused."""
ATTEMPTS: Final = 2
"""Pings to the old address, so that one lost packet does not decide."""


@attrs.define(eq=False, kw_only=True)
class AddressProber:
    """Finds out which address of a conflict is right."""

    config: MemberlistConfig
    table: NodeTable
    pinger: Pinger
    history: History
    _active: int = attrs.field(default=0, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)

    def start(self, effect: ProbeAddress, apply: Apply) -> bool:
        """Begin a probe, and apply what follows from it; False if there are too many."""
        if self._nursery is None or self._active >= MAX_PROBES:
            return False
        self._active += 1
        self._nursery.start_soon(self._probe, effect, apply)
        return True

    async def run(self) -> None:
        """Give probes a nursery to run in, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def _probe(self, effect: ProbeAddress, apply: Apply) -> None:
        try:
            answered = await self._answers(effect)
            self.history.address_probed(effect, answered)
            apply(self.table.address_probed(effect, answered, trio.current_time()))
        finally:
            self._active -= 1

    async def _answers(self, effect: ProbeAddress) -> bool:
        timeout = self.config.probe_timeout / ATTEMPTS
        for _ in range(ATTEMPTS):
            deadline = trio.current_time() + timeout
            try:
                local, name = self.table.local_node, effect.existing.name
                await self.pinger.ping(local, name, effect.address, timeout)
            except NoAckError:
                continue
            except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
                await trio.sleep_until(deadline)
            else:
                return True
        return False
