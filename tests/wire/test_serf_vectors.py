"""The golden vectors of Serf's layers: bytes of real Go nodes, both ways.

Our encoder writes what serf v0.9.4 writes; our decoder reads what either version line wrote.
Where Go distinguishes nil and empty, but reads both alike, so do we.
"""

from __future__ import annotations

import contextlib
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vector_files import Vector, params, readings, writings
from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.codec import decode, pack_value
from trioserf._wire.query_filters import (
    NodeFilter,
    TagFilter,
    decode_filter,
    encode_filter,
)
from trioserf._wire.serf_messages import (
    CoordinateRecord,
    JoinIntent,
    KeyAnswer,
    KeyRequest,
    LeaveIntent,
    MemberRecord,
    PushPull,
    QueryMessage,
    QueryResponseMessage,
    RelayHeader,
    UserEventMessage,
    decode_conflict_response,
    decode_key_answer,
    decode_key_request,
    decode_ping_payload,
    decode_push_pull,
    decode_relay,
    decode_serf,
    encode_conflict_response,
    encode_ping_payload,
    encode_relay,
    encode_serf,
)
from trioserf._wire.tags import decode_tags, encode_tags

CLASSES: dict[int, type[Any]] = {
    0: LeaveIntent,
    1: JoinIntent,
    2: PushPull,
    3: UserEventMessage,
    4: QueryMessage,
    5: QueryResponseMessage,
    6: MemberRecord,
    7: KeyRequest,
    8: KeyAnswer,
}
READERS: dict[int, Any] = {
    **dict.fromkeys((0, 1, 3, 4, 5), decode_serf),
    2: decode_push_pull,
    6: decode_conflict_response,
    7: decode_key_request,
    8: decode_key_answer,
}
BY_NAME = {
    "user event": UserEventMessage,
    "leave": LeaveIntent,
    "query": QueryMessage,
    "push-pull": PushPull,
    "query response": QueryResponseMessage,
    "key response": KeyAnswer,
    "conflict response": MemberRecord,
}


def build(cls: type[Any], fields: dict[str, Any]) -> Any:
    """An object of ``cls`` from fields under their Go names."""
    values = {}
    for field in attrs.fields(cls):
        spec = field.metadata["trioserf_wire"]
        value = fields[spec.name]
        if spec.of is not None:
            if isinstance(value, dict):
                value = build(spec.of, value)
            else:  # our class has no nil here
                value = tuple(None if one is None else build(spec.of, one) for one in value or ())
        elif isinstance(value, list):
            value = tuple(value)
        values[field.name] = value
    return cls(**values)


def fields_of(obj: Any) -> Any:
    """What ``build`` takes, with everything empty as None."""
    if attrs.has(type(obj)):
        return {
            field.metadata["trioserf_wire"].name: fields_of(getattr(obj, field.name))
            for field in attrs.fields(type(obj))
        }
    if isinstance(obj, (list, tuple)):
        return [fields_of(one) for one in obj] or None
    return None if obj in (b"", {}) else obj


def no_empties(value: Any) -> Any:
    """Fields of a vector, compared as `fields_of` gives them."""
    if isinstance(value, dict):
        return {key: no_empties(one) for key, one in value.items()} or None
    if isinstance(value, list):
        return [no_empties(one) for one in value] or None
    return None if value == b"" else value


def refused(read: Any, vector: Vector) -> bool:
    """Whether Go refuses these bytes; then we must, too."""
    if vector.error:
        with pytest.raises(RemoteProtocolError):
            read(vector.data)
    return vector.error


def check_written(raw: bytes, vector: Vector) -> None:
    allowed = writings(vector)
    if allowed:
        assert raw in allowed
    else:
        assert vector.data is None or len(vector.data) == len(raw) or not vector.older_line


# --- messages and filters -----------------------------------------------------------------


def kind_of(vector: Vector) -> str:
    if "filter" in vector.input:
        return "filter"
    return "relay" if vector.input["type"] == 9 else "message"


def written(layer: str) -> list[Any]:
    """Arguments for the vectors that Go wrote, not only read."""
    return [p for p in params(layer) if p.values[0] is None or p.values[0].encodes]


def messages(kind: str) -> list[Any]:
    """Arguments for the vectors of one kind; the skipped one of an absent layer is kept."""
    return [
        param
        for param in params("serf-message")
        if param.values[0] is None or kind_of(param.values[0]) == kind
    ]


@pytest.mark.parametrize("vector", messages("message"))
def test_messages_read_as_go_means_them(vector: Vector) -> None:
    kind = vector.input["type"]
    if refused(READERS[kind], vector):
        return
    read = READERS[kind](vector.data)
    if vector.input["msg"] is None:
        assert read is None
        return
    assert CLASSES[kind] is type(read)
    assert no_empties(vector.input["msg"]) == fields_of(read)
    assert read == READERS[kind](vector.data + b"\xff behind")


@pytest.mark.parametrize("vector", messages("message"))
def test_messages_are_written_as_go_writes_them(vector: Vector) -> None:
    if vector.error:
        pytest.skip("not to be written")
    kind, fields = vector.input["type"], vector.input["msg"]
    msg = None if fields is None else build(CLASSES[kind], fields)
    raw = encode_conflict_response(msg) if kind == 6 else encode_serf(msg)
    if kind != 2 or fields["Events"] is not None:
        check_written(raw, vector)
    assert READERS[kind](vector.data) == READERS[kind](raw)


