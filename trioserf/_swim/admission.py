"""Which alive messages are well formed, and which addresses may take part.

Source: hashicorp/memberlist v0.2.2, state.go, aliveNode; config.go, IPAllowed; net.go,
handleAlive.  Go checks little of the form; what is refused here besides has made peers
crash or vanish.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import final

from .._wire.messages import Alive
from .nodes import META_LIMIT, VERSIONS_LENGTH
from .versions import sound


def defect(alive: Alive) -> str | None:
    """What is wrong with the form of an alive message; None for nothing.

    DIFFERS: Go takes any name, address, port, incarnation and length of metadata, and any
    versions; each of these harms a node later.
    Test: test_a_malformed_alive_message_is_refused.
    """
    if not alive.node:
        return "no name"
    if len(alive.addr or b"") not in (4, 16):
        return f"an address of {len(alive.addr or b'')} bytes"
    if alive.port == 0:
        return "port 0"
    if alive.incarnation == 0:
        return "incarnation 0"
    if not sound(alive.versions):
        return f"versions {(alive.versions or b'')[:VERSIONS_LENGTH].hex() or 'missing'}"
    if len(alive.meta or b"") > META_LIMIT:
        return f"metadata of {len(alive.meta or b'')} bytes"
    return None


@final
class AllowedNetworks:
    """The networks that nodes may come from; none means all.

    Args:
      networks: ``cidrs_allowed``.
    """

    __slots__ = ("_networks",)

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        """Whether anything is refused at all."""
        return bool(self._networks)

    def allow(self, address: bytes | str) -> bool:
        """Whether an address, 4 or 16 bytes or text, lies in one of the networks.

        An IPv4 address counts as such also in 16 bytes.
        """
        if not self._networks:
            return True
        try:
            if isinstance(address, str):
                address = address.partition("%")[0]
            ip = ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self._networks)
