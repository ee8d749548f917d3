"""Who is forgotten, and who is tried again."""

from __future__ import annotations

import random

from trioserf._cluster.reaping import choose_reconnect, overdue
from trioserf._cluster.records import Record
from trioserf._events import Member, MemberStatus

from .samples import member


def gone(name: str, at: float) -> Record:
    return Record(member(name, MemberStatus.LEFT), leave_time=at)


def names(records: list[Record]) -> list[str]:
    return [record.member.name for record in records]


def test_only_records_over_the_timeout_are_overdue() -> None:
    """Checklist 67."""
    records = [gone("now", 10.0), gone("5 s", 5.0), gone("equal", 4.0), gone("10 s", 0.0)]
    assert ["10 s"] == names(overdue(records, now=10.0, timeout=6.0))


def test_an_override_decides_for_each_member() -> None:
    """Checklist 48."""
    asked: list[tuple[str, float]] = []

    def override(one: Member, timeout: float) -> float:
        asked.append((one.name, timeout))
        return 0.000001 if one.name == "quick" else timeout

    records = [gone("quick", 9.0), gone("slow", 9.0)]
    assert ["quick"] == names(overdue(records, 10.0, 30.0, override))
    assert [("quick", 30.0), ("slow", 30.0)] == asked


class Draw(random.Random):
    """A source whose share of one is always the same."""

    def __init__(self, share: float) -> None:
        super().__init__(1)
        self.share = share

    def random(self) -> float:
        return self.share


def test_without_failed_members_there_is_no_reconnect() -> None:
    assert choose_reconnect(Draw(0.0), num_members=5, failed=(), num_left=0) is None


def test_a_draw_of_exactly_the_chance_is_a_try() -> None:
    failed = [member("a", MemberStatus.FAILED)]
    assert failed[0] is choose_reconnect(Draw(0.25), num_members=5, failed=failed, num_left=0)
    assert choose_reconnect(Draw(0.26), num_members=5, failed=failed, num_left=0) is None


def test_a_node_that_knows_nobody_up_but_itself_always_tries() -> None:
    failed = [member("a", MemberStatus.FAILED)]
    assert failed[0] is choose_reconnect(Draw(0.99), num_members=2, failed=failed, num_left=0)


def test_every_failed_member_is_chosen_sometimes() -> None:
    failed = [member(name, MemberStatus.FAILED) for name in "abc"]
    rng = random.Random(1)
    chosen = [choose_reconnect(rng, num_members=3, failed=failed, num_left=0) for _ in range(99)]
    assert set("abc") == {one.name for one in chosen if one is not None}
    assert None not in chosen


def test_the_chance_of_a_try_is_failed_over_those_that_are_up() -> None:
    failed = [member("a", MemberStatus.FAILED)]
    rng = random.Random(1)
    tries = [choose_reconnect(rng, num_members=13, failed=failed, num_left=2) for _ in range(5000)]
    share = sum(one is not None for one in tries) / len(tries)
    assert 0.08 < share < 0.12
