"""Frozen classes as Go structs."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.codec import Kind, decode, decode_prefix, encode, from_value, wire
from trioserf._wire.limits import FEW_VALUES
from trioserf._wire.messages import Ack
from trioserf._wire.values import pack_value, unpack_value


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
