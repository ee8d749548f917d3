"""Every datagram, whatever it is."""

import random

import pytest
import trio

from trioserf._memberlist.receiver import MAX_LONG, MAX_REQUESTS
from trioserf._swim.nodes import NodeStatus
from trioserf._wire.messages import (
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    UserMessage,
    encode_message,
)
from trioserf._wire.packets import make_compound
from trioserf.abc import Address

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


async def test_an_indirect_ping_is_sent_on_and_its_ack_passed_back_without_payload(autojump_clock):
    async with one_node() as (node, wire):
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
        assert node.node("n2").acked_at < 0
        deliver(wire, Ack(ping.seq_no, None), source=Address("10.0.1.109", 7946))
        assert node.node("n2").acked_at > 0
        assert 4 == len(node.node("n2").other_hosts)


async def test_an_indirect_ping_without_an_answer_ends_in_a_nack_if_wanted(autojump_clock):
    async with one_node(probe_timeout=0.5) as (node, wire):
        deliver(wire, IndirectPing(98, b"\x0a\x00\x00\x03", 7003, "n3", False))
        deliver(wire, IndirectPing(99, b"\x0a\x00\x00\x03", 7003, "n3", True))
        await trio.sleep(0.49)
        assert [] == answers(wire, Nack)
        await trio.sleep(0.02)
        assert [(Nack(99), AWAY)] == answers(wire, Nack)
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
    async with one_node(handoff_queue_depth=2) as (node, wire):
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
