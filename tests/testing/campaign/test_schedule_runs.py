"""Faults of links overlap, and leave nothing behind."""

from __future__ import annotations

from trioserf.testing import Link, SimNetwork
from trioserf.testing.campaign.schedule_runs import LinkFaults

A, B = "10.0.0.1", "10.0.0.2"
USUAL = Link(latency=0.01)


def test_links_are_what_the_faults_of_the_moment_make_them() -> None:
    network = SimNetwork()
    faults = LinkFaults(network, USUAL)
    with faults.lasting((), {"loss": 0.1}):
        with faults.lasting((A,), {"corrupt": 0.2}):
            assert Link(latency=0.01, loss=0.1, corrupt=0.2) == network.link(A, B)
            assert Link(latency=0.01, loss=0.1) == network.link(B, A)
        assert Link(latency=0.01, loss=0.1) == network.link(A, B)
    assert USUAL == network.link(A, B) == network.link(B, A)


def test_the_first_to_end_need_not_be_the_last_that_began() -> None:
    network = SimNetwork()
    faults = LinkFaults(network, USUAL)
    first, second = faults.lasting((A,), {"loss": 0.1}), faults.lasting((A, B), {"loss": 0.3})
    first.__enter__()
    second.__enter__()
    assert 0.3 == network.link(A, B).loss
    first.__exit__(None, None, None)
    assert 0.3 == network.link(A, B).loss == network.link(B, A).loss
    second.__exit__(None, None, None)
    assert USUAL == network.link(A, B) == network.link(B, A)
