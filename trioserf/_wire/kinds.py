"""What a field may hold: how each kind is read from a msgpack value, and written to one.

Source: hashicorp/go-msgpack v0.5.5, codec/decode.go, codec/encode.go.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .. import _attrs as attrs
from .._exceptions import LocalProtocolError, RemoteProtocolError
from .._text import text
from .limits import MAX_I64, MAX_U8, MAX_U16, MAX_U32, MAX_U64, MIN_I64


class Kind(enum.Enum):
    """What a field holds on the wire."""

    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    INT = "int"
    """Go's ``int`` and ``int64``: signed; unsigned values of 2**63 and more wrap."""
    BOOL = "bool"
    FLOAT = "float"
    STR = "str"
    BYTES = "bytes"
    """``bytes``, or None for Go's nil slice: the two differ on the wire."""
    STR_LIST = "list of str"
    BYTES_LIST = "list of bytes"
    FLOAT_LIST = "list of float"
    STR_MAP = "map of str to str"
    U64_MAP = "map of str to u64"
    STRUCT = "struct"
    STRUCT_LIST = "list of (nil or struct)"


ZERO: Mapping[Kind, Any] = {
    Kind.U8: 0,
    Kind.U16: 0,
    Kind.U32: 0,
    Kind.U64: 0,
    Kind.INT: 0,
    Kind.BOOL: False,
    Kind.FLOAT: 0.0,
    Kind.STR: "",
    Kind.BYTES: None,
    Kind.STR_LIST: (),
    Kind.BYTES_LIST: (),
    Kind.FLOAT_LIST: (),
    Kind.STR_MAP: attrs.Factory(dict),
    Kind.U64_MAP: attrs.Factory(dict),
    Kind.STRUCT_LIST: (),
}
"""What a missing or nil field becomes."""

_UNSIGNED = {Kind.U8: MAX_U8, Kind.U16: MAX_U16, Kind.U32: MAX_U32, Kind.U64: MAX_U64}

PLAIN: Mapping[Kind, tuple[type, int]] = {
    **{kind: (int, high) for kind, high in _UNSIGNED.items()},
    Kind.INT: (int, MAX_I64),
    Kind.BYTES: (bytes, 0),
    Kind.STR: (bytes, -1),
    Kind.BOOL: (bool, 0),
}
"""The usual values of the usual kinds, so that reading them needs no call."""

LONG = frozenset({Kind.STR_LIST, Kind.STR_MAP, Kind.U64_MAP, Kind.STRUCT_LIST})
"""Kinds that may rightly hold thousands of values."""


# --- from values to fields ----------------------------------------------------------------


def fail(name: str, value: object, kind: str) -> RemoteProtocolError:
    """The error for a field of ``kind`` that cannot be read from ``value``."""
    return RemoteProtocolError(f"field {name}: {type(value).__name__} where {kind} belongs")


def _read_unsigned(high: int, kind: str, name: str, value: Any) -> int:
    if type(value) is int and 0 <= value <= high:
        return value
    raise fail(name, value, kind)


def _read_int(name: str, value: Any) -> int:
    if type(value) is not int:
        raise fail(name, value, "an integer")
    return value - (MAX_U64 + 1) if value > MAX_I64 else value


def _read_bool(name: str, value: Any) -> bool:
    """A bool sent as a number; the others are `PLAIN`."""
    if type(value) is int and value in (0, 1):
        return value == 1
    raise fail(name, value, "a bool")


def _read_float(name: str, value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    raise fail(name, value, "a float")


def _read_bytes(name: str, value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is list:
        try:
            return bytes(value)
        except (TypeError, ValueError):
            pass
    raise fail(name, value, "bytes")


def _read_str(name: str, value: Any) -> str:
    if type(value) is bytes:
        return text(value)
    raise fail(name, value, "a string")


def read_list(one: Callable[[str, Any], Any], zero: Any, name: str, value: Any) -> Any:
    """The tuple of what ``one`` reads from each element; ``zero`` for nil."""
    if type(value) is not list:
        raise fail(name, value, "a list")
    return tuple([zero if item is None else one(name, item) for item in value])


def _read_str_list(name: str, value: Any) -> tuple[str, ...]:
    """As `read_list`, without a call for each of the thousands that there may be."""
    if type(value) is list and set(map(type, value)) == {bytes}:
        return tuple([item.decode("utf-8", "surrogateescape") for item in value])
    texts: tuple[str, ...] = read_list(_read_str, "", name, value)
    return texts


def _read_u64_map(name: str, value: Any) -> dict[str, int]:
    """As `_read_map`, without a call for each of the thousands that there may be."""
    if (
        type(value) is dict
        and set(map(type, value)) == {bytes}
        and set(map(type, value.values())) == {int}
        and min(value.values()) >= 0
    ):
        return {key.decode("utf-8", "surrogateescape"): item for key, item in value.items()}
    numbers: dict[str, int] = _read_map(_read_u64, 0, name, value)
    return numbers


def _read_map(one: Callable[[str, Any], Any], zero: Any, name: str, value: Any) -> Any:
    if type(value) is not dict:
        raise fail(name, value, "a map")
    return {
        _read_str(name, key): zero if item is None else one(name, item)
        for key, item in value.items()
    }


_read_u64 = partial(_read_unsigned, MAX_U64, "u64")

READERS: Mapping[Kind, Callable[[str, Any], Any]] = {
    **{kind: partial(_read_unsigned, high, kind.value) for kind, high in _UNSIGNED.items()},
    Kind.INT: _read_int,
    Kind.BOOL: _read_bool,
    Kind.FLOAT: _read_float,
    Kind.STR: _read_str,
    Kind.BYTES: _read_bytes,
    Kind.STR_LIST: _read_str_list,
    Kind.BYTES_LIST: partial(read_list, _read_bytes, None),
    Kind.FLOAT_LIST: partial(read_list, _read_float, 0.0),
    Kind.STR_MAP: partial(_read_map, _read_str, ""),
    Kind.U64_MAP: _read_u64_map,
}


# --- from fields to values ----------------------------------------------------------------


def _write_integer(low: int, high: int, name: str, value: Any) -> Any:
    if type(value) is int and low <= value <= high:
        return value
    if isinstance(value, int) and low <= value <= high:  # an IntEnum
        return int(value)
    raise LocalProtocolError(f"field {name}: {value!r} is not in {low} … {high}")


def _write_float(_name: str, value: Any) -> Any:
    return float(value)


def _write_floats(_name: str, value: Any) -> Any:
    return None if value is None else [float(item) for item in value]


WRITERS: Mapping[Kind, Callable[[str, Any], Any]] = {
    **{kind: partial(_write_integer, 0, high) for kind, high in _UNSIGNED.items()},
    Kind.INT: partial(_write_integer, MIN_I64, MAX_I64),
    Kind.FLOAT: _write_float,
    Kind.FLOAT_LIST: _write_floats,
}
"""Kinds that are not here are packed as they are."""
