"""The three queues, what they keep, and how they share a packet."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest

from trioserf import Config
from trioserf._cluster.broadcast_queues import KNOWN_MESSAGES, KNOWN_SIZE, BroadcastQueues
from trioserf._cluster.effects import Broadcast, QueueName, Sample

from .samples import config, warnings


def broadcasts(members: int = 10, *, faithful: bool = False, **fields: Any) -> BroadcastQueues:
    return BroadcastQueues(config(faithful=faithful, **fields), num_members=lambda: members)


def attrs_with(**fields: Any) -> Config:
    plain_config = config()
    return attrs.evolve(plain_config, memberlist=attrs.evolve(plain_config.memberlist, **fields))


def intent(
    name: str, ltime: int, *, size: int = 30, on_finished: Callable[[], object] | None = None
) -> Broadcast:
    message = f"{name}@{ltime}".encode().ljust(size)
    return Broadcast(
        queue="intent", message=message, name=name, ltime=ltime, on_finished=on_finished
    )


def plain(queue: QueueName, message: bytes, *, local: bool = False) -> Broadcast:
    return Broadcast(queue=queue, message=message, local=local)


def test_a_packet_is_filled_from_intents_then_queries_then_events() -> None:
    box = broadcasts(faithful=True)
    box.add(plain("event", b"event"))
    box.add(plain("query", b"query"))
    box.add(plain("intent", b"intent"))
    assert 3 == len(box)
    assert [b"intent", b"query", b"event"] == box.take(2, 100)


@pytest.mark.parametrize("faithful", [True, False])
def test_a_packet_keeps_its_limit(faithful: bool) -> None:
    box = broadcasts(faithful=faithful)
    for number in range(10):
        box.add(intent(f"n{number}", 1))
        box.add(plain("query", b"q" * (20 + number)))
        box.add(plain("event", b"e" * (10 + number), local=number % 2 == 0))
    for limit in range(0, 500, 7):
        taken = box.take(2, limit)
        assert sum(len(message) + 2 for message in taken) <= limit


def test_go_gives_the_whole_packet_to_intents() -> None:
    box = broadcasts(faithful=True)
    for number in range(10):
        box.add(intent(f"n{number}", 1))
    box.add(plain("event", b"e" * 20))
    assert b"e" * 20 not in box.take(2, 100)


def test_a_flood_of_intents_leaves_room_for_events() -> None:
    box = broadcasts()
    for number in range(100):
        box.add(intent(f"n{number}", 1))
    box.add(plain("query", b"q" * 15))
    box.add(plain("event", b"e" * 10))
    taken = box.take(2, 200, 1)
    assert [b"q" * 15, b"e" * 10] == taken[-2:]


def test_a_flood_of_intents_leaves_room_for_queries_alone() -> None:
    box = broadcasts()
    for number in range(100):
        box.add(intent(f"n{number}", 1))
    box.add(plain("query", b"q" * 15))
    assert b"q" * 15 == box.take(2, 200, 1)[-1]


def test_a_lone_queue_has_the_whole_packet() -> None:
    box = broadcasts()
    for number in range(10):
        box.add(plain("event", b"%d" % number * 8))
    assert 10 == len(box.take(2, 100, 1))


def test_a_message_longer_than_the_rest_of_the_packet_is_not_delayed() -> None:
    box = broadcasts()
    box.add(plain("query", b"q" * 95))
    box.add(plain("event", b"e" * 10))
    assert [b"q" * 95] == box.take(2, 100, 1)


def test_local_events_go_before_rebroadcast_ones() -> None:
    box = broadcasts()
    for number in range(50):
        box.add(plain("event", b"%02d" % number * 20))
    box.add(plain("event", b"mine", local=True))
    assert b"mine" in box.take(2, 100, 1)


def test_the_newest_intent_about_a_node_replaces_the_older() -> None:
    notices: list[int] = []
    box = broadcasts()
    for ltime in (1, 2, 3):
        box.add(intent("foo", ltime, on_finished=partial(notices.append, ltime)))
    assert 1 == box.depth("intent")
    assert [1, 2] == notices
    assert [b"foo@3".ljust(30)] == box.take(2, 100)


def test_an_older_intent_does_not_replace_a_newer() -> None:
    notices: list[int] = []
    box = broadcasts()
    box.add(intent("foo", 5))
    box.add(intent("foo", 4, on_finished=lambda: notices.append(4)))
    box.add(intent("foo", 3))
    assert [4] == notices
    assert [b"foo@5".ljust(30)] == box.take(2, 100)


def test_an_intent_of_the_same_time_takes_the_place() -> None:
    notices: list[str] = []
    box = broadcasts()
    box.add(intent("foo", 5, on_finished=partial(notices.append, "first")))
    box.add(intent("foo", 5, on_finished=partial(notices.append, "second")))
    assert ["first"] == notices
    assert 1 == box.depth("intent")


def test_an_older_intent_is_queued_once_the_newer_was_sent_often_enough() -> None:
    notices: list[int] = []
    box = broadcasts(members=1)
    box.add(intent("foo", 5, on_finished=lambda: notices.append(5)))
    while box.take(2, 100):
        pass
    assert [5] == notices
    box.add(intent("foo", 4))
    assert 1 == box.depth("intent")


def test_intents_about_other_nodes_stand_side_by_side() -> None:
    box = broadcasts()
    for name in "abc":
        box.add(intent(name, 1))
    assert 3 == box.depth("intent")


def test_go_keeps_every_intent() -> None:
    box = broadcasts(faithful=True)
    for ltime in (1, 2, 3):
        box.add(intent("foo", ltime))
    assert 3 == box.depth("intent")


def test_a_finished_broadcast_calls_back_once() -> None:
    """Checklist 99."""
    notices: list[bool] = []
    box = broadcasts(members=1)
    box.add(Broadcast(queue="event", message=b"e", on_finished=lambda: notices.append(True)))
    box.add(Broadcast(queue="event", message=b"f"))
    while box.take(2, 100, 1) or box.take(2, 100):
        pass
    assert [True] == notices


@pytest.mark.parametrize(
    ("lowest", "members", "limit"),
    [(0, 100, 4096), (1024, 100, 1024), (16, 100, 200), (16, 101, 202)],
)
def test_the_limit_of_a_queue(lowest: int, members: int, limit: int) -> None:
    """Checklist 98."""
    assert limit == broadcasts(members, min_queue_depth=lowest).max_depth()


def test_the_check_samples_warns_and_prunes() -> None:
    box = broadcasts(queue_depth_warning=2, max_queue_depth=3)
    for number in range(5):
        box.add(plain("event", b"e%d" % number))
    for number in range(2):
        box.add(plain("query", b"q%d" % number))
    effects = box.check()
    assert [
        Sample("serf.queue.Intent", 0),
        Sample("serf.queue.Query", 2),
        Sample("serf.queue.Event", 5),
    ] == [effect for effect in effects if isinstance(effect, Sample)]
    assert [
        "Query queue depth: 2",
        "Event queue depth: 5",
        "Event queue depth 5 exceeds 3: pruning it",
    ] == warnings(effects)
    assert 3 == box.depth("event")


def test_a_queue_at_its_limit_is_not_pruned() -> None:
    box = broadcasts(max_queue_depth=3)
    for number in range(3):
        box.add(plain("event", b"e%d" % number))
    assert [] == warnings(box.check())
    assert 3 == box.depth("event")


def test_pruning_calls_back() -> None:
    notices: list[str] = []
    box = broadcasts(max_queue_depth=1)
    for name in "ab":
        box.add(intent(name, 1, on_finished=partial(notices.append, name)))
    box.check()
    assert 1 == len(notices)
    box.add(intent(notices[0], 0))
    assert 2 == box.depth("intent")


def test_events_are_sent_in_the_order_in_which_they_came() -> None:
    for faithful, expected in ((False, [b"e0", b"e1"]), (True, [b"e4", b"e3"])):
        box = broadcasts(faithful=faithful)
        for number in range(5):
            box.add(plain("event", b"e%d" % number))
        assert expected == box.take(2, 8, 1)


def test_a_copy_is_recognised_by_its_bytes() -> None:
    box = broadcasts()
    box.add(plain("event", b"event"))
    box.add(intent("n1", 4))
    assert box.knows(b"event")
    assert box.knows(intent("n1", 4).message)
    assert not box.knows(b"another")
    box.take(2, 100)
    assert box.knows(b"event"), "also when it is on its way"
    box.forget_known()
    assert not box.knows(b"event")
    go = broadcasts(faithful=True)
    go.add(plain("event", b"event"))
    assert not go.knows(b"event")


def test_the_memory_of_messages_is_bounded() -> None:
    box = broadcasts()
    for number in range(5 * KNOWN_MESSAGES):
        box.add(plain("event", b"%d" % number))
    known = sum(box.knows(b"%d" % number) for number in range(5 * KNOWN_MESSAGES))
    assert KNOWN_MESSAGES <= known <= 2 * KNOWN_MESSAGES
    assert box.knows(b"%d" % (5 * KNOWN_MESSAGES - 1))
    box.add(plain("event", bytes(KNOWN_SIZE + 1)))
    assert not box.knows(bytes(KNOWN_SIZE + 1))


def test_copies_for_several_nodes_count_each() -> None:
    box = broadcasts(members=9)
    box.add(plain("event", b"e"))
    assert [b"e"] == box.take(2, 100, 3)
    assert 1 == box.waiting()
    assert [] == box.take(2, 100, 3)
    assert [b"e"] == box.take(2, 100)
    assert 0 == box.waiting()


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({}, True),
        ({"faithful_go": True}, False),
        ({"eager_gossip": False}, False),
        ({"gossip_interval": 0}, False),
        ({"gossip_nodes": 0}, False),
    ],
)
def test_an_event_waits_for_an_eager_round_where_there_are_any(
    fields: dict[str, Any], waits: bool
) -> None:
    box = BroadcastQueues(attrs_with(**fields), num_members=lambda: 10)
    box.add(plain("event", b"e"))
    box.add(plain("query", b"q"))
    box.add(intent("foo", 1, size=5))
    assert [b"foo@1"] + [b"q", b"e"] * (not waits) == box.take(2, 100)
    if waits:
        assert [b"q", b"e"] == box.take(2, 100, 3)[-2:]
        assert [b"q", b"e"] == box.take(2, 100)[-2:]


def test_messages_from_before_the_last_check_are_not_remembered() -> None:
    box = broadcasts()
    box.add(plain("event", b"early"))
    box.check()
    box.add(plain("event", b"late"))
    assert box.knows(b"early")
    box.check()
    assert not box.knows(b"early")
    assert box.knows(b"late")
