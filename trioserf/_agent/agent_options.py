"""The settings of an agent: what files and flags give, and how they are merged.

Each setting is a row of `SETTINGS`, under the key that files use.  Later files go before earlier
ones, and flags before files: texts and numbers replace, unless they are empty; tags are merged
key by key; lists are appended; what is true stays true.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/config.go, DefaultConfig, MergeConfig;
command.go, readConfig.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from .. import _attrs as attrs
from .._wire.rpc_address import DEFAULT_ADDRESS
from .durations import parse_duration
from .go_text import quote

Kind: TypeAlias = Literal["string", "bool", "int", "duration", "map", "list", "mdns"]
"""The kind of a value in a file; a ``duration`` is a string there, and seconds here."""


class OptionsError(Exception):
    """Settings that an agent cannot start with, in Go's words."""


class Setting(NamedTuple):
    """One setting.

    Args:
      key: in a file; also the field of `AgentOptions`.
      kind: of its value.
      flag: that gives it, too.
      reloads: whether a running agent takes a new value on SIGHUP.
      unused: whether it is taken and does nothing, as in Go.
      secret: whether its value is never shown.
    """

    key: str
    kind: Kind
    flag: str = ""
    reloads: bool = False
    unused: bool = False
    secret: bool = False


SETTINGS: Final = (
    Setting("node_name", "string", "node"),
    Setting("bind", "string", "bind"),
    Setting("interface", "string", "iface"),
    Setting("advertise", "string", "advertise"),
    Setting("rpc_addr", "string", "rpc-addr"),
    Setting("rpc_auth", "string", secret=True),
    Setting("http_addr", "string", "http-addr"),
    Setting("encrypt_key", "string", "encrypt", secret=True),
    Setting("keyring_file", "string", "keyring-file"),
    Setting("tags", "map", "tag", reloads=True),
    Setting("tags_file", "string", "tags-file"),
    Setting("role", "string", "role", reloads=True),
    Setting("profile", "string", "profile"),
    Setting("protocol", "int", "protocol"),
    Setting("log_level", "string", "log-level", reloads=True),
    Setting("event_handlers", "list", "event-handler", reloads=True),
    Setting("handler_timeout", "duration"),
    Setting("start_join", "list", "join"),
    Setting("retry_join", "list", "retry-join"),
    Setting("retry_interval", "duration", "retry-interval"),
    Setting("retry_max_attempts", "int", "retry-max"),
    Setting("replay_on_join", "bool", "replay"),
    Setting("rejoin_after_leave", "bool", "rejoin"),
    Setting("snapshot_path", "string", "snapshot"),
    Setting("discover", "string", "discover"),
    Setting("mdns", "mdns"),
    Setting("leave_on_terminate", "bool", reloads=True),
    Setting("skip_leave_on_interrupt", "bool", reloads=True),
    Setting("reconnect_interval", "duration"),
    Setting("reconnect_timeout", "duration"),
    Setting("tombstone_timeout", "duration"),
    Setting("broadcast_timeout", "duration", "broadcast-timeout"),
    Setting("disable_name_resolution", "bool"),
    Setting("disable_coordinates", "bool"),
    Setting("enable_compression", "bool"),
    Setting("dead_on_refusal", "bool"),
    Setting("refusal_grace", "duration"),
    Setting("query_response_size_limit", "int"),
    Setting("query_size_limit", "int"),
    Setting("user_event_size_limit", "int"),
    Setting("max_queue_depth", "int"),
    Setting("min_queue_depth", "int"),
    Setting("queue_depth_warning", "int"),
    Setting("enable_syslog", "bool", "syslog"),
    Setting("syslog_facility", "string"),
    Setting("statsite_addr", "string"),
    Setting("statsd_addr", "string"),
    Setting("validate_node_names", "bool"),
    Setting("MsgpackUseNewTimeFormat", "bool", unused=True),
)
"""In the order of Go's page of settings."""
BY_KEY: Final = {setting.key: setting for setting in SETTINGS}
MDNS_KEYS: Final[Mapping[str, Kind]] = {
    "interface": "string",
    "disable_ipv4": "bool",
    "disable_ipv6": "bool",
}
"""What the map ``mdns`` may have."""

MIN_INTERVAL: Final = 1.0
"""Shorter times between two tries, and for broadcasts, are raised to this (seconds)."""


