"""Every datagram, whatever it is."""

import itertools
import random

import pytest
import trio
import trio.testing

from trioserf._memberlist.drop_log import DropLog
from trioserf._memberlist.node_log import node_log
from trioserf._memberlist.receiver import (
    BATCH,
    BATCH_BYTES,
    BATCH_TIME,
    MAX_LONG,
    MAX_LONG_WAITING,
    MAX_REQUESTS,
    MAX_WAIT,
    PIECES_BURST,
    PIECES_RATE,
    SCANNED_AT_ONCE,
    SHORT_OUTPUT,
    STRANGERS_BURST,
    Handoff,
    requests_in_packet,
)
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._wire.compression import compress_message
from trioserf._wire.messages import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    UserMessage,
    encode_message,
)
from trioserf._wire.packets import make_compound
from trioserf.abc import Address, Packet

from ..swim.builders import new_table
from .kit import AWAY, Delegate, Events, Pings, alive_of, one_node, opened

ELSEWHERE = Address("10.0.0.9", 7000)


def deliver(wire, *messages, source=AWAY):
    parts = [encode_message(message) for message in messages]
    wire.deliver(parts[0] if len(parts) == 1 else make_compound(parts), source)


def answers(wire, kind):
    return [(message, to) for message, to in opened(wire.sent) if isinstance(message, kind)]


async def test_a_ping_is_acked_to_the_source_it_names(autojump_clock):
    async with one_node(ping=Pings(b"payload")) as (_, wire):
        deliver(wire, Ping(7, "n1", b"\x0a\x00\x00\x09", 7000, "n9"))
        assert [(Ack(7, b"payload"), ELSEWHERE)] == answers(wire, Ack)


async def test_a_ping_without_a_source_is_acked_to_where_it_came_from(autojump_clock):
    async with one_node() as (_, wire):
        deliver(wire, Ping(7, ""))
        deliver(wire, Ping(8, "n1", b"\x0a\x00\x00\x09", 0))
        assert [(Ack(7, None), AWAY), (Ack(8, None), AWAY)] == answers(wire, Ack)


async def test_a_ping_with_a_source_that_is_no_address_is_acked_to_where_it_came_from(
    autojump_clock,
):
    async with one_node() as (node, wire):
        deliver(wire, Ping(7, "n1", b"\x0a\x00", 7000))
        assert [(Ack(7, None), AWAY)] == answers(wire, Ack)
        assert 1 == node.statistics().bad_input["address"]


async def test_a_ping_for_another_name_is_not_answered(autojump_clock):
    async with one_node() as (node, wire):
        deliver(wire, Ping(7, "n2"))
        assert [] == answers(wire, Ack)
        assert 1 == node.statistics().bad_input["name"]


async def test_a_datagram_full_of_pings_is_no_amplifier(autojump_clock):
    async with one_node() as (node, wire):
        deliver(wire, *[Ping(number, "n1") for number in range(100)])
        assert MAX_REQUESTS == len(answers(wire, Ack))
        assert 100 - MAX_REQUESTS == node.statistics().bad_input["requests"]


async def test_a_datagram_full_of_indirect_pings_is_no_amplifier(autojump_clock):
    async with one_node() as (node, wire):
        pings = [
            IndirectPing(number, b"\x0a\x00\x00\x03", 7003, "n3", False, None, 0, "")
            for number in range(100)
        ]
        deliver(wire, *pings)
        assert MAX_REQUESTS == len(answers(wire, Ping)) == node.statistics().relays
        assert 100 - MAX_REQUESTS == node.statistics().bad_input["requests"]


