from __future__ import annotations

from trioserf._swim.effects import Broadcast, Refused, Refuted
from trioserf._swim.incarnations import MAX_INCARNATION
from trioserf._swim.refutation import announce, refute, refute_implausible

from .builders import alive, kinds, node, said, the


def test_an_announcement_tells_what_we_are_under_our_name() -> None:
    local = node("a", incarnation=3, meta=b"m")

    def finished() -> None: ...

    broadcast = announce(local, finished)
    assert [alive("a", 3, meta=b"m")] == said([broadcast])
    assert ("a", True, finished) == (broadcast.key, broadcast.local, broadcast.on_finished)


def test_a_refutation_outbids_the_accusation_and_worsens_our_health() -> None:
    local = node("a", incarnation=3, meta=b"m")
    effects = refute(local, 7, faithful=False)
    assert ["Refuted", "Broadcast"] == kinds(effects)
    assert Refuted(8) == effects[0]
    assert [alive("a", 8, meta=b"m")] == said(effects)
    assert 8 == local.incarnation


def test_a_refutation_of_an_old_accusation_still_counts_on() -> None:
    local = node("a", incarnation=9)
    refute(local, 7, faithful=False)
    assert 10 == local.incarnation


def test_at_the_end_of_the_range_we_stay_and_go_wraps() -> None:
    local = node("a", incarnation=MAX_INCARNATION)
    refute(local, MAX_INCARNATION, faithful=False)
    assert MAX_INCARNATION == local.incarnation
    local = node("a", incarnation=3)
    refute(local, MAX_INCARNATION, faithful=True)
    assert 0 == local.incarnation


def test_a_dismissed_accusation_is_answered_by_an_ordinary_new_life() -> None:
    local = node("a", incarnation=3)
    effects = refute_implausible(local, MAX_INCARNATION)
    assert "implausible incarnation 4294967295 of ourselves" == the(Refused, effects).reason
    assert "a" == the(Broadcast, effects).key
    assert [alive("a", 4)] == said(effects)
