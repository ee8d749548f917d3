"""When broadcasts are sent, and to how many nodes."""

import pytest
import trio

from trioserf._memberlist.gossiper import EAGER_BATCH
from trioserf._swim.broadcasts import TransmitLimitedQueue
from trioserf._wire.messages import Alive, Suspect, UserMessage, encode_message

from .kit import Delegate, Tap, alive_of, cluster, one_node, opened


class Spreading(Delegate):
    """A delegate with a queue of its own, as Serf has."""

    def __init__(self):
        super().__init__()
        self.node = None
        self.queue = TransmitLimitedQueue(4, lambda: self.node.num_nodes)
        self.got = {}
        self.transmits = 0

    def say(self, message):
        self.notify_message(message)

    def notify_message(self, message):
        if message not in self.got:
            self.got[message] = trio.current_time()
            self.queue.queue(message)
            self.node.wake_gossip()

    def get_broadcasts(self, overhead, limit):
        taken = self.queue.take(overhead, limit)
        self.transmits += len(taken)
        return taken


async def spread(count, **fields):
    """Latencies of one message to all others, and the transmissions of all (seconds)."""
    async with cluster(latency=(0.0002, 0.0006)) as c:
        delegates = []
        for number in range(1, count + 1):
            delegates.append(Spreading())
            delegates[-1].node = await c.start(number, delegate=delegates[-1], **fields)
        for number in range(2, count + 1):
            await c.nodes[number].join(["10.0.0.1"])
        await trio.sleep(5)
        start = trio.current_time()
        delegates[-1].say(b"event")
        await trio.sleep(3)
        assert all(b"event" in delegate.got for delegate in delegates)
        transmits = sum(delegate.transmits for delegate in delegates)
        return [delegate.got[b"event"] - start for delegate in delegates], transmits


@pytest.mark.slow
async def test_eager_gossip_spreads_in_milliseconds_with_the_transmissions_of_go(autojump_clock):
    eager, eager_transmits = await spread(12)
    regular, regular_transmits = await spread(12, eager_gossip=False)
    assert max(eager) < 0.02
    assert 0.1 < max(regular) < 1.5
    assert 12 * 8 == eager_transmits == regular_transmits


async def test_go_has_regular_rounds_alone(autojump_clock):
    latencies, _ = await spread(3, faithful_go=True)
    assert 0.01 < max(latencies) <= 0.4


async def test_an_idle_node_has_no_rounds(autojump_clock):
    async with cluster() as c:
        first, _ = await c.start_many(2)
        await trio.sleep(10)
        before = first.statistics()
        await trio.sleep(60)
        after = first.statistics()
        assert before.gossip_ticks == after.gossip_ticks
        assert before.gossip_eager == after.gossip_eager


async def test_regular_rounds_keep_their_phase(autojump_clock):
    delegate = Delegate()
    async with one_node(
        delegate=delegate, eager_gossip=False, gossip_interval=0.2, probe_interval=0
    ) as (node, wire):
        wire.deliver(encoded_alive("n2"))
        await trio.sleep(5)
        times = []
        for pause in (0.33, 0.77, 1.01):
            wire.sent.clear()
            delegate.broadcasts = [b"x"]
            node.wake_gossip()
            node.wake_gossip()
            await wire.until_sent()
            times.append(trio.current_time() % 0.2)
            await trio.sleep(pause)
        assert max(times) - min(times) < 0.002


def encoded_alive(name):
    return encode_message(alive_of(name))


async def test_no_regular_round_comes_twice_however_the_numbers_round(autojump_clock):
    delegate = Delegate()
    async with one_node(
        delegate=delegate, eager_gossip=False, gossip_interval=0.2, probe_interval=0
    ) as (node, wire):
        wire.deliver(encoded_alive("n2"))
        await trio.sleep(5)
        gossiper = node._gossiper
        for number in range(200):
            before = gossiper.regular_rounds
            delegate.broadcasts = [bytes([65 + number % 20]) * 1300 for _ in range(3)]
            node.wake_gossip()
            await trio.sleep(0.2)
            assert gossiper.regular_rounds <= before + 2
            await trio.sleep(1)


async def test_what_is_queued_together_is_sent_together(autojump_clock):
    delegate = Delegate()
    async with one_node(delegate=delegate, probe_interval=0) as (node, wire):
        wire.deliver(encoded_alive("n2"))
        await trio.sleep(5)
        wire.sent.clear()
        for text in (b"1", b"2", b"3"):
            delegate.broadcasts.append(text)
            node.wake_gossip()
        await trio.sleep(EAGER_BATCH * 1.5)
        assert 1 == len(wire.sent)
        assert 3 == len([m for m, _ in opened(wire.sent) if isinstance(m, UserMessage)])


async def test_an_alive_message_waits_for_the_intent_that_follows_it(autojump_clock):
    delegate = Delegate()
    async with one_node(delegate=delegate, probe_interval=0, gossip_interval=10) as (node, wire):
        wire.deliver(encoded_alive("n2"))
        await trio.sleep(50)
        wire.sent.clear()
        wire.deliver(encoded_alive("n3"))
        await trio.sleep(0.02)
        assert [] == wire.sent
        delegate.broadcasts.append(b"n3 joins")
        node.wake_gossip()
        await trio.sleep(EAGER_BATCH * 1.5)
        # The delegate of this test gives its message to one packet only.
        assert {Alive, UserMessage} == {type(message) for message, _ in opened(wire.sent[:1])}


async def test_a_suspect_message_waits_for_the_regular_round(autojump_clock):
    async with one_node(probe_interval=1e6, gossip_interval=2) as (node, wire):
        wire.deliver(encoded_alive("n2"))
        await trio.sleep(50)
        before = node.statistics()
        wire.sent.clear()
        wire.deliver(encode_message(Suspect(1, "n2", "n3")))
        await trio.sleep(2)
        after = node.statistics()
        assert before.gossip_eager == after.gossip_eager
        assert {Suspect} == {type(message) for message, _ in opened(wire.sent)}


@pytest.mark.slow
async def test_a_flood_of_broadcasts_is_sent_in_growing_batches(autojump_clock):
    delegate = Delegate()
    async with one_node(delegate=delegate, probe_interval=0) as (node, wire):
        wire.deliver(encoded_alive("n2"))
        await trio.sleep(5)
        before = node.statistics().gossip_eager
        for number in range(2000):
            delegate.broadcasts.append(b"%d" % number)
            node.wake_gossip()
            await trio.sleep(0.001)
        rounds = node.statistics().gossip_eager - before
        # Two seconds allow the burst, and a twentieth of the gossip interval for each one more; a
        # packet to one node costs a little more than a full one.
        assert 160 <= rounds <= 220
        await trio.sleep(2)
        assert [] == delegate.broadcasts


async def test_turned_off_nothing_is_gossiped(autojump_clock):
    delegate = Delegate()
    async with one_node(delegate=delegate, probe_interval=0, gossip_interval=0) as (node, wire):
        wire.deliver(encoded_alive("n2"))
        delegate.broadcasts = [b"x"]
        node.wake_gossip()
        await trio.sleep(5)
        assert [] == wire.sent


async def test_the_queue_is_sampled_while_there_is_a_tap(autojump_clock):
    tap = Tap()
    async with one_node(tap=tap, queue_check_interval=30.0, gossip_interval=0) as (node, _):
        await trio.sleep(61)
        assert [1, 1] == tap.values("memberlist.queue.broadcasts")
        node._metrics.tap = None
        await trio.sleep(100)
    assert 2 == len(tap.values("memberlist.queue.broadcasts"))