@pytest.mark.parametrize("dead_on_refusal", [True, False])
async def test_an_indirect_ping_is_sent_on_and_its_ack_passed_back_without_payload(
    dead_on_refusal, autojump_clock
):
    async with one_node(dead_on_refusal=dead_on_refusal) as (node, wire):
        request = IndirectPing(
            99, b"\x0a\x00\x00\x03", 7003, "n3", True, b"\x0a\x00\x00\x09", 7000, "n9"
        )
        deliver(wire, request)
        ((ping, to),) = answers(wire, Ping)
        assert (Address("10.0.0.3", 7003), "n3", "n1") == (to, ping.node, ping.source_node)
        assert (b"\x0a\x00\x00\x01", 7946) == (ping.source_addr, ping.source_port)
        assert 1 == node.statistics().relays
        deliver(wire, Ack(ping.seq_no, b"payload"))
        assert [] == answers(wire, Ack)
        assert 1 == node.statistics().bad_input["ack"]
        deliver(wire, Ack(ping.seq_no, b"payload"), source=Address("10.0.0.3", 1))
        assert [(Ack(99, None), ELSEWHERE)] == answers(wire, Ack)
        await trio.sleep(10)
        assert [] == answers(wire, Nack)
        assert 0 == node.statistics().relays


async def test_a_node_with_several_addresses_may_ack_from_each_that_it_pings_from(autojump_clock):
    async with one_node(probe_interval=1.0) as (node, wire):
        deliver(wire, alive_of("n2"))
        await trio.sleep(0.01)
        for host in range(100, 110):
            deliver(wire, Ping(7, "n1", source_node="n2"), source=Address(f"10.0.1.{host}", 7946))
        wire.sent.clear()
        await trio.sleep(1.2)
        ping, _ = answers(wire, Ping)[-1]
        deliver(wire, Ack(ping.seq_no, None), source=Address("10.0.9.9", 7946))
        assert {"ack": 1} == dict(node.statistics().bad_input)
        assert node.node("n2").answered_at < 0
        deliver(wire, Ack(ping.seq_no, None), source=Address("10.0.1.109", 7946))
        assert node.node("n2").answered_at > 0
        assert 4 == len(node.node("n2").other_hosts)


@pytest.mark.parametrize("word_of", ["n3", "n2"])
@pytest.mark.parametrize("faithful_go", [False, True])
async def test_a_dead_node_that_pings_is_sent_the_dead_message(
    faithful_go, word_of, autojump_clock
):
    """So is one that left, as somebody said in its name."""
    async with one_node(probe_interval=0, faithful_go=faithful_go) as (_, wire):
        deliver(wire, alive_of("n2"))
        await trio.sleep(0.01)
        deliver(wire, Dead(1, "n2", word_of))
        await trio.sleep(1)
        for _ in range(10):
            wire.sent.clear()
            for number in range(3):
                deliver(wire, Ping(number, "n1", source_node="n2"))
            expected = [] if faithful_go else [(Dead(1, "n2", "n1"), AWAY)]
            dead = answers(wire, Dead)
            assert expected == [one for one in dead if one[0].from_node == "n1"]
            await trio.sleep(0.3)
        deliver(wire, alive_of("n2", incarnation=2))
        await trio.sleep(0.3)
        wire.sent.clear()
        deliver(wire, Ping(7, "n1", source_node="n2"))
        assert [] == answers(wire, Dead)


async def test_an_indirect_ping_without_an_answer_ends_in_a_nack_if_wanted(autojump_clock):
    async with one_node(probe_timeout=0.5) as (node, wire):
        deliver(wire, IndirectPing(98, b"\x0a\x00\x00\x03", 7003, "n3", False))
        deliver(wire, IndirectPing(99, b"\x0a\x00\x00\x03", 7003, "n3", True))
        await trio.sleep(0.39)
        assert [] == answers(wire, Nack)
        await trio.sleep(0.02)
        assert [(Nack(99), AWAY)] == answers(wire, Nack)
        await trio.sleep(0.1)
        assert 0 == node.statistics().relays


async def test_an_indirect_ping_to_port_0_goes_to_the_local_port(autojump_clock):
    async with one_node(bind_port=7777) as (_, wire):
        deliver(wire, IndirectPing(99, b"\x0a\x00\x00\x03", 0, "n3", True))
        assert [7777] == [to.port for _, to in answers(wire, Ping)]


