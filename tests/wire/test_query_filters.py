"""The filters of a query, as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.query_filters import (
    NodeFilter,
    TagFilter,
    decode_filter,
    encode_filter,
    encode_filters,
)


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def test_a_node_filter_is_its_type_and_a_list() -> None:
    """Checklist of Serf, item 6."""
    raw = encode_filter(NodeFilter(("n1", "n2")))
    assert h("00 92 a26e31 a26e32") == raw
    assert NodeFilter(("n1", "n2")) == decode_filter(raw)


def test_a_tag_filter_is_its_type_and_a_map() -> None:
    raw = encode_filter(TagFilter("role", "^web"))
    assert h("01 82 a445787072 a45e776562 a3546167 a4726f6c65") == raw
    assert TagFilter("role", "^web") == decode_filter(raw)


def test_the_list_of_nodes_comes_first_and_then_each_tag() -> None:
    """Checklist of Serf, item 7."""
    raw = encode_filters(["foo", "bar"], {"role": "test", "datacenter": "us-east"})
    expected = [
        NodeFilter(("foo", "bar")),
        TagFilter("role", "test"),
        TagFilter("datacenter", "us-east"),
    ]
    assert expected == list(map(decode_filter, raw))


def test_without_names_there_is_no_node_filter() -> None:
    assert () == encode_filters([], {})
    assert (encode_filter(TagFilter("a", "b")),) == encode_filters([], {"a": "b"})


@pytest.mark.parametrize("data", [b"", None])
def test_an_empty_filter_is_refused(data: bytes | None) -> None:
    with pytest.raises(RemoteProtocolError, match="empty filter"):
        decode_filter(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("00c0", NodeFilter(())),
        ("0090", NodeFilter(())),
        ("0091c0", NodeFilter(("",))),
        ("0091d9026e31", NodeFilter(("n1",))),
        ("0091c4026e31", NodeFilter(("n1",))),
        ("00dc0001a26e31ff", NodeFilter(("n1",))),
        ("0091a1ff", NodeFilter(("\udcff",))),
        ("01c0", TagFilter("", "")),
        ("0180", TagFilter("", "")),
        ("0192a161a162", TagFilter("a", "b")),
        ("0181a3546167a161", TagFilter("a", "")),
    ],
)
def test_what_go_reads_is_read(data: str, expected: NodeFilter | TagFilter) -> None:
    assert expected == decode_filter(h(data))


@pytest.mark.parametrize(
    "data", ["00", "0080", "0001", "00a16e", "009105", "009190", "01", "01a161", "0181a354616705"]
)
def test_broken_filters_are_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_filter(h(data))


@pytest.mark.parametrize("kind", [2, 3, 0x80, 0xFF])
def test_filters_of_unknown_type_are_refused(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"unknown type {kind}"):
        decode_filter(bytes((kind,)) + b"\x90")


NAMES = st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(st.lists(NAMES).map(tuple), NAMES, NAMES)
def test_any_names_come_back(names: tuple[str, ...], tag: str, expr: str) -> None:
    for filter in (NodeFilter(names), TagFilter(tag, expr)):
        assert filter == decode_filter(encode_filter(filter))
