"""When refusal declares a node dead: evidence, twice, corroboration, time to refute."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.swim import builders
from trioserf._config import MemberlistConfig
from trioserf._swim.effects import SHORT_DELAY, Applied, Broadcast
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._swim.refusal import (
    ALONE_FACTOR,
    MAX_CHECKS,
    MOST_CHECKS,
    TOO_LATE,
    PortCheck,
    RefusalRound,
    Step,
)

GRACE = 0.5


def begin(*, alone: bool = False, rtt: float | None = 0.001, grace: float = GRACE) -> RefusalRound:
    node = builders.node("b", incarnation=4)
    node.rtt = rtt
    config = MemberlistConfig(name="a", refusal_grace=grace)
    return RefusalRound(node, local="a", now=100.0, config=config, alone=alone)


def steps(round: RefusalRound, now: float) -> list[Step]:
    """The steps until the round waits, checks, or is over."""
    taken = []
    while True:
        step = round.next_step(now)
        taken.append(step)
        if step not in (Step.ASK, Step.SUSPECT):
            return taken


def refused(round: RefusalRound, now: float) -> list[Step]:
    """A port check that was refused, and what follows."""
    round.checked(PortCheck.REFUSED, now)
    return steps(round, now)


def test_a_crash_is_declared_after_the_second_check() -> None:
    round = begin()
    assert [Step.CHECK] == steps(round, 100.0)
    assert [Step.ASK, Step.WAIT] == refused(round, 100.001)
    round.corroborated("c")
    assert [Step.SUSPECT, Step.WAIT] == steps(round, 100.003)
    assert [Step.ASK, Step.WAIT] == steps(round, round.wake_at)
    assert pytest.approx(100.003 + GRACE) == round.wake_at
    assert [Step.WAIT] == steps(round, 100.5)
    assert [Step.CHECK] == steps(round, 100.503)
    assert [Step.DECLARE_DEAD] == refused(round, 100.504)
    report = round.report()
    assert ("a", "c") == report.seen_by
    assert "its host refuses its ports, seen by a and c" == str(report)


def test_half_way_to_the_next_check_more_nodes_are_asked() -> None:
    round = begin()
    refused(round, 100.0)
    assert [Step.WAIT] == steps(round, 100.2)
    assert [Step.ASK, Step.WAIT] == steps(round, 100.25)
    assert [Step.WAIT] == steps(round, 100.4)


def test_without_corroboration_the_round_ends_and_says_so() -> None:
    round, now, checks = begin(), 100.0, 0
    while (step := round.next_step(now)) is not Step.END:
        assert step not in (Step.SUSPECT, Step.DECLARE_DEAD)
        if step is Step.CHECK:
            checks += 1
            round.checked(PortCheck.REFUSED, now)
        elif step is Step.WAIT:
            now = round.wake_at
    assert MAX_CHECKS == checks
    assert round.uncorroborated
    assert "no other node was refused" == round.ended


def test_two_nodes_alone_check_for_longer() -> None:
    round = begin(alone=True)
    assert [Step.SUSPECT, Step.WAIT] == refused(round, 100.0)
    for number in range(1, ALONE_FACTOR):
        assert [Step.WAIT] == refused(round, 100.0 + number * GRACE)
    assert [Step.DECLARE_DEAD] == refused(round, 100.0 + ALONE_FACTOR * GRACE)


def test_the_suspect_has_its_time_to_refute_however_late_another_was_refused() -> None:
    round = begin()
    refused(round, 100.0)
    refused(round, 100.5)
    round.corroborated("c")
    assert Step.SUSPECT in steps(round, 100.6)
    assert Step.CHECK not in [*steps(round, 100.9), *steps(round, 101.0)]
    assert [Step.CHECK] == steps(round, 101.1)
    assert [Step.DECLARE_DEAD] == refused(round, 101.1)


@pytest.mark.parametrize(
    ("grace", "rtt", "between"),
    [
        (0.5, 0.001, 0.5),
        (2.0, 0.001, 2.0),
        (0.0, None, 0.2),
        (0.0, 0.3, 1.2),
    ],
)
def test_the_time_between_checks_is_the_grace_or_some_round_trips(
    grace: float, rtt: float | None, between: float
) -> None:
    round = begin(grace=grace, rtt=rtt)
    round.corroborated("c")
    refused(round, 100.0)
    assert Step.CHECK not in steps(round, 100.0 + between - 0.001)
    assert Step.CHECK in steps(round, 100.0 + between + 1e-9)


def test_one_check_that_shows_less_than_both_begins_nothing() -> None:
    round = begin()
    round.checked(PortCheck.UNCLEAR, 100.0)
    assert [Step.END] == steps(round, 100.0)
    assert not round.uncorroborated


def test_a_check_in_between_that_shows_nothing_only_costs_time() -> None:
    round = begin()
    refused(round, 100.0)
    round.corroborated("c")
    steps(round, 100.0)
    round.checked(PortCheck.UNCLEAR, 100.5)
    assert Step.DECLARE_DEAD not in steps(round, 100.5)
    assert [Step.DECLARE_DEAD] == refused(round, 101.0)


def test_a_round_that_is_refused_too_seldom_ends() -> None:
    round, now, checks = begin(), 100.0, 0
    round.corroborated("c")
    while (step := round.next_step(now)) is not Step.END:
        if step is Step.CHECK:
            round.checked(PortCheck.UNCLEAR if checks else PortCheck.REFUSED, now)
            checks += 1
        elif step is Step.WAIT:
            now = round.wake_at
    assert MOST_CHECKS == checks
    assert not round.uncorroborated


def test_every_sign_of_life_ends_a_round() -> None:
    def answer(round: RefusalRound, node: Node) -> None:
        round.checked(PortCheck.ANSWERED, 100.5)

    def ack_elsewhere(round: RefusalRound, node: Node) -> None:
        round.sign_of_life("it answered c")

    def ping(round: RefusalRound, node: Node) -> None:
        node.pinged(100.2, "10.0.0.2")

    def refute(round: RefusalRound, node: Node) -> None:
        node.update(incarnation=5)

    def move(round: RefusalRound, node: Node) -> None:
        node.move(b"\x0a\x00\x00\x09", 7946)

    def leave(round: RefusalRound, node: Node) -> None:
        node.update(status=NodeStatus.LEFT)

    def ack_or_exchange(round: RefusalRound, node: Node) -> None:
        node.answered(100.2)

    signs = (answer, ack_elsewhere, ack_or_exchange, ping, refute, move, leave)
    for sign in signs:
        round = begin()
        node = round.node.copy()
        refused(round, 100.1)
        round.corroborated("c")
        steps(round, 100.1)
        round.on_record(node)
        assert "" == round.ended
        sign(round, node)
        round.on_record(node)
        assert round.ended, sign
        assert Step.DECLARE_DEAD not in refused(round, 100.7), sign
        assert not round.uncorroborated


def test_an_answer_to_the_last_check_is_no_lack_of_corroboration() -> None:
    """Else a node that restarts in place counts against the health of those who checked."""
    round, now, checks = begin(), 100.0, 0
    while (step := round.next_step(now)) is not Step.END:
        if step is Step.CHECK:
            checks += 1
            round.checked(PortCheck.ANSWERED if checks == MAX_CHECKS else PortCheck.REFUSED, now)
        elif step is Step.WAIT:
            now = round.wake_at
    assert MAX_CHECKS == checks
    assert "it answered" == round.ended
    assert not round.uncorroborated


def test_who_was_stopped_between_two_checks_begins_again() -> None:
    round = begin()
    refused(round, 100.0)
    round.corroborated("c")
    assert Step.SUSPECT in steps(round, 100.1)
    assert [Step.END] == refused(round, 100.6 + TOO_LATE + 0.5 + 0.1)
    assert "this node did not check in time" == round.ended
    assert not round.uncorroborated

    slow = begin()
    refused(slow, 100.0)
    slow.corroborated("c")
    steps(slow, 100.1)
    assert [Step.DECLARE_DEAD] == refused(slow, 100.6 + TOO_LATE)


def test_a_ping_from_before_the_refusal_is_no_sign_of_life() -> None:
    round = begin()
    node = round.node.copy()
    node.pinged(100.0, "10.0.0.2")
    refused(round, 100.1)
    round.on_record(node)
    assert "" == round.ended


def test_a_record_that_was_dropped_ends_a_round() -> None:
    round = begin()
    round.on_record(None)
    assert [Step.END] == steps(round, 100.0)


checks_drawn = st.lists(
    st.tuples(st.sampled_from(PortCheck), st.floats(0, 1.5), st.booleans()), max_size=20
)


@given(checks_drawn, st.booleans(), st.floats(0, 3))
def test_nothing_is_declared_dead_without_all_that_it_takes(
    checks: list[tuple[PortCheck, float, bool]], alone: bool, grace: float
) -> None:
    round = begin(alone=alone, grace=grace)
    now, first, others, suspected, answered = 100.0, math.inf, alone, math.inf, False
    for check, pause, corroborated in checks:
        now += pause
        step = round.next_step(now)
        if step is Step.SUSPECT:
            suspected = now
        if step is Step.DECLARE_DEAD:
            break
        round.checked(check, now)
        if check is PortCheck.REFUSED:
            first = min(first, now)
        answered = answered or check is PortCheck.ANSWERED
        if corroborated:
            round.corroborated("c")
            others = True
    else:
        return
    assert others
    assert not answered
    assert now - first >= grace * (ALONE_FACTOR if alone else 1)
    assert now - suspected >= grace


def test_a_declaration_needs_a_suspect_of_the_same_incarnation() -> None:
    table = builders.table_with("b")
    assert [] == table.declare_refused("b", 5, "why", 100.0)
    table.suspect_failed("b", 5, 100.0)
    assert [] == table.declare_refused("b", 4, "why", 100.0)
    assert [] == table.declare_refused("c", 5, "why", 100.0)
    effects = table.declare_refused("b", 5, "why", 100.0)
    assert NodeStatus.DEAD is table.nodes["b"].status
    assert "why" == builders.the(Applied, effects).why
    assert SHORT_DELAY == builders.the(Broadcast, effects).max_delay
