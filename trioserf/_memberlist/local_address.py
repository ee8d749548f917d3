"""The address of this node: what it advertises, and which addresses lead here."""

from __future__ import annotations

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import InvalidState
from .._net.addresses import advertised_address, is_public
from ..abc import Address, Transport
from .drop_log import Log


@attrs.define(eq=False, kw_only=True)
class LocalAddress:
    """The address that peers use, from the moment when the transport is bound."""

    config: MemberlistConfig
    transport: Transport
    log: Log
    _advertised: Address | None = attrs.field(default=None, init=False)

    def settle(self, *, encrypted: bool) -> None:
        """Find out what to advertise.  Raises `ConfigError` if there is nothing."""
        self._advertised = advertised_address(self.config, self.transport.local_address)
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
