"""Many messages in one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._wire.compound import MAX_PART, make_compound, split_compound


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=127), st.binary())
def test_parts_are_split_with_any_bytes_behind_them(parts: list[bytes], more: bytes) -> None:
    assert (parts, 0) == split_compound(make_compound(parts)[1:] + more)


@pytest.mark.parametrize(
    "parts",
    [[], [b"a"] * 128, [b"a", b""], [bytes(MAX_PART + 1)]],
    ids=["none", "128", "an empty one", "a long one"],
)
def test_what_older_go_cannot_read_is_not_written(parts: list[bytes]) -> None:
    with pytest.raises(LocalProtocolError):
        make_compound(parts)


def test_the_longest_and_the_most_parts_are_written() -> None:
    assert 1 + 1 + 2 + MAX_PART == len(make_compound([bytes(MAX_PART)]))
    assert 127 == make_compound([b"a"] * 127)[1]


def test_parts_before_a_cut_are_given_and_the_rest_counted() -> None:
    body = make_compound([b"one", b"two", b"three"])[1:]
    assert ([b"one", b"two"], 1) == split_compound(body[:-1])
    assert ([b"one"], 2) == split_compound(body[:-6])
    assert ([], 3) == split_compound(body[:7])


@pytest.mark.parametrize("body", [b"", b"\x01", b"\x01\x00", b"\x02\x00\x01\x00", b"\xff" * 510])
def test_a_compound_without_its_lengths_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        split_compound(body)


def test_a_compound_of_nothing_and_empty_parts_are_read() -> None:
    assert ([], 0) == split_compound(b"\x00")
    assert ([b"", b"x", b""], 0) == split_compound(bytes.fromhex("03 0000 0001 0000 78"))


@given(st.binary(max_size=600))
def test_any_bytes_give_parts_of_them_or_an_error(body: bytes) -> None:
    try:
        parts, missing = split_compound(body)
    except RemoteProtocolError:
        return
    assert body[0] == len(parts) + missing
    assert sum(map(len, parts)) <= len(body)
