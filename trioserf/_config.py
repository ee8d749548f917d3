"""Every setting, its unit, its default, and the name Go gives it.

Durations are float seconds, sizes are bytes.  A field ``snake_case`` is Go's ``SnakeCase``;
fields that Go does not have are named below.  Bad values raise `ConfigError` when the object
is made, so a running node never meets one.  Objects are frozen: ``attrs.evolve`` makes a changed
copy.

Source: hashicorp/memberlist v0.2.2, config.go; hashicorp/serf v0.9.4, serf/config.go.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, final

from . import _attrs as attrs
from ._events import Member
from ._exceptions import ConfigError, InvalidNodeName
from ._memberlist_config import DEFAULT_PORT as DEFAULT_PORT
from ._memberlist_config import MemberlistConfig as MemberlistConfig
from ._memberlist_config import advertised_host, bound_host
from ._settings import (
    BOOL,
    COUNT,
    COUNT_1,
    POSITIVE,
    SECONDS,
    bound,
    frozen_mapping,
    is_encodable,
    is_int,
    key_bytes,
    setting,
)
from ._text import port_from_text

PROTOCOL_VERSION_MIN = 2
"""Lowest Serf protocol version that can be used."""
PROTOCOL_VERSION_MAX = 5
"""Highest Serf protocol version that can be used."""
PROTOCOL_VERSION_MAP: Mapping[int, int] = MappingProxyType({2: 2, 3: 2, 4: 2, 5: 2})
"""Serf protocol version to memberlist protocol version."""
USER_EVENT_SIZE_LIMIT = 9216
"""Most bytes that ``user_event_size_limit`` may allow."""
MAX_NODE_NAME_LENGTH = 128
"""Longest name that ``validate_node_names`` accepts."""
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")


def check_node_name(name: str) -> None:
    """Raise `InvalidNodeName` unless ``name`` has only ``A-Za-z0-9-.``, at most 128 bytes.

    Source: hashicorp/serf main, serf/serf.go, ValidateNodeName.
    """
    if not set(name) <= _NAME_CHARACTERS:
        raise InvalidNodeName("node_name", name, "only letters, digits, '-' and '.'")
    if len(name) > MAX_NODE_NAME_LENGTH:
        raise InvalidNodeName("node_name", name, "at most 128 characters")


def _tags(value: Mapping[str, str] | None) -> Mapping[str, str]:
    pairs: Iterable[tuple[object, object]] = (value or {}).items()
    for key, text in pairs:
        if not isinstance(key, str) or not isinstance(text, str):
            raise ConfigError("tags", {key: text}, "strings as names and values")
        if not (is_encodable(key) and is_encodable(text)):
            raise ConfigError("tags", {key: text}, "text that can be written in UTF-8")
    return MappingProxyType(dict(value or {}))


@final
@attrs.frozen(kw_only=True)
class Config:
    """Settings of a node.  The defaults are those of Go's library on a local network.

    Fields that Go does not have: ``event_buffer_size``, ``leave_on_exit``,
    ``leave_timeout``, ``rng``.
    """

    node_name: str = attrs.field(
        factory=socket.gethostname,
        validator=bound(
            lambda v: isinstance(v, str) and v != "" and is_encodable(v),
            "a name that is not empty and can be written in UTF-8",
        ),
    )
    tags: Mapping[str, str] = attrs.field(factory=dict, converter=_tags, hash=False)
    protocol_version: int = setting(
        4,
        bound(lambda v: is_int(v) and PROTOCOL_VERSION_MIN <= v <= PROTOCOL_VERSION_MAX, "2 to 5"),
    )
    broadcast_timeout: float = setting(5.0, POSITIVE)
    leave_propagate_delay: float = setting(1.0, SECONDS)
    coalesce_period: float = setting(0.0, SECONDS)
    """Longest time that member events wait to be merged; 0 turns merging off."""
    quiescent_period: float = setting(0.0, SECONDS)
    user_coalesce_period: float = setting(0.0, SECONDS)
    user_quiescent_period: float = setting(0.0, SECONDS)
    reap_interval: float = setting(15.0, POSITIVE)
    reconnect_interval: float = setting(30.0, POSITIVE)
    reconnect_timeout: float = setting(86400.0, SECONDS)
    tombstone_timeout: float = setting(86400.0, SECONDS)
    flap_timeout: float = setting(60.0, SECONDS)
    queue_check_interval: float = setting(30.0, POSITIVE)
    queue_depth_warning: int = setting(128, COUNT_1)
    max_queue_depth: int = setting(4096, COUNT_1)
    min_queue_depth: int = setting(0, COUNT)
    """0 keeps ``max_queue_depth``; more means max(this, 2 x members)."""
    recent_intent_timeout: float = setting(300.0, SECONDS)
    event_buffer: int = setting(512, COUNT_1)
    """Lamport times of user events remembered."""
    query_buffer: int = setting(512, COUNT_1)
    """Lamport times of queries remembered."""
    query_timeout_mult: int = setting(16, COUNT_1)
    query_response_size_limit: int = setting(1024, COUNT_1)
    query_size_limit: int = setting(1024, COUNT_1)
    user_event_size_limit: int = attrs.field(
        default=512,
        validator=bound(lambda v: is_int(v) and 0 < v <= USER_EVENT_SIZE_LIMIT, "1 to 9216 bytes"),
    )
    memberlist: MemberlistConfig = attrs.field(
        factory=MemberlistConfig,
        validator=bound(lambda v: isinstance(v, MemberlistConfig), "a MemberlistConfig"),
    )
    snapshot_path: str | None = None
    """File that remembers members and clocks over restarts; None for none."""
    min_compact_size: int = setting(128 * 1024, COUNT)
    rejoin_after_leave: bool = setting(False, BOOL)
    enable_name_conflict_resolution: bool = setting(True, BOOL)
    disable_coordinates: bool = setting(False, BOOL)
    keyring_file: str | None = None
    """Where key changes are written; None for nowhere."""
    merge: Callable[[Sequence[Member]], object] | None = attrs.field(default=None, eq=False)
    """Called with the members of a joining peer; raise `MergeRefused` to refuse it."""
    reconnect_timeout_override: Callable[[Member, float], float] | None = attrs.field(
        default=None, eq=False
    )
    validate_node_names: bool = setting(False, BOOL)
    metric_labels: Mapping[str, str] = attrs.field(
        factory=dict, converter=frozen_mapping, hash=False
    )
    event_buffer_size: int = setting(2048, COUNT_1)
    """Events kept for a slow reader of ``Serf.events`` before they are dropped."""
    leave_on_exit: bool = setting(True, BOOL)
    """Whether leaving the block of ``open`` normally leaves the cluster gracefully."""
    leave_timeout: float = setting(15.0, POSITIVE)
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
        bind: str | int | None = None,
        advertise: str | int | None = None,
        encrypt_key: str | bytes | None = None,
        **fields: Any,
    ) -> Config:
        """Defaults for a local network.

        Args:
          bind: ``host:port`` to listen on (UDP and TCP).  The host is an IP address, or
            ``localhost`` for 127.0.0.1; none (``":7946"``, ``7946``) means all addresses of this
            machine.  No port means 7946, and port 0 takes a free one.
          advertise: ``host:port`` that other nodes shall use.  No port, or port 0, means the
            bound one; no host means the bound address, or one chosen here.
          encrypt_key: base64 text or raw bytes; turns encryption on.
          fields: any field of `Config`.
        """
        return cls._profile(MemberlistConfig.lan, bind, advertise, encrypt_key, fields)

    @classmethod
    def wan(
        cls,
        *,
        bind: str | int | None = None,
        advertise: str | int | None = None,
        encrypt_key: str | bytes | None = None,
        **fields: Any,
    ) -> Config:
        """Defaults for wide-area networks; arguments as `lan`."""
        return cls._profile(MemberlistConfig.wan, bind, advertise, encrypt_key, fields)

    @classmethod
    def local(
        cls,
        *,
        bind: str | int | None = None,
        advertise: str | int | None = None,
        encrypt_key: str | bytes | None = None,
        **fields: Any,
    ) -> Config:
        """Defaults for loopback; binds 127.0.0.1 by default; arguments as `lan`."""
        if bind is None and "memberlist" not in fields:
            bind = f"127.0.0.1:{DEFAULT_PORT}"
        return cls._profile(MemberlistConfig.local, bind, advertise, encrypt_key, fields)

    @classmethod
    def _profile(
        cls,
        profile: Callable[..., MemberlistConfig],
        bind: str | int | None,
        advertise: str | int | None,
        encrypt_key: str | bytes | None,
        fields: dict[str, Any],
    ) -> Config:
        changes: dict[str, Any] = {}
        if bind is not None:
            host, port = _host_and_port("bind", bind)
            changes["bind_addr"] = bound_host(host, "bind", bind)
            changes["bind_port"] = DEFAULT_PORT if port is None else port
        if advertise is not None:
            host, port = _host_and_port("advertise", advertise)
            changes["advertise_addr"] = advertised_host(host, "advertise", advertise)
            changes["advertise_port"] = port or 0
        if encrypt_key is not None:
            changes["secret_key"] = key_bytes(encrypt_key)
        base = fields.pop("memberlist", None)
        memberlist = profile(**changes) if base is None else attrs.evolve(base, **changes)
        return cls(memberlist=memberlist, **fields)


def _host_and_port(field: str, given: object) -> tuple[str, int | None]:
    """Host, "" for none, and port, None for none, of ``host:port`` or of a port alone."""
    text = str(given) if is_int(given) else given
    if not isinstance(text, str) or not text:
        raise ConfigError(field, given, "host:port, a host, or a port")
    host, colon, port = text.rpartition(":")
    if text.isascii() and text.isdigit():
        host = ""
    elif not colon or "]" in port or (":" in host and not host.startswith("[")):
        return text.removeprefix("[").removesuffix("]"), None
    try:
        number = port_from_text(port)
    except ValueError:
        raise ConfigError(field, given, "host:port with a port from 0 to 65535") from None
    return host.removeprefix("[").removesuffix("]"), number
