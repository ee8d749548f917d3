"""Pings for peers, by deadline."""

import trio

from trioserf._memberlist.deadlines import Deadlines
from trioserf._memberlist.indirect_pings import IndirectPings
from trioserf._wire.messages import Ack, IndirectPing, Nack, encode_message

from .kit import AWAY, HOME


class Sender:
    def __init__(self):
        self.sent = []
        self.error = None

    def send(self, message, to, name):
        if self.error is not None:
            raise self.error
        self.sent.append((trio.current_time(), message))


def request(seq_no):
    return IndirectPing(seq_no, AWAY.to_bytes(), 7946, "n3", True, None, 0, "n2")


async def test_they_end_one_after_another(autojump_clock, nursery):
    sender = Sender()
    pings = IndirectPings(10, 0.5, sender, Deadlines(), faithful=True)
    nursery.start_soon(pings.deadlines.run)
    pings.add(1, request(11), AWAY, trio.current_time())
    await trio.sleep(0.2)
    pings.add(2, request(12), AWAY, trio.current_time())
    pings.add(3, request(13), AWAY, trio.current_time())
    pings.ack(3)
    pings.ack(3)
    assert [(0.2, encode_message(Ack(13, None)))] == sender.sent
    sender.sent.clear()
    await trio.sleep(5)
    assert [(0.5, encode_message(Nack(11))), (0.7, encode_message(Nack(12)))] == sender.sent
    assert 0 == len(pings)
    pings.add(4, request(14), AWAY, trio.current_time())
    await trio.sleep(1)
    assert 3 == len(sender.sent)
    nursery.cancel_scope.cancel()


async def test_a_nack_is_sent_early_and_an_ack_after_it_is_passed_on(autojump_clock, nursery):
    sender = Sender()
    pings = IndirectPings(10, 0.5, sender, Deadlines())
    nursery.start_soon(pings.deadlines.run)
    pings.add(1, request(11), AWAY, trio.current_time())
    await trio.sleep(0.45)
    assert [(0.4, encode_message(Nack(11)))] == sender.sent
    pings.ack(1)
    assert encode_message(Ack(11, None)) == sender.sent[-1][1]
    pings.add(2, request(12), AWAY, trio.current_time())
    await trio.sleep(0.51)
    assert 3 == len(sender.sent)
    pings.ack(2)
    assert 3 == len(sender.sent)
    assert 0 == len(pings)
    nursery.cancel_scope.cancel()


async def test_those_to_one_address_can_be_ended(autojump_clock, nursery):
    sender = Sender()
    pings = IndirectPings(10, 0.5, sender, Deadlines(), faithful=True)
    nursery.start_soon(pings.deadlines.run)
    pings.add(1, request(11), AWAY, trio.current_time(), target=AWAY)
    pings.add(2, request(12), AWAY, trio.current_time(), target=HOME)
    pings.add(3, request(13), HOME, trio.current_time(), target=AWAY)
    assert pings.waiting_for(AWAY)
    assert [(request(11), AWAY), (request(13), HOME)] == pings.take(AWAY)
    assert not pings.waiting_for(AWAY)
    assert [] == pings.take(AWAY)
    await trio.sleep(1)
    assert [(0.5, encode_message(Nack(12)))] == sender.sent
    nursery.cancel_scope.cancel()


async def test_an_answered_ping_keeps_its_place_until_its_deadline(autojump_clock, nursery):
    pings = IndirectPings(1, 0.5, Sender(), Deadlines())
    nursery.start_soon(pings.deadlines.run)
    assert pings.add(1, request(11), AWAY, trio.current_time())
    pings.ack(1)
    # Otherwise a peer that answers itself could make this node ping without end.
    assert not pings.add(2, request(12), AWAY, trio.current_time())
    await trio.sleep(0.6)
    assert pings.add(2, request(12), AWAY, trio.current_time())
    nursery.cancel_scope.cancel()


async def test_a_nack_that_cannot_be_sent_is_lost(autojump_clock, nursery):
    sender = Sender()
    sender.error = trio.BrokenResourceError("unreachable")
    pings = IndirectPings(10, 0.5, sender, Deadlines(), faithful=True)
    nursery.start_soon(pings.deadlines.run)
    pings.add(1, request(11), AWAY, trio.current_time())
    await trio.sleep(1)
    assert 0 == len(pings)
    nursery.cancel_scope.cancel()


async def test_an_ack_that_nobody_waits_for_goes_nowhere(autojump_clock, nursery):
    sender = Sender()
    pings = IndirectPings(10, 0.5, sender, Deadlines())
    nursery.start_soon(pings.deadlines.run)
    pings.nacked(1)
    pings.ack(1)
    assert [] == sender.sent
    pings.add(1, request(11), AWAY, trio.current_time())
    pings.ack(1)
    pings.ack(1)
    assert 1 == len(sender.sent)
    nursery.cancel_scope.cancel()
