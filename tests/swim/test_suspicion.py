from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._swim.suspicion import Suspicion, Suspicions


def suspicion(
    wanted: int = 2, shortest: float = 4.0, longest: float = 24.0, started: float = 0.0
) -> Suspicion:
    return Suspicion(
        from_node="first", started=started, wanted=wanted, shortest=shortest, longest=longest
    )


@pytest.mark.parametrize(
    ("wanted", "shortest", "longest", "deadlines"),
    [
        (2, 4.0, 24.0, [24.0, 11.381, 4.0]),
        (3, 2.0, 30.0, [30.0, 16.0, 7.81, 2.0]),
    ],
)
def test_confirmations_shorten_the_wait_on_a_logarithmic_scale(
    wanted: int, shortest: float, longest: float, deadlines: list[float]
) -> None:
    running = suspicion(wanted, shortest, longest)
    seen = [running.deadline]
    for name in "xyz"[:wanted]:
        assert running.confirm(name)
        seen.append(running.deadline)
    assert deadlines == seen


def test_the_wait_counts_from_the_start() -> None:
    running = suspicion(started=100.0)
    assert (100.0, 124.0) == (running.started, running.deadline)
    running.confirm("x")
    assert 111.381 == running.deadline


@pytest.mark.parametrize("wanted", [0, -1])
def test_without_wanted_confirmations_the_wait_is_the_shortest(wanted: int) -> None:
    running = suspicion(wanted)
    assert 4.0 == running.deadline
    assert not running.confirm("x")
    assert not running.degraded


def test_each_accuser_counts_once_and_the_first_never_confirms() -> None:
    running = suspicion(wanted=3)
    assert not running.confirm("first")
    assert running.confirm("x")
    assert not running.confirm("x")
    assert 1 == running.confirmations
    assert ("first", "x") == running.from_nodes


def test_confirmations_beyond_the_wanted_ones_are_no_news() -> None:
    running = suspicion(wanted=1)
    assert running.degraded
    assert running.confirm("x")
    assert not running.degraded
    assert not running.confirm("y")
    assert ("first", "x") == running.from_nodes


@given(
    wanted=st.integers(0, 8),
    shortest=st.floats(0.001, 100),
    factor=st.floats(1, 10),
    names=st.lists(st.sampled_from("abcdefghijk"), max_size=20),
)
def test_the_deadline_only_comes_nearer_and_never_below_the_shortest_wait(
    wanted: int, shortest: float, factor: float, names: list[str]
) -> None:
    running = suspicion(wanted, shortest, shortest * factor)
    before = running.deadline
    for name in names:
        running.confirm(name)
        assert shortest <= running.deadline <= before
        before = running.deadline
    assert running.confirmations <= wanted


def test_an_empty_book_has_no_deadline() -> None:
    book = Suspicions()
    assert math.inf == book.next_deadline()
    assert book.pop_due(math.inf) is None
    assert book.get("b") is None
    book.drop("b")
    assert 0 == len(book)


def test_the_book_gives_suspicions_in_the_order_of_their_deadlines() -> None:
    book = Suspicions()
    late, early = suspicion(started=10.0), suspicion(started=5.0)
    book.add("late", late)
    book.add("early", early)
    assert 2 == len(book)
    assert 29.0 == book.next_deadline()
    assert book.pop_due(28.9) is None
    assert ("early", early) == book.pop_due(34.0)
    assert ("late", late) == book.pop_due(34.0)
    assert math.inf == book.next_deadline()


def test_a_dropped_suspicion_never_fires() -> None:
    book = Suspicions()
    book.add("b", suspicion())
    book.drop("b")
    assert math.inf == book.next_deadline()
    assert book.pop_due(1000.0) is None


def test_a_confirmed_suspicion_fires_once_and_earlier() -> None:
    book = Suspicions()
    running = suspicion()
    book.add("b", running)
    running.confirm("x")
    book.rearm("b", running)
    assert 11.381 == book.next_deadline()
    assert ("b", running) == book.pop_due(11.381)
    assert book.pop_due(1000.0) is None


def test_a_new_suspicion_about_the_same_node_is_not_hastened_by_the_old_one() -> None:
    book = Suspicions()
    book.add("b", suspicion(started=0.0))
    book.drop("b")
    second = suspicion(started=10.0)
    book.add("b", second)
    assert 34.0 == book.next_deadline()
    assert book.pop_due(24.0) is None
    assert book.get("b") is second


def test_suspicions_are_counted_and_those_that_their_nodes_ended() -> None:
    book = Suspicions()
    for name in "abc":
        book.add(name, Suspicion(from_node="x", started=0.0, wanted=0, shortest=1.0, longest=1.0))
    book.refute("a")
    book.refute("a")
    book.drop("b")
    assert book.pop_due(2.0) is not None
    assert (3, 1, 0) == (book.begun, book.refuted, len(book))
