"""The attacks of ``benchmarks/hostile.py`` send what they say."""

from __future__ import annotations

import pytest
import trio

from benchmarks.attacks import connections, crafting, filters
from benchmarks.attacks.attacker import Attacker
from benchmarks.attacks.catalogue import ATTACKS
from benchmarks.attacks.crafting import Run
from benchmarks.attacks.disks import TRIALS
from trioserf._wire.compression import decompress_message
from trioserf._wire.messages import UserMessage
from trioserf._wire.packets import PacketCodec, decode_packet
from trioserf._wire.serf_messages import QueryMessage, UserEventMessage, decode_serf


@pytest.mark.parametrize("count", [1, 2, 255, 3837, 3838, 1_000_000])
def test_runs_are_compressed_as_any_decoder_reads_them(count: int) -> None:
    message = crafting.compressed(b"head", Run(65, count), b"tail")
    assert b"head" + b"A" * count + b"tail" == decompress_message(message[1:], 1 << 21)


def test_a_large_event_is_a_small_packet() -> None:
    packet = crafting.large_event(7, 1_000_000)
    (message,) = decode_packet(packet, PacketCodec()).messages
    assert isinstance(message, UserMessage)
    event = decode_serf(message.body)
    assert isinstance(event, UserEventMessage)
    assert (7, 1_000_000) == (event.ltime, len(event.payload or b""))
    assert len(packet) < 2000


def test_queries_with_filters_differ_and_can_be_read() -> None:
    attacker = Attacker(
        target=("127.0.0.1", 9), victim="v", honest="h", host="127.0.0.1", seconds=1
    )
    seen = set()
    packets = filters._filtered(attacker, filters.EXPRESSIONS[:1], 60, flags=2)
    for _ in range(20):
        decoded = decode_packet(next(packets), PacketCodec())
        assert () == decoded.problems
        for message in decoded.messages:
            assert isinstance(message, UserMessage)
            query = decode_serf(message.body)
            assert isinstance(query, QueryMessage)
            assert 60 == len(query.filters or ())
            seen.add((query.ltime, query.id))
    assert 40 == len(seen)


def test_a_state_inflates_to_what_it_says() -> None:
    message = connections.inflated_state(1_000_000)
    assert len(message) < 3000
    assert 1_000_000 < len(decompress_message(message[1:], 1 << 21)) < 1_000_100


def test_attacks_have_names_of_their_own_and_say_what_they_do() -> None:
    names = [each.name for each in ATTACKS] + [each.name for each in TRIALS]
    assert len(names) == len(set(names))
    assert all(each.title for each in (*ATTACKS, *TRIALS))
    assert {f"S{number}" for number in range(1, 9)} == {each.row for each in ATTACKS}


async def test_a_flood_keeps_its_rate_and_ends_with_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    attacker = Attacker(
        target=("127.0.0.1", 9), victim="v", honest="h", host="127.0.0.1", seconds=2, rate=100
    )
    attacker.start()
    try:
        await attacker.flood(attacker.again(lambda: b"\xff"))
    finally:
        attacker.close()
    assert 195 <= attacker.packets <= 200
    assert attacker.left <= 0
