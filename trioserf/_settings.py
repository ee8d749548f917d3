"""How a setting is bounded: validators and converters that both halves' settings share.

A bad value raises `ConfigError` with the field, the value and the bound; a secret is never
part of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from . import _attrs as attrs
from ._exceptions import ConfigError
from ._text import key_from_text, raw_text


def bound(test: Callable[[Any], bool], expected: str) -> Any:
    def validate(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        try:
            fine = test(value)
        except TypeError:
            fine = False
        if not fine:
            raise ConfigError(attribute.name, value, expected)

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


POSITIVE = bound(lambda v: is_number(v) and 0 < v < 1e9, "seconds, more than 0")
SECONDS = bound(lambda v: is_number(v) and 0 <= v < 1e9, "seconds, 0 or more")
COUNT = bound(lambda v: is_int(v) and v >= 0, "a whole number, 0 or more")
COUNT_1 = bound(lambda v: is_int(v) and v >= 1, "a whole number, 1 or more")
PORT = bound(lambda v: is_int(v) and 0 <= v <= 65535, "a port, 0 to 65535")
BOOL = bound(lambda v: isinstance(v, bool), "True or False")
TEXT = bound(lambda v: isinstance(v, str), "a string")


def setting(default: Any, validator: Any) -> Any:
    return attrs.field(default=default, validator=validator)


def frozen_mapping(value: Mapping[str, str] | None) -> Mapping[str, str]:
    return MappingProxyType(dict(value or {}))


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
