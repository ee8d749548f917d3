"""Sending datagrams: what is piggy-backed, and how long they get."""

import os

import pytest
import trio

from trioserf._exceptions import LocalProtocolError
from trioserf._memberlist.drop_log import DropLog
from trioserf._memberlist.metrics import Metrics
from trioserf._memberlist.node_log import node_log
from trioserf._memberlist.packet_sender import (
    EAGER_MESSAGES,
    ROUND_MESSAGES,
    PacketSender,
    address_of,
)
from trioserf._memberlist.wire_format import WireFormat, configured_keyring
from trioserf._swim.broadcasts import TransmitLimitedQueue
from trioserf._swim.nodes import Node
from trioserf._wire.messages import Ack, Dead, Suspect, UserMessage, encode_message
from trioserf._wire.packets import decode_packet

from .kit import AWAY, Delegate, Wire, config, opened

ACK = encode_message(Ack(1, None))
SUSPECT = encode_message(Suspect(1, "n9", "n1"))
MODERN = Node(name="n2", addr=b"\x0a\x00\x00\x02", port=7946, versions=b"\x01\x05\x02\x00\x00\x00")
OLD = Node(name="n3", addr=b"\x0a\x00\x00\x03", port=7946, versions=b"\x01\x04\x02\x00\x00\x00")


def make(delegate=None, nodes=(MODERN, OLD), **fields):
    settings = config(**fields)
    table = {node.name: node for node in nodes}
    return PacketSender(
        config=settings,
        transport=Wire(),
        wire=WireFormat(settings, os.urandom, configured_keyring(settings)),
        queue=TransmitLimitedQueue(4, lambda: 10),
        delegate=delegate,
        find_node=table.get,
        drop_log=DropLog(node_log("memberlist", "n1")),
        metrics=Metrics(None, {}, node_log("memberlist", "n1")),
    )


def sent(sender):
    """Packets and bytes that were counted."""
    statistics = sender.metrics.sent.statistics()
    return sum(statistics.packets.values()), sum(statistics.packet_bytes.values())


def test_a_message_without_broadcasts_goes_alone():
    sender = make()
    sender.send(ACK, AWAY)
    assert [(ACK, AWAY)] == sender.transport.sent
    assert (1, len(ACK)) == sent(sender)


def test_broadcasts_are_piggy_backed_and_count_as_sent():
    delegate = Delegate()
    delegate.broadcasts = [b"user"]
    sender = make(delegate)
    sender.queue.queue(SUSPECT, name="n9")
    sender.send(ACK, AWAY)
    ((data, _),) = sender.transport.sent
    assert [Ack(1, None), Suspect(1, "n9", "n1"), UserMessage(b"user")] == [
        message for message, _ in opened([(data, AWAY)])
    ]
    assert (0, 1) == sender.queue.statistics().by_transmits[:2]


def test_a_checksum_goes_to_nodes_that_are_known_to_understand_it():
    sender = make()
    for name in ("n2", "n3", "", "stranger"):
        sender.send(ACK, AWAY, name)
    assert [12, 2, 2, 2] == [data[0] for data, _ in sender.transport.sent]


def test_messages_sent_together_take_nothing_along():
    sender = make()
    sender.queue.queue(SUSPECT, name="n9")
    sender.send_together([ACK, ACK], AWAY, "n3")
    assert 2 == len(opened(sender.transport.sent))
    assert (1,) == sender.queue.statistics().by_transmits


@pytest.mark.parametrize("key", [None, bytes(16)])
@pytest.mark.parametrize("label", ["", "blue"])
def test_a_full_packet_stays_within_the_buffer_size(key, label):
    delegate = Delegate()
    delegate.broadcasts = [os.urandom(20) for _ in range(200)]
    sender = make(delegate, secret_key=key, label=label)
    for number in range(200):
        message = Dead(1, f"n{number}" + os.urandom(20).hex(), "n1")
        sender.queue.queue(encode_message(message), name=str(number))
    sender.send(ACK, AWAY, "n2")
    assert sender.gossip([MODERN])
    sizes = [len(data) for data, _ in sender.transport.sent]
    # With compression the room is not always used up, without it nearly so.
    assert 2 == len(sizes)
    assert max(sizes) <= 1400
    for data, _ in sender.transport.sent:
        assert () == decode_packet(data, sender.wire.packet).problems


