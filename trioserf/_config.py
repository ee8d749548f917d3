"""Every setting, its unit, its default, and the name Go gives it.

Durations are float seconds, sizes are bytes.  A field ``snake_case`` is Go's ``SnakeCase``;
fields that Go does not have say so.  Bad values raise `ConfigError` when the object is made,
so a running node never meets one.  Objects are frozen: ``attrs.evolve`` makes a changed copy.

Source: hashicorp/memberlist v0.2.2, config.go; hashicorp/serf v0.9.4, serf/config.go.
"""

from __future__ import annotations

import base64
import binascii
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, final

import attrs

from ._events import Member
from ._exceptions import ConfigError, InvalidNodeName

if TYPE_CHECKING:
    from .abc import Tap, Transport

IPNetwork: TypeAlias = IPv4Network | IPv6Network

PROTOCOL_VERSION_MIN = 2
"""Lowest Serf protocol version that can be spoken."""
PROTOCOL_VERSION_MAX = 5
"""Highest Serf protocol version that can be spoken."""
PROTOCOL_VERSION_MAP: Mapping[int, int] = MappingProxyType({2: 2, 3: 2, 4: 2, 5: 2})
"""Serf protocol version to memberlist protocol version."""
USER_EVENT_SIZE_LIMIT = 9216
"""Most bytes that ``user_event_size_limit`` may allow."""
MAX_NODE_NAME_LENGTH = 128
"""Longest name that ``validate_node_names`` accepts."""
DEFAULT_PORT = 7946
"""The port of Serf and memberlist, for UDP and TCP."""

_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")


# --- bounds -------------------------------------------------------------------------------