async def test_indirect_pings_are_bounded(autojump_clock):
    async with one_node(max_relays=3) as (node, wire):
        for number in range(5):
            deliver(wire, IndirectPing(number, b"\x0a\x00\x00\x03", 7003, "n3", True))
        assert 3 == len(answers(wire, Ping))
        assert 2 == node.statistics().bad_input["relay"]


async def test_an_indirect_ping_of_no_address_is_dropped(autojump_clock):
    async with one_node() as (node, wire):
        deliver(wire, IndirectPing(99, b"\x0a\x00", 7003, "n3", True))
        deliver(wire, IndirectPing(99, None, 7003, "n3", True))
        assert [] == answers(wire, Ping)
        assert 2 == node.statistics().bad_input["address"]


async def test_acks_and_nacks_that_are_not_awaited_are_ignored(autojump_clock):
    async with one_node() as (node, wire):
        deliver(wire, Ack(5, b"x"), Nack(6))
        assert {} == dict(node.statistics().bad_input)


async def test_messages_about_nodes_and_user_messages_reach_rules_and_delegate(autojump_clock):
    delegate, events = Delegate(), Events()
    async with one_node(delegate=delegate, events=events) as (node, wire):
        deliver(wire, UserMessage(b"hello"), alive_of("n2"), Suspect(1, "n2", "n3"))
        deliver(wire, UserMessage(b""))
        await trio.sleep(0.01)
        assert [b"hello"] == delegate.messages
        assert NodeStatus.SUSPECT is node.node("n2").status
        deliver(wire, Dead(1, "n2", "n3"))
        await trio.sleep(0.01)
        assert [("join", "n1"), ("join", "n2"), ("failed", "n2")] == events.seen


async def test_what_handlers_raise_goes_no_further(autojump_clock):
    class Broken(Delegate, Pings):
        def notify_message(self, message):
            raise RuntimeError("delegate")

        def ack_payload(self):
            raise RuntimeError("ping")

    broken = Broken()
    async with one_node(delegate=broken, ping=broken) as (node, wire):
        deliver(wire, Ping(1, "n1"), UserMessage(b"x"), alive_of("n2"))
        await trio.sleep(0.01)
        assert 2 == node.num_alive
        assert 2 == node.statistics().bad_input["handler"]


async def test_an_answer_that_cannot_be_sent_is_counted(autojump_clock):
    async with one_node(require_node_names=True) as (node, wire):
        deliver(wire, Ping(1, "n1"))
        wire.error = trio.BrokenResourceError("unreachable")
        deliver(wire, Ping(1, "n1", source_node="n2"))
        assert 2 == node.statistics().bad_input["answer"]


async def test_a_full_handoff_drops_and_counts(autojump_clock):
    async with one_node(handoff_queue_depth=4) as (node, wire):
        deliver(wire, *[UserMessage(b"x") for _ in range(5)])
        assert 3 == node.statistics().bad_input["handoff"]
        assert 2 == node.statistics().handoff


GOOD = encode_message(Suspect(1, "n2", "n3"))


@pytest.mark.parametrize(
    ("data", "layer"),
    [
        (b"", "message"),
        (b"\xf4", "label"),
        (b"\xf4\x04blue" + GOOD, "label"),
        (b"\x0c\x00\x00\x00\x00" + GOOD, "crc"),
        (b"\x07\x05\x00", "compound"),
        (b"\x07\x02\x00\x05\x00\x00hello", "message"),
        (b"\x09\x80", "compress"),
        (b"\x06\x80", "message"),
        (b"\xff", "message"),
        (GOOD[:-3], "message"),
    ],
)
async def test_garbage_is_counted_by_layer(autojump_clock, data, layer):
    async with one_node() as (node, wire):
        wire.deliver(data)
        assert node.statistics().bad_input[layer] >= 1


async def test_without_the_key_nothing_gets_in(autojump_clock):
    async with one_node(secret_key=bytes(16), probe_interval=0) as (node, wire):
        deliver(wire, alive_of("n2"))
        await trio.sleep(0.01)
        assert 1 == node.num_nodes
        assert 1 == node.statistics().bad_input["decrypt"]


