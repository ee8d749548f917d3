"""Pings for others, by deadline."""

import trio

from trioserf._memberlist.indirect_pings import IndirectPings, Requester
from trioserf._wire.messages import Nack, encode_message

from .kit import AWAY


class Sender:
    def __init__(self):
        self.sent = []
        self.error = None

    def send(self, message, to, name):
        if self.error is not None:
            raise self.error
        self.sent.append((trio.current_time(), message))


def relay(number, nack=True):
    return Requester(seq_no=number, address=AWAY, name="n2", nack=nack)


async def test_relays_end_one_after_another(autojump_clock, nursery):
    sender = Sender()
    relays = IndirectPings(10, 0.5, sender)
    nursery.start_soon(relays.run)
    relays.add(1, relay(11), trio.current_time())
    await trio.sleep(0.2)
    relays.add(2, relay(12), trio.current_time())
    relays.add(3, relay(13), trio.current_time())
    assert 13 == relays.take(3).seq_no
    assert relays.take(3) is None
    await trio.sleep(5)
    assert [(0.5, encode_message(Nack(11))), (0.7, encode_message(Nack(12)))] == sender.sent
    assert 0 == len(relays)
    relays.add(4, relay(14), trio.current_time())
    await trio.sleep(1)
    assert 3 == len(sender.sent)
    nursery.cancel_scope.cancel()


async def test_an_answered_relay_keeps_its_place_until_its_time(autojump_clock, nursery):
    relays = IndirectPings(1, 0.5, Sender())
    nursery.start_soon(relays.run)
    assert relays.add(1, relay(11), trio.current_time())
    relays.take(1)
    # Otherwise a peer that answers itself could make us ping without end.
    assert not relays.add(2, relay(12), trio.current_time())
    await trio.sleep(0.6)
    assert relays.add(2, relay(12), trio.current_time())
    nursery.cancel_scope.cancel()


async def test_a_nack_that_cannot_be_sent_is_lost(autojump_clock, nursery):
    sender = Sender()
    sender.error = trio.BrokenResourceError("unreachable")
    relays = IndirectPings(10, 0.5, sender)
    nursery.start_soon(relays.run)
    relays.add(1, relay(11), trio.current_time())
    await trio.sleep(1)
    assert 0 == len(relays)
    nursery.cancel_scope.cancel()