def _bound(test: Callable[[Any], bool], expected: str) -> Any:
    def validate(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        try:
            fine = test(value)
        except TypeError:
            fine = False
        if not fine:
            raise ConfigError(attribute.name, value, expected)

    return validate


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_POSITIVE = _bound(lambda v: _is_number(v) and 0 < v < 1e9, "seconds, more than 0")
_SECONDS = _bound(lambda v: _is_number(v) and 0 <= v < 1e9, "seconds, 0 or more")
_COUNT = _bound(lambda v: _is_int(v) and v >= 0, "a whole number, 0 or more")
_COUNT_1 = _bound(lambda v: _is_int(v) and v >= 1, "a whole number, 1 or more")
_PORT = _bound(lambda v: _is_int(v) and 0 <= v <= 65535, "a port, 0 to 65535")
_BOOL = _bound(lambda v: isinstance(v, bool), "True or False")
_TEXT = _bound(lambda v: isinstance(v, str), "a string")


def _setting(default: Any, validator: Any) -> Any:
    return attrs.field(default=default, validator=validator)


def _utf8_length(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


# --- keys ---------------------------------------------------------------------------------


def key_bytes(key: str | bytes, field: str = "encrypt_key") -> bytes:
    """An encryption key as raw bytes.

    Args:
      key: raw bytes, or standard base64 text as ``serf keygen`` prints it.
      field: the setting to name in the error.

    Raises:
      ConfigError: not base64, or not 16, 24 or 32 bytes long.  The key is not in the text.
    """
    if isinstance(key, str):
        try:
            raw = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(field, "<secret>", "a key in standard base64") from None
    elif isinstance(key, (bytes, bytearray)):
        raw = bytes(key)
    else:
        raise ConfigError(field, "<secret>", "a base64 string or bytes")
    if len(raw) not in (16, 24, 32):
        raise ConfigError(field, f"<secret of {len(raw)} bytes>", "16, 24 or 32 bytes")
    return raw


def _optional_key(value: str | bytes | None) -> bytes | None:
    return None if value is None else key_bytes(value, "secret_key")


def _optional_ring(value: Sequence[str | bytes] | None) -> tuple[bytes, ...] | None:
    return None if value is None else tuple(key_bytes(key, "keyring") for key in value)


# --- membership ---------------------------------------------------------------------------


def _networks(value: Sequence[str | IPNetwork] | None) -> tuple[IPNetwork, ...]:
    networks = []
    for item in value or ():
        try:
            networks.append(ip_network(str(item).strip(), strict=False))
        except ValueError:
            raise ConfigError("cidrs_allowed", item, "a network such as 10.0.0.0/8") from None
    return tuple(networks)


def _frozen_mapping(value: Mapping[str, str] | None) -> Mapping[str, str]:
    return MappingProxyType(dict(value or {}))


@final
@attrs.frozen(kw_only=True)
class MemberlistConfig:
    """Settings of the membership half.  The defaults are Go's for a local network.

    Fields that Go does not have: ``transport``, ``eager_gossip``, ``user_share``,
    ``max_streams``, ``max_relays``, ``max_packet_output``, ``seed_memory``, ``accept_v0``,
    ``faithful_go``, ``tap``.
    """

    name: str = _setting("", _TEXT)
    """Unique node name.  Serf overwrites it with ``Config.node_name``."""
    transport: Transport | None = None
    """Carries packets and streams; None means UDP and TCP on ``bind_addr:bind_port``."""
    label: str = attrs.field(
        default="",
        validator=_bound(
            lambda v: isinstance(v, str) and _utf8_length(v) <= 255, "at most 255 bytes"
        ),
    )
    """Clear-text prefix that keeps clusters apart (memberlist 0.3.0 and newer)."""
    skip_inbound_label_check: bool = _setting(False, _BOOL)
    bind_addr: str = _setting("0.0.0.0", _TEXT)
    bind_port: int = _setting(DEFAULT_PORT, _PORT)
    """0 binds a free port, the same for UDP and TCP."""
    advertise_addr: str = _setting("", _TEXT)
    advertise_port: int = _setting(0, _PORT)
    """0 means the bound port (Go's default of 7946 is overwritten by its agent alike)."""
    protocol_version: int = _setting(2, _bound(lambda v: _is_int(v) and 1 <= v <= 5, "1 to 5"))
    tcp_timeout: float = _setting(10.0, _POSITIVE)
    """Limit of dialling, and of each exchange on a stream."""
    indirect_checks: int = _setting(3, _COUNT)
    retransmit_mult: int = _setting(4, _COUNT_1)
    suspicion_mult: int = _setting(4, _COUNT_1)
    suspicion_max_timeout_mult: int = _setting(6, _COUNT_1)
    push_pull_interval: float = _setting(30.0, _SECONDS)
    """0 turns the periodic exchange off."""
    probe_interval: float = _setting(1.0, _SECONDS)
    """0 turns probing off."""
    probe_timeout: float = _setting(0.5, _POSITIVE)
    disable_tcp_pings: bool = _setting(False, _BOOL)
    disable_tcp_pings_for_node: Callable[[str], bool] | None = None
    awareness_max_multiplier: int = _setting(8, _COUNT_1)
    gossip_interval: float = _setting(0.2, _SECONDS)
    """0 turns gossip off."""
    gossip_nodes: int = _setting(3, _COUNT)
    gossip_to_the_dead_time: float = _setting(30.0, _SECONDS)
    gossip_verify_incoming: bool = _setting(True, _BOOL)
    gossip_verify_outgoing: bool = _setting(True, _BOOL)
    enable_compression: bool = _setting(True, _BOOL)
    secret_key: bytes | None = attrs.field(default=None, converter=_optional_key, repr=False)
    """Primary key, 16, 24 or 32 bytes, or base64 text."""
    keyring: tuple[bytes, ...] | None = attrs.field(
        default=None, converter=_optional_ring, repr=False
    )
    """All keys, primary first.  An empty ring allows keys to be installed later."""
    delegate_protocol_version: int = _setting(0, _COUNT)
    delegate_protocol_min: int = _setting(0, _COUNT)
    delegate_protocol_max: int = _setting(0, _COUNT)
    dns_config_path: str = _setting("/etc/resolv.conf", _TEXT)
    handoff_queue_depth: int = _setting(1024, _COUNT_1)
    """Messages waiting for the worker, for each of two priorities."""
    udp_buffer_size: int = _setting(
        1400, _bound(lambda v: _is_int(v) and 256 <= v <= 65507, "256 to 65507 bytes")
    )
    """How long a packet should be at most (bytes)."""
    dead_node_reclaim_time: float = _setting(0.0, _SECONDS)
    require_node_names: bool = _setting(False, _BOOL)
    cidrs_allowed: tuple[IPNetwork, ...] = attrs.field(default=(), converter=_networks)
    """Networks that nodes may come from; empty allows all."""
    metric_labels: Mapping[str, str] = attrs.field(
        factory=dict, converter=_frozen_mapping, hash=False
    )
    queue_check_interval: float = _setting(30.0, _POSITIVE)
    tap: Tap | None = attrs.field(default=None, eq=False)
    """Observes metrics."""
    eager_gossip: bool = _setting(True, _BOOL)
    """Send news at once inside the usual number of transmissions, not at the next tick."""
    user_share: float = _setting(
        0.25, _bound(lambda v: _is_number(v) and 0 <= v <= 0.9, "a share, 0 to 0.9")
    )
    """Share of each packet kept for user messages, and for messages of our own."""
    max_streams: int = _setting(128, _COUNT_1)
    """Inbound streams served at once; push/pulls among them at most 127."""
    max_relays: int = _setting(512, _COUNT_1)
    """Indirect pings under way for others at once."""
    max_packet_output: int = _setting(1 << 20, _COUNT_1)
    """Most bytes that one datagram may decompress to."""
    accept_v0: bool = _setting(True, _BOOL)
    """Accept encryption version 0, whose version byte is not authenticated."""
    seed_memory: float = _setting(86400.0, _SECONDS)
    """How long a lost peer or a seed is remembered for healing partitions (seconds)."""
    faithful_go: bool = _setting(False, _BOOL)
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


# --- serf ---------------------------------------------------------------------------------


def check_node_name(name: str) -> None:
    """Raise `InvalidNodeName` unless ``name`` has only ``A-Za-z0-9-.``, at most 128 bytes.

    Source: hashicorp/serf main, serf/serf.go, ValidateNodeName.
    """
    if not set(name) <= _NAME_CHARACTERS:
        raise InvalidNodeName("node_name", name, "only letters, digits, '-' and '.'")
    if len(name) > MAX_NODE_NAME_LENGTH:
        raise InvalidNodeName("node_name", name, "at most 128 characters")


def _tags(value: Mapping[str, str] | None) -> Mapping[str, str]:
    tags = dict(value or {})
    for key, text in tags.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise ConfigError("tags", {key: text}, "strings as names and values")
    return MappingProxyType(tags)


@final
@attrs.frozen(kw_only=True)
class Config:
    """Settings of a node.  The defaults are those of Go's library on a local network.

    Fields that Go does not have: ``event_buffer_size``, ``leave_on_exit``,
    ``leave_timeout``, ``rng``.
    """

    node_name: str = attrs.field(
        factory=socket.gethostname,
        validator=_bound(lambda v: isinstance(v, str) and v != "", "a name that is not empty"),
    )
    tags: Mapping[str, str] = attrs.field(factory=dict, converter=_tags, hash=False)
    protocol_version: int = _setting(
        4,
        _bound(
            lambda v: _is_int(v) and PROTOCOL_VERSION_MIN <= v <= PROTOCOL_VERSION_MAX, "2 to 5"
        ),
    )
    broadcast_timeout: float = _setting(5.0, _POSITIVE)
    leave_propagate_delay: float = _setting(1.0, _SECONDS)
    coalesce_period: float = _setting(0.0, _SECONDS)
    """Longest time that member events are held to be merged; 0 turns merging off."""
    quiescent_period: float = _setting(0.0, _SECONDS)
    user_coalesce_period: float = _setting(0.0, _SECONDS)
    user_quiescent_period: float = _setting(0.0, _SECONDS)
    reap_interval: float = _setting(15.0, _POSITIVE)
    reconnect_interval: float = _setting(30.0, _POSITIVE)
    reconnect_timeout: float = _setting(86400.0, _SECONDS)
    tombstone_timeout: float = _setting(86400.0, _SECONDS)
    flap_timeout: float = _setting(60.0, _SECONDS)
    queue_check_interval: float = _setting(30.0, _POSITIVE)
    queue_depth_warning: int = _setting(128, _COUNT_1)
    max_queue_depth: int = _setting(4096, _COUNT_1)
    min_queue_depth: int = _setting(0, _COUNT)
    """0 keeps ``max_queue_depth``; more means max(this, 2 x members)."""
    recent_intent_timeout: float = _setting(300.0, _SECONDS)
    event_buffer: int = _setting(512, _COUNT_1)
    """Lamport times of user events remembered."""
    query_buffer: int = _setting(512, _COUNT_1)
    """Lamport times of queries remembered."""
    query_timeout_mult: int = _setting(16, _COUNT_1)
    query_response_size_limit: int = _setting(1024, _COUNT_1)
    query_size_limit: int = _setting(1024, _COUNT_1)
    user_event_size_limit: int = attrs.field(
        default=512,
        validator=_bound(
            lambda v: _is_int(v) and 0 < v <= USER_EVENT_SIZE_LIMIT, "1 to 9216 bytes"
        ),
    )
    memberlist: MemberlistConfig = attrs.field(
        factory=MemberlistConfig,
        validator=_bound(lambda v: isinstance(v, MemberlistConfig), "a MemberlistConfig"),
    )
    snapshot_path: str | None = None
    """File that remembers members and clocks over restarts; None for none."""
    min_compact_size: int = _setting(128 * 1024, _COUNT)
    rejoin_after_leave: bool = _setting(False, _BOOL)
    enable_name_conflict_resolution: bool = _setting(True, _BOOL)
    disable_coordinates: bool = _setting(False, _BOOL)
    keyring_file: str | None = None
    """Where key changes are written; None for nowhere."""
    merge: Callable[[Sequence[Member]], object] | None = attrs.field(default=None, eq=False)
    """Called with the members of a joining peer; raise `MergeRefused` to refuse it."""
    reconnect_timeout_override: Callable[[Member, float], float] | None = attrs.field(
        default=None, eq=False
    )
    validate_node_names: bool = _setting(False, _BOOL)
    metric_labels: Mapping[str, str] = attrs.field(
        factory=dict, converter=_frozen_mapping, hash=False
    )
    event_buffer_size: int = _setting(2048, _COUNT_1)
    """Events held for a slow reader of ``Serf.events`` before they are dropped."""
    leave_on_exit: bool = _setting(True, _BOOL)
    """Whether leaving the block of ``open`` normally leaves the cluster gracefully."""
    leave_timeout: float = _setting(15.0, _POSITIVE)
    """Limit of that graceful leave."""
    rng: random.Random | None = attrs.field(default=None, eq=False, repr=False)
    """Source of every random choice; None for a fresh one seeded by the system."""

    def __attrs_post_init__(self) -> None:
        if self.validate_node_names:
            check_node_name(self.node_name)

    @classmethod
    def lan(
        cls,
        *,
        bind: str | None = None,
        advertise: str | None = None,
        encrypt_key: str | bytes | None = None,
        **fields: Any,
    ) -> Config:
        """Defaults for a local network.

        Args:
          bind: ``host:port`` to listen on (UDP and TCP); port 0 takes a free one.
          advertise: ``host:port`` to tell others.
          encrypt_key: base64 text or raw bytes; turns encryption on.
          fields: any field of `Config`.
        """
        return cls._profile(MemberlistConfig.lan, bind, advertise, encrypt_key, fields)

    @classmethod
    def wan(
        cls,
        *,
        bind: str | None = None,
        advertise: str | None = None,
        encrypt_key: str | bytes | None = None,
        **fields: Any,
    ) -> Config:
        """Defaults for wide-area networks; arguments as `lan`."""
        return cls._profile(MemberlistConfig.wan, bind, advertise, encrypt_key, fields)

    @classmethod
    def local(
        cls,
        *,
        bind: str | None = None,
        advertise: str | None = None,
        encrypt_key: str | bytes | None = None,
        **fields: Any,
    ) -> Config:
        """Defaults for loopback; binds 127.0.0.1 unless told otherwise; arguments as `lan`."""
        if bind is None and "memberlist" not in fields:
            bind = f"127.0.0.1:{DEFAULT_PORT}"
        return cls._profile(MemberlistConfig.local, bind, advertise, encrypt_key, fields)

    @classmethod
    def _profile(
        cls,
        profile: Callable[..., MemberlistConfig],
        bind: str | None,
        advertise: str | None,
        encrypt_key: str | bytes | None,
        fields: dict[str, Any],
    ) -> Config:
        changes: dict[str, Any] = {}
        if bind is not None:
            changes["bind_addr"], changes["bind_port"] = _host_and_port("bind", bind)
        if advertise is not None:
            host, port = _host_and_port("advertise", advertise)
            changes["advertise_addr"], changes["advertise_port"] = host, port
        if encrypt_key is not None:
            changes["secret_key"] = key_bytes(encrypt_key)
        base = fields.pop("memberlist", None)
        memberlist = profile(**changes) if base is None else attrs.evolve(base, **changes)
        return cls(memberlist=memberlist, **fields)


def _host_and_port(field: str, text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.startswith("[")):
        host, port = text, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(field, text, "host:port with a port from 0 to 65535")
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        raise ConfigError(field, text, "host:port with an IP address as host") from None
    return host, int(port)