async def test_whatever_arrives_nothing_is_raised(autojump_clock):
    rng = random.Random(5)
    samples = [
        encode_message(message)
        for message in (
            Ping(1, "n1", b"\x0a\x00\x00\x09", 7000, "n9"),
            IndirectPing(9, b"\x0a\x00\x00\x03", 7003, "n3", True),
            Ack(1, b"x"),
            Nack(1),
            alive_of("n2", incarnation=2**32 - 1),
            Suspect(2**32 - 1, "n1", "n3"),
            Dead(2**32 - 1, "n1", "n1"),
            UserMessage(b"user"),
        )
    ]
    samples.append(make_compound(samples))
    async with one_node() as (node, wire):
        for _ in range(2000):
            data = bytearray(rng.choice(samples))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            wire.deliver(bytes(data[: rng.randrange(1, len(data) + 1)]))
            if rng.random() < 0.05:
                await trio.sleep(0.1)
        await trio.sleep(60)
        statistics = node.statistics()
        assert 0 == statistics.handoff
        assert "handler" not in statistics.bad_input
        assert NodeStatus.ALIVE is node.local_node.status


async def test_datagrams_longer_than_honest_ones_are_read_up_to_a_rate(autojump_clock):
    delegate = Delegate()
    async with one_node(delegate=delegate) as (node, wire):
        long = UserMessage(bytes(30_000))
        for _ in range(200):
            deliver(wire, long)
        dropped = node.statistics().bad_input["long"]
        assert 200 - MAX_LONG // 30_000 <= dropped < 200
        deliver(wire, UserMessage(bytes(1400)))
        assert dropped == node.statistics().bad_input["long"]
        await trio.sleep(0.5)
        for _ in range(200):
            deliver(wire, long)
        assert dropped + 200 - MAX_LONG // 60_000 - 1 <= node.statistics().bad_input["long"]


