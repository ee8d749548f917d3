"""Filters of events, as streams and handlers give them."""

from __future__ import annotations

import pytest

from trioserf._wire.event_filters import EventFilter, parse_event_filters

GOOD = {
    "": (EventFilter("*"),),
    "*": (EventFilter("*"),),
    "user": (EventFilter("user"),),
    "user:": (EventFilter("user"),),
    "user:a:b": (EventFilter("user", "a:b"),),
    "query:load,member-join": (EventFilter("query", "load"), EventFilter("member-join")),
    "user,user:x,query": (EventFilter("user"), EventFilter("user", "x"), EventFilter("query")),
}
BAD = (
    "bogus",
    "user,bogus",
    "member-join, user",
    "member-join:x",
    "User",
    ",",
    "user,",
    " *",
    "*:x",
)


@pytest.mark.parametrize(("text", "filters"), GOOD.items())
def test_a_list_of_filters_is_read(text: str, filters: tuple[EventFilter, ...]) -> None:
    assert filters == parse_event_filters(text)


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_event_filters(text)


@pytest.mark.parametrize(
    ("text", "event", "name", "wanted"),
    [
        ("*", "member-join", "", True),
        ("*", "query", "load", True),
        ("member-join", "member-join", "", True),
        ("member-join", "member-leave", "", False),
        ("user", "user", "deploy", True),
        ("user", "query", "deploy", False),
        ("user:deploy", "user", "deploy", True),
        ("user:deploy", "user", "deploy2", False),
        ("query:deploy", "user", "deploy", False),
        ("user:", "user", "", True),
    ],
)
def test_a_filter_decides_by_kind_and_name(text: str, event: str, name: str, wanted: bool) -> None:
    (only,) = parse_event_filters(text)
    assert wanted is only.matches(event, name)