@attrs.frozen(kw_only=True)
class AgentOptions:
    """What an agent is started with.  The fields are the keys of `SETTINGS`.

    The defaults are Go's; None and 0 leave a value to the library.
    """

    node_name: str = ""
    bind: str = "0.0.0.0"
    interface: str = ""
    advertise: str = ""
    rpc_addr: str = DEFAULT_ADDRESS
    rpc_auth: str = attrs.field(default="", repr=False)
    http_addr: str = ""
    encrypt_key: str = attrs.field(default="", repr=False)
    keyring_file: str = ""
    tags: Mapping[str, str] = attrs.field(factory=dict)
    tags_file: str = ""
    role: str = ""
    profile: str = "lan"
    protocol: int = 5
    log_level: str = "INFO"
    event_handlers: tuple[str, ...] = ()
    handler_timeout: float = 0.0
    start_join: tuple[str, ...] = ()
    retry_join: tuple[str, ...] = ()
    retry_interval: float = 30.0
    retry_max_attempts: int = 0
    replay_on_join: bool = False
    rejoin_after_leave: bool = False
    snapshot_path: str = ""
    discover: str = ""
    mdns: Mapping[str, Any] = attrs.field(factory=dict)
    leave_on_terminate: bool = False
    skip_leave_on_interrupt: bool = False
    reconnect_interval: float = 0.0
    reconnect_timeout: float = 0.0
    tombstone_timeout: float = 0.0
    broadcast_timeout: float = 5.0
    disable_name_resolution: bool = False
    disable_coordinates: bool = False
    enable_compression: bool = True
    dead_on_refusal: bool | None = None
    refusal_grace: float = 0.0
    query_response_size_limit: int = 1024
    query_size_limit: int = 1024
    user_event_size_limit: int = 512
    max_queue_depth: int = 0
    min_queue_depth: int = 0
    queue_depth_warning: int = 0
    enable_syslog: bool = False
    syslog_facility: str = "LOCAL0"
    statsite_addr: str = ""
    statsd_addr: str = ""
    validate_node_names: bool = False

    def merged(self, values: Mapping[str, Any]) -> AgentOptions:
        """These settings, with those of one more file, or of the flags, put over them."""
        changes: dict[str, Any] = {}
        for key, value in values.items():
            setting = BY_KEY[key]
            if setting.unused or value is None:
                continue
            merged = _MERGES.get(key, _MERGE_OF_KIND[setting.kind])(getattr(self, key), value)
            changes[key] = merged
        return attrs.evolve(self, **changes)

    @property
    def wanted_tags(self) -> dict[str, str]:
        """The configured tags, and the role, which is one of them."""
        return {**self.tags, "role": self.role} if self.role else dict(self.tags)


def _last_given(old: Any, new: Any) -> Any:
    return new or old


_MERGE_OF_KIND: Final[Mapping[str, Any]] = {
    "string": _last_given,
    "int": _last_given,
    "duration": _last_given,
    "bool": lambda old, new: old or new,
    "map": lambda old, new: {**old, **new},
    "list": lambda old, new: (*old, *new),
    "mdns": lambda old, new: {**old, **{key: value for key, value in new.items() if value}},
}
_MERGES: Final[Mapping[str, Any]] = {
    "protocol": lambda old, new: new if new > 0 else old,
    # DIFFERS: in Go the key of the files has no effect.  Test:
    # test_compression_can_be_turned_off_in_a_file.
    "enable_compression": lambda _old, new: new,
    "dead_on_refusal": lambda _old, new: new,
}


def values_of_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that flags stand for, as those of a file.

    Args:
      flags: by name, as parsed.

    Raises:
      OptionsError: a tag or a time that is none.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if not setting.flag:
            continue
        value = flags[setting.flag]
        if setting.key == "tags":
            value = tags_of(value)
        values[setting.key] = value
    for key in ("retry_interval", "broadcast_timeout"):
        values[key] = _time(values[key]) if values[key] else 0.0
    if flags["disable-compression"]:
        values["enable_compression"] = False
    values["mdns"] = {
        "interface": flags["mdns-iface"],
        "disable_ipv4": flags["mdns-disable-ipv4"],
        "disable_ipv6": flags["mdns-disable-ipv6"],
    }
    return values


def _time(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise OptionsError(f"Error: {error}") from None


def tags_of(words: tuple[str, ...]) -> dict[str, str]:
    """``key=value`` words as tags.

    Raises:
      OptionsError: a word without ``=``, or without a key.
    """
    tags: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise OptionsError(f"Error: Invalid tag: '{word}'")
        tags[key] = value
    return tags


def completed(options: AgentOptions) -> tuple[AgentOptions, list[str]]:
    """The settings as they will be used, and what the user should know about them.

    Raises:
      OptionsError: a time or a size below zero.
    """
    notes: list[str] = []
    changes: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.kind in ("int", "duration") and getattr(options, setting.key) < 0:
            raise OptionsError(f"Error: {quote(setting.key)}: expected no negative value")
    if not options.node_name:
        changes["node_name"] = socket.gethostname()
    if options.role:
        notes.append("Deprecation warning: 'Role' has been replaced with 'Tags'")
    for key, name in (
        ("retry_interval", "RetryInterval"),
        ("broadcast_timeout", "BroadcastTimeout"),
    ):
        if getattr(options, key) < MIN_INTERVAL:
            notes.append(f"Warning: '{name}' is too low. Setting to 1s")
            changes[key] = MIN_INTERVAL
    if options.rejoin_after_leave and not options.snapshot_path:
        notes.append("Warning: 'RejoinAfterLeave' enabled without snapshot file")
    return attrs.evolve(options, **changes), notes