def test_the_room_is_used_up():
    sender = make(enable_compression=False)
    for number in range(200):
        sender.queue.queue(SUSPECT + os.urandom(1), name=str(number))
    sender.gossip([MODERN])
    ((data, _),) = sender.transport.sent
    assert 1400 - len(SUSPECT) - 3 <= len(data) <= 1400


def test_user_messages_have_a_share_of_each_packet():
    delegate = Delegate()
    delegate.broadcasts = [b"u" * 100 for _ in range(50)]
    sender = make(delegate, user_share=0.25, enable_compression=False)
    for number in range(200):
        sender.queue.queue(SUSPECT + b"%03d" % number, name=str(number))
    sender.gossip([MODERN])
    kinds = [type(message) for message, _ in opened(sender.transport.sent)]
    assert 3 <= kinds.count(UserMessage) <= 4
    assert kinds.count(Suspect) >= 20


def test_a_share_that_the_delegate_does_not_need_is_used():
    sender = make(Delegate(), user_share=0.5, enable_compression=False)
    for number in range(200):
        sender.queue.queue(SUSPECT + b"%03d" % number, name=str(number))
    sender.gossip([MODERN])
    ((data, _),) = sender.transport.sent
    assert len(data) > 1300


def test_faithful_to_go_nothing_is_reserved():
    delegate = Delegate()
    delegate.broadcasts = [b"u" * 100]
    sender = make(delegate, faithful_go=True, enable_compression=False)
    for number in range(200):
        sender.queue.queue(SUSPECT + b"%03d" % number, name=str(number))
    sender.gossip([MODERN])
    assert {Suspect} == {type(message) for message, _ in opened(sender.transport.sent)}


def test_more_parts_than_old_nodes_can_split_go_into_a_second_packet():
    delegate = Delegate()
    delegate.broadcasts = [b"u" for _ in range(300)]
    sender = make(delegate, udp_buffer_size=9000, enable_compression=False)
    sender.send(ACK, AWAY)
    assert 1 + 300 == len(opened(sender.transport.sent))
    delegate.broadcasts = [b"u" for _ in range(300)]
    sender.gossip([MODERN])
    assert 1 + 300 + 300 == len(opened(sender.transport.sent))
    assert all(data[1] <= 127 for data, _ in sender.transport.sent if data[0] == 7)


def test_a_round_encodes_a_packet_once_for_many():
    sender = make(secret_key=bytes(16))
    sender.queue.queue(SUSPECT, name="n9")
    assert sender.gossip([MODERN, MODERN, OLD])
    (first, _), (second, _), (third, _) = sender.transport.sent
    assert first == second
    assert first != third


def test_a_round_without_broadcasts_sends_nothing():
    sender = make(Delegate())
    assert not sender.gossip([MODERN])
    assert [] == sender.transport.sent


def test_a_round_survives_what_cannot_be_sent():
    sender = make()
    sender.queue.queue(SUSPECT, name="n9")
    sender.transport.error = trio.BrokenResourceError("unreachable")
    assert sender.gossip([MODERN])
    assert 1 == sender.metrics.counts["trioserf.gossip.unsent"]


def test_required_names_must_be_there():
    sender = make(require_node_names=True)
    with pytest.raises(LocalProtocolError, match="node names are required"):
        sender.send(ACK, AWAY)
    with pytest.raises(LocalProtocolError, match="node names are required"):
        sender.send_together([ACK], AWAY)
    sender.send(ACK, AWAY, "n2")


def test_a_refused_packet_is_an_error_for_the_caller():
    sender = make()
    sender.transport.error = trio.BrokenResourceError("unreachable")
    with pytest.raises(trio.BrokenResourceError):
        sender.send(ACK, AWAY)
    assert (0, 0) == sent(sender)


def test_the_address_of_a_record_without_one_is_a_local_error():
    assert AWAY == address_of(MODERN)
    with pytest.raises(LocalProtocolError, match="no usable address"):
        address_of(Node(name="x", addr=b"\x01", port=1))


