"""msgpack as Go's codec writes and reads it: plain values, kinds of fields, frozen classes."""

from __future__ import annotations

import enum
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._text import raw_text, text
from trioserf._wire import limits
from trioserf._wire.codec import (
    Kind,
    _walk,
    decode,
    decode_prefix,
    encode,
    from_value,
    pack_value,
    unpack_prefix,
    unpack_value,
    wire,
)
from trioserf._wire.limits import FEW_VALUES
from trioserf._wire.messages import Ack


@attrs.frozen
class _Part:
    name: str = wire("Name", Kind.STR)


@attrs.frozen
class _Sample:
    zulu: int = wire("Zulu", Kind.U32)
    alpha: str = wire("Alpha", Kind.STR)
    mike: bytes | None = wire("Mike", Kind.BYTES, omit_empty=True)
    tags: dict[str, str] = wire("Tags", Kind.STR_MAP)  # noqa: RUF009
    part: _Part = wire("Part", Kind.STRUCT, of=_Part)  # noqa: RUF009
    parts: tuple[_Part | None, ...] | None = wire("Parts", Kind.STRUCT_LIST, of=_Part, default=None)


_FULL = _Sample(7, "a", b"m", {"k": "v"}, _Part("p"), (None, _Part("q")))

_samples = st.builds(
    _Sample,
    zulu=st.integers(0, 2**32 - 1),
    alpha=st.binary(max_size=50).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    mike=st.none() | st.binary(min_size=1, max_size=300),
    tags=st.dictionaries(st.text(max_size=5), st.text(max_size=40), max_size=4),
    part=st.builds(_Part, st.text(max_size=40)),
    parts=st.none() | st.lists(st.none() | st.builds(_Part, st.text(max_size=5))).map(tuple),
)


@given(_samples)
def test_objects_come_back(sample: _Sample) -> None:
    assert sample == decode(_Sample, encode(sample))


@given(_samples, st.binary(max_size=9), st.binary(max_size=9))
def test_an_object_in_front_of_other_bytes_is_read_alone(
    sample: _Sample, before: bytes, after: bytes
) -> None:
    data = encode(sample)
    assert sample == decode(_Sample, data + after)
    expected = (sample, len(before) + len(data))
    assert expected == decode_prefix(_Sample, before + data + after, len(before))


def test_keys_are_sorted_by_bytes() -> None:
    assert [b"Alpha", b"Mike", b"Part", b"Parts", b"Tags", b"Zulu"] == [
        *unpack_value(encode(_FULL))
    ]


def test_empty_fields_are_left_out_only_where_go_does() -> None:
    assert {b"Alpha": b"", b"Part": {b"Name": b""}, b"Parts": None, b"Tags": {}, b"Zulu": 0} == (
        unpack_value(encode(_Sample()))
    )


@pytest.mark.parametrize("value", [{}, None, [], [None] * 6, {"Zulu": None}, {"other": [1, {}]}])
def test_missing_unknown_and_nil_fields_leave_zeros(value: Any) -> None:
    assert _Sample() == decode(_Sample, pack_value(value))


def test_zeros_are_not_shared_between_objects() -> None:
    one, other = decode(_Sample, b"\x80"), decode(_Sample, b"\x80")
    assert one.tags is not other.tags
    assert {} == other.tags


def test_a_struct_may_come_as_an_array_in_the_order_of_declaration() -> None:
    array = [7, "a", b"m", {"k": "v"}, ["p"], [None, {"Name": "q"}]]
    assert _FULL == decode(_Sample, pack_value(array))
    assert _FULL == decode(_Sample, pack_value([*array, "newer", "fields"]))
    assert _Sample(7, "a") == decode(_Sample, pack_value(array[:2]))


def test_names_differ_by_case_and_the_last_of_two_wins() -> None:
    assert _Part("") == decode(_Part, pack_value({"name": "a", "NAME": "b"}))
    assert _Part("b") == decode(_Part, bytes.fromhex("82a44e616d65a161a44e616d65a162"))


@pytest.mark.parametrize("form", ["81", "de0001", "df00000001"])
def test_maps_of_any_width_are_read(form: str) -> None:
    assert _Part("a") == decode(_Part, bytes.fromhex(form + "a44e616d65a161"))


@pytest.mark.parametrize("data", ["", "05", "a161", "c3", "81a44e616d6505", "81a44e616d65a2"])
def test_what_is_no_struct_is_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(_Part, bytes.fromhex(data))
    with pytest.raises(RemoteProtocolError):
        decode_prefix(_Part, bytes.fromhex(data))


def test_the_error_names_the_field() -> None:
    with pytest.raises(RemoteProtocolError, match="field Name: int where a string belongs"):
        from_value(_Part, {b"Name": 5})


def test_only_classes_with_long_lists_may_have_very_many_values() -> None:
    junk = pack_value({"Junk": [[0] * 99] * (FEW_VALUES // 99 + 1)})
    with pytest.raises(RemoteProtocolError, match="values"):
        decode(_Part, junk)
    assert _Sample() == decode(_Sample, junk)


@pytest.mark.parametrize("value", [{}, [None], [1, 2, None]])
def test_values_that_no_encoder_writes_are_refused(value: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="where bytes belong"):
        decode(Ack, pack_value({"SeqNo": 1, "Payload": value}))


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


_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=9), inner),
    max_leaves=20,
)  # fmt: skip


