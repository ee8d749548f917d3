"""The runs of the papers: the formula, the message load, and parts that are put back."""

from __future__ import annotations

import pytest

from benchmarks.papers import convergence, swim
from benchmarks.papers.without import no_buddies, no_suspicion
from trioserf._swim import suspect_rules
from trioserf._swim.probing import ProbeRound
from trioserf.testing.determinism import run


@pytest.mark.parametrize(
    ("n", "seconds"), [(30, (0.6, 1.2, 1.8)), (1000, (1.0, 1.6, 2.2)), (100_000, (1.6, 2.2, 2.8))]
)
def test_the_formula_gives_the_figures_of_serfs_simulator(
    n: int, seconds: tuple[float, float, float]
) -> None:
    found = tuple(convergence.formula(n, 0.0, share) for share in (0.5, 0.99, 0.9999))
    assert pytest.approx(seconds) == found


@pytest.mark.slow
def test_a_member_sends_two_packets_in_a_period() -> None:
    assert pytest.approx(2.0, abs=0.1) == run(1, swim.load, 8, 10)


def test_what_a_run_takes_out_is_put_back() -> None:
    before = suspect_rules.suspicion_timeout, ProbeRound.first_messages
    with no_suspicion(), no_buddies():
        assert before != (suspect_rules.suspicion_timeout, ProbeRound.first_messages)
        assert 0.0 == suspect_rules.suspicion_timeout(4, 100, 1.0)
    assert before == (suspect_rules.suspicion_timeout, ProbeRound.first_messages)
