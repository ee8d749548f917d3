"""The local node, announced and refuted, and the incarnations for that."""

from __future__ import annotations

from typing import Any

import pytest

from trioserf._swim.effects import (
    Broadcast,
    Refused,
    Refuted,
)
from trioserf._swim.refutation import (
    ALIVE_BAND,
    MAX_INCARNATION,
    STEP,
    SUSPECT_BAND,
    announce,
    next_incarnation,
    plausible_alive,
    plausible_suspect,
    refute,
    refute_implausible,
    wrapped_incarnation,
)

from .builders import (
    alive,
    ip,
    kinds,
    new_table,
    node,
    probed,
    sent,
    state,
    suspect,
    the,
)


def test_an_announcement_has_the_local_node_under_its_name() -> None:
    local = node("a", incarnation=3, meta=b"m")

    def finished() -> None: ...

    broadcast = announce(local, finished)
    assert [alive("a", 3, meta=b"m")] == sent([broadcast])
    assert ("a", True, finished) == (broadcast.key, broadcast.local, broadcast.on_finished)


def test_a_refutation_has_a_higher_incarnation_and_raises_the_health_score() -> None:
    local = node("a", incarnation=3, meta=b"m")
    effects = refute(local, 7, faithful=False)
    assert ["Refuted", "Broadcast"] == kinds(effects)
    assert Refuted(8) == effects[0]
    assert [alive("a", 8, meta=b"m")] == sent(effects)
    assert 8 == local.incarnation


def test_a_refutation_of_a_lower_incarnation_still_counts_on() -> None:
    local = node("a", incarnation=9)
    refute(local, 7, faithful=False)
    assert 10 == local.incarnation


def test_at_the_end_of_the_range_the_incarnation_stays_and_wraps_in_go() -> None:
    local = node("a", incarnation=MAX_INCARNATION)
    refute(local, MAX_INCARNATION, faithful=False)
    assert MAX_INCARNATION == local.incarnation
    local = node("a", incarnation=3)
    refute(local, MAX_INCARNATION, faithful=True)
    assert 0 == local.incarnation


def test_an_implausible_message_is_refuted_with_the_next_incarnation() -> None:
    local = node("a", incarnation=3)
    effects = refute_implausible(local, MAX_INCARNATION)
    assert "implausible incarnation 4294967295 of the local node" == the(Refused, effects).reason
    assert "a" == the(Broadcast, effects).key
    assert [alive("a", 4)] == sent(effects)


MAPPED = bytes(10) + b"\xff\xff"

MAPPED = bytes(10) + b"\xff\xff"


# --- the local node -----------------------------------------------------------------------


def test_messages_of_the_local_node_come_back_stale() -> None:
    table = new_table()
    table.update_local(0.0, b"m")
    table.update_local(0.0, b"n")
    assert [] == table.on_alive(alive("a", 2, meta=b"m"), 1.0)
    assert [] == table.on_alive(alive("a", 3, meta=b"n"), 1.0)


@pytest.mark.parametrize(
    "fields",
    [
        {"incarnation": 1, "meta": b"m"},
        {"incarnation": 1, "versions": bytes((1, 5, 3, 2, 5, 4))},
        {"incarnation": 7},
        {"incarnation": 7, "meta": b"m"},
    ],
)
def test_a_newer_alive_message_about_the_local_node_is_refuted(fields: dict[str, Any]) -> None:
    table = new_table()
    effects = table.on_alive(alive("a", **fields), 1.0)
    following = fields["incarnation"] + 1
    assert Refuted(following) == the(Refuted, effects)
    assert [alive("a", following)] == sent(effects)
    assert the(Broadcast, effects).local
    assert ("alive", following) == state(table, "a")
    assert b"" == table.local_node.meta


def test_a_refutation_replaces_what_is_queued_about_the_local_node() -> None:
    table = new_table()
    keys = {
        the(Broadcast, effects).key
        for effects in (
            table.update_local(0.0, b"m"),
            table.on_alive(alive("a", 9), 0.0),
            table.on_suspect(suspect("a", 12), 0.0),
            table.leave(0.0),
        )
    }
    assert {"a"} == keys


def test_after_leaving_alive_messages_about_the_local_node_are_ignored() -> None:
    table = new_table()
    table.on_alive(alive("a", 5, addr=ip("x")), 0.0)
    table.leave(0.0)
    for message in (alive("a", 9), alive("a", 9, addr=ip("x")), alive("a", 0)):
        assert [] == table.on_alive(message, 1.0)
    assert [] == probed(table, alive("a", 5, addr=ip("x")), True, 1.0)
    assert ("left", 1) == state(table, "a")


def test_a_malformed_message_about_the_local_node_is_refused() -> None:
    assert ["Refused"] == kinds(new_table().on_alive(alive("a", 9, versions=None), 1.0))


# --- incarnations -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "refuted", "following"), [(1, 0, 2), (1, 1, 2), (1, 7, 8), (9, 7, 10)]
)
def test_the_next_incarnation_is_above_the_present_and_the_refuted_one(
    local: int, refuted: int, following: int
) -> None:
    assert following == next_incarnation(local, refuted) == wrapped_incarnation(local, refuted)


def test_the_last_incarnation_does_not_wrap() -> None:
    assert MAX_INCARNATION == next_incarnation(MAX_INCARNATION - 1)
    assert MAX_INCARNATION == next_incarnation(MAX_INCARNATION)
    assert MAX_INCARNATION == next_incarnation(3, MAX_INCARNATION)


def test_the_last_incarnation_wraps_in_go() -> None:
    assert 0 == wrapped_incarnation(MAX_INCARNATION)
    assert 0 == wrapped_incarnation(3, MAX_INCARNATION)


@pytest.mark.parametrize("known", [0, 1, 1000])
def test_below_the_band_every_jump_is_plausible(known: int) -> None:
    assert plausible_suspect(SUSPECT_BAND - 1, known)
    assert plausible_alive(ALIVE_BAND - 1, known)


def test_in_the_band_only_short_steps_are_plausible() -> None:
    assert not plausible_suspect(SUSPECT_BAND, 1)
    assert not plausible_alive(ALIVE_BAND, 1)
    for known in (SUSPECT_BAND, ALIVE_BAND, MAX_INCARNATION - 2 * STEP):
        assert plausible_suspect(known + STEP, known)
        assert not plausible_suspect(known + STEP + 1, known)
    assert plausible_alive(ALIVE_BAND + STEP, ALIVE_BAND)
    assert not plausible_alive(ALIVE_BAND + STEP + 1, ALIVE_BAND)


def test_the_refutation_of_the_highest_plausible_suspicion_is_plausible_to_all() -> None:
    refutation = next_incarnation(1, SUSPECT_BAND - 1)
    assert plausible_alive(refutation, 1)


def test_a_single_forged_message_cannot_bring_a_node_near_the_end() -> None:
    local = 1
    forged = 0
    while local < MAX_INCARNATION:
        local = next_incarnation(local, min(max(SUSPECT_BAND - 1, local + STEP), MAX_INCARNATION))
        forged += 1
    assert forged > 10_000
