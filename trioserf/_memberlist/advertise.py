"""Which address a node tells others.

Source: hashicorp/memberlist v0.2.2, net_transport.go: FinalAdvertiseAddr; memberlist.go:
setAlive.
"""

from __future__ import annotations

from ipaddress import ip_address

from .._config import MemberlistConfig
from .._exceptions import ConfigError
from .._net.addresses import pick_advertise
from ..abc import Address


def is_public(address: Address) -> bool:
    """Whether anybody on the Internet may reach the address."""
    return ip_address(address.host.partition("%")[0]).is_global


def advertised_address(config: MemberlistConfig, bound: Address) -> Address:
    """The address to advertise: as configured, else as bound, else a private one.

    Args:
      config: ``advertise_addr`` and ``advertise_port``.
      bound: what the transport is bound to.

    Raises:
      ConfigError: the setting is no IP address, or bound to all addresses there is no
        private one to choose.
    """
    port = config.advertise_port or bound.port
    if config.advertise_addr:
        try:
            return Address.from_bytes(ip_address(config.advertise_addr).packed, port)
        except ValueError:
            raise ConfigError("advertise_addr", config.advertise_addr, "an IP address") from None
    if not ip_address(bound.host.partition("%")[0]).is_unspecified:
        return Address(bound.host, port)
    try:
        return Address.from_bytes(pick_advertise(bound.host), port)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "advertise_addr", "", f"an address, because none can be chosen ({error})"
        ) from error
