from __future__ import annotations

from trioserf._swim.effects import Broadcast, Refused, Refuted
from trioserf._swim.incarnations import MAX_INCARNATION
from trioserf._swim.refutation import announce, refute, refute_implausible

from .builders import alive, kinds, node, sent, the


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
