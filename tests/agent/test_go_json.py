"""JSON in Go's words: the texts are those of Go's agent 0.9.4 for the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._agent.go_json import first_json_value, go_text_of, whole_json_value, wrong_type

REFUSED = {
    b"}": "invalid character '}' looking for beginning of value",
    b"[,]": "invalid character ',' looking for beginning of value",
    b"[1,]": "invalid character ']' looking for beginning of value",
    b"[1 2]": "invalid character '2' after array element",
    b"[1}": "invalid character '}' after array element",
    b"{,}": "invalid character ',' looking for beginning of object key string",
    b"{'a':1}": "invalid character '\\'' looking for beginning of object key string",
    b'{"a"}': "invalid character '}' after object key",
    b'{"a":}': "invalid character '}' looking for beginning of value",
    b'{"a":1 "b"}': "invalid character '\"' after object key:value pair",
    b'{"a":01}': "invalid character '1' after object key:value pair",
    b'{"a":-x}': "invalid character 'x' in numeric literal",
    b'{"a":5.}': "invalid character '}' after decimal point in numeric literal",
    b'{"a":5e+x}': "invalid character 'x' in exponent of numeric literal",
    b"trux": "invalid character 'x' in literal true (expecting 'e')",
    b'"a\\q"': "invalid character 'q' in string escape code",
    b'"a\\u12g4"': "invalid character 'g' in \\u hexadecimal character escape",
    b'"\x01"': "invalid character '\\x01' in string literal",
    b"\xef\xbb\xbf{}": "invalid character 'ï' looking for beginning of value",
    b"\\": "invalid character '\\\\' looking for beginning of value",
    b"[" * 10_001: "invalid character '[' exceeded max depth",
}
UNFINISHED = (b"{", b'{"a"', b'{"a":', b'{"a":1', b"[1,", b'"abc', b"[[]", b'{"a":{"b":2}')


@pytest.mark.parametrize("read", [first_json_value, whole_json_value])
@pytest.mark.parametrize(("data", "problem"), REFUSED.items())
def test_what_is_no_json_is_refused_in_go_s_words(
    read: Callable[[bytes], Any], data: bytes, problem: str
) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared below
        read(data)
    assert problem == str(raised.value)


def complaint(read: Callable[[bytes], Any], data: bytes) -> str:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - it is returned
        read(data)
    return str(raised.value)


@pytest.mark.parametrize("data", UNFINISHED)
def test_what_ends_too_early_is_said_as_go_says_it(data: bytes) -> None:
    assert "unexpected EOF" == complaint(first_json_value, data)
    assert "unexpected end of JSON input" == complaint(whole_json_value, data)


def test_go_s_other_reader_complains_of_a_blank_at_the_end() -> None:
    assert "unexpected EOF" == complaint(first_json_value, b"nul")
    problem = "invalid character ' ' in literal null (expecting 'l')"
    assert problem == complaint(whole_json_value, b"nul")


def test_a_file_without_anything_ends_at_once() -> None:
    assert "EOF" == complaint(first_json_value, b" \n")
    assert "unexpected end of JSON input" == complaint(whole_json_value, b" \n")


def test_what_follows_the_first_value_counts_in_a_whole_file_alone() -> None:
    data = b'{"a": [1, 2.5, -3e2, null, true]} x'
    assert {"a": [1, 2.5, -300.0, None, True]} == first_json_value(data)
    assert "invalid character 'x' after top-level value" == complaint(whole_json_value, data)


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert ["\ufffd"] == whole_json_value(b'["\xff"]')
    assert "\ufffd" == go_text_of(whole_json_value(b'"\\ud800"'))


def test_a_value_of_another_type_is_named() -> None:
    wanted = "json: cannot unmarshal {} into Go value of type string"
    for value, kind in (
        (1, "number"),
        (1.5, "number"),
        (True, "bool"),
        ([], "array"),
        ({}, "object"),
        ("x", "string"),
    ):
        assert wanted.format(kind) == str(wrong_type(value, "string"))


@given(st.binary(max_size=40) | st.text('{}[]":,\\ue0-.tn ', max_size=40).map(str.encode))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    for read in (first_json_value, whole_json_value):
        try:
            read(data)
        except ValueError as error:
            assert "line 1" not in str(error), "this is what Python says"  # noqa: PT017