async def test_a_long_message_is_read_wherever_in_a_packet_it_is_compressed(autojump_clock):
    """Beside others, too; and beyond the rate the others are read without it."""
    delegate = Delegate()
    body = b"long" * (SHORT_OUTPUT // 2)
    async with one_node(delegate=delegate) as (node, wire):
        long = compress_message(encode_message(UserMessage(body)))
        packet = make_compound([encode_message(UserMessage(b"short")), long])
        wire.deliver(packet)
        await trio.sleep(0.1)
        assert [b"short", body] == sorted(delegate.messages, key=len)
        for _ in range(100):
            wire.deliver(packet)
        await trio.sleep(0.1)
        assert 101 == delegate.messages.count(b"short")
        assert 1 < delegate.messages.count(body) < 100
        assert node.statistics().bad_input["compress"] == 101 - delegate.messages.count(body)


# --- the queue before the rules ---------------------------------------------------------


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


def alive_node(name, host):
    node = Node(name=name, addr=Address(host, 1).to_bytes(), port=7946)
    node.answered(0.0)
    return node


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


async def test_a_flood_of_alive_messages_does_not_keep_the_rest_waiting(autojump_clock, nursery):
    recorder = Recorder()
    handoff = handoff_to(recorder)
    for number in range(100):
        handoff.put(alive(f"x{number}"), PACKET)
    handoff.put(UserMessage(b"1"), PACKET)
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    assert recorder.seen.index(UserMessage(b"1")) < 8
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
        handoff.put(UserMessage(bytes(MAX_LONG_WAITING // 4)), PACKET)
    handoff.put(UserMessage(b"honest"), PACKET)
    assert (5, 96) == (len(handoff), handoff.drop_log.counts["handoff"])
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    assert 5 == len(recorder.seen)
    handoff.put(UserMessage(bytes(MAX_LONG_WAITING)), PACKET)
    assert 1 == len(handoff), "what was handled gave its room back"
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("message", [UserMessage(b"x"), alive("x"), Suspect(1, "x", "y")])
async def test_messages_that_take_long_let_others_in_between(message, nursery):
    class Slow(Recorder):
        def notify_message(self, body):
            self.on_suspect(UserMessage(body), 0.0)

        def on_suspect(self, message, now):
            until = trio.current_time() + 2 * BATCH_TIME
            while trio.current_time() < until:
                pass
            return super().on_suspect(message, now)

        on_dead = on_suspect

    recorder = Slow()
    handoff = handoff_to(recorder)
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(6):
        handoff.put(message, PACKET)
    seen = []
    while len(recorder.seen) < 6:
        await trio.lowlevel.checkpoint()
        seen.append(len(recorder.seen))
    assert all(after - before <= 2 for before, after in itertools.pairwise(seen)), seen
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reserve", [True, False])
async def test_a_flood_of_strangers_leaves_room_for_members(reserve, autojump_clock):
    table = new_table()
    for last, name in ((2, "reached"), (3, "named")):
        versions = table.local_node.versions
        table.on_alive(alive_of(name, bytes((10, 0, 0, last)), versions=versions), 0.0)
    table.nodes["reached"].answered(1.0)
    handoff = handoff_to(table, depth=80)
    handoff.reserve = reserve

    def put(host, count, now):
        before = len(handoff)
        for number in range(count):
            packet = Packet(b"", Address(host, 7946), now)
            handoff.put(UserMessage(b"%d" % number), packet)
        return len(handoff) - before

    assert (40 if reserve else 80) == put("10.9.9.9", 1000, 1.0)
    if not reserve:
        assert 0 == put("10.0.0.2", 1, 1.0)
        return
    assert 30 == put("10.0.0.3", 1000, 1.0), "anybody can name a node"
    assert 0 == put("10.9.9.9", 1000, 1.5)
    assert 10 == put("10.0.0.2", 1000, 1.5)
    assert (70, 10) == (len(handoff._low), len(handoff._first))
    handoff._low.clear()
    handoff._first.clear()
    assert 70 == put("10.0.0.3", 1000, 1.9)
    table.nodes["named"].answered(1.9)
    assert 10 == put("10.0.0.3", 1000, 2.1), "it was looked up again"


async def test_who_just_joined_and_sends_much_is_soon_no_stranger():
    """A member that was never reached is pinged, and looked up again at once in a small cluster."""
    table = Recorder()
    late = Node(name="late", addr=Address("10.0.0.3", 1).to_bytes(), port=7946)
    table.sequence = [alive_node("reached", "10.0.0.2"), late]
    handoff = handoff_to(table, depth=1 << 15)
    handoff.reserve, asked = True, []
    handoff.check_reached = asked.append

    def put(count, now):
        before = len(handoff)
        for _ in range(count):
            handoff.put(UserMessage(b"x"), Packet(b"", Address("10.0.0.3", 7946), now))
        return len(handoff) - before

    assert BATCH + STRANGERS_BURST == put(3000, 1.0)
    assert {"late"} == {node.name for node in asked}
    late.answered(1.005)
    assert 3000 == put(3000, 1.01)


@pytest.mark.parametrize("reserve", [True, False])
async def test_who_was_held_up_reads_no_faster_than_it_handles(autojump_clock, nursery, reserve):
    recorder = Recorder()
    handoff = handoff_to(recorder, depth=1024)
    handoff.reserve = reserve
    recorder.sequence = [alive_node("member", "10.0.0.2")]
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    for number in range(5000):
        packet = Packet(b"", Address("10.0.0.2", 7946), 1.0)
        handoff.put(UserMessage(b"%d" % number), packet)
        if handoff.is_crowded:
            await handoff.wait_for_room()
    await trio.testing.wait_all_tasks_blocked()
    assert (5000 if reserve else 1024) == len(recorder.seen)
    assert 0 == trio.current_time()
    nursery.cancel_scope.cancel()


async def test_nobody_waits_long_for_room_nor_without_need(autojump_clock):
    handoff = handoff_to(Recorder(), depth=1024)
    handoff.is_crowded = True
    await handoff.wait_for_room()
    assert (0, False) == (trio.current_time(), handoff.is_crowded)
    handoff._low.extend([(UserMessage(b"x"), PACKET)] * 1024)
    await handoff.wait_for_room()
    assert MAX_WAIT == trio.current_time()


async def test_in_a_flood_members_do_not_wait_behind_strangers(autojump_clock, nursery):
    recorder = Recorder()
    handoff = handoff_to(recorder, depth=80)
    handoff.reserve = True
    node = alive_node("member", "10.0.0.2")
    recorder.sequence = [node]
    for number in range(60):
        stranger = Packet(b"", Address("10.9.9.9", 7946), 1.0)
        handoff.put(UserMessage(b"stranger"), stranger)
        handoff.put(alive(f"ghost-{number}"), stranger)
    for number in range(5):
        handoff.put(UserMessage(b"%d" % number), Packet(b"", Address("10.0.0.2", 7946), 1.0))
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    assert 40 + 40 + 5 == len(recorder.seen)
    of_member = [n for n, m in enumerate(recorder.seen) if getattr(m, "body", b"x").isdigit()]
    assert [0, 2, 4, 6, 8] == of_member
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reserve", [True, False])
async def test_in_a_flood_strangers_are_rate_limited(reserve):
    """However fast this node handles them; and members are not."""
    recorder = Recorder()
    handoff = handoff_to(recorder, depth=1 << 15)
    handoff.reserve = reserve
    recorder.sequence = [alive_node("member", "10.0.0.2")]

    def put(host, count, now):
        before = len(handoff)
        for _ in range(count):
            handoff.put(UserMessage(b"x"), Packet(b"", Address(host, 7946), now))
        return len(handoff) - before

    assert (BATCH + STRANGERS_BURST if reserve else 3000) == put("10.9.9.9", 3000, 1.0)
    assert (250 if reserve else 3000) == put("10.9.9.8", 3000, 1.5)
    assert 3000 == put("10.0.0.2", 3000, 1.5)
    assert (3000 - BATCH - STRANGERS_BURST + 2750 if reserve else 0) == handoff.drop_log.counts[
        "handoff"
    ]
    handoff._low.clear()
    handoff._first = None
    assert BATCH == put("10.9.9.8", BATCH, 9.0), "few are never counted"


async def test_in_a_flood_packets_of_strangers_are_not_even_decoded(autojump_clock):
    async with one_node() as (node, wire):
        deliver(wire, alive_of("n2"), source=AWAY)
        await trio.testing.wait_all_tasks_blocked()
        handoff, stranger = node._handoff, Address("10.9.9.9", 7946)
        for _ in range((BATCH + STRANGERS_BURST) // 60 + 1):
            deliver(wire, *[Suspect(1, "n2", f"s{n}") for n in range(60)], source=stranger)
        asked = len(answers(wire, Ack))
        deliver(wire, Ping(7, "n1"), source=stranger)
        deliver(wire, Ping(8, "n1"), source=AWAY)
        assert [(Ack(8, None), AWAY)] == answers(wire, Ack)[asked:]
        assert handoff.turns_away(Packet(b"", stranger, trio.current_time()))
        await trio.sleep(5)
        deliver(wire, Ping(9, "n1"), source=stranger)
        assert [(Ack(9, None), stranger)] == answers(wire, Ack)[asked + 1 :]


@pytest.mark.parametrize("faithful_go", [True, False])
async def test_packets_of_many_pieces_are_taken_from_strangers_at_a_bounded_rate(
    faithful_go, autojump_clock
):
    """They cost more to take apart than to send, whatever is in them; those of members are read."""
    async with one_node(faithful_go=faithful_go) as (node, wire):
        deliver(wire, alive_of("n2"), source=AWAY)
        await trio.testing.wait_all_tasks_blocked()
        stranger = Address("10.9.9.9", 7946)

        def read_of(source, count=100):
            before = node._drop_log.counts["requests"]
            for number in range(count):
                many = [Ping(number, "n1"), *[Nack(7_777_777)] * 99, *[Ping(1, "n1")] * 4]
                deliver(wire, *many, source=source)
            return node._drop_log.counts["requests"] - before

        assert (100 if faithful_go else PIECES_BURST // 104 + 1) == read_of(stranger)
        assert 100 == read_of(AWAY)
        await trio.sleep(0.5)
        assert (100 if faithful_go else 0.5 * PIECES_RATE // 104) == pytest.approx(
            read_of(stranger), abs=5
        )
        await trio.sleep(5)
        deliver(wire, *[Nack(7_777_777)] * 10, source=stranger)
        assert node._receiver._pieces.ready_at < trio.current_time(), "a few cost nothing"


@pytest.mark.parametrize("flood", [True, False])
async def test_a_short_queue_of_strangers_does_not_keep_members_waiting(
    flood, autojump_clock, nursery
):
    """And where members alone send much, all keeps its order."""
    recorder = Recorder()
    handoff = handoff_to(recorder, depth=1000)
    handoff.reserve = True
    recorder.sequence = [alive_node("member", "10.0.0.2")]
    member = Address("10.0.0.2", 7946)
    for _ in range(BATCH + 1):
        sender = Address("10.9.9.9", 7946) if flood else member
        handoff.put(UserMessage(b"before"), Packet(b"", sender, 1.0))
    for number in range(200):
        handoff.put(UserMessage(b"%d" % number), Packet(b"", member, 1.5))
    handoff.put(UserMessage(b"later"), Packet(b"", member, 9.0))
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    bodies = [message.body for message in recorder.seen]
    assert BATCH + 1 + 201 == len(bodies), "none is left behind when the others are done"
    of_member = [body for body in bodies if body.isdigit()]
    assert [b"%d" % number for number in range(200)] == of_member
    if flood:
        assert bodies.index(b"20") < bodies.index(b"later")
        assert bodies.index(b"20") < 40
    else:
        assert [b"before"] * (BATCH + 1) + of_member + [b"later"] == bodies
    nursery.cancel_scope.cancel()


async def test_members_of_a_large_table_are_looked_up_step_by_step():
    recorder = Recorder()
    recorder.sequence = [
        alive_node(f"n{number}", f"10.1.{number // 256}.{number % 256}")
        for number in range(3 * SCANNED_AT_ONCE)
    ]
    handoff = handoff_to(recorder, depth=10)
    handoff.reserve = True
    last = Packet(b"", Address("10.1.5.255", 7946), 1.0)
    asked = 0
    while handoff._limit_for(last) < 10:
        asked += 1
    assert asked in (3, 4)
    assert 5 == handoff._limit_for(Packet(b"", Address("10.9.9.9", 7946), 1.0))


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


async def test_what_becomes_long_when_decompressed_is_read_up_to_a_rate(autojump_clock):
    delegate = Delegate()
    async with one_node(delegate=delegate, handoff_queue_depth=10_000) as (node, wire):
        long, usual = (encode_message(UserMessage(bytes(n))) for n in (500_000, SHORT_OUTPUT - 100))
        for _ in range(20):
            wire.deliver(compress_message(long), AWAY)
        at_once = MAX_LONG // (1 << 20)
        assert 20 - at_once == node.statistics().bad_input["compress"]
        for number in range(20):
            pair = make_compound(
                [compress_message(long), encode_message(UserMessage(b"%d" % number))]
            )
            wire.deliver(pair, AWAY)
            wire.deliver(compress_message(usual), AWAY)
        await trio.testing.wait_all_tasks_blocked()
        assert 40 - at_once == node.statistics().bad_input["compress"], "other packets are read"
        assert at_once + 40 == len(delegate.messages)
        await trio.sleep(1.0)
        wire.deliver(compress_message(long), AWAY)
        assert 40 - at_once == node.statistics().bad_input["compress"]


async def test_a_transport_that_is_closed_at_the_start_ends_the_receiver(autojump_clock, nursery):
    async with one_node() as (node, _):
        receiver = node._receiver

        class Closed:
            async def receive_packets(self, handler, *, task_status):
                await trio.lowlevel.checkpoint()
                raise trio.ClosedResourceError("closed")

        receiver.transport = Closed()
        with trio.fail_after(1):
            await nursery.start(receiver.run)
            await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks
