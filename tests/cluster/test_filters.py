"""Whether a query is for this node."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.filters import (
    MAX_STEPS,
    STEPS_PER_SECOND,
    FilterResult,
    matches,
)
from trioserf._swim.token_bucket import TokenBucket
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


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("a{64}$", "a" * 64),
        ("^(us|eu|ap)-(east|west|north|south)-[0-9]+[a-z]?$", "eu-north-1b"),
        (r"(?i)^web-\d{1,3}\.(prod|stage)\.example\.(com|org|net)$", "WEB-17.prod.example.org"),
        ("|".join(f"host-{number}" for number in range(60)), "host-59"),
    ],
)
def test_what_people_write_fits_into_the_budget(expression: str, value: str) -> None:
    filter = encode_filter(TagFilter("role", expression))
    assert FilterResult(True) == matches([filter], NAME, {"role": value})
    assert FilterResult(False) == matches([filter, filter, filter], NAME, {"role": "x"})


def test_a_thousand_names_fit_into_the_budget() -> None:
    names = [f"node-{number:04}.example" for number in range(1000)]
    assert matches(encode_filters([*names, NAME], {}), NAME, {})


COSTLY = [
    lambda number: f"(?i)(({number}|[a-z]*){{20}}){{20}}",
    lambda number: "|".join(f"{number}{other:x}" for other in range(150)),
    lambda number: f"({number}|a?){{900}}",
    lambda number: "(" * 45 + f"{number}a" + "*)" * 45,
    lambda number: rf"(?i){number}*[\pL\pN]*[\p{{Greek}}]*" * 8,
]


@pytest.mark.parametrize("costly", COSTLY)
def test_filters_of_others_cost_no_more_than_their_allowance(
    costly: Callable[[int], str],
) -> None:
    bucket = TokenBucket(STEPS_PER_SECOND, STEPS_PER_SECOND)
    spent = 0
    for number in range(300):
        raw = encode_filter(TagFilter("role", costly(number)))
        before = bucket.left(0.0)
        result = matches([raw] * 60, NAME, {"role": "aAbB" * 100}, bucket, 0.0)
        spent += before - bucket.left(0.0)
        assert before - bucket.left(0.0) <= MAX_STEPS
    assert spent <= STEPS_PER_SECOND
    if result.exhausted:
        assert bucket.left(0.0) < MAX_STEPS
        usual = encode_filter(TagFilter("role", "^a"))
        assert matches([usual], NAME, {"role": "ab"}, bucket, 0.1)


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
