"""Tables among each other: what the deliberate differences are worth, beside Go."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trioserf._swim.refutation import ALIVE_BAND, MAX_INCARNATION, SUSPECT_BAND
from trioserf._wire.messages import Alive, Dead, Suspect

from .builders import alive, dead, left, suspect
from .small_cluster import SmallCluster, joined

NAMES = "abcdef"


def all_alive(cluster: SmallCluster, of: str) -> bool:
    return {"alive"} == set(cluster.view(of).values())


def raise_incarnations(cluster: SmallCluster, times: int = 4) -> None:
    for _ in range(times):
        for name in sorted(cluster.up):
            table = cluster.tables[name]
            cluster.apply(name, table.update_local(cluster.now, b""))
    cluster.settle()


def mass_restart(go: str) -> SmallCluster:
    """All but "a" stop at once, are declared dead, and come back with nothing in memory.

    Only "b" joins through "a", which has them as dead; the others join through "b", which
    restarted itself and has no node as dead.
    """
    cluster = joined(NAMES, go=go)
    raise_incarnations(cluster)
    for name in NAMES[1:]:
        cluster.stop(name)
    cluster.probe_all()
    cluster.wait(25.0)
    assert {"dead"} == {str(cluster.tables["a"].nodes[name].status) for name in NAMES[1:]}
    for name in NAMES[1:]:
        cluster.start(name)
    cluster.exchange("b", "a")
    cluster.settle()
    for name in NAMES[2:]:
        cluster.exchange(name, "b")
        cluster.settle()
    return cluster


def test_after_a_mass_restart_all_nodes_are_back_without_waiting() -> None:
    assert mass_restart(go="").all_agree()


def test_one_node_that_replies_to_stale_messages_is_enough() -> None:
    assert mass_restart(go=NAMES[1:]).all_agree()


def test_in_go_restarted_nodes_stay_dead_for_peers_that_had_them_as_dead() -> None:
    cluster = mass_restart(go=NAMES)
    assert {"dead"} == {str(cluster.tables["a"].nodes[name].status) for name in NAMES[2:]}


# --- the last incarnation -----------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        dead("b", MAX_INCARNATION),
        left("b", MAX_INCARNATION),
        suspect("b", MAX_INCARNATION),
        dead("b", SUSPECT_BAND),
        alive("b", MAX_INCARNATION, meta=b"forged"),
    ],
)
def test_the_last_incarnation_harms_no_node_without_go_peers(message: Any) -> None:
    cluster = joined(NAMES)
    cluster.forge(NAMES, message)
    cluster.settle()
    cluster.wait(60.0)
    assert cluster.all_agree()

    cluster.forge(NAMES, suspect("b", cluster.tables["b"].local_node.incarnation))
    cluster.settle()
    cluster.wait(60.0)
    assert cluster.all_agree(), "it can still refute"

    cluster.stop("b")
    cluster.probe_all()
    cluster.wait(25.0)
    assert {"dead"} == set(cluster.view("b").values()), "and is still watched"


@pytest.mark.parametrize("incarnation", [SUSPECT_BAND - 1, 2**31, 1_700_000_000])
def test_large_incarnations_below_the_band_work_as_in_go(incarnation: int) -> None:
    for go in ("", NAMES, "ace"):
        cluster = joined(NAMES, go=go)
        cluster.forge(NAMES, dead("b", incarnation))
        cluster.settle()
        cluster.exchange_all()
        assert cluster.all_agree()
        assert incarnation + 1 == cluster.tables["b"].local_node.incarnation


def test_in_go_the_last_incarnation_evicts_a_node() -> None:
    cluster = joined(NAMES, go=NAMES)
    cluster.forge(NAMES, dead("b", MAX_INCARNATION))
    cluster.settle()
    cluster.exchange_all()
    assert {"dead"} == {view for name, view in cluster.view("b").items() if name != "b"}


def test_a_node_among_go_nodes_comes_back_as_soon_as_they_drop_its_record() -> None:
    """They accept the forgery; the incarnation stayed small, so later suspicions can be refuted."""
    cluster = joined(NAMES, go="acdef")
    cluster.forge(NAMES, dead("b", MAX_INCARNATION))
    cluster.settle()
    assert "dead" in cluster.view("b").values()
    cluster.wait(31.0)
    assert "dead" not in cluster.view("b").values()
    cluster.exchange_all()
    assert all_alive(cluster, "b")
    cluster.forge(NAMES, dead("b", cluster.tables["b"].local_node.incarnation))
    cluster.settle()
    assert all_alive(cluster, "b")


def test_a_go_node_that_counts_on_in_the_band_is_accepted_from_itself() -> None:
    cluster = joined(NAMES, go="b")
    cluster.forge("b", dead("b", ALIVE_BAND + 5))
    cluster.settle()
    assert ALIVE_BAND + 6 == cluster.tables["b"].local_node.incarnation
    assert cluster.all_agree()
    cluster.forge(NAMES, suspect("b", ALIVE_BAND + 6))
    cluster.settle()
    assert cluster.all_agree()


def test_a_forged_alive_message_before_a_node_joins_is_corrected_by_it() -> None:
    cluster = joined("acd")
    cluster.forge("acd", alive("b", MAX_INCARNATION, meta=b"forged"))
    cluster.settle()
    cluster.start("b")
    cluster.exchange("b", "a")
    cluster.settle()
    cluster.exchange_all()
    assert cluster.all_agree()
    assert cluster.tables["b"].local_node.incarnation < 100


# --- moving -------------------------------------------------------------------------------


@pytest.mark.parametrize("known_dead", [False, True])
def test_a_node_that_restarts_at_another_address_is_found_there_at_once(known_dead: bool) -> None:
    cluster = joined(NAMES)
    raise_incarnations(cluster)
    cluster.stop("b")
    if known_dead:
        cluster.probe_all()
        cluster.wait(25.0)
        assert {"dead"} == set(cluster.view("b").values())
    cluster.start("b", at="x")
    cluster.exchange("b", "a")
    cluster.settle()
    cluster.exchange_all()
    assert cluster.all_agree()


def test_two_nodes_of_one_name_do_not_take_it_from_each_other() -> None:
    cluster = joined(NAMES)
    before = cluster.tables["a"].nodes["b"].record
    for _ in range(5):
        cluster.now += 1.0
        cluster.forge(NAMES, alive("b", 9, addr=bytes((10, 0, 0, 1))))
        cluster.settle()
    for table in cluster.live_tables():
        assert before.addr == table.nodes["b"].addr
        assert "alive" == str(table.nodes["b"].status)


# --- anything -----------------------------------------------------------------------------


def random_trouble(cluster: SmallCluster, rng: random.Random) -> None:
    name = rng.choice(NAMES)
    local = cluster.tables[name].local_node
    action = rng.randrange(7)
    if action == 0:
        cluster.stop(name)
    elif action == 1 and name not in cluster.up:
        cluster.start(name, at=rng.choice([name, "x", "y"]) if name == "b" else name)
    elif action == 2:
        cluster.forge("".join(cluster.up), Suspect(local.incarnation, name, rng.choice(NAMES)))
    elif action == 3:
        cluster.forge("".join(cluster.up), Dead(local.incarnation, name, rng.choice(NAMES)))
    elif action == 4:
        cluster.probe_all()
    elif action == 5:
        others = sorted(cluster.up - {name})
        if name in cluster.up and others:
            cluster.exchange(name, rng.choice(others))
            cluster.settle()
    else:
        cluster.forge("".join(cluster.up), Dead(MAX_INCARNATION, name, "z"))
    cluster.wait(rng.choice([0.1, 1.0, 10.0, 40.0]))


@pytest.mark.slow
@given(seed=st.integers(0, 10_000), loss=st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=40, deadline=None)
def test_when_the_faults_are_over_all_nodes_agree(seed: int, loss: float) -> None:
    rng = random.Random(seed)
    cluster = joined(NAMES, seed=seed)
    cluster.loss = loss
    for _ in range(15):
        random_trouble(cluster, rng)
    cluster.loss = 0.0
    for name in sorted(set(NAMES) - cluster.up):
        cluster.start(name)
    for _ in range(4):
        for name in NAMES[1:]:
            cluster.exchange(name, "a")
        cluster.settle()
        cluster.exchange_all()
        cluster.wait(5.0)
    assert cluster.all_agree()


def test_a_leave_is_known_to_all_and_not_taken_back() -> None:
    cluster = joined(NAMES)
    cluster.apply("b", cluster.tables["b"].leave(cluster.now))
    cluster.settle()
    cluster.exchange_all()
    assert {"left"} == set(cluster.view("b").values())
    cluster.forge(NAMES, Alive(1, "b", bytes((10, 0, 0, 98)), 7946, b"", alive().versions))
    cluster.settle()
    assert {"left"} == set(cluster.view("b").values())
