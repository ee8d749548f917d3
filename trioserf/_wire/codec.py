"""msgpack as Go's codec writes and reads it: plain values, and frozen classes as Go structs.

A message class declares each field once with `wire`: its Go name, its kind, and its
default.  From that `encode` writes a map whose keys are sorted by bytes; and `decode` reads what
a Go encoder may write: keys in any order, unknown ones, missing ones, nil for anything, any
integer width, a struct given as an array in the order of declaration.  Anything else is a
`RemoteProtocolError`.  Plain values come first, then the kinds of fields, then the classes.

Written: strings and bytes in the old raw forms only, integers in their shortest form, without
regard to sign.  Read: everything; strings come as bytes, from each of their forms.  Names in Go
are bytes.  Here they are ``str`` with ``surrogateescape``, which is reversible.

Memory: ``msgpack.unpackb`` makes a list as long as its header claims before it reads the
first element, and it nests a thousand deep, so a few kilobytes of nested headers could ask
for gigabytes.  The claims are therefore added up first, see `_check_claims`.

DIFFERS: Go's decoder reads some values that no encoder writes: an empty map, or a list with nil
in it, where bytes belong.  Here they are refused.
Test: test_values_that_no_encoder_writes_are_refused.

Source: hashicorp/go-msgpack v0.5.5, codec/msgpack.go, codec/decode.go, codec/encode.go; how it
behaves is in `tests/wire/test_codec.py`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import msgpack  # type: ignore[import-untyped]

from .. import _attrs as attrs
from .._exceptions import LocalProtocolError, RemoteProtocolError
from .._text import short_repr, text
from .limits import (
    FEW_CONTAINERS,
    FEW_VALUES,
    LARGE_VALUE,
    MANY_CONTAINERS,
    MANY_VALUES,
    MAX_CLAIMS,
    MAX_I64,
    MAX_NESTING,
    MAX_U8,
    MAX_U16,
    MAX_U32,
    MAX_U64,
    MIN_I64,
    SMALL_INPUT,
    WIDE_HEADERS,
)

T = TypeVar("T")

_METADATA = "trioserf_wire"


# --- plain values -------------------------------------------------------------------------


def pack_value(value: Any) -> bytes:
    """Plain values (None, bool, int, float, str, bytes, lists, dicts) as bytes.

    Raises:
      LocalProtocolError: something else is among them, or an integer needs over 64 bits.
    """
    # A packer is kept, because making one takes three times as long as using it.  A call has it
    # for itself, whatever other threads do; one that failed or has grown large is not kept.
    try:
        packer = _packers.pop()
    except IndexError:
        packer = msgpack.Packer(use_bin_type=False)
    data: bytes
    try:
        try:
            data = packer.pack(value)
        except UnicodeEncodeError:  # a name that is not UTF-8
            return _pack_any_text(value)
    except UnicodeEncodeError as error:  # half a character, and no byte of a name of Go
        wrong = short_repr(error.object)
        raise LocalProtocolError(f"{wrong} cannot be written in UTF-8") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise LocalProtocolError(f"cannot be packed: {error}") from error
    if len(data) <= _SMALL:
        _packers.append(packer)
    return data


def unpack_value(data: bytes, max_values: int = MANY_VALUES) -> Any:
    """The plain value at the start of ``data``; strings come as bytes.

    Args:
      data: the value, and what follows it.
      max_values: refuse a value that has more inside.  Kept only where it matters: input that
        is large or may have many containers.

    Raises:
      RemoteProtocolError: not msgpack, cut short, or beyond the limits.
    """
    if len(data) > SMALL_INPUT:
        _check_claims(data, max_values)
    try:
        return _unpack(data)
    except msgpack.ExtraData as trailing:
        return trailing.unpacked
    except BAD_INPUT as error:
        raise RemoteProtocolError(f"msgpack: {error}") from error


def unpack_prefix(data: bytes, offset: int = 0, max_values: int = MANY_VALUES) -> tuple[Any, int]:
    """The plain value at ``offset``, and the offset behind it.

    Raises:
      RemoteProtocolError: as `unpack_value`.
    """
    rest = data[offset:] if offset else data
    if len(rest) > SMALL_INPUT:
        _check_claims(rest, max_values)
    try:
        return _unpack(rest), len(data)
    except msgpack.ExtraData as trailing:
        return trailing.unpacked, len(data) - len(trailing.extra)
    except BAD_INPUT as error:
        raise RemoteProtocolError(f"msgpack: {error}") from error


_SMALL: Final = 4096
"""Bytes; a packer that wrote more is thrown away with its buffer."""
_packers: Final[list[Any]] = []
"""Packers that are not in use; asking first whether there is one would let two threads take it."""
_pack_any_text: Callable[[Any], bytes] = partial(
    msgpack.packb, use_bin_type=False, unicode_errors="surrogateescape"
)


_unpack: Callable[[bytes], Any] = partial(msgpack.unpackb, raw=True, strict_map_key=False)
BAD_INPUT = (ValueError, TypeError, OverflowError, msgpack.UnpackException)
"""What ``unpackb`` raises; ``TypeError`` is for a container as the key of a map."""


# --- what headers claim -------------------------------------------------------------------

_WIDE_HEADERS = (0xDC, 0xDD, 0xDE, 0xDF)
"""array 16, array 32, map 16, map 32."""
_CONTAINERS = bytes((*range(0x80, 0xA0), *_WIDE_HEADERS))
"""`_WIDE_HEADERS`, and the headers of maps and arrays of up to 15."""


def count_containers(data: bytes) -> int:
    """How many containers a value may have at most: bytes that look like a header of one."""
    return len(data) - len(data.translate(None, _CONTAINERS))


def _check_claims(data: bytes, max_values: int) -> None:
    """Refuse bytes that would make ``unpackb`` allocate or work out of proportion.

    The quick test is an upper bound: only wide headers can claim much, and none claims more
    than there are bytes.  And only containers cost more to make than to walk over: half a
    microsecond each.  Where a bound is too high (odd or large input), the value is walked
    header by header, which costs about a quarter of a microsecond for each; what is long
    because of its texts has few.
    """
    wide = sum(map(data.count, _WIDE_HEADERS))
    if wide > WIDE_HEADERS or wide * len(data) > MAX_CLAIMS or _may_be_costly(data, max_values):
        _walk(data, max_values)


def _may_be_costly(data: bytes, max_values: int) -> bool:
    if max_values >= MANY_VALUES:
        return len(data) > MANY_CONTAINERS and count_containers(data) > MANY_CONTAINERS
    return len(data) > LARGE_VALUE or count_containers(data) > FEW_CONTAINERS


def _walk(data: bytes, max_values: int) -> None:
    """Step over one value and everything inside; refuse depth, excess and lack of bytes."""
    size = len(data)
    offset = 0
    open_containers: list[int] = []
    left = 1  # values still to come in the innermost container
    for _ in range(max_values):
        if offset >= size:
            raise RemoteProtocolError("msgpack: cut short")
        left -= 1
        inner, offset = _step(data, offset)
        if inner:
            if len(open_containers) >= MAX_NESTING:
                raise RemoteProtocolError(f"msgpack: nested deeper than {MAX_NESTING}")
            if inner > size - offset:  # each value inside needs a byte
                raise RemoteProtocolError("msgpack: a container claims more than there is")
            open_containers.append(left)
            left = inner
        while left == 0:
            if not open_containers:
                return
            left = open_containers.pop()
    raise RemoteProtocolError(f"msgpack: more than {max_values} values")


def _step(data: bytes, offset: int) -> tuple[int, int]:
    """For the value at ``offset``: how many values are inside, and where its bytes end.

    Bytes of a length that is cut short are read as a smaller length; the offset is then
    past the end, which the caller notices.
    """
    head = data[offset]
    offset += 1
    if head < 0x80 or head >= 0xE0:
        return 0, offset
    if head < 0x90:
        return 2 * (head & 0x0F), offset
    if head < 0xA0:
        return head & 0x0F, offset
    if head < 0xC0:
        return 0, offset + (head & 0x1F)
    width, extra, per_item = _WIDTHS[head - 0xC0]
    if not width:
        return 0, offset + extra
    end = offset + width
    length = int.from_bytes(data[offset:end], "big")
    if per_item:
        return per_item * length, end
    return 0, end + extra + length


def _widths() -> tuple[tuple[int, int, int], ...]:
    """For heads c0 … df: bytes of length, further fixed bytes, values per unit of length."""
    table = dict.fromkeys(range(0xC0, 0xE0), (0, 0, 0))  # nil, false, true and c1 stay so
    for head, width in ((0xC4, 1), (0xC5, 2), (0xC6, 4), (0xD9, 1), (0xDA, 2), (0xDB, 4)):
        table[head] = (width, 0, 0)  # bin, str
    for head, width in ((0xC7, 1), (0xC8, 2), (0xC9, 4)):
        table[head] = (width, 1, 0)  # ext
    for head, fixed in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):
        table[head] = (0, fixed, 0)  # float, uint, int
    for head, fixed in zip(range(0xD4, 0xD9), (2, 3, 5, 9, 17), strict=True):
        table[head] = (0, fixed, 0)  # fixext
    for head, width, per_item in ((0xDC, 2, 1), (0xDD, 4, 1), (0xDE, 2, 2), (0xDF, 4, 2)):
        table[head] = (width, 0, per_item)
    return tuple(table[head] for head in range(0xC0, 0xE0))


_WIDTHS = _widths()


# --- kinds of fields ----------------------------------------------------------------------


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


_ZERO: Mapping[Kind, Any] = {
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

_PLAIN: Mapping[Kind, tuple[type, int]] = {
    **{kind: (int, high) for kind, high in _UNSIGNED.items()},
    Kind.INT: (int, MAX_I64),
    Kind.BYTES: (bytes, 0),
    Kind.STR: (bytes, -1),
    Kind.BOOL: (bool, 0),
}
"""The usual values of the usual kinds, so that reading them needs no call."""

_LONG = frozenset({Kind.STR_LIST, Kind.STR_MAP, Kind.U64_MAP, Kind.STRUCT_LIST})
"""Kinds that may rightly hold thousands of values."""


# --- fields: from values ------------------------------------------------------------------


def _fail(name: str, value: object, kind: str) -> RemoteProtocolError:
    """The error for a field of ``kind`` that cannot be read from ``value``."""
    return RemoteProtocolError(f"field {name}: {type(value).__name__} where {kind} belongs")


def _read_unsigned(high: int, kind: str, name: str, value: Any) -> int:
    if type(value) is int and 0 <= value <= high:
        return value
    raise _fail(name, value, kind)


def _read_int(name: str, value: Any) -> int:
    if type(value) is not int:
        raise _fail(name, value, "an integer")
    return value - (MAX_U64 + 1) if value > MAX_I64 else value


def _read_bool(name: str, value: Any) -> bool:
    """A bool sent as a number; the others are `_PLAIN`."""
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
        return text(value)
    raise _fail(name, value, "a string")


def _read_list(one: Callable[[str, Any], Any], zero: Any, name: str, value: Any) -> Any:
    """The tuple of what ``one`` reads from each element; ``zero`` for nil."""
    if type(value) is not list:
        raise _fail(name, value, "a list")
    return tuple([zero if item is None else one(name, item) for item in value])


def _read_str_list(name: str, value: Any) -> tuple[str, ...]:
    """As `_read_list`, without a call for each of the thousands that there may be."""
    if type(value) is list and set(map(type, value)) == {bytes}:
        return tuple([item.decode("utf-8", "surrogateescape") for item in value])
    texts: tuple[str, ...] = _read_list(_read_str, "", name, value)
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
        raise _fail(name, value, "a map")
    return {
        _read_str(name, key): zero if item is None else one(name, item)
        for key, item in value.items()
    }


_read_u64 = partial(_read_unsigned, MAX_U64, "u64")

_READERS: Mapping[Kind, Callable[[str, Any], Any]] = {
    **{kind: partial(_read_unsigned, high, kind.value) for kind, high in _UNSIGNED.items()},
    Kind.INT: _read_int,
    Kind.BOOL: _read_bool,
    Kind.FLOAT: _read_float,
    Kind.STR: _read_str,
    Kind.BYTES: _read_bytes,
    Kind.STR_LIST: _read_str_list,
    Kind.BYTES_LIST: partial(_read_list, _read_bytes, None),
    Kind.FLOAT_LIST: partial(_read_list, _read_float, 0.0),
    Kind.STR_MAP: partial(_read_map, _read_str, ""),
    Kind.U64_MAP: _read_u64_map,
}


# --- fields: to values --------------------------------------------------------------------


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


_WRITERS: Mapping[Kind, Callable[[str, Any], Any]] = {
    **{kind: partial(_write_integer, 0, high) for kind, high in _UNSIGNED.items()},
    Kind.INT: partial(_write_integer, MIN_I64, MAX_I64),
    Kind.FLOAT: _write_float,
    Kind.FLOAT_LIST: _write_floats,
}
"""Kinds that are not here are packed as they are."""


# --- message classes ----------------------------------------------------------------------


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
    """One field of a message class.

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


