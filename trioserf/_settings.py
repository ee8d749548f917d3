"""How a setting is bounded: validators and converters that both halves' settings share.

A bad value raises `ConfigError` with the field, the value and the bound; a secret is never
part of the text.  A name that is no setting raises ``TypeError`` with the nearest one that is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Any, TypeAlias

from . import _attrs as attrs
from ._exceptions import ConfigError
from ._text import key_from_text, port_from_text, raw_text

IPNetwork: TypeAlias = IPv4Network | IPv6Network


def bound(test: Callable[[Any], bool], expected: str) -> Any:
    def validate(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        try:
            fine = test(value)
        except (TypeError, ValueError):
            fine = False
        if not fine:
            raise ConfigError(attribute.name, value, expected)

    validate.expected = expected  # type: ignore[attr-defined]  # for the page of settings
    return validate


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_encodable(text: str) -> bool:
    """Whether ``text`` has bytes on the wire: surrogates stand for single bytes only."""
    try:
        raw_text(text)
    except UnicodeEncodeError:
        return False
    return True


def is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_seconds(value: object) -> bool:
    """Whether it is a length of time.  One of thirty years stands for what never ends."""
    return is_number(value) and 0 <= value < 1e9  # type: ignore[operator]  # a number


SECONDS_BOUND = "seconds, 0 or more and below 1e9"
POSITIVE = bound(lambda v: is_seconds(v) and v > 0, "seconds, more than 0 and below 1e9")
SECONDS = bound(is_seconds, SECONDS_BOUND)
COUNT = bound(lambda v: is_int(v) and v >= 0, "a whole number, 0 or more")
COUNT_1 = bound(lambda v: is_int(v) and v >= 1, "a whole number, 1 or more")
PORT = bound(lambda v: is_int(v) and 0 <= v <= 65535, "a port, 0 to 65535")
BOOL = bound(lambda v: isinstance(v, bool), "True or False")
CALLABLE = bound(lambda v: v is None or callable(v), "a function, or None")


def setting(default: Any, validator: Any) -> Any:
    return attrs.field(default=default, validator=validator)


# --- what a profile may replace -----------------------------------------------------------


class _MarkedFloat(float):
    __slots__ = ()


class _MarkedInt(int):
    __slots__ = ()


class _MarkedText(str):
    __slots__ = ()


_MARKED = (_MarkedFloat, _MarkedInt, _MarkedText)


def by_profile(value: Any) -> Any:
    """``value``, marked as one that nobody has given, so that a profile may replace it.

    A mark in the value itself, because it must survive ``attrs.evolve``, which hands every
    field on as if it had been given.
    """
    kinds = {float: _MarkedFloat, int: _MarkedInt, str: _MarkedText}
    return kinds[type(without_mark(value))](value)


def is_by_profile(value: object) -> bool:
    """Whether ``value`` is one of `by_profile`."""
    return isinstance(value, _MARKED)


def without_mark(value: Any) -> Any:
    """``value`` as if the user had given it."""
    return type(value).__mro__[1](value) if isinstance(value, _MARKED) else value


PROFILES: Mapping[str, Mapping[str, Any]] = {
    "lan": {},
    "wan": {
        "tcp_timeout": 30.0,
        "suspicion_mult": 6,
        "push_pull_interval": 60.0,
        "probe_timeout": 3.0,
        "probe_interval": 5.0,
        "gossip_nodes": 4,
        "gossip_interval": 0.5,
        "gossip_to_the_dead_time": 60.0,
    },
    "local": {
        "bind_addr": "127.0.0.1",
        "tcp_timeout": 1.0,
        "indirect_checks": 1,
        "retransmit_mult": 2,
        "suspicion_mult": 3,
        "push_pull_interval": 15.0,
        "probe_timeout": 0.2,
        "probe_interval": 1.0,
        "gossip_interval": 0.1,
        "gossip_to_the_dead_time": 15.0,
    },
}
"""What each profile sets in another way than a local network has it; the names are Go's."""


# --- converters ---------------------------------------------------------------------------


def frozen_mapping(value: Mapping[str, str] | None) -> Mapping[str, str]:
    """Labels of metrics, as a copy that nobody can change."""
    return MappingProxyType(dict(_texts("metric_labels", value)))


def frozen_tags(value: Mapping[str, str] | None) -> Mapping[str, str]:
    """Tags of a node, as a copy that nobody can change."""
    pairs = _texts("tags", value)
    for key, text in pairs:
        if not (is_encodable(key) and is_encodable(text)):
            raise ConfigError("tags", {key: text}, "text that can be written in UTF-8")
    return MappingProxyType(dict(pairs))


