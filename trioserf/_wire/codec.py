"""msgpack as Go's codec speaks it, and frozen classes as Go structs.

A class that travels declares each field once with `wire`: its Go name, its kind, and its
default.  From that `encode` writes a map whose keys are sorted by bytes, with strings and
bytes in the old raw forms only; and `decode` reads whatever a Go decoder would read: keys in
any order, unknown ones, missing ones, nil for anything, any integer width, a struct given
as an array in the order of declaration.  Anything else is a `RemoteProtocolError`.

Names in Go are bytes.  Here they are ``str`` with ``surrogateescape``, which is reversible.

Source: hashicorp/go-msgpack v0.5.5, codec; trioserf notes on its behaviour in the tests.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import msgpack

from .._exceptions import LocalProtocolError, RemoteProtocolError

T = TypeVar("T")

U64 = (1 << 64) - 1


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


_METADATA = "trioserf_wire"


@attrs.frozen
class _Spec:
    name: str
    kind: Kind
    omit_empty: bool
    of: type[Any] | None


def wire(
    name: str,
    kind: Kind,
    *,
    omit_empty: bool = False,
    of: type[Any] | None = None,
    default: Any = attrs.NOTHING,
    repr: bool | Callable[[Any], str] = True,
) -> Any:
    """One field of a class that travels.

    Args:
      name: the field's name in Go.
      kind: what it holds.
      omit_empty: leave it out of the encoding when it is empty or zero.
      of: for `Kind.STRUCT` and `Kind.STRUCT_LIST`, the class of the struct.
      default: what a missing or nil field becomes; the zero value of ``kind`` if not given.
      repr: as for ``attrs.field``.

    Declare fields in the order of Go's struct: that is the order of the array form.
    """
    if default is attrs.NOTHING:
        default = _ZERO[kind] if kind is not Kind.STRUCT else attrs.Factory(of or object)
    return attrs.field(
        default=default, repr=repr, metadata={_METADATA: _Spec(name, kind, omit_empty, of)}
    )


_ZERO: dict[Kind, Any] = {
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



def _fail(name: str, value: object, kind: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"field {name}: {type(value).__name__} where {kind} belongs")


def _integer(low: int, high: int, kind: str) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise _fail(name, value, kind)

    return read


def _read_int(name: str, value: Any) -> int:
    if type(value) is not int:
        raise _fail(name, value, "an integer")
    return value - (1 << 64) if value >= 1 << 63 else value


def _read_bool(name: str, value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    if type(value) is int and value in (0, 1):
        return value == 1
    raise _fail(name, value, "a bool")


def _read_float(name: str, value: Any) -> float:
    if type(value) is float or type(value) is int:
        return float(value)
    raise _fail(name, value, "a float")


def _read_bytes(name: str, value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is list:
        try:
            return bytes(value)
        except (TypeError, ValueError):
            pass
    raise _fail(name, value, "bytes")


def text(raw: bytes) -> str:
    """Bytes from the wire as a string; reversible for any bytes."""
    return raw.decode("utf-8", "surrogateescape")


def raw_text(string: str) -> bytes:
    """A string as the bytes it has on the wire."""
    return string.encode("utf-8", "surrogateescape")


def _read_str(name: str, value: Any) -> str:
    if type(value) is bytes:
        return value.decode("utf-8", "surrogateescape")
    raise _fail(name, value, "a string")
# PLACEHOLDER-BODY
