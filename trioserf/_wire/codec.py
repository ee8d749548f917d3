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
from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import attrs

from .._exceptions import LocalProtocolError, RemoteProtocolError
from .values import pack_value as pack_value
from .values import raw_text as raw_text
from .values import text as text
from .values import unpack_prefix
from .values import unpack_value as unpack_value

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


# --- from values to fields ----------------------------------------------------------------


def _fail(name: str, value: object, kind: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"field {name}: {type(value).__name__} where {kind} belongs")


def _read_unsigned(high: int, kind: str, name: str, value: Any) -> int:
    if type(value) is int and 0 <= value <= high:
        return value
    raise _fail(name, value, kind)


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


def _read_str(name: str, value: Any) -> str:
    if type(value) is bytes:
        return value.decode("utf-8", "surrogateescape")
    raise _fail(name, value, "a string")


def _read_list(one: Callable[[str, Any], Any], zero: Any, name: str, value: Any) -> Any:
    if type(value) is not list:
        raise _fail(name, value, "a list")
    return tuple([zero if item is None else one(name, item) for item in value])


def _read_map(one: Callable[[str, Any], Any], zero: Any, name: str, value: Any) -> Any:
    if type(value) is not dict:
        raise _fail(name, value, "a map")
    return {
        _read_str(name, key): zero if item is None else one(name, item)
        for key, item in value.items()
    }


_read_u64 = partial(_read_unsigned, U64, "u64")

_READERS: Mapping[Kind, Callable[[str, Any], Any]] = {
    Kind.U8: partial(_read_unsigned, (1 << 8) - 1, "u8"),
    Kind.U16: partial(_read_unsigned, (1 << 16) - 1, "u16"),
    Kind.U32: partial(_read_unsigned, (1 << 32) - 1, "u32"),
    Kind.U64: _read_u64,
    Kind.INT: _read_int,
    Kind.BOOL: _read_bool,
    Kind.FLOAT: _read_float,
    Kind.STR: _read_str,
    Kind.BYTES: _read_bytes,
    Kind.STR_LIST: partial(_read_list, _read_str, ""),
    Kind.BYTES_LIST: partial(_read_list, _read_bytes, None),
    Kind.FLOAT_LIST: partial(_read_list, _read_float, 0.0),
    Kind.STR_MAP: partial(_read_map, _read_str, ""),
    Kind.U64_MAP: partial(_read_map, _read_u64, 0),
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
    return [float(item) for item in value]


def _write_structs(_name: str, value: Any) -> Any:
    return [None if item is None else _tree(item) for item in value]


_WRITERS: Mapping[Kind, Callable[[str, Any], Any]] = {
    Kind.U8: partial(_write_integer, 0, (1 << 8) - 1),
    Kind.U16: partial(_write_integer, 0, (1 << 16) - 1),
    Kind.U32: partial(_write_integer, 0, (1 << 32) - 1),
    Kind.U64: partial(_write_integer, 0, U64),
    Kind.INT: partial(_write_integer, -(1 << 63), (1 << 63) - 1),
    Kind.FLOAT: _write_float,
    Kind.FLOAT_LIST: _write_floats,
    Kind.STRUCT: lambda _name, value: _tree(value),
    Kind.STRUCT_LIST: _write_structs,
}
"""Kinds that are not here are packed as they are."""


# --- the table of a class -----------------------------------------------------------------


class _Reader(NamedTuple):
    key: bytes
    name: str
    read: Callable[[str, Any], Any]
    zero: Any
    """For nil and for a missing field; None also where a factory makes it."""


class _Writer(NamedTuple):
    name: str
    write: Callable[[str, Any], Any] | None
    omit_empty: bool


class _Table(NamedTuple):
    readers: tuple[_Reader, ...]
    """In the order of declaration."""
    factories: tuple[tuple[int, Callable[[], Any]], ...]
    writers: tuple[_Writer, ...]
    """In the order of the keys."""
    values: Callable[[Any], tuple[Any, ...]]
    """The values of an object, in the order of ``writers``."""


_TABLES: dict[type[Any], _Table] = {}


def _make_table(cls: type[Any]) -> _Table:
    fields = [(field, field.metadata[_METADATA]) for field in attrs.fields(cls)]
    readers: list[_Reader] = []
    factories: list[tuple[int, Callable[[], Any]]] = []
    for index, (field, spec) in enumerate(fields):
        zero = field.default
        if isinstance(zero, attrs.Factory):  # type: ignore[arg-type]
            factories.append((index, zero.factory))
            zero = None
        readers.append(_Reader(raw_text(spec.name), spec.name, _reader(spec), zero))
    fields.sort(key=lambda item: raw_text(item[1].name))
    names = [field.name for field, _ in fields]
    pick = attrgetter(*names)
    table = _TABLES[cls] = _Table(
        readers=tuple(readers),
        factories=tuple(factories),
        writers=tuple(
            _Writer(spec.name, _WRITERS.get(spec.kind), spec.omit_empty) for _, spec in fields
        ),
        values=pick if len(names) > 1 else lambda obj: (pick(obj),),
    )
    return table


def _reader(spec: _Spec) -> Callable[[str, Any], Any]:
    if spec.of is None:
        return _READERS[spec.kind]
    struct = partial(_read_struct, spec.of)
    return struct if spec.kind is Kind.STRUCT else partial(_read_list, struct, None)


def _read_struct(cls: type[T], name: str, value: Any) -> T:
    """An object from an unpacked value: a map, an array, or nil."""
    readers, factories, _, _ = _TABLES.get(cls) or _make_table(cls)
    if type(value) is dict:
        get = value.get
        args = [
            zero if (item := get(key)) is None else read(field, item)
            for key, field, read, zero in readers
        ]
    elif type(value) is list:
        given = value + [None] * (len(readers) - len(value))
        args = [
            zero if item is None else read(field, item)
            for (_, field, read, zero), item in zip(readers, given, strict=False)
        ]
    elif value is None:
        args = [reader.zero for reader in readers]
    else:
        raise _fail(name, value, "a struct")
    for index, factory in factories:
        if args[index] is None:
            args[index] = factory()
    return cls(*args)


def _tree(obj: Any) -> dict[str, Any]:
    """An object as the map to be packed, keys in order."""
    cls = type(obj)
    table = _TABLES.get(cls) or _make_table(cls)
    return {
        name: value if write is None else write(name, value)
        for (name, write, omit_empty), value in zip(table.writers, table.values(obj), strict=True)
        if value or not omit_empty
    }


# --- the doors ----------------------------------------------------------------------------


def encode(obj: Any) -> bytes:
    """An object of a class that travels, as its bytes.

    Raises:
      LocalProtocolError: a field holds what its kind cannot.
    """
    return pack_value(_tree(obj))


def decode(cls: type[T], data: bytes) -> T:
    """The object at the start of ``data``; what follows it is ignored, as Go does.

    Raises:
      RemoteProtocolError: no Go decoder would read this.
    """
    return _read_struct(cls, cls.__name__, unpack_value(data))


def decode_prefix(cls: type[T], data: bytes, offset: int = 0) -> tuple[T, int]:
    """The object at ``offset``, and the offset behind it.

    Raises:
      RemoteProtocolError: no Go decoder would read this; cut short.
    """
    value, end = unpack_prefix(data, offset)
    return _read_struct(cls, cls.__name__, value), end