def _texts(field: str, value: Mapping[str, str] | None) -> list[tuple[str, str]]:
    if not isinstance(value, Mapping | None):
        raise ConfigError(field, value, "a mapping of strings to strings")
    pairs: Iterable[tuple[object, object]] = (value or {}).items()
    for key, text in pairs:
        if not isinstance(key, str) or not isinstance(text, str):
            raise ConfigError(field, {key: text}, "strings as names and values")
    return list((value or {}).items())


def path_of_snapshot(value: str | os.PathLike[str] | None) -> str | None:
    """The path of a snapshot as text, or None."""
    return _path("snapshot_path", value)


def path_of_keyring(value: str | os.PathLike[str] | None) -> str | None:
    """The path of a keyring file as text, or None."""
    return _path("keyring_file", value)


def _path(field: str, value: object) -> str | None:
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if path is None:
        return path
    if not isinstance(path, str) or not path:
        raise ConfigError(field, value, "a path of a file, or None")
    if "\0" in path or not is_encodable(path):
        raise ConfigError(field, value, "a path that a file can have")
    return path


def optional_key(value: str | bytes | None) -> bytes | None:
    """A key, if there is one."""
    return None if value is None else key_bytes(value, "secret_key")


def optional_ring(value: Sequence[str | bytes] | None) -> tuple[bytes, ...] | None:
    """All keys of a ring, if there is one."""
    if value is None:
        return None
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ConfigError("keyring", "<secret>", "a sequence of keys")
    return tuple(key_bytes(key, "keyring") for key in value)


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
            raw = key_from_text(key)
        except ValueError:
            raise ConfigError(field, "<secret>", "a key in standard base64") from None
    elif isinstance(key, (bytes, bytearray)):
        raw = bytes(key)
    else:
        raise ConfigError(field, "<secret>", "a base64 string or bytes")
    if len(raw) not in (16, 24, 32):
        raise ConfigError(field, f"<secret of {len(raw)} bytes>", "16, 24 or 32 bytes")
    return raw


def networks(value: Sequence[str | IPNetwork] | None) -> tuple[IPNetwork, ...]:
    """Networks that are given as text or as such."""
    found = []
    if isinstance(value, str) or not isinstance(value, Iterable | None):
        raise ConfigError("cidrs_allowed", value, "a sequence of networks such as 10.0.0.0/8")
    for item in value or ():
        try:
            found.append(ip_network(str(item).strip(), strict=False))
        except ValueError:
            raise ConfigError("cidrs_allowed", item, "a network such as 10.0.0.0/8") from None
    return tuple(found)


# --- addresses ----------------------------------------------------------------------------

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


def host_and_port_of(field: str, given: object) -> tuple[str, int | None]:
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


def addresses_to_join(value: Sequence[str] | str) -> tuple[str, ...]:
    """Address strings, one or several.

    Raises:
      ConfigError: something else, or one without a host, or with a port that is none.
    """
    given: object = (value,) if isinstance(value, str) else value
    if not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping)):
        raise ConfigError("retry_join", value, "'host:port', or several of them")
    return tuple(map(_address_to_join, given))


def _address_to_join(text: object) -> str:
    if not isinstance(text, str) or not text or not is_encodable(text):
        raise ConfigError("retry_join", text, "a string such as 'host:port'")
    name, slash, place = text.rpartition("/")
    if slash and not name:
        raise ConfigError("retry_join", text, "a node name before the '/'")
    host, _ = host_and_port_of("retry_join", place)
    if not (host or place.isdigit()):
        raise ConfigError("retry_join", text, "host:port with a host")
    return text


# --- names --------------------------------------------------------------------------------


def check_names(call: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise ``TypeError`` for a name that is no setting, with the nearest one that is."""
    for name in given:
        if name not in known:
            near = _nearest(name, known)
            raise TypeError(
                f"{call} has no setting {name!r}" + (f"; did you mean {near!r}?" if near else "")
            )


def _nearest(name: str, known: Collection[str]) -> str | None:
    from difflib import get_close_matches  # only for the text of an error

    # Go's spelling, ``ProbeInterval``, is that of the setting but for case and underscores.
    plain = {other.replace("_", ""): other for other in known}
    found = get_close_matches(name.replace("_", "").lower(), plain, n=1)
    return plain[found[0]] if found else None
