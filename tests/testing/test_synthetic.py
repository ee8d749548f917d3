"""The cluster of ``benchmarks/scale.py`` that does not exist is as a real one would be."""

from __future__ import annotations

import random
from collections import Counter

from benchmarks.synthetic.world import World, host, index_of, name
from trioserf._swim.scaling import retransmit_limit
from trioserf._wire.messages import Alive, decode_message
from trioserf._wire.serf_messages import decode_push_pull
from trioserf._wire.streams import PushPullState, StreamCodec, StreamParser


def world(**fields: float) -> World:
    settings = {"churn": 0.5, "events": 1.0, "seconds": 200.0, **fields}
    return World(
        500, churn=settings["churn"], events=settings["events"], seconds=settings["seconds"]
    )


def read(data: bytes) -> PushPullState:
    state = StreamParser(StreamCodec(), accept_side=False).receive(data)
    assert isinstance(state, PushPullState)
    return state


def test_members_have_addresses_of_their_own() -> None:
    indexes = [1, 255, 256, 65_535, 65_536, 70_000]
    assert indexes == [index_of(host(index)) for index in indexes]
    assert len({host(index) for index in range(1, 2000)}) == 1999


def test_its_state_has_all_members_and_what_serf_remembers() -> None:
    big = world()
    state = read(big.state(0.0))
    assert {name(index) for index in range(1, 501)} == {record.name for record in state.records}
    serf = decode_push_pull(state.user_state)
    assert 500 + len(big.former) == len(serf.status_ltimes)
    assert set(big.former[::2]) == set(serf.left_members)


def test_those_who_leave_fail_or_join_have_the_status_of_that() -> None:
    big = world()
    kinds = Counter(change.what for change in big.changes)
    assert kinds["join"] == kinds["leave"] + kinds["fail"] > 5
    truth = big.statuses(1000.0)
    for change in big.changes:
        expected = {"join": "alive", "leave": "left", "fail": "failed"}[change.what]
        assert expected == truth[name(change.index)]
        assert big.lives(change.index, change.at + 0.01) is (change.what == "join")
        assert big.lives(change.index, change.at - 0.01) is (change.what != "join")


def test_a_message_is_gossiped_as_often_as_each_node_sends_it() -> None:
    quiet = world(churn=0.0, events=0.0)
    message = quiet.alive(7, 2)
    quiet.add_message(10.0, message)
    rng, copies, first = random.Random(1), 0, 100.0
    for packet in range(300):  # fifteen a second, as one node of many gets them
        now = 10.0 + packet / 15
        if message in quiet.gossip_of(now, rng):
            copies, first = copies + 1, min(first, now)
    limit = retransmit_limit(4, 500)
    assert limit * 0.5 < copies < limit * 1.6
    assert 10.3 < first < 12.0
    assert isinstance(decode_message(message), Alive)
    assert [] == quiet.gossip_of(9.9, rng)
