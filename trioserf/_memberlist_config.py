"""Every setting of the membership half, its unit, its default, and the name Go gives it.

Durations are float seconds, sizes are bytes.  A field ``snake_case`` is Go's ``SnakeCase``.

Source: hashicorp/memberlist v0.2.2, config.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, TypeAlias, final

from . import _attrs as attrs
from ._exceptions import ConfigError
from ._settings import (
    BOOL,
    COUNT,
    COUNT_1,
    PORT,
    POSITIVE,
    SECONDS,
    TEXT,
    bound,
    frozen_mapping,
    is_int,
    is_number,
    key_bytes,
    setting,
)
from ._text import raw_text

if TYPE_CHECKING:
    from .abc import Tap, Transport

IPNetwork: TypeAlias = IPv4Network | IPv6Network

DEFAULT_PORT = 7946
"""The port of Serf and memberlist, for UDP and TCP."""


_BROADCAST = IPv4Address("255.255.255.255")


def bound_host(text: object, field: str = "bind_addr", given: object = None) -> str:
    """The IP address to listen on: "" stands for all of this machine, ``localhost`` for 127.0.0.1.

    Raises:
      ConfigError: no IP address.
    """
    if text == "":
        return "0.0.0.0"
    host, _ = _ip(text, field, text if given is None else given)
    return host


def advertised_host(text: object, field: str = "advertise_addr", given: object = None) -> str:
    """The IP address that peers shall use: "" for the bound one, or one that is chosen.

    Raises:
      ConfigError: no IP address, or one that leads no peer to one node.
    """
    if text == "":
        return ""
    given = text if given is None else given
    host, ip = _ip(text, field, given)
    if ip.is_unspecified or ip.is_multicast or ip == _BROADCAST:
        raise ConfigError(field, given, "the address of one node, which peers can reach")
    return host


def _ip(text: object, field: str, given: object) -> tuple[str, IPv4Address | IPv6Address]:
    if isinstance(text, str):
        host = "127.0.0.1" if text.lower() == "localhost" else text
        try:
            return host, ip_address(host.partition("%")[0])
        except ValueError:
            pass
    raise ConfigError(field, given, "an IP address, or localhost, as host")


def _optional_key(value: str | bytes | None) -> bytes | None:
    return None if value is None else key_bytes(value, "secret_key")


def _optional_ring(value: Sequence[str | bytes] | None) -> tuple[bytes, ...] | None:
    return None if value is None else tuple(key_bytes(key, "keyring") for key in value)


def _networks(value: Sequence[str | IPNetwork] | None) -> tuple[IPNetwork, ...]:
    networks = []
    for item in value or ():
        try:
            networks.append(ip_network(str(item).strip(), strict=False))
        except ValueError:
            raise ConfigError("cidrs_allowed", item, "a network such as 10.0.0.0/8") from None
    return tuple(networks)


@final
@attrs.frozen(kw_only=True)
class MemberlistConfig:
    """Settings of the membership half.  The defaults are Go's for a local network.

    Of Go's fields these are not here: the delegates, which `Memberlist` takes itself;
    ``LogOutput`` and ``Logger``, since logs go to the standard library's ``logging``; and
    ``MsgpackUseNewTimeFormat``, since no message has a time in it.
    Fields that Go does not have: ``transport``, ``eager_gossip``, ``user_share``,
    ``max_streams``, ``max_relays``, ``max_packet_output``, ``seed_memory``, ``accept_v0``,
    ``faithful_go``, ``tap``.
    """

    name: str = setting("", TEXT)
    """Unique node name.  Serf overwrites it with ``Config.node_name``."""
    transport: Transport | None = None
    """Carries packets and streams; None means UDP and TCP on ``bind_addr:bind_port``."""
    label: str = attrs.field(
        default="",
        validator=bound(
            lambda v: isinstance(v, str) and len(raw_text(v)) <= 255, "at most 255 bytes"
        ),
    )
    """Clear-text prefix that keeps clusters apart (memberlist 0.3.0 and newer)."""
    skip_inbound_label_check: bool = setting(False, BOOL)
    bind_addr: str = attrs.field(default="0.0.0.0", converter=bound_host)
    """The IP address to listen on; ``0.0.0.0`` and ``::`` mean all of this machine."""
    bind_port: int = setting(DEFAULT_PORT, PORT)
    """0 binds a free port, the same for UDP and TCP."""
    advertise_addr: str = attrs.field(default="", converter=advertised_host)
    """The IP address that peers shall use; "" means the bound one, or a private one of this
    machine where that is every address."""
    advertise_port: int = setting(0, PORT)
    """0 means the bound port (Go's default of 7946 is overwritten by its agent alike)."""
    protocol_version: int = setting(2, bound(lambda v: is_int(v) and 1 <= v <= 5, "1 to 5"))
    tcp_timeout: float = setting(10.0, POSITIVE)
    """Limit of dialling, and of each exchange on a stream."""
    indirect_checks: int = setting(3, COUNT)
    retransmit_mult: int = setting(4, COUNT_1)
    suspicion_mult: int = setting(4, COUNT_1)
    suspicion_max_timeout_mult: int = setting(6, COUNT_1)
    push_pull_interval: float = setting(30.0, SECONDS)
    """0 turns the periodic exchange off."""
    probe_interval: float = setting(1.0, SECONDS)
    """0 turns probing off."""
    probe_timeout: float = setting(0.5, POSITIVE)
    disable_tcp_pings: bool = setting(False, BOOL)
    disable_tcp_pings_for_node: Callable[[str], bool] | None = None
    awareness_max_multiplier: int = setting(8, COUNT_1)
    gossip_interval: float = setting(0.2, SECONDS)
    """0 turns gossip off."""
    gossip_nodes: int = setting(3, COUNT)
    gossip_to_the_dead_time: float = setting(30.0, SECONDS)
    gossip_verify_incoming: bool = setting(True, BOOL)
    gossip_verify_outgoing: bool = setting(True, BOOL)
    enable_compression: bool = setting(True, BOOL)
    secret_key: bytes | None = attrs.field(default=None, converter=_optional_key, repr=False)
    """Primary key, 16, 24 or 32 bytes, or base64 text."""
    keyring: tuple[bytes, ...] | None = attrs.field(
        default=None, converter=_optional_ring, repr=False
    )
    """All keys, primary first.  An empty ring allows keys to be installed later."""
    delegate_protocol_version: int = setting(0, COUNT)
    delegate_protocol_min: int = setting(0, COUNT)
    delegate_protocol_max: int = setting(0, COUNT)
    dns_config_path: str = setting(
        "/etc/resolv.conf",
        bound(lambda v: v == "/etc/resolv.conf", "names are left to the system's resolver"),
    )
    """Only its default is accepted.

    DIFFERS: Go asks the DNS server named in the file for all records over TCP.  Here the system
    looks names up, by its configuration, IPv4 and IPv6.
    Test: test_names_are_looked_up_as_the_system_does_and_nothing_else_can_be_asked_for.
    """
    handoff_queue_depth: int = setting(1024, COUNT_1)
    """Messages waiting for the worker, for each of two priorities."""
    udp_buffer_size: int = setting(
        1400, bound(lambda v: is_int(v) and 256 <= v <= 65507, "256 to 65507 bytes")
    )
    """How long a packet should be at most (bytes)."""
    dead_node_reclaim_time: float = setting(0.0, SECONDS)
    require_node_names: bool = setting(False, BOOL)
    cidrs_allowed: tuple[IPNetwork, ...] = attrs.field(default=(), converter=_networks)
    """Networks that nodes may come from; empty allows all."""
    metric_labels: Mapping[str, str] = attrs.field(
        factory=dict, converter=frozen_mapping, hash=False
    )
    queue_check_interval: float = setting(30.0, POSITIVE)
    tap: Tap | None = attrs.field(default=None, eq=False)
    """Observes metrics."""
    eager_gossip: bool = setting(True, BOOL)
    """Gossip a new broadcast at once, within the usual number of transmissions."""
    user_share: float = setting(
        0.25, bound(lambda v: is_number(v) and 0 <= v <= 0.9, "a share, 0 to 0.9")
    )
    """Share of each packet kept for user messages, and as much for messages about nodes."""
    max_streams: int = setting(128, COUNT_1)
    """Inbound streams served at once; push/pulls among them at most 127."""
    max_relays: int = setting(512, COUNT_1)
    """Indirect pings under way for others at once."""
    max_packet_output: int = setting(1 << 20, COUNT_1)
    """Most bytes that one datagram may decompress to."""
    accept_v0: bool = setting(True, BOOL)
    """Accept encryption version 0, whose version byte is not authenticated."""
    seed_memory: float = setting(86400.0, SECONDS)
    """How long a lost peer or a seed is remembered for healing partitions, and how long a
    node that was removed may not be brought back by stale messages (seconds)."""
    faithful_go: bool = setting(False, BOOL)
    """For the test kit: behave as Go does where trioserf closes a hole."""

    @property
    def encryption_enabled(self) -> bool:
        """Whether there is a key ring, even an empty one."""
        return self.secret_key is not None or self.keyring is not None

    @classmethod
    def lan(cls, **fields: Any) -> MemberlistConfig:
        """Defaults for a local network, plus any field."""
        return cls(**fields)

    @classmethod
    def wan(cls, **fields: Any) -> MemberlistConfig:
        """Defaults for wide-area networks, plus any field."""
        return cls(**{**_WAN, **fields})

    @classmethod
    def local(cls, **fields: Any) -> MemberlistConfig:
        """Defaults for loopback and tests, plus any field."""
        return cls(**{**_LOCAL, **fields})


_WAN = {
    "tcp_timeout": 30.0,
    "suspicion_mult": 6,
    "push_pull_interval": 60.0,
    "probe_timeout": 3.0,
    "probe_interval": 5.0,
    "gossip_nodes": 4,
    "gossip_interval": 0.5,
    "gossip_to_the_dead_time": 60.0,
}
_LOCAL = {
    "tcp_timeout": 1.0,
    "indirect_checks": 1,
    "retransmit_mult": 2,
    "suspicion_mult": 3,
    "push_pull_interval": 15.0,
    "probe_timeout": 0.2,
    "probe_interval": 1.0,
    "gossip_interval": 0.1,
    "gossip_to_the_dead_time": 15.0,
}
