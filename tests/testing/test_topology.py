"""Who reaches whom, over which link."""

from __future__ import annotations

import pytest

from trioserf.testing import Link
from trioserf.testing.topology import Topology

DEFAULT, SLOW, SLOWER, SLOWEST = (Link(latency=seconds) for seconds in (0.1, 1.0, 2.0, 3.0))


def test_the_nearest_rule_wins() -> None:
    topology = Topology(DEFAULT)
    assert DEFAULT is topology.link("a", "b")
    topology.set_link(None, "b", SLOW)
    assert SLOW is topology.link("a", "b")
    topology.set_link("a", None, SLOWER)
    assert SLOWER is topology.link("a", "b")
    topology.set_link("a", "b", SLOWEST)
    assert SLOWEST is topology.link("a", "b")
    assert SLOWER is topology.link("a", "c")
    assert DEFAULT is topology.link("b", "a")
    topology.set_link("a", "b", None)
    assert SLOWER is topology.link("a", "b")


def test_everybody_to_everybody_is_the_default() -> None:
    topology = Topology(DEFAULT)
    topology.set_link(None, None, SLOW)
    assert SLOW is topology.default is topology.link("a", "b")
    topology.set_link(None, None, None)
    assert Link() == topology.default


def test_a_change_starts_from_the_link_in_force() -> None:
    topology = Topology(SLOW)
    topology.change_link(["a", "b"], "c", loss=0.5)
    topology.change_link("a", "c", duplicate=0.25)
    link = topology.link("a", "c")
    assert (SLOW.latency, 0.5, 0.25) == (link.latency, link.loss, link.duplicate)
    topology.change_link("d", None, loss=0.1)
    topology.change_link("d", None, corrupt=0.2)
    assert (0.1, 0.2) == (topology.link("d", "x").loss, topology.link("d", "x").corrupt)


def test_cuts_have_a_direction_and_may_name_everybody() -> None:
    topology = Topology(DEFAULT)
    topology.cut("a", None)
    topology.cut(None, "b")
    assert [True, True, False, False] == [
        topology.blocked("a", "x"),
        topology.blocked("x", "b"),
        topology.blocked("x", "a"),
        topology.blocked("b", "x"),
    ]
    topology.mend("a", None)
    topology.mend(None, "b")
    assert not topology.divided
    topology.cut(None, None)
    assert topology.blocked("x", "y")


def test_a_host_is_never_cut_off_from_itself() -> None:
    topology = Topology(DEFAULT)
    topology.cut(None, None)
    assert not topology.blocked("a", "a")


def test_hosts_outside_of_all_groups_are_one_more_group() -> None:
    topology = Topology(DEFAULT)
    topology.partition([["a", "b"], "c"])
    assert not topology.blocked("a", "b")
    assert topology.blocked("a", "c")
    assert topology.blocked("c", "x")
    assert not topology.blocked("x", "y")
    topology.heal()
    assert not topology.blocked("a", "c")


def test_a_host_belongs_to_one_group() -> None:
    with pytest.raises(ValueError, match="a is in two groups"):
        Topology(DEFAULT).partition([["a"], ["b", "a"]])