# --- the table of a class -----------------------------------------------------------------


# Rows are plain tuples, which Python takes apart much faster than named ones.

_Reader: TypeAlias = tuple[bytes, Any, type | None, int, str, Callable[[str, Any], Any]]
"""How a field is read: (key, zero, plain, high, name, read).

``zero`` stands for nil and for a missing field, and is None where a factory makes it.  Values
of exactly the type ``plain`` need no call: integers from 0 to ``high``, bytes as they are, or
as text if ``high`` is -1.  ``read(name, value)`` does the rest.
"""

_Writer: TypeAlias = tuple[str, Callable[[str, Any], Any] | None, int, bool]
"""How a field is written: (name, write, high, omit_empty).

Values are packed as they are if ``write`` is None, and integers from 0 to ``high``.
"""


class _Table(NamedTuple):
    readers: tuple[_Reader, ...]
    """In the order of declaration."""
    factories: tuple[tuple[int, Callable[[], Any]], ...]
    writers: tuple[_Writer, ...]
    """In the order of the keys."""
    values: Callable[[Any], tuple[Any, ...]]
    """The values of an object, in the order of ``writers``."""
    max_values: int
    """Most msgpack values that the encoding may have."""


_TABLES: dict[type[Any], _Table] = {}


def _make_table(cls: type[Any]) -> _Table:
    readers: list[_Reader] = []
    factories: list[tuple[int, Callable[[], Any]]] = []
    rows: list[tuple[bytes, _Writer, str]] = []
    many = False
    for index, field in enumerate(attrs.fields(cls)):
        spec: _Spec = field.metadata[_METADATA]
        key, zero = spec.name.encode(), field.default
        if isinstance(zero, attrs.Factory):  # type: ignore[arg-type]
            factories.append((index, zero.factory))
            zero = None
        plain, high = _PLAIN.get(spec.kind, (None, 0))
        if spec.of is None:
            read = _READERS[spec.kind]
        else:
            struct = partial(_read_struct, spec.of)
            read = struct if spec.kind is Kind.STRUCT else partial(_read_list, struct, None)
        readers.append((key, zero, plain, high, spec.name, read))
        write = _STRUCT_WRITERS.get(spec.kind) or _WRITERS.get(spec.kind)
        writer = (spec.name, write, high if plain is int else -1, spec.omit_empty)
        rows.append((key, writer, field.name))
        many = many or spec.kind in _LONG
    rows.sort()  # by the keys, which differ
    _, writers, names = zip(*rows, strict=True)
    pick = attrgetter(*names)
    table = _TABLES[cls] = _Table(
        readers=tuple(readers),
        factories=tuple(factories),
        writers=writers,
        values=pick if len(names) > 1 else lambda obj: (pick(obj),),
        max_values=MANY_VALUES if many else FEW_VALUES,
    )
    return table


