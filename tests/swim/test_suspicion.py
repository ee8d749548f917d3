from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._swim.nodes import Suspicions
from trioserf._swim.suspicion import Suspicion


def suspicion(
    k: int = 2, min_timeout: float = 4.0, max_timeout: float = 24.0, started: float = 0.0
) -> Suspicion:
    return Suspicion(
        from_node="first", started=started, k=k, min_timeout=min_timeout, max_timeout=max_timeout
    )


@pytest.mark.parametrize(
    ("k", "min_timeout", "max_timeout", "deadlines"),
    [
        (2, 4.0, 24.0, [24.0, 11.381, 4.0]),
        (3, 2.0, 30.0, [30.0, 16.0, 7.81, 2.0]),
    ],
)
def test_confirmations_shorten_the_timeout_on_a_logarithmic_scale(
    k: int, min_timeout: float, max_timeout: float, deadlines: list[float]
) -> None:
    running = suspicion(k, min_timeout, max_timeout)
    seen = [running.deadline]
    for name in "xyz"[:k]:
        assert running.confirm(name)
        seen.append(running.deadline)
    assert deadlines == seen


def test_the_timeout_counts_from_the_start() -> None:
    running = suspicion(started=100.0)
    assert (100.0, 124.0) == (running.started, running.deadline)
    running.confirm("x")
    assert 111.381 == running.deadline


@pytest.mark.parametrize("k", [0, -1])
def test_without_wanted_confirmations_the_timeout_is_the_minimum(k: int) -> None:
    running = suspicion(k)
    assert 4.0 == running.deadline
    assert not running.confirm("x")
    assert not running.degraded


def test_each_node_counts_once_and_the_first_never_confirms() -> None:
    running = suspicion(k=3)
    assert not running.confirm("first")
    assert running.confirm("x")
    assert not running.confirm("x")
    assert 1 == running.confirmations
    assert ["first", "x"] == running.from_nodes


def test_confirmations_beyond_k_change_nothing() -> None:
    running = suspicion(k=1)
    assert running.degraded
    assert running.confirm("x")
    assert not running.degraded
    assert not running.confirm("y")
    assert ["first", "x"] == running.from_nodes


@given(
    k=st.integers(0, 8),
    min_timeout=st.floats(0.001, 100),
    factor=st.floats(1, 10),
    names=st.lists(st.sampled_from("abcdefghijk"), max_size=20),
)
def test_the_deadline_only_comes_nearer_and_never_below_the_minimum(
    k: int, min_timeout: float, factor: float, names: list[str]
) -> None:
    running = suspicion(k, min_timeout, min_timeout * factor)
    before = running.deadline
    for name in names:
        running.confirm(name)
        assert min_timeout <= running.deadline <= before
        before = running.deadline
    assert running.confirmations <= k


def test_without_suspicions_there_is_no_deadline() -> None:
    suspicions = Suspicions()
    assert math.inf == suspicions.next_deadline()
    assert suspicions.pop_due(math.inf) is None
    assert suspicions.get("b") is None
    suspicions.drop("b")
    assert 0 == len(suspicions)


def test_suspicions_end_in_the_order_of_their_deadlines() -> None:
    suspicions = Suspicions()
    late, early = suspicion(started=10.0), suspicion(started=5.0)
    suspicions.add("late", late)
    suspicions.add("early", early)
    assert 2 == len(suspicions)
    assert 29.0 == suspicions.next_deadline()
    assert suspicions.pop_due(28.9) is None
    assert ("early", early) == suspicions.pop_due(34.0)
    assert ("late", late) == suspicions.pop_due(34.0)
    assert math.inf == suspicions.next_deadline()


def test_a_dropped_suspicion_never_fires() -> None:
    suspicions = Suspicions()
    suspicions.add("b", suspicion())
    suspicions.drop("b")
    assert math.inf == suspicions.next_deadline()
    assert suspicions.pop_due(1000.0) is None


def test_a_confirmed_suspicion_fires_once_and_earlier() -> None:
    suspicions = Suspicions()
    running = suspicion()
    suspicions.add("b", running)
    running.confirm("x")
    suspicions.rearm("b", running)
    assert 11.381 == suspicions.next_deadline()
    assert ("b", running) == suspicions.pop_due(11.381)
    assert suspicions.pop_due(1000.0) is None


def test_a_new_suspicion_about_the_same_node_is_not_shortened_by_the_old_one() -> None:
    suspicions = Suspicions()
    suspicions.add("b", suspicion(started=0.0))
    suspicions.drop("b")
    second = suspicion(started=10.0)
    suspicions.add("b", second)
    assert 34.0 == suspicions.next_deadline()
    assert suspicions.pop_due(24.0) is None
    assert suspicions.get("b") is second


def test_suspicions_are_counted_and_those_that_were_refuted() -> None:
    suspicions = Suspicions()
    for name in "abc":
        suspicions.add(
            name, Suspicion(from_node="x", started=0.0, k=0, min_timeout=1.0, max_timeout=1.0)
        )
    suspicions.refute("a")
    suspicions.refute("a")
    suspicions.drop("b")
    assert suspicions.pop_due(2.0) is not None
    assert (3, 1, 0) == (suspicions.begun, suspicions.refuted, len(suspicions))