async def test_a_delegate_that_raises_keeps_nothing_else_back(autojump_clock):
    class Broken(Delegate):
        def get_broadcasts(self, overhead, limit):
            raise RuntimeError("delegate")

    sender = make(Broken())
    sender.queue.queue(SUSPECT)
    sender.send(ACK, AWAY)
    assert [Ack, Suspect] == [type(message) for message, _ in opened(sender.transport.sent)]
    assert 1 == sender.drop_log.counts["handler"]


def test_what_is_counted_is_what_travels():
    sender = make(label="blue")
    sender.send(ACK, AWAY)
    assert (1, len(ACK) + 6) == sent(sender)
    assert len(sender.transport.sent[0][0]) == len(ACK) + 6
    assert len(ACK) + 6 == sender.metrics.counts["memberlist.udp.sent"]


class Bulk(Delegate):
    """A delegate that fills packets for several nodes at once."""

    def __init__(self, mult=4, nodes=10):
        super().__init__()
        self.queue = TransmitLimitedQueue(mult, lambda: nodes, bulk=True)

    def get_broadcasts(self, overhead, limit):
        return self.get_broadcasts_for(0, overhead, limit)

    def get_broadcasts_for(self, copies, overhead, limit):
        return self.queue.take(overhead, limit, copies=copies)

    def waiting(self):
        return self.queue.size

    def unsent(self):
        return self.queue.unsent

    def is_request(self, message):
        return False

    def is_duplicate(self, message):
        return False


def bulk_sender(**fields):
    delegate = Bulk()
    sender = make(delegate, **fields)
    sender.bulk = delegate
    return sender, delegate


def several(number):
    return [
        Node(name=f"m{n}", addr=bytes([10, 0, 1, n]), port=7946, versions=MODERN.versions)
        for n in range(number)
    ]


@pytest.mark.parametrize("count", [1, 5, 17, 40])
@pytest.mark.parametrize("size", [20, 60, 200])
@pytest.mark.parametrize("delegate", [None, Delegate, Bulk])
def test_every_counted_transmission_is_in_a_packet(count, size, delegate):
    sender = make(None if delegate is None else delegate(), enable_compression=False)
    names = [f"{number}".rjust(size - 20, "x") for number in range(count)]
    for name in names:
        sender.queue.queue(encode_message(Dead(1, name, "n1")), name=name)
    while len(sender.queue):
        sender.send(ACK, AWAY)
        sender.gossip([MODERN])
    carried = [
        message.node for message, _ in opened(sender.transport.sent) if type(message) is Dead
    ]
    assert 8 * count == len(carried)
    for data, _ in sender.transport.sent:
        names = [m.node for m, _ in opened([(data, AWAY)]) if type(m) is Dead]
        assert len(set(names)) == len(names)


def test_a_packet_for_several_nodes_is_filled_once():
    sender, delegate = bulk_sender()
    delegate.queue.queue(b"event")
    sender.spread(several(6))
    assert 6 == len(sender.transport.sent)
    assert 1 == len({data for data, _ in sender.transport.sent})
    assert (0, 0, 0, 0, 0, 0, 1) == delegate.queue.statistics().by_transmits
    assert sender.spread(several(6)) is False, "they have it"
    assert sender.spread([]) is False


def test_a_burst_goes_out_in_full_packets_within_what_a_peer_of_go_can_queue():
    sender, delegate = bulk_sender()
    for number in range(500):
        delegate.queue.queue(b"%d" % number + os.urandom(60))
    assert sender.spread(several(6))
    first = len(sender.transport.sent) // 6
    assert EAGER_MESSAGES <= 500 - len(delegate.queue) < EAGER_MESSAGES + 25
    while sender.spread(several(6)):
        pass
    packets = len(sender.transport.sent) / 6
    assert 0 == len(delegate.queue)
    assert first < packets <= 1.1 * 500 * 66 / 1390
    to_one = [m.body for m, to in opened(sender.transport.sent) if to.host == "10.0.1.2"]
    assert 500 == len(to_one) == len(set(to_one))


