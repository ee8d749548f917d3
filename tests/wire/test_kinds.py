"""What each kind of field reads and writes."""

from __future__ import annotations

import enum
from typing import Any

import attrs
import pytest

from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._wire.codec import decode, encode, wire
from trioserf._wire.kinds import Kind
from trioserf._wire.values import pack_value


@attrs.frozen
class _Inner:
    a: int = wire("A", Kind.U8)


def _holder(kind: Kind) -> type[Any]:
    of = _Inner if kind in (Kind.STRUCT, Kind.STRUCT_LIST) else None
    return attrs.make_class("Holder", {"value": wire("V", kind, of=of)}, frozen=True, slots=True)


_HOLDERS = {kind: _holder(kind) for kind in Kind}

_READ: list[tuple[Kind, Any, Any]] = [
    (Kind.U8, 255, 255),
    (Kind.U16, 65535, 65535),
    (Kind.U32, 2**32 - 1, 2**32 - 1),
    (Kind.U64, 2**64 - 1, 2**64 - 1),
    (Kind.INT, -(2**63), -(2**63)),
    (Kind.INT, 2**63 - 1, 2**63 - 1),
    (Kind.INT, 2**64 - 1, -1),
    (Kind.BOOL, True, True),
    (Kind.BOOL, 0, False),
    (Kind.BOOL, 1, True),
    (Kind.FLOAT, 1.5, 1.5),
    (Kind.FLOAT, 3, 3.0),
    (Kind.STR, b"n", "n"),
    (Kind.STR, b"\xff", "\udcff"),
    (Kind.BYTES, b"", b""),
    (Kind.BYTES, [1, 255], b"\x01\xff"),
    (Kind.STR_LIST, [b"a", None], ("a", "")),
    (Kind.BYTES_LIST, [b"a", None, [2]], (b"a", None, b"\x02")),
    (Kind.FLOAT_LIST, [1, None, 2.5], (1.0, 0.0, 2.5)),
    (Kind.STR_MAP, {b"k": b"v", b"n": None}, {"k": "v", "n": ""}),
    (Kind.U64_MAP, {b"k": 2**64 - 1, b"n": None}, {"k": 2**64 - 1, "n": 0}),
    (Kind.STRUCT, {b"A": 7}, _Inner(7)),
    (Kind.STRUCT, [7], _Inner(7)),
    (Kind.STRUCT_LIST, [{b"A": 7}, None, []], (_Inner(7), None, _Inner(0))),
]

_REFUSED: list[tuple[Kind, Any]] = [
    (Kind.U8, 256),
    (Kind.U16, 65536),
    (Kind.U32, 2**32),
    (Kind.U32, -1),
    (Kind.U32, 5.0),
    (Kind.U32, b"5"),
    (Kind.U32, True),
    (Kind.U64, -1),
    (Kind.INT, 1.0),
    (Kind.INT, False),
    (Kind.BOOL, 2),
    (Kind.BOOL, b""),
    (Kind.FLOAT, b"1"),
    (Kind.FLOAT, True),
    (Kind.STR, 5),
    (Kind.STR, [97]),
    (Kind.BYTES, 5),
    (Kind.BYTES, [256]),
    (Kind.BYTES, [-1]),
    (Kind.BYTES, [b"a"]),
    (Kind.BYTES, [None]),
    (Kind.STR_LIST, b"a"),
    (Kind.STR_LIST, [5]),
    (Kind.BYTES_LIST, {}),
    (Kind.FLOAT_LIST, [b"a"]),
    (Kind.STR_MAP, [b"k", b"v"]),
    (Kind.STR_MAP, {5: b"v"}),
    (Kind.STR_MAP, {b"k": 5}),
    (Kind.U64_MAP, {b"k": -1}),
    (Kind.STRUCT, 5),
    (Kind.STRUCT_LIST, {}),
    (Kind.STRUCT_LIST, [5]),
    (Kind.STRUCT_LIST, [{b"A": 256}]),
]


@pytest.mark.parametrize(("kind", "value", "expected"), _READ)
def test_a_field_reads_what_go_would_read(kind: Kind, value: Any, expected: Any) -> None:
    read = decode(_HOLDERS[kind], pack_value({"V": value})).value
    assert expected == read
    assert type(expected) is type(read)


@pytest.mark.parametrize(("kind", "value"), _REFUSED)
def test_a_field_refuses_what_go_would_refuse(kind: Kind, value: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(_HOLDERS[kind], pack_value({"V": value}))


@pytest.mark.parametrize("kind", Kind)
def test_nil_and_absence_are_the_zero_of_the_kind(kind: Kind) -> None:
    holder = _HOLDERS[kind]
    assert holder() == decode(holder, pack_value({"V": None})) == decode(holder, pack_value({}))


@pytest.mark.parametrize(("kind", "_value", "expected"), _READ)
def test_what_was_read_can_be_written_and_read_again(
    kind: Kind, _value: Any, expected: Any
) -> None:
    obj = _HOLDERS[kind](expected)
    assert obj == decode(_HOLDERS[kind], encode(obj))


class _Number(enum.IntEnum):
    SEVEN = 7


def test_enumerations_are_written_as_plain_numbers() -> None:
    assert b"\x81\xa1V\x07" == encode(_HOLDERS[Kind.U8](_Number.SEVEN))


def test_whole_numbers_in_float_fields_are_written_as_floats() -> None:
    assert b"\x81\xa1V\xcb" + bytes(8) == encode(_HOLDERS[Kind.FLOAT](0))
    assert b"\x81\xa1V\x91\xcb" + bytes(8) == encode(_HOLDERS[Kind.FLOAT_LIST]((0,)))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.U8, 256),
        (Kind.U16, -1),
        (Kind.U32, 2**32),
        (Kind.U32, 1.0),
        (Kind.U64, 2**64),
        (Kind.INT, 2**63),
        (Kind.INT, "5"),
        (Kind.U16, _Number.SEVEN - 8),
    ],
)
def test_numbers_that_no_peer_could_read_are_not_written(kind: Kind, value: Any) -> None:
    with pytest.raises(LocalProtocolError):
        encode(_HOLDERS[kind](value))
