"""Intents about names that are not members yet."""

from __future__ import annotations

from trioserf._cluster.intents import MAX_RECENT_INTENTS, RecentIntents


def test_an_empty_store_finds_nothing() -> None:
    """Checklist 63."""
    intents = RecentIntents()
    assert intents.lookup("foo", "join") is None
    assert intents.lookup("foo", "leave") is None
    assert 0 == len(intents)


def test_only_a_newer_intent_replaces_the_stored_one() -> None:
    """Checklist 63."""
    intents = RecentIntents()
    assert intents.upsert("foo", "join", 1, now=0.0)
    assert 1 == intents.lookup("foo", "join")
    assert intents.upsert("bar", "leave", 2, now=0.0)
    assert 2 == intents.lookup("bar", "leave")

    assert intents.upsert("foo", "leave", 2, now=0.0)
    assert 2 == intents.lookup("foo", "leave")

    assert not intents.upsert("foo", "join", 2, now=0.0)
    assert not intents.upsert("foo", "join", 1, now=0.0)
    assert 2 == intents.lookup("foo", "leave")


def test_lookup_is_by_kind() -> None:
    """Checklist 63."""
    intents = RecentIntents()
    intents.upsert("foo", "join", 5, now=0.0)
    assert intents.lookup("foo", "leave") is None


def test_intents_expire_by_their_own_stamp() -> None:
    """Checklist 64."""
    intents = RecentIntents()
    intents.upsert("old", "leave", 1, now=0.0)
    intents.upsert("equal", "leave", 1, now=1.0)
    intents.upsert("new", "join", 1, now=2.0)
    intents.expire(now=8.0, timeout=7.0)
    assert intents.lookup("old", "leave") is None
    assert 1 == intents.lookup("equal", "leave")
    assert 1 == intents.lookup("new", "join")


def test_a_dropped_intent_is_gone() -> None:
    intents = RecentIntents()
    intents.upsert("foo", "join", 5, now=0.0)
    intents.drop("foo")
    intents.drop("foo")
    assert 0 == len(intents)


def test_a_full_store_drops_what_was_stored_first() -> None:
    intents = RecentIntents()
    for number in range(MAX_RECENT_INTENTS + 1):
        intents.upsert(str(number), "join", 1, now=0.0)
    assert MAX_RECENT_INTENTS == len(intents)
    assert intents.lookup("0", "join") is None
    assert 1 == intents.lookup("1", "join")
    # A newer intent about a known name takes no further place.
    intents.upsert("1", "leave", 2, now=0.0)
    assert MAX_RECENT_INTENTS == len(intents)
