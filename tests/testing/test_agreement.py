"""Whether nodes agree, from views made by hand; and the bound, which follows the settings."""

from __future__ import annotations

from ipaddress import ip_address

import attrs
import pytest

from trioserf import Config, Member, MemberStatus
from trioserf.testing.agreement import Agreement, agreement_bound, alive_names

ALIVE, FAILED = MemberStatus.ALIVE, MemberStatus.FAILED
TAGS = {"role": "web"}
LAN = Config.lan(node_name="x")


def member(name: str, status: MemberStatus = ALIVE, role: str = "web") -> Member:
    return Member(
        name=name, addr=ip_address("10.0.0.1"), port=1, status=status, tags={"role": role}
    )


def agreement(**views: list[Member]) -> Agreement:
    return Agreement({name: lambda name=name: views[name] for name in views}, lambda name: TAGS)  # type: ignore[misc]


def test_nodes_that_see_each_other_alive_agree() -> None:
    both = [member("a"), member("b"), member("gone", FAILED)]
    assert agreement(a=both, b=both).reached()


def test_each_kind_of_disagreement_is_put_into_words() -> None:
    found = agreement(
        a=[member("a"), member("b", FAILED), member("c", role="old")],
        b=[member("a"), member("b"), member("c"), member("unknown")],
        c=[member("a"), member("c")],
    )
    assert not found.reached()
    expected = [
        "a sees b failed",
        "a sees old tags of c",
        "b still sees unknown alive",
        "c does not know b",
    ]
    assert expected == found.complaints()
    assert "; ".join(expected) == found.summary()


def test_a_long_list_is_cut_short() -> None:
    names = "abcdefghij"
    found = agreement(**{name: [] for name in names})
    assert found.summary().endswith(" and 95 more")


def test_a_node_that_changes_its_mind_is_noticed() -> None:
    views = {"a": [member("a"), member("b")], "b": [member("b")]}
    found = agreement(**views)
    assert not found.reached()
    views["b"].append(member("a"))
    views["a"].pop()
    assert not found.reached()
    views["a"].append(member("b"))
    assert found.reached()
    assert found.reached()


def test_a_node_that_agreed_too_early_is_asked_again() -> None:
    every = [member("a"), member("b"), member("c")]
    views = {"a": every, "b": [member("b")], "c": list(every)}
    found = agreement(**views)
    assert not found.reached()  # c agreed, b did not
    views["b"][:] = every
    views["c"].pop()
    assert not found.reached()


def test_only_the_alive_are_alive() -> None:
    every = [attrs.evolve(member("x"), name=status.name, status=status) for status in MemberStatus]
    assert {"ALIVE"} == alive_names(every)


def test_the_parts_of_the_bound_are_those_of_a_local_network() -> None:
    bound = agreement_bound(LAN, 3)
    # 2n - 1 = 5 intervals of 1 s, stretched 8 times; twice 6 * 4 s; 4 transmissions each 0.2 s.
    assert 40.0 == bound.probing
    assert 48.0 == bound.suspicion
    assert 0.0 == bound.reunion
    assert pytest.approx(0.8 + 3 * 30.0) == bound.spreading
    assert bound.probing + bound.suspicion + bound.spreading == bound.total


def test_partitions_loss_and_size_make_it_longer() -> None:
    plain = agreement_bound(LAN, 30)
    assert agreement_bound(LAN, 30, parted=True).reunion > 0
    assert agreement_bound(LAN, 30, loss=0.3).spreading > plain.spreading
    assert agreement_bound(LAN, 200).total > plain.total
    assert agreement_bound(LAN, 200, risk=0.01).total < agreement_bound(LAN, 200).total


def test_without_a_healer_reunion_takes_longer() -> None:
    go = Config.lan(node_name="x", memberlist=LAN.memberlist.__class__(faithful_go=True))
    trioserf, faithful = (agreement_bound(config, 3, parted=True).reunion for config in (LAN, go))
    assert pytest.approx(2 * trioserf) == faithful
