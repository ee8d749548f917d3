"""Intents about nodes that are not members yet."""

from __future__ import annotations

from trioserf._cluster.intents import MAX_RECENT_INTENTS, UNKNOWN_BURST, UNKNOWN_RATE, RecentIntents

from .samples import stored


def test_an_empty_store_finds_nothing() -> None:
    """Checklist 63."""
    intents = RecentIntents()
    assert intents.get("foo") is None
    assert 0 == len(intents)


def test_only_a_newer_intent_replaces_the_stored_one() -> None:
    """Checklist 63."""
    intents = RecentIntents()
    assert intents.upsert("foo", "join", 1, now=0.0)
    assert ("join", 1) == stored(intents, "foo")
    assert intents.upsert("bar", "leave", 2, now=0.0)
    assert ("leave", 2) == stored(intents, "bar")

    assert intents.upsert("foo", "leave", 2, now=0.0)
    assert ("leave", 2) == stored(intents, "foo")

    assert not intents.upsert("foo", "join", 2, now=0.0)
    assert not intents.upsert("foo", "join", 1, now=0.0)
    assert ("leave", 2) == stored(intents, "foo")


def test_a_stored_intent_has_its_kind() -> None:
    """Checklist 63."""
    intents = RecentIntents()
    intents.upsert("foo", "join", 5, now=0.0)
    assert ("join", 5) == stored(intents, "foo")


def test_intents_expire_by_their_own_stamp() -> None:
    """Checklist 64."""
    intents = RecentIntents()
    intents.upsert("old", "leave", 1, now=0.0)
    intents.upsert("equal", "leave", 1, now=1.0)
    intents.upsert("new", "join", 1, now=2.0)
    intents.expire(now=8.0, timeout=7.0)
    assert intents.get("old") is None
    assert ("leave", 1) == stored(intents, "equal")
    assert ("join", 1) == stored(intents, "new")


def test_a_dropped_intent_is_gone() -> None:
    intents = RecentIntents()
    intents.upsert("foo", "join", 5, now=0.0)
    intents.drop("foo")
    intents.drop("foo")
    assert 0 == len(intents)


def test_a_full_store_drops_what_was_stored_first() -> None:
    intents = RecentIntents()
    for number in range(MAX_RECENT_INTENTS):
        intents.upsert(str(number), "join", 1, now=0.0)
    # A newer intent about a known name takes no further place, and is as if stored now.
    intents.upsert("0", "leave", 2, now=0.0)
    assert MAX_RECENT_INTENTS == len(intents)
    intents.upsert("another", "join", 1, now=0.0)
    assert MAX_RECENT_INTENTS == len(intents)
    assert intents.get("1") is None
    assert ("leave", 2) == stored(intents, "0")
    assert ("join", 1) == stored(intents, "another")


def test_go_keeps_intents_without_a_bound() -> None:
    intents = RecentIntents(faithful=True)
    for number in range(MAX_RECENT_INTENTS + 10):
        intents.upsert(str(number), "join", 1, now=0.0)
    assert MAX_RECENT_INTENTS + 10 == len(intents)
    assert all(intents.take_unknown(0.0) for _ in range(2 * UNKNOWN_BURST))


def test_intents_of_gossip_are_rate_limited() -> None:
    intents = RecentIntents()
    assert UNKNOWN_BURST == sum(intents.take_unknown(5.0) for _ in range(2 * UNKNOWN_BURST))
    assert UNKNOWN_RATE == sum(intents.take_unknown(6.0) for _ in range(2 * UNKNOWN_BURST))
    assert not intents.take_unknown(6.0)
