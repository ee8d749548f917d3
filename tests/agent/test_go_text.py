"""JSON, quoted texts and tables as Go prints them (run with Go 1.19)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._agent.go_text import columns, json_document, json_line, quote, sorted_map

VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_json(value: Any) -> None:
    assert value == json.loads(json_document(value)) == json.loads(json_line(value))
    assert "\n" not in json_line(value)


@given(VALUES.filter(lambda value: isinstance(value, list | dict)))
def test_documents_are_indented_as_everywhere(value: Any) -> None:
    plain = json.dumps(value, indent=2, ensure_ascii=False)
    plain = plain.replace("\\b", "\\u0008").replace("\\f", "\\u000c")
    if not set(plain) & set("<>&\u2028\u2029") and "\\\\" not in plain:
        assert plain == json_document(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<a & b>", '"\\u003ca \\u0026 b\\u003e"'),
        ('"\\\n\r\t\b\f\x00', '"\\"\\\\\\n\\r\\t\\u0008\\u000c\\u0000"'),
        ("é\u2028\x7f", '"é\\u2028\x7f"'),
        (b"a\xff\xc3", '"a\\ufffd\\ufffd"'),
        ({}, "{}"),
        ([], "[]"),
        (None, "null"),
        (True, "true"),
        (("a", 1), '["a",1]'),
        ({"a": {"b": []}}, '{"a":{"b":[]}}'),
    ],
)
def test_json_in_the_form_of_go(value: Any, text: str) -> None:
    assert text == json_line(value)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain é", '"plain é"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("\n\t\r\a\b\f\v", '"\\n\\t\\r\\a\\b\\f\\v"'),
        ("\x00\x7f\x1b", '"\\x00\\x7f\\x1b"'),
        ("\u200b\U000e0001", '"\\u200b\\U000e0001"'),
        (b"\xff".decode("utf-8", "surrogateescape"), '"\\xff"'),
    ],
)
def test_quoted_texts(text: str, quoted: str) -> None:
    assert quoted == quote(text)


def test_a_table_is_aligned_except_for_last_cells() -> None:
    rows = [
        ["alpha", "10.0.0.1:7946", "alive", "role=web,dc=east"],
        ["b", "10.0.0.12:7946", "left", ""],
    ]
    assert "alpha  10.0.0.1:7946   alive  role=web,dc=east\nb      10.0.0.12:7946  left" == columns(
        rows
    )
    assert "b      10.0.0.12:7946  left   \n" in columns(rows[::-1])
    assert "" == columns([])


def test_a_cell_may_have_the_sign_that_go_cuts_at() -> None:
    assert "n|o  x=a|b\np    y" == columns([["n|o", "x=a|b"], ["p", "y"]])


def test_maps_are_sorted_by_bytes() -> None:
    low = b"\xff".decode("utf-8", "surrogateescape")
    assert ["Z", "a", "é", "\U0001f600", low] == list(
        sorted_map(dict.fromkeys([low, "\U0001f600", "é", "a", "Z"]))
    )
