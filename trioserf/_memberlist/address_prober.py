"""Task: probes the old address of a node before a new one is refused.

A node that moved (a container that was started anew) claims its name from another address
while its old record still looks alive.  Go refuses that until the old record has died.  We
ask the old address: if nobody of that name answers, the claim is accepted at once.

Source: hashicorp/memberlist v0.2.2, state.go: aliveNode, the case of conflicting addresses;
the challenge is ours.
"""

from __future__ import annotations

from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, NoAckError
from .._swim.effects import ProbeAddress
from .._swim.table import NodeTable
from .apply import Applier
from .pending_acks import Pinger

MAX_CHALLENGES: Final = 16
"""Most challenges at once; a claim beyond that is refused."""
ATTEMPTS: Final = 2
"""Pings to the old address, so that one lost packet does not decide."""


@attrs.define(eq=False, kw_only=True)
class AddressProber:
    """Decides conflicts about live names.

    Args:
      config: the probe timeout.
      table: is told the result.
      pinger: asks the old address.
      apply: applies what the table makes of it.
    """

    config: MemberlistConfig
    table: NodeTable
    pinger: Pinger
    apply: Applier
    _active: int = attrs.field(default=0, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)

    def put(self, challenge: ProbeAddress) -> None:
        """Begin a challenge; refuse its claim at once if there are too many."""
        if self._nursery is None or self._active >= MAX_CHALLENGES:
            self._decide(challenge, answered=True)
            return
        self._active += 1
        self._nursery.start_soon(self._challenge, challenge)

    async def run(self) -> None:
        """Give challenges a place to run in, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    async def _challenge(self, challenge: ProbeAddress) -> None:
        try:
            self._decide(challenge, answered=await self._answers(challenge))
        finally:
            self._active -= 1

    async def _answers(self, challenge: ProbeAddress) -> bool:
        timeout = self.config.probe_timeout / ATTEMPTS
        for _ in range(ATTEMPTS):
            deadline = trio.current_time() + timeout
            try:
                await self.pinger.ping(
                    self.table.local_node, challenge.existing.name, challenge.address, timeout
                )
            except NoAckError:
                continue
            except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
                await trio.sleep_until(deadline)
            else:
                return True
        return False

    def _decide(self, challenge: ProbeAddress, *, answered: bool) -> None:
        now = trio.current_time()
        self.apply(self.table.address_probed(challenge, answered, now))
