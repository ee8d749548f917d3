"""What travelled, by kind."""

from trioserf._memberlist.traffic import Traffic
from trioserf._wire.messages import Ack, Nack, Ping, UserMessage
from trioserf._wire.streams import PushPullState


def test_a_packet_counts_under_its_leading_message():
    traffic = Traffic()
    traffic.sent([b"\x00ping", b"\x08user", b"\x08user"], 30)
    traffic.sent([b"\x08user"], 6)
    told = traffic.statistics()
    assert {"ping": 1, "user": 1} == told.packets
    assert {"ping": 30, "user": 6} == told.packet_bytes
    assert {"ping": 1, "user": 3} == told.messages


def test_both_directions_have_the_same_names():
    traffic = Traffic()
    traffic.received([Ping(1), Nack(2), UserMessage(b"x")], 40)
    traffic.received([Ack(1, None)], 10)
    traffic.received([], 5)
    traffic.frame(PushPullState, 100)
    told = traffic.statistics()
    assert {"ping": 1, "ack": 1} == told.packets
    assert 50 == sum(told.packet_bytes.values())
    assert {"ping": 1, "nack": 1, "user": 1, "ack": 1} == told.messages
    assert ({"push_pull": 1}, {"push_pull": 100}) == (told.frames, told.frame_bytes)