def _read_struct(cls: type[T], name: str, value: Any) -> T:
    """An object from an unpacked value: a map, an array, or nil."""
    return _build(cls, _TABLES.get(cls) or _make_table(cls), name, value)


def _build(cls: type[T], table: _Table, name: str | None, value: Any) -> T:
    find: Callable[[bytes], Any]
    if type(value) is dict:
        find = value.get
    elif type(value) is list:
        find = dict(zip([reader[0] for reader in table.readers], value, strict=False)).get
    elif value is None:
        find = _nothing
    else:
        raise _fail(name or cls.__name__, value, "a struct")
    args: list[Any] = []
    add = args.append
    for key, zero, plain, high, field, read in table.readers:
        item: Any = find(key)
        if item is None:
            add(zero)
        elif (kind := type(item)) is not plain:
            add(read(field, item))
        elif kind is int:
            add(item if 0 <= item <= high else read(field, item))
        elif high < 0:
            try:
                add(item.decode())
            except UnicodeDecodeError:
                add(read(field, item))
        else:
            add(item)
    for index, factory in table.factories:
        if args[index] is None:
            args[index] = factory()
    return cls(*args)


def _nothing(_key: bytes) -> None:
    """Find nothing: nil stands for a struct of zeros."""


def _tree(obj: Any) -> dict[str, Any]:
    """An object as the map to be packed, keys in order."""
    cls = type(obj)
    table = _TABLES.get(cls) or _make_table(cls)
    tree = {}
    for (name, write, high, omit_empty), value in zip(
        table.writers, table.values(obj), strict=True
    ):
        if omit_empty and not value:
            continue
        if write is None or (type(value) is int and 0 <= value <= high):
            tree[name] = value
        else:
            tree[name] = write(name, value)
    return tree