def test_a_round_of_full_packets_leaves_the_rest_to_the_next():
    sender, delegate = bulk_sender()
    for number in range(40):
        delegate.queue.queue(b"%02d" % number + bytes(70))
    assert sender.spread(several(6)), "there is a rest"
    assert 2 * 6 == len(sender.transport.sent)
    assert 0.1 < sender.unsent_fill() < 0.4
    assert not sender.spread(several(6)), "it is sent if it is all there is"
    assert 3 * 6 == len(sender.transport.sent)
    assert 0 == sender.unsent_fill()


def test_rounds_of_tiny_messages_are_bounded_by_messages_too():
    sender, delegate = bulk_sender()
    for number in range(2000):
        delegate.queue.queue(b"%d" % number)
    sender.spread(several(3))
    assert len(opened(sender.transport.sent)) / 3 <= 2 * ROUND_MESSAGES


def test_regular_rounds_grow_with_the_backlog():
    sender, delegate = bulk_sender()
    for number in range(200):
        delegate.queue.queue(b"%d" % number + bytes(60))
    sender.gossip([MODERN])
    assert ROUND_MESSAGES <= len(opened(sender.transport.sent))
    go = make(Bulk(), faithful_go=True)
    for number in range(200):
        go.delegate.queue.queue(b"%d" % number + bytes(60))
    go.gossip([MODERN])
    assert 1 == len(go.transport.sent)


def test_one_round_brings_a_node_nothing_twice():
    sender, delegate = bulk_sender()
    for number in range(30):
        delegate.queue.queue(b"%d" % number + bytes(60))
    sender.queue.queue(SUSPECT, name="n9")
    sender.gossip(several(3))
    for node in several(3):
        got = [message for message, to in opened(sender.transport.sent) if to == node.address]
        assert 31 == len(got) == len(set(got))


def test_messages_about_nodes_that_need_a_whole_packet_are_not_delayed_for_ever():
    delegate = Bulk()
    for number in range(2000):
        delegate.queue.queue(b"%d" % number + bytes(60))
    sender = make(delegate)
    long = encode_message(Dead(1, "x" * 1200, "n1"))
    sender.queue.queue(long, name="x")
    for _ in range(20):
        sender.send(ACK, AWAY)
    assert "x" * 1200 in [m.node for m, _ in opened(sender.transport.sent) if type(m) is Dead]


@pytest.mark.parametrize("faithful", [False, True])
def test_a_ping_to_a_node_that_understands_it_has_a_checksum(faithful):
    sender = make(faithful_go=faithful)
    for name in ("n2", "n3", "unknown", ""):
        sender.send(ACK, AWAY, name)
    has_crc = [data[0] == 12 for data, _ in sender.transport.sent]
    assert [not faithful, False, False, False] == has_crc


def test_messages_about_nodes_are_spread_one_packet_at_a_time():
    # After a join all of a large cluster waits in the queue, and nobody needs it.
    for sender in (make(None), bulk_sender()[0]):
        for number in range(200):
            sender.queue.queue(encode_message(Dead(1, f"n{number}", "n1")))
        nodes = several(3)
        assert not sender.spread(nodes), "the regular rounds send the rest"
        assert 3 == len(sender.transport.sent)
        assert 0.9 < sender.fill <= 1


def test_how_full_packets_were_is_known_after_a_spread():
    sender, delegate = bulk_sender()
    delegate.queue.queue(b"x" * 100)
    sender.spread(several(2))
    assert 0.05 < sender.fill < 0.1
    for number in range(40):
        delegate.queue.queue(b"%d" % number * 100)
    sender.spread(several(2))
    assert 1 == sender.fill


def test_where_not_one_user_message_fits_the_delegate_is_not_asked():
    class Asked(Delegate):
        def get_broadcasts(self, overhead, limit):
            assert limit > overhead
            return super().get_broadcasts(overhead, limit)

    delegate = Asked()
    delegate.broadcasts = [b""]
    sender = make(delegate, user_share=0.001, enable_compression=False)
    for number in range(200):
        sender.queue.queue(SUSPECT + b"%03d" % number, name=str(number))
    sender.gossip([MODERN])
    assert {Suspect} == {type(message) for message, _ in opened(sender.transport.sent)}
    assert [b""] == delegate.broadcasts, "it waits for a packet with room"
