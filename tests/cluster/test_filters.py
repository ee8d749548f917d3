"""Whether a query is for this node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.filters import MAX_STEPS, FilterResult, matches
from trioserf._wire.query_filters import TagFilter, encode_filter, encode_filters

NAME = "n1"
TAGS = {"role": "webserver", "dc": "us-east-1"}


def asked(nodes: list[str], tags: dict[str, str]) -> FilterResult:
    return matches(encode_filters(nodes, tags), NAME, TAGS)


def test_without_filters_a_query_is_for_everybody() -> None:
    assert FilterResult(True) == matches((), NAME, TAGS)


def test_a_node_passes_names_and_expressions_that_fit_it() -> None:
    """Checklist of Serf, item 8."""
    assert FilterResult(True) == asked(["n0", "n1"], {"role": "^web", "dc": "east-[0-9]$"})


def test_a_node_that_is_not_in_the_list_fails() -> None:
    """Checklist of Serf, item 9."""
    assert FilterResult(False) == asked(["n0", "n10", "N1", ""], {})


def test_a_tag_that_the_node_lacks_is_empty() -> None:
    """Checklist of Serf, item 10."""
    assert FilterResult(False) == asked([], {"other": "cool"})
    assert FilterResult(True) == asked([], {"other": "^$"})
    assert FilterResult(True) == asked([], {"other": ""})


def test_a_tag_that_does_not_fit_fails() -> None:
    """Checklist of Serf, item 11."""
    assert FilterResult(False) == asked(["n1"], {"role": "web", "dc": "west"})


def test_a_result_is_true_exactly_if_it_passed() -> None:
    assert asked(["n1"], {})
    assert not asked(["n2"], {})


@pytest.mark.parametrize(
    ("filter", "problem"),
    [
        (b"", "empty filter"),
        (None, "empty filter"),
        (b"\x02\x90", "filter of unknown type 2"),
        (b"\x00\x80", "node filter: expected a list of names"),
        (b"\x01\xa1", "msgpack"),
        (encode_filter(TagFilter("role", "(")), "filter for tag 'role': error parsing regexp"),
        (encode_filter(TagFilter("role", "(?<=a)b")), "invalid or unsupported Perl syntax"),
        (encode_filter(TagFilter("role", "web\\Z")), "invalid escape sequence"),
        (encode_filter(TagFilter("role", "\udcff")), "invalid UTF-8"),
        (encode_filter(TagFilter("role", "(ab?){1000}(cd?){1000}")), "too large"),
    ],
)
def test_what_cannot_be_decided_is_not_for_this_node_and_logged(
    filter: bytes | None, problem: str
) -> None:
    result = matches([encode_filters(["n1"], {})[0], filter], NAME, TAGS)
    assert not result.passed
    assert result.problem is not None
    assert problem in result.problem


def test_the_first_filter_that_fails_ends_it() -> None:
    """A broken filter behind it is not even looked at, as in Go."""
    assert FilterResult(False) == matches([encode_filters(["n2"], {})[0], b""], NAME, TAGS)


def test_no_query_costs_more_than_its_budget() -> None:
    """Thousands of costly filters, each of which passes."""
    costly = encode_filter(TagFilter("role", "(?:a|b){0,500}" + "x?" * 100))
    result = matches([costly] * 3000, NAME, {"role": "ab" * 256})
    assert not result.passed
    assert result.problem is not None
    assert "too long" in result.problem


def test_an_expression_of_many_states_still_fits_into_the_budget() -> None:
    expression = encode_filter(TagFilter("role", "a{512}$"))
    assert FilterResult(True) == matches([expression], NAME, {"role": "a" * 512})
    assert MAX_STEPS < 10**6


def test_names_and_tags_that_are_not_utf_8_can_be_asked_for() -> None:
    assert matches(encode_filters(["\udcff"], {"\udcfe": "^.b"}), "\udcff", {"\udcfe": "\udcffb"})


@given(st.lists(st.binary(max_size=30), max_size=4))
def test_any_filters_are_decided(filters: list[bytes]) -> None:
    result = matches(filters, NAME, TAGS)
    assert result.passed or result.problem is not None or filters


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_expression_is_decided(expression: str, value: str) -> None:
    raw = encode_filter(TagFilter("tag", expression.encode("utf-8", "replace").decode()))
    result = matches([raw], NAME, {"tag": value})
    assert not (result.passed and result.problem)