# --- writing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "c0"),
        (b"", "a0"),
        ("", "a0"),
        ("a" * 31, "bf" + "61" * 31),
        ("a" * 32, "da0020" + "61" * 32),
        (b"a" * 255, "da00ff" + "61" * 255),
        (b"a" * 65536, "db00010000" + "61" * 65536),
        (127, "7f"),
        (128, "cc80"),
        (65535, "cdffff"),
        (65536, "ce00010000"),
        (2**64 - 1, "cf" + "ff" * 8),
        (-1, "ff"),
        (1.0, "cb3ff0000000000000"),
        (True, "c3"),
        ({"a": [1]}, "81a16191" + "01"),
    ],
)
def test_values_are_written_in_the_forms_of_the_older_line(value: Any, expected: str) -> None:
    assert expected == pack_value(value).hex()


def test_text_that_is_not_utf_8_is_sent_unchanged() -> None:
    raw = b"\xff\xfe\x80bad"
    assert raw == raw_text(text(raw))
    assert b"\xa6" + raw == pack_value(text(raw))


@pytest.mark.parametrize("value", [object(), 2**64, -(2**63) - 1, {"a": {1}}, "\ud800"])
def test_what_msgpack_cannot_hold_is_a_local_protocol_error(value: Any) -> None:
    with pytest.raises(LocalProtocolError):
        pack_value(value)


# --- reading ------------------------------------------------------------------------------


@given(_plain)
def test_values_come_back(value: Any) -> None:
    assert value == unpack_value(pack_value(value))


@given(_plain, st.binary(max_size=20), st.binary(max_size=20))
def test_a_value_in_front_of_others_is_read_alone(value: Any, before: bytes, after: bytes) -> None:
    data = pack_value(value)
    assert value == unpack_value(data + after)
    expected = (value, len(before) + len(data))
    assert expected == unpack_prefix(before + data + after, len(before))


@pytest.mark.parametrize("form", ["a161", "d90161", "da000161", "db0000000161", "c40161"])
def test_all_forms_of_strings_and_bytes_are_read_as_bytes(form: str) -> None:
    assert b"a" == unpack_value(bytes.fromhex(form))


def test_maps_may_have_any_keys() -> None:
    assert {1: 2, None: 3} == unpack_value(bytes.fromhex("820102c003"))


@pytest.mark.parametrize(
    "data",
    [
        "",
        "a2",
        "c1",
        "81a161",
        "819001",  # a list as a key
        "dd00ffffff",
        "dfffffffff",
        "c6ffffffff00",
        "91" * 2000,
        "d6ff",
    ],
)
@pytest.mark.parametrize("read", [unpack_value, unpack_prefix])
def test_broken_msgpack_is_refused(read: Callable[[bytes], Any], data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read(bytes.fromhex(data))


# --- bounds -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xdc\xff\xff" * 1000 + b"\x01" * 62507,
        b"\xdd\x00\x10\x00\x00" * 1000 + b"\x01" * (1 << 20),
        b"\xdf\x00\x07\xff\xff\x01" * 1000 + b"\x01" * (1 << 20),
        (b"\xdc\x03\x00" * 300)[:900],
    ],
    ids=["array16", "array32", "map32", "small"],
)
def test_nested_claims_neither_allocate_nor_take_long(bomb: bytes) -> None:
    tracemalloc.start()
    started = time.process_time()
    with pytest.raises(RemoteProtocolError):
        unpack_value(bomb)
    elapsed = time.process_time() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000
    assert elapsed < 0.1


def test_a_claim_beyond_the_bytes_is_refused_before_what_is_inside() -> None:
    data = b"\xdc\xff\xff" + b"\x01" * 60_000 + b"\xdc" * 9
    with pytest.raises(RemoteProtocolError, match="claims more than there is"):
        unpack_value(data)


def test_a_large_value_with_many_containers_is_read_if_its_claims_are_true() -> None:
    value = {b"a": [list(range(20))] * 60, b"b": b"\xdd" * 300, b"c": [1.5, -7, None, 10**12]}
    assert value == unpack_value(pack_value(value))


def test_depth_is_bounded_in_a_value_that_is_walked() -> None:
    wide = b"\xdc\x00\x01"
    data = wide * (limits.MAX_NESTING + 1) + b"\x01" + bytes(200)
    with pytest.raises(RemoteProtocolError, match="nested deeper"):
        unpack_value(data)
    assert [[b"\xdc" * 200]] == unpack_value(wide * 2 + pack_value(b"\xdc" * 200))


def test_the_number_of_values_is_bounded_where_a_value_is_walked() -> None:
    data = pack_value([[1] * 20] * 20)
    assert 20 == len(unpack_value(data, 421))
    with pytest.raises(RemoteProtocolError, match="more than 420 values"):
        unpack_value(data, 420)


def _walk_and_unpack(data: bytes) -> None:
    _walk(data, 1000)
    unpack_value(data)  # the last string may be cut: only msgpack sees that


@given(st.data())
def test_walking_agrees_with_msgpack_on_where_a_value_ends(data: st.DataObject) -> None:
    packed = pack_value(data.draw(_plain))
    _walk(packed, 1000)
    if len(packed) > 1:
        cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
        with pytest.raises(RemoteProtocolError):
            _walk_and_unpack(cut)


_FORMS = """
    c0 c2 ca00000000 cb0000000000000000 cc01 cdffff ceffffffff cf0000000000000000 d001 d10101
    d201010101 d30101010101010101 d40101 d5010101 d60101010101 d7010101010101010101
    d80101010101010101010101010101010101 c70101ff c8000101ff c90000000101ff c403010203 c50001ff
    c600000001ff d90161 da000161 db0000000161 a161 e0 05 90 9105 80 810505 dc000105 dd0000000105
    de00010505 df000000010505
"""


@pytest.mark.parametrize("head", _FORMS.split())
def test_every_form_is_stepped_over(head: str) -> None:
    form = bytes.fromhex(head)
    _walk(b"\x92" + form + b"\x01", 9)
    with pytest.raises(RemoteProtocolError):
        _walk(b"\x92" + form, 9)
