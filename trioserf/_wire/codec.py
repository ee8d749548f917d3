"""msgpack as Go's codec writes and reads it, and frozen classes as Go structs.

A message class declares each field once with `wire`: its Go name, its kind, and its
default.  From that `encode` writes a map whose keys are sorted by bytes, with strings and
bytes in the old raw forms only; and `decode` reads what a Go encoder may write: keys in
any order, unknown ones, missing ones, nil for anything, any integer width, a struct given
as an array in the order of declaration.  Anything else is a `RemoteProtocolError`.

DIFFERS: Go's decoder reads some values that no encoder writes: an empty map, or a list with nil
in it, where bytes belong.  Here they are refused.
Test: test_values_that_no_encoder_writes_are_refused.

Names in Go are bytes.  Here they are ``str`` with ``surrogateescape``, which is reversible.

Source: hashicorp/go-msgpack v0.5.5, codec; trioserf notes on its behaviour in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias, TypeVar

from .. import _attrs as attrs
from .kinds import LONG, PLAIN, READERS, WRITERS, ZERO, fail, read_list
from .kinds import Kind as Kind
from .limits import FEW_VALUES, MANY_VALUES
from .values import pack_value, unpack_prefix, unpack_value

T = TypeVar("T")

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
        default = ZERO[kind] if kind is not Kind.STRUCT else attrs.Factory(of or object)
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
        plain, high = PLAIN.get(spec.kind, (None, 0))
        if spec.of is None:
            read = READERS[spec.kind]
        else:
            struct = partial(_read_struct, spec.of)
            read = struct if spec.kind is Kind.STRUCT else partial(read_list, struct, None)
        readers.append((key, zero, plain, high, spec.name, read))
        write = _STRUCT_WRITERS.get(spec.kind) or WRITERS.get(spec.kind)
        writer = (spec.name, write, high if plain is int else -1, spec.omit_empty)
        rows.append((key, writer, field.name))
        many = many or spec.kind in LONG
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
        raise fail(name or cls.__name__, value, "a struct")
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


# --- the doors ----------------------------------------------------------------------------


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
