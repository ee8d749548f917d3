"""The bounded queue between packets and rules."""

import itertools

import trio
import trio.testing

from trioserf._memberlist.drop_log import DropLog, node_log
from trioserf._memberlist.handoff import (
    BATCH,
    BATCH_BYTES,
    MAX_LONG,
    TURN,
    Handoff,
    requests_in_packet,
)
from trioserf._wire.messages import Alive, Dead, Suspect, UserMessage
from trioserf.abc import Packet

from .kit import AWAY

PACKET = Packet(b"", AWAY, 0.0)


class Recorder:
    """Table, apply and delegate in one: records what it is given."""

    def __init__(self):
        self.seen = []
        self.sources = set()

    def on_alive(self, message, now, *, source):
        self.sources.add(source)
        return self.on_suspect(message, now)

    def on_suspect(self, message, now):
        self.seen.append(message)
        return []

    on_dead = on_suspect

    def notify_message(self, body):
        self.seen.append(UserMessage(body))


def handoff_to(recorder, depth=1000):
    drop_log = DropLog(node_log("memberlist", "n1"))
    return Handoff(
        depth=depth,
        table=recorder,
        apply=lambda effects: None,
        delegate=recorder,
        drop_log=drop_log,
    )


def alive(name):
    return Alive(1, name, b"\x0a\x00\x00\x01", 7946, b"", b"\x01\x05\x02\x02\x05\x04")


async def test_alive_messages_overtake_and_the_rest_keeps_its_order(autojump_clock, nursery):
    recorder = Recorder()
    handoff = handoff_to(recorder)
    low = [Suspect(1, "a", "b"), UserMessage(b"1"), Dead(1, "a", "b"), UserMessage(b"2")]
    for message in (*low[:2], alive("x"), *low[2:], alive("y")):
        handoff.put(message, PACKET)
    assert 6 == len(handoff)
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    assert [alive("x"), alive("y"), *low] == recorder.seen
    assert {AWAY} == recorder.sources
    nursery.cancel_scope.cancel()


async def test_a_full_queue_drops_what_is_new_and_the_other_has_room():
    handoff = handoff_to(Recorder(), depth=2)
    for number in range(3):
        handoff.put(UserMessage(b"%d" % number), PACKET)
    assert (2, 1) == (len(handoff), handoff.drop_log.counts["handoff"])
    for _ in range(3):
        handoff.put(alive("x"), PACKET)
    assert (4, 2) == (len(handoff), handoff.drop_log.counts["handoff"])


async def test_the_worker_wakes_for_a_message_and_lets_others_run(autojump_clock, nursery):
    recorder = Recorder()
    handoff = handoff_to(recorder)
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(3 * BATCH):
        handoff.put(UserMessage(b"x"), PACKET)
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()
    assert 0 < len(recorder.seen) < 3 * BATCH
    await trio.testing.wait_all_tasks_blocked()
    assert 3 * BATCH == len(recorder.seen)
    nursery.cancel_scope.cancel()


async def test_long_user_messages_let_others_run_sooner(autojump_clock, nursery):
    recorder = Recorder()
    handoff = handoff_to(recorder)
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(BATCH):
        handoff.put(UserMessage(bytes(BATCH_BYTES // 2)), PACKET)
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()
    assert 0 < len(recorder.seen) < 10
    await trio.testing.wait_all_tasks_blocked()
    assert BATCH == len(recorder.seen)
    nursery.cancel_scope.cancel()


async def test_copies_of_a_user_message_are_not_queued_where_they_are_recognised(autojump_clock):
    recorder, known = Recorder(), {b"known"}
    handoff = handoff_to(recorder, depth=3)
    handoff.is_duplicate = known.__contains__
    for body in (b"known", b"new", b"new", b"new", b"other", b"new"):
        handoff.put(UserMessage(body), PACKET)
    assert 2 == len(handoff)
    assert {} == handoff.drop_log.counts
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handoff.run)
        await trio.testing.wait_all_tasks_blocked()
        handoff.put(UserMessage(b"new"), PACKET)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    # Whether it is known by then is for the delegate to say.
    assert [b"new", b"other", b"new"] == [message.body for message in recorder.seen]


async def test_equal_user_messages_are_queued_where_nothing_recognises_them(autojump_clock):
    handoff = handoff_to(Recorder())
    handoff.put(UserMessage(b"same"), PACKET)
    handoff.put(UserMessage(b"same"), PACKET)
    assert 2 == len(handoff)


async def test_long_messages_take_only_so_much_room(autojump_clock, nursery):
    recorder = Recorder()
    handoff = handoff_to(recorder)
    for _ in range(100):
        handoff.put(UserMessage(bytes(MAX_LONG // 4)), PACKET)
    handoff.put(UserMessage(b"honest"), PACKET)
    assert (5, 96) == (len(handoff), handoff.drop_log.counts["handoff"])
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    assert 5 == len(recorder.seen)
    handoff.put(UserMessage(bytes(MAX_LONG)), PACKET)
    assert 1 == len(handoff), "what was handled gave its room back"
    nursery.cancel_scope.cancel()


async def test_messages_that_take_long_let_others_in_between(nursery):
    class Slow(Recorder):
        def notify_message(self, body):
            until = trio.current_time() + 2 * TURN
            while trio.current_time() < until:
                pass
            super().notify_message(body)

    recorder = Slow()
    handoff = handoff_to(recorder)
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(6):
        handoff.put(UserMessage(b"x"), PACKET)
    seen = []
    while len(recorder.seen) < 6:
        await trio.lowlevel.checkpoint()
        seen.append(len(recorder.seen))
    assert all(after - before <= 2 for before, after in itertools.pairwise(seen)), seen
    nursery.cancel_scope.cancel()


async def test_of_one_packet_only_so_many_requests_are_taken():
    handoff = handoff_to(Recorder())
    handoff.is_duplicate = lambda body: False
    handoff.is_request = lambda body: body.startswith(b"?")
    handoff.max_requests = requests_in_packet(1400)
    for packet in (Packet(b"1", AWAY, 0.0), Packet(b"2", AWAY, 0.0)):
        for number in range(200):
            handoff.put(UserMessage(b"?%d %s" % (number, packet.data)), packet)
        handoff.put(UserMessage(b"event " + packet.data), packet)
    assert 2 * 17 == len(handoff)
    assert 2 * 184 == handoff.drop_log.counts["requests"]
    assert 80 == requests_in_packet(8000)
