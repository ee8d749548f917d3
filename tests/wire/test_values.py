"""Plain msgpack values, whole and piece by piece."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._text import raw_text, text
from trioserf._wire import limits
from trioserf._wire.values import (
    ValueReader,
    _walk,
    pack_value,
    unpack_prefix,
    unpack_value,
)

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


# --- piece by piece -----------------------------------------------------------------------


def test_values_and_raw_bytes_are_taken_as_they_arrive() -> None:
    reader = ValueReader(100)
    reader.feed(b"\x92\x01")
    assert reader.take_value() is None
    reader.feed(b"\x02\xc0raw")
    assert ([1, 2],) == reader.take_value()
    assert (None,) == reader.take_value()
    assert (b"ra", 6) == (reader.take_bytes(2), reader.taken())
    assert (b"w", b"") == (reader.take_bytes(9), reader.take_bytes(9))
    assert reader.take_value() is None


def test_a_value_that_does_not_end_is_refused() -> None:
    reader = ValueReader(100)
    reader.feed(b"\xda\x00\x60" + bytes(60))
    assert reader.take_value() is None
    with pytest.raises(RemoteProtocolError, match="too long"):
        reader.feed(bytes(60))


@pytest.mark.parametrize("data", ["c1", "dcffff", "de0fff", "81" + "90" + "01"])
def test_what_claims_too_much_is_refused_before_it_arrives(data: str) -> None:
    reader = ValueReader(1 << 20)
    reader.feed(bytes.fromhex(data))
    with pytest.raises(RemoteProtocolError):
        reader.take_value()