@pytest.mark.parametrize("vector", messages("relay"))
def test_relays_are_read_and_written(vector: Vector) -> None:
    assert vector.data is not None
    if refused(decode_relay, vector):
        return
    header, inner = decode_relay(vector.data)
    assert no_empties(vector.input["header"]) == fields_of(header)
    assert vector.input["inner_type"] == inner[0]
    assert no_empties(vector.input["inner"]) == fields_of(decode_serf(inner))
    assert vector.data.endswith(inner)
    again = encode_relay(build(RelayHeader, vector.input["header"]), inner)
    check_written(again, vector)
    assert (header, inner) == decode_relay(again)


@pytest.mark.parametrize("vector", messages("filter"))
def test_filters_are_read_and_written(vector: Vector) -> None:
    expected: NodeFilter | TagFilter
    if refused(decode_filter, vector):
        return
    if vector.input["filter"] == 0:
        expected = NodeFilter(tuple(vector.input["nodes"] or ()))
    else:
        expected = build(TagFilter, vector.input["tag"])
    assert expected == decode_filter(vector.data)
    if vector.input.get("nodes", ()) is not None:
        check_written(encode_filter(expected), vector)


# --- tags, coordinates, odd input ---------------------------------------------------------


@pytest.mark.parametrize("vector", params("tags"))
def test_tags_read_as_go_means_them(vector: Vector) -> None:
    assert vector.data is not None
    tags = vector.input["tags"] or {}
    if vector.input.get("protocol", 3) < 3:
        tags = {"role": tags.get("role", "")}
    assert tags == decode_tags(vector.data)[0]


@pytest.mark.parametrize("vector", written("tags"))
def test_tags_are_written_as_go_writes_them(vector: Vector) -> None:
    raw = encode_tags(vector.input["tags"] or {}, vector.input["protocol"])
    if vector.input["tags"] is not None:
        check_written(raw, vector)


@pytest.mark.parametrize("vector", params("coordinate"))
def test_coordinates_are_read_and_written(vector: Vector) -> None:
    assert vector.data is not None
    if refused(decode_ping_payload, vector):
        return
    assert vector.input["version"] == vector.data[0]
    record = decode_ping_payload(vector.data)
    assert record is not None
    assert no_empties(vector.input["coordinate"]) == fields_of(record)
    if vector.encodes:
        expected = build(CoordinateRecord, vector.input["coordinate"])
        check_written(encode_ping_payload(expected), vector)


@pytest.mark.parametrize(
    "vector",
    [p for p in params("decode") if p.values[0] is None or "/serf-" in p.values[0].name],
)
def test_odd_input_reads_as_in_go(vector: Vector) -> None:
    assert vector.data is not None
    cls = BY_NAME[vector.input["type"]]
    possible = readings(vector)
    try:
        found = fields_of(decode(cls, vector.data))
    except RemoteProtocolError:
        assert any(reading.error for reading in possible)
    else:
        assert found in [no_empties(one.input["msg"]) for one in possible if not one.error]


# --- damage -------------------------------------------------------------------------------

ALL = [
    param.values[0].data
    for param in params("serf-message", "tags", "coordinate")
    if param.values[0] is not None and 0 < len(param.values[0].data or b"") < 2000
] or [b"\xc0"]
PARSERS = (
    decode_serf,
    decode_push_pull,
    decode_relay,
    decode_conflict_response,
    decode_key_request,
    decode_key_answer,
    decode_ping_payload,
    decode_filter,
)


def parse_with_all(data: bytes) -> None:
    """Every parser returns or refuses."""
    for parser in PARSERS:
        with contextlib.suppress(RemoteProtocolError):
            parser(data)
    tags, _ = decode_tags(data)
    assert all(isinstance(text, str) for pair in tags.items() for text in pair)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    parse_with_all(data)


@given(st.integers(0, 12), st.recursive(
    st.none() | st.booleans() | st.integers(0, 255), lambda inner: st.lists(inner, max_size=4)
))  # fmt: skip
def test_any_type_byte_with_odd_values_is_read_or_refused(kind: int, value: object) -> None:
    parse_with_all(bytes((kind,)) + pack_value(value))
    parse_with_all(bytes((kind,)) + pack_value({"LTime": value, "Node": value, "Tags": value}))


@settings(max_examples=200)
@given(st.sampled_from(ALL), st.data())
def test_damaged_vectors_are_read_or_refused(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw) - 1))
    parse_with_all(raw[:at] + bytes((data.draw(st.integers(0, 255)),)) + raw[at + 1 :])
    parse_with_all(raw[:at])
    parse_with_all(raw[:at] + raw[at + 1 :])


@pytest.mark.parametrize("vector", messages("message"))
def test_a_message_cut_at_any_byte_is_refused(vector: Vector) -> None:
    assert vector.data is not None
    if vector.error:
        return
    step = 1 + len(vector.data) // 300
    for cut in range(0, len(vector.data), step):
        with pytest.raises(RemoteProtocolError):
            READERS[vector.input["type"]](vector.data[:cut])
