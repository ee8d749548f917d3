"""Objects of the RPC protocol out of a stream, and what is refused before it is built."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.rpc_codec import (
    MAX_NESTING,
    ObjectReader,
    integer,
    list_of,
    map_of,
    pack,
    read_bool,
    read_bytes,
    read_fields,
    read_float,
    read_text,
    read_uint8,
    struct,
)

if TYPE_CHECKING:
    from trioserf._wire.rpc_codec import Reader

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.binary(), inner, max_size=20),
    max_leaves=40,
)  # fmt: skip


def reader(max_size: int = 4096, max_values: int = 500) -> ObjectReader:
    return ObjectReader(max_size, max_values)


def all_of(objects: ObjectReader) -> list[Any]:
    found = []
    while (taken := objects.take()) is not None:
        found.append(taken[0])
    return found


# --- whole, in pieces, one after the other ------------------------------------------------


@given(VALUES, st.data())
def test_an_object_is_the_same_in_whatever_pieces_it_arrives(
    value: Any, data: st.DataObject
) -> None:
    raw = msgpack.packb(value)
    objects = ObjectReader(1 << 20, 1 << 16)
    start = 0
    while start < len(raw):
        assert objects.take() is None
        end = data.draw(st.integers(start + 1, len(raw)))
        objects.feed(raw[start:end])
        start = end
    assert (value,) == objects.take()
    assert objects.take() is None
    assert 0 == len(objects)


@given(st.lists(VALUES, max_size=5))
def test_objects_follow_each_other_without_a_frame(values: list[Any]) -> None:
    objects = ObjectReader(1 << 20, 1 << 16)
    objects.feed(b"".join(msgpack.packb(value) for value in values))
    assert values == all_of(objects)


def test_every_kind_of_header_is_walked() -> None:
    values: list[Any] = [0, -1, 200, -200, 70_000, -70_000, 2**33, -(2**33), 1.5, None, True, False]
    values += [b"x" * size for size in (3, 40, 300, 70_000)]
    values += [[0] * size for size in (3, 20, 70_000)]
    values += [dict.fromkeys(range(size)) for size in (3, 20, 70_000)]
    values += [msgpack.ExtType(5, b"x" * size) for size in (1, 2, 4, 8, 16, 3, 300, 70_000)]
    for old_style in (True, False):
        objects = ObjectReader(1 << 20, 1 << 20)
        objects.feed(b"".join(msgpack.packb(v, use_bin_type=not old_style) for v in values))
        objects.feed(b"\xca\x3f\x80\x00\x00")
        assert [*values, 1.0] == all_of(objects)


@given(st.binary(max_size=400))
def test_any_bytes_are_objects_or_an_error(data: bytes) -> None:
    objects = reader()
    objects.feed(data)
    try:
        all_of(objects)
    except RemoteProtocolError:
        return
    assert len(objects) <= len(data)


# --- limits -------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["db", "c6", "df", "dd", "c9"])
def test_a_length_that_lies_is_refused_at_its_header(head: str) -> None:
    objects = reader(1 << 20, 1 << 15)
    objects.feed(bytes.fromhex(f"82a44a756e6b{head}7fffffff"))
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError, match="an object of more than 1048576 bytes"):
            objects.take()
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()


def test_a_length_in_the_making_is_waited_for() -> None:
    objects = reader()
    objects.feed(bytes.fromhex("db7fffff"))
    assert objects.take() is None


def test_nesting_ends_at_the_limit() -> None:
    objects = reader()
    objects.feed(b"\x91" * MAX_NESTING + b"\xc0")
    assert objects.take() is not None
    objects.feed(b"\x91" * (MAX_NESTING + 1))
    with pytest.raises(RemoteProtocolError, match="nested deeper than 32"):
        objects.take()


def test_an_object_has_a_longest_size() -> None:
    objects = reader(max_size=100)
    objects.feed(b"\xd9\x62" + b"x" * 98)
    assert (b"x" * 98,) == objects.take()
    objects.feed(b"\xd9\x63")
    with pytest.raises(RemoteProtocolError, match="more than 100 bytes"):
        objects.take()


def test_an_object_has_a_highest_number_of_values() -> None:
    objects = reader(max_values=10)
    objects.feed(b"\x99" + b"\x90" * 9)
    assert ([[]] * 9,) == objects.take()
    objects.feed(b"\x9a")
    with pytest.raises(RemoteProtocolError, match="more than 10 values"):
        objects.take()


@pytest.mark.parametrize(
    "data", [b"\xc1", b"\x81\x90\xc0", b"\x81\x80\xc0", b"\xc7\x03\xff\x00\x00\x00"]
)
def test_what_is_no_msgpack_is_an_error(data: bytes) -> None:
    objects = reader()
    objects.feed(data)
    with pytest.raises(RemoteProtocolError, match="msgpack"):
        objects.take()


# --- values -------------------------------------------------------------------------------

TAKEN: list[tuple[Reader, Any, Any]] = [
    (read_text, b"a\xff", "a\udcff"),
    (read_text, None, ""),
    (read_bytes, b"\xff", b"\xff"),
    (read_bytes, None, b""),
    (read_bytes, {}, b""),
    (read_bytes, [], b""),
    (read_bytes, [104, 105], b"hi"),
    (read_bool, True, True),
    (read_bool, None, False),
    (read_float, 1.5, 1.5),
    (read_float, 2, 2.0),
    (read_float, None, 0.0),
    (read_uint8, 255, 255),
    (read_uint8, None, 0),
    (integer(-5, 5), -5, -5),
    (list_of(read_text), [b"a", None], ["a", ""]),
    (list_of(read_text), None, []),
    (list_of(read_text), {}, []),
    (map_of(read_text), {b"a": None, None: b"b"}, {"a": "", "": "b"}),
    (map_of(read_text), None, {}),
    (struct({"A": read_text}), {b"A": b"x", b"B": 7}, {"A": "x"}),
]
REFUSED: list[tuple[Reader, Any]] = [
    *((read_text, value) for value in (5, 1.5, True, [], {}, [b"a"])),
    *((read_bytes, value) for value in (5, True, [256], [-1], [b"a"], [True], {b"a": 1})),
    *((read_bool, value) for value in (0, 1, b"yes", [])),
    *((read_float, value) for value in (b"1", True, [])),
    *((read_uint8, value) for value in (-1, 256, True, 1.0, b"1", [])),
    *((list_of(read_text), value) for value in (b"alpha", 5, {b"a": b"b"}, [5])),
    *((map_of(read_text), value) for value in ([], [b"a"], b"a", 5, {b"a": 1}, {5: b"a"})),
    *((struct({"A": read_text}), value) for value in (b"text", 7, {5: b"x"}, {b"A": 5}, [5])),
]


@pytest.mark.parametrize(("read", "value", "expected"), TAKEN)
def test_values_are_taken_as_go_takes_them(read: Reader, value: Any, expected: Any) -> None:
    got = read(value)
    assert (expected, type(expected)) == (got, type(got))


@pytest.mark.parametrize(("read", "value"), REFUSED)
def test_other_values_are_refused(read: Reader, value: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        read(value)


def test_a_struct_may_be_an_array_in_the_order_of_its_keys() -> None:
    fields = {"A": read_text, "B": read_uint8, "C": read_bool}
    assert {"A": "x", "B": 5, "C": False} == read_fields(fields, [b"x", 5])
    assert {"A": "x", "B": 5, "C": True} == read_fields(fields, [b"x", 5, True, b"more"])
    assert {"A": "", "B": 0, "C": False} == read_fields(fields, None)


def test_missing_fields_may_keep_what_they_were() -> None:
    fields = {"A": read_text, "B": read_uint8}
    before = {"A": "old", "B": 9}
    assert {"A": "old", "B": 0} == read_fields(fields, {b"B": None}, before)
    assert before == read_fields(fields, [], before)
    assert {"A": "", "B": 0} == read_fields(fields, None, before)


def test_an_error_names_the_field() -> None:
    with pytest.raises(RemoteProtocolError, match=r"^Timeout: expected an integer"):
        read_fields({"Timeout": read_uint8}, {b"Timeout": 1.5})


def test_texts_that_are_no_utf8_are_written_as_they_came() -> None:
    assert b"\xa2\xff\xfe" == pack("\udcff\udcfe")
    assert b"\xc4\x01a" == pack(b"a")