def _write_structs(_name: str, value: Any) -> Any:
    return None if value is None else [None if one is None else _tree(one) for one in value]


_STRUCT_WRITERS: Mapping[Kind, Callable[[str, Any], Any]] = {
    Kind.STRUCT: lambda _name, value: _tree(value),
    Kind.STRUCT_LIST: _write_structs,
}


# --- what other modules call --------------------------------------------------------------


def encode(obj: Any) -> bytes:
    """The bytes of an object of a message class.

    Raises:
      LocalProtocolError: a field holds what its kind cannot.
    """
    return pack_value(_tree(obj))


def decode(cls: type[T], data: bytes) -> T:
    """The object at the start of ``data``; what follows it is ignored, as Go does.

    Raises:
      RemoteProtocolError: no Go encoder writes this.
    """
    table = _TABLES.get(cls) or _make_table(cls)
    return _build(cls, table, None, unpack_value(data, table.max_values))


def from_value(cls: type[T], value: Any) -> T:
    """The object that an unpacked value stands for.

    Raises:
      RemoteProtocolError: no Go encoder writes this.
    """
    return _build(cls, _TABLES.get(cls) or _make_table(cls), None, value)


def decode_prefix(cls: type[T], data: bytes, offset: int = 0) -> tuple[T, int]:
    """The object at ``offset``, and the offset behind it.

    Raises:
      RemoteProtocolError: no Go encoder writes this; cut short.
    """
    table = _TABLES.get(cls) or _make_table(cls)
    value, end = unpack_prefix(data, offset, table.max_values)
    return _build(cls, table, None, value), end
