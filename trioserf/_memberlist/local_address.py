"""Task: sees to the address that this node advertises, and to which addresses lead here.

An address of a machine may go: its lease ends, an interface is replaced.  A node whose address is
gone sends as before, hears acks of its pings by another address perhaps, and sees all well; but its
peers cannot reach it, suspect it, receive its refutation, and so on without end.  An address that
was chosen here is chosen anew then; what the user gave is the user's to change, so that is a
warning.

Source: hashicorp/memberlist v0.2.2, memberlist.go, setAlive; Go does not look again.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import ConfigError, InvalidState
from .._net.addresses import advertised_address, is_public
from .._swim.table import NodeTable
from ..abc import Address, Transport
from .apply import Applier
from .drop_log import Log

CHECK_PERIOD: Final = 5.0
"""Seconds between two looks at whether the address is there: well within a suspicion timeout."""
ABSENT_LOOKS: Final = 2
"""So many looks in turn must miss it: an interface that is set up anew lacks it for a moment."""


@attrs.define(eq=False, kw_only=True)
class LocalAddress:
    """The address that peers use, from the moment when the transport is bound.

    Args:
      choose: gives the address to advertise, or raises `ConfigError`.
    """

    config: MemberlistConfig
    transport: Transport
    log: Log
    choose: Callable[[MemberlistConfig, Address], Address] = advertised_address
    _advertised: Address | None = attrs.field(default=None, init=False)

    def settle(self, *, encrypted: bool) -> None:
        """Find out what to advertise.  Raises `ConfigError` if there is nothing."""
        self._advertised = self.choose(self.config, self.transport.local_address)
        if not encrypted and is_public(self._advertised):
            self.log.warning("%s is public, and nothing is encrypted", self._advertised)

    @property
    def advertised(self) -> Address:
        """The address that peers use.  Raises `InvalidState` before `settle`."""
        if self._advertised is None:
            raise InvalidState("the node has no address before it is bound")
        return self._advertised

    def default_port(self) -> int:
        """What stands for a port that is not given."""
        return self.config.bind_port or self.transport.local_address.port

    def leads_here(self, address: Address) -> bool:
        """Whether an address is one of this node."""
        return address == self._advertised or self.transport.leads_here(address)

    async def watch(self, table: NodeTable, apply: Applier) -> None:
        """Replace the address when it is gone, or warn, until cancelled.

        Returns at once if it never was one of this machine, as behind a gateway, or if addresses
        stay as long as the transport, as those of a simulated host.
        """
        stays = type(self.transport).has_address is Transport.has_address
        if stays or self.config.faithful_go or not self.transport.has_address(self.advertised.host):
            await trio.lowlevel.checkpoint()
            return
        absent = 0
        while True:
            await trio.sleep(CHECK_PERIOD)
            if self.transport.has_address(self.advertised.host):
                absent = 0
                continue
            absent += 1
            if absent >= ABSENT_LOOKS:
                new = self._another(warn=absent == ABSENT_LOOKS)
                if new is not None:
                    self._advertised = new
                    now = trio.current_time()
                    apply(table.move_local(new.to_bytes(), new.port, now))
                    absent = 0

    def _another(self, *, warn: bool) -> Address | None:
        """What to advertise now that the address is gone; None if that is not known here."""
        old, bound = self.advertised, self.transport.local_address
        reason = "it was not chosen here: start this node anew with another one"
        if not self.config.advertise_addr and ip_address(bound.host).is_unspecified:
            try:
                new = self.choose(self.config, bound)
            except ConfigError as error:
                reason = str(error)
            else:
                self.log.warning(
                    "%s is no longer an address of this machine: this node is at %s now", old, new
                )
                return new
        if warn:
            self.log.warning(
                "%s is no longer an address of this machine, so peers cannot reach this node; %s",
                old,
                reason,
            )
        return None
