"""User events: to everybody, in order, once; and back-pressure towards the sender."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import address, cluster, drain, host, user_events
from trioserf._events import Event, EventsDropped, UserEvent
from trioserf._exceptions import QueryTooLarge, UserEventTooLarge
from trioserf._serf.serf import Serf
from trioserf._serf.user_events import MAX_UNDER_WAY, MIN_UNDER_WAY
from trioserf._wire.keyring import Keyring
from trioserf._wire.serf_messages import UserEventMessage, encode_serf
from trioserf.testing import SimCluster

TICKS_ONLY = {"eager_gossip": False}


async def test_events_arrive_everywhere_in_order(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        await a.user_event("first", b"test")
        await trio.sleep(1)
        await a.user_event("second", b"foobar", coalesce=False)
        await trio.sleep(1)
        expected = [
            UserEvent(1, "first", b"test", coalesce=True),
            UserEvent(2, "second", b"foobar", coalesce=False),
        ]
        assert expected == drain(a)
        assert expected == drain(b)


async def test_an_event_arrives_within_milliseconds(autojump_clock: MockClock) -> None:
    async with cluster(latency=0.0005) as net:
        a, b = await net.joined("a", "b")
        sent = trio.current_time()
        await a.user_event("now")
        await b.events.receive()
        assert 0.01 > trio.current_time() - sent


@pytest.mark.parametrize("names", ["ab", "abcd", "abcdefgh"])
async def test_a_single_event_takes_one_eager_round_of_each_node(
    autojump_clock: MockClock, names: str
) -> None:
    async with cluster(latency=0.0005) as net:
        nodes = await net.joined(*names)
        await trio.sleep(5)
        before = [node.statistics().memberlist.gossip_eager for node in nodes]
        await nodes[0].user_event("alone")
        await trio.sleep(0.1)
        assert all([UserEvent(1, "alone", b"", coalesce=True)] == drain(node) for node in nodes)
        await trio.sleep(5)
        after = [node.statistics().memberlist.gossip_eager for node in nodes]
        assert [count + 1 for count in before] == after


async def test_a_burst_goes_to_more_nodes_at_once_than_an_event_alone(
    autojump_clock: MockClock,
) -> None:
    async with cluster(latency=0.0005) as net:
        nodes = await net.joined(*(f"n{number}" for number in range(12)), probe_interval=0.0)
        await trio.sleep(5)

        async def packets(count: int) -> int:
            before = sum(node.statistics().memberlist.sent.packets.get("user", 0) for node in nodes)
            for number in range(count):
                await nodes[0].user_event(str(number), b"." * 32)
            await trio.sleep(0.1)
            after = sum(node.statistics().memberlist.sent.packets.get("user", 0) for node in nodes)
            await trio.sleep(10)
            return after - before

        # Of eight transmissions.
        assert 4 * 12 == await packets(1)
        assert 6 * 12 == await packets(8)


async def test_ten_events_a_second_go_out_at_once(autojump_clock: MockClock) -> None:
    async with cluster(latency=0.0005) as net:
        a, b = await net.joined("a", "b")
        await trio.sleep(2)
        drain(b)
        for number in range(60):
            sent = trio.current_time()
            await a.user_event(str(number), coalesce=False)
            await b.events.receive()
            assert 0.01 > trio.current_time() - sent
            await trio.sleep(1 / 10)


async def test_more_events_than_that_share_packets(autojump_clock: MockClock) -> None:
    async with cluster(latency=0.0005) as net:
        a, b, *_ = await net.joined(*"abcdefgh")
        await trio.sleep(2)
        drain(b)
        before = a.statistics().memberlist.gossip_eager
        for number in range(500):
            await a.user_event(str(number), b"." * 32, coalesce=False)
            await trio.sleep(0.01)
        rounds = a.statistics().memberlist.gossip_eager - before
        assert 50 < rounds < 130, "not one for each event, and not one each 20 ms"
        await trio.sleep(1)
        assert 500 == len(user_events(drain(b)))


async def test_the_sender_has_its_event_at_once(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        drain(a)
        a.user_event_nowait("deploy", b"v1")
        assert [("deploy", b"v1")] == user_events(drain(a))


async def test_equal_events_sent_twice_arrive_twice(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        await a.user_event("again")
        await a.user_event("again")
        await trio.sleep(2)
        assert 2 == len(user_events(drain(b)))


async def test_an_event_over_the_limit_is_refused_before_anything_happens(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        drain(a)
        with pytest.raises(UserEventTooLarge, match="user event exceeds"):
            await a.user_event("big", b"x" * 512)
        assert "1" == a.stats()["event_time"]
        assert [] == drain(a)


async def test_a_join_that_ignores_old_events_delivers_none_of_them(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        await a.user_event("old one")
        await a.user_event("old two")
        await b.join([address(a)], ignore_old=True)
        await trio.sleep(10)
        assert [] == user_events(drain(b))
        await a.user_event("new")
        await trio.sleep(1)
        assert [("new", b"")] == user_events(drain(b))


async def test_an_ordinary_join_delivers_old_events(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        await a.user_event("old one")
        await b.join([address(a)])
        await trio.sleep(1)
        assert [("old one", b"")] == user_events(drain(b))


async def test_events_may_be_sent_after_leaving(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        await a.leave()
        await a.user_event("farewell")
        await trio.sleep(5)
        assert ("farewell", b"") in user_events(drain(b))


# --- back-pressure ------------------------------------------------------------------------


async def test_a_full_queue_makes_the_sender_wait(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", queue_depth_warning=20, **TICKS_ONLY)
        before = trio.current_time()
        for number in range(200):
            await a.user_event("burst", b"%d" % number + bytes(100))
            assert 20 >= int(a.stats()["event_queue"])
        assert 1 < trio.current_time() - before
        await trio.sleep(30)
        assert 200 == len(user_events(drain(b)))


async def test_a_full_queue_raises_would_block_for_nowait(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b", queue_depth_warning=5, **TICKS_ONLY)
        for _ in range(5):
            a.user_event_nowait("burst")
        with pytest.raises(trio.WouldBlock):
            a.user_event_nowait("burst")
        assert 5 == int(a.stats()["event_queue"])


async def test_a_node_alone_never_waits(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", queue_depth_warning=5)
        before = trio.current_time()
        for _ in range(50):
            await a.user_event("to myself")
        assert before == trio.current_time()


async def test_a_sender_is_released_when_the_other_members_are_gone(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        quick = {"probe_interval": 0.5, "probe_timeout": 0.2, "suspicion_mult": 1}
        fields = {"queue_depth_warning": 5, "gossip_interval": 1000.0}
        a, b = await net.joined("a", "b", **quick, **fields, **TICKS_ONLY)
        await b.aclose()
        for number in range(10):
            await a.user_event("burst", bytes(400) + b"%d" % number)
        assert 10 == int(a.stats()["event_time"]) - 1


async def test_closing_the_node_releases_a_waiting_sender(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b", queue_depth_warning=1, **TICKS_ONLY)
        a.user_event_nowait("burst")

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await a.user_event("burst")

        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await trio.testing.wait_all_tasks_blocked()
                await a.aclose()


# --- readers ------------------------------------------------------------------------------


async def test_a_slow_reader_meets_its_gap_and_others_meet_none(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", event_buffer_size=10)
        async with b.subscribe(max_buffer_size=1000) as quick:
            for number in range(30):
                await a.user_event(f"e{number}")
                await trio.sleep(0.5)
            slow = drain(b)
            assert [f"e{number}" for number in range(10)] == [e.name for e in slow[:10]]  # type: ignore[union-attr]
            assert [EventsDropped(20)] == slow[10:]
            assert 30 == quick.statistics().current_buffer_used
        assert 20 == b.statistics().events_dropped


async def test_a_subscription_gets_what_it_asked_for(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        async with a.subscribe(UserEvent) as users:
            await b.join([address(a)])
            await b.user_event("hello")
            assert "hello" == getattr(await users.receive(), "name", None)


async def test_the_event_channel_ends_with_the_node(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        async with a.subscribe() as other:
            await a.aclose()
            assert 1 == len([event async for event in a.events])
            assert [] == [event async for event in other]


async def test_merged_events_come_together(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        fields = {"user_coalesce_period": 3.0, "user_quiescent_period": 1.0}
        a = await net.start("a", **fields)
        drain(a)
        for number in range(5):
            await a.user_event("deploy", b"%d" % number)
        await a.user_event("alarm", coalesce=False)
        assert [("alarm", b"")] == user_events(drain(a))
        await trio.sleep(1.1)
        assert [("deploy", b"4")] == user_events(drain(a))


# --- what fits into a packet --------------------------------------------------------------

KEY = bytes(range(16))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"udp_buffer_size": 600},
        {"label": "a-label-that-takes-room"},
        {"secret_key": KEY},
        {"secret_key": KEY, "label": "both", "udp_buffer_size": 900},
    ],
)
async def test_an_event_that_fits_no_packet_is_refused(
    autojump_clock: MockClock, settings: dict[str, Any]
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", user_event_size_limit=9216, **settings)
        limit = a.memberlist.user_message_limit
        longest = limit - len(encode_serf(UserEventMessage(1, "e", bytes(300), True))) + 300
        for wrong in (longest + 1, 9000):
            with pytest.raises(UserEventTooLarge, match=f"limit of {limit} bytes"):
                await a.user_event("e", bytes(wrong))
        assert "1" == a.stats()["event_time"]
        assert [] == drain(a)
        await a.user_event("e", bytes(longest))
        await trio.sleep(1)
        assert [("e", bytes(longest))] == user_events(drain(b))
        await trio.sleep(5)
        assert "0" == a.stats()["event_queue"] == b.stats()["event_queue"]


async def test_go_queues_an_event_that_fits_no_packet(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b", user_event_size_limit=9216, faithful_go=True)
        await a.user_event("e", bytes(5000))
        await trio.sleep(10)
        assert "1" == a.stats()["event_queue"]


async def test_a_query_that_fits_no_packet_is_refused(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b", udp_buffer_size=512)
        limit = a.memberlist.user_message_limit
        with pytest.raises(QueryTooLarge, match=f"limit of {limit} bytes"):
            await a.ask("q", bytes(600))
        assert "1" == a.stats()["query_time"]
        assert 0 == a.statistics().open_queries


async def test_what_became_too_long_when_encryption_began_is_dropped_and_counted(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", user_event_size_limit=9216, secret_key=None)
        size = a.memberlist.user_message_limit
        longest = size - len(encode_serf(UserEventMessage(1, "e", bytes(300), True))) + 300
        a.user_event_nowait("e", bytes(longest))
        a.user_event_nowait("short")
        for node in (a, b):
            node.memberlist.keyring = Keyring.create([KEY], KEY)
        await trio.sleep(5)
        assert ["short"] == [name for name, _ in user_events(drain(b))]
        assert "0" == a.stats()["event_queue"]
        assert {"too_long": 1} == dict(a.statistics().bad_input)


# --- under load ---------------------------------------------------------------------------


async def test_a_sender_waits_until_its_events_come_back(autojump_clock: MockClock) -> None:
    async with cluster(latency=0.1) as net:
        a, b = await net.joined("a", "b")
        for number in range(MAX_UNDER_WAY):
            a.user_event_nowait("burst", b"%d" % number)
        with pytest.raises(trio.WouldBlock):
            a.user_event_nowait("burst")
        await trio.sleep(0.15)  # they are there, but that is not known here
        with pytest.raises(trio.WouldBlock):
            a.user_event_nowait("burst")
        await trio.sleep(0.15)
        a.user_event_nowait("burst")
        await trio.sleep(3)
        assert MAX_UNDER_WAY + 1 == len(user_events(drain(b)))


async def test_go_never_waits_for_copies(autojump_clock: MockClock) -> None:
    async with cluster(latency=0.1) as net:
        a, b = await net.joined("a", "b", faithful_go=True)
        for number in range(2 * MAX_UNDER_WAY - 1):
            a.user_event_nowait("burst", b"%d" % number)
        await trio.sleep(20)
        assert 2 * MAX_UNDER_WAY - 1 == len(user_events(drain(b)))


async def test_a_sender_whose_events_do_not_come_back_goes_on_in_the_end(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", probe_interval=1000.0, queue_depth_warning=1000)
        net.network.partition([host(a)], [host(b)])
        before = trio.current_time()
        for number in range(3 * MAX_UNDER_WAY):
            await a.user_event("burst", b"%d" % number)
        # Each time as many as may be under way, and then five gossip intervals.
        assert 2.0 <= trio.current_time() - before <= 2.1


async def test_a_queue_full_of_the_events_of_others_does_not_silence_a_node(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", probe_interval=1000.0, **TICKS_ONLY)
        net.network.partition([host(a)], [host(b)])  # and no copy comes back
        for number in range(3000):
            forged = UserEventMessage(100, f"forged {number}", bytes(1100))
            a._delegate.notify_message(encode_serf(forged))
        queue = a._delegate.core.broadcasts.queues["event"]
        before = trio.current_time()
        for number in range(3 * MIN_UNDER_WAY):
            await a.user_event("mine", b"%d" % number)
        assert 2.0 <= trio.current_time() - before <= 2.1, "so many in five gossip intervals"
        await trio.sleep(1.0)
        assert 0 == queue.local_depth(), "they go first"
        assert 2000 <= len(queue)


@pytest.mark.parametrize("ahead", [400, 900, 9000])
async def test_a_time_that_is_skipped_keeps_no_sender_waiting(
    autojump_clock: MockClock, ahead: int
) -> None:
    async with cluster(latency=0.1) as net:
        a, _ = await net.joined("a", "b")
        await a.user_event("before")
        message = UserEventMessage(a.statistics().event_time + ahead, "forged", None, True)
        a._delegate.notify_message(encode_serf(message))
        before = trio.current_time()
        await a.user_event("after")
        assert before == trio.current_time()


async def test_a_sender_does_not_leave_its_own_events_behind(autojump_clock: MockClock) -> None:
    async with cluster(latency=0.1) as net:
        a, _ = await net.joined("a", "b", event_buffer=40)
        for number in range(11):
            a.user_event_nowait("burst", b"%d" % number)
        with pytest.raises(trio.WouldBlock):
            a.user_event_nowait("burst")


@pytest.mark.slow
@pytest.mark.parametrize("latency", [0.0002, 0.002, 0.02])
@pytest.mark.parametrize(("nodes", "senders"), [(5, 1), (5, 5), (16, 1), (16, 8)])
async def test_where_the_network_loses_nothing_no_event_is_lost(
    autojump_clock: MockClock, latency: float, nodes: int, senders: int
) -> None:
    total = 1200 if nodes == 5 else 400
    async with cluster(latency=(latency, 1.5 * latency)) as net:
        names = [f"n{number}" for number in range(nodes)]
        members = await net.joined(*names, event_buffer_size=10_000, push_pull_interval=1000.0)

        async def send(node: Serf) -> None:
            for number in range(total // senders):
                await node.user_event(node.name, b"%d" % number)

        async with trio.open_nursery() as nursery:
            for node in members[:senders]:
                nursery.start_soon(send, node)
        await trio.sleep(5)
        expected = sorted(
            (node.name, b"%d" % number)
            for node in members[:senders]
            for number in range(total // senders)
        )
        for node in members:
            assert expected == sorted(user_events(drain(node)))
            assert {} == dict(node.statistics().memberlist.bad_input)
        packets = sum(node.statistics().memberlist.sent.packets["user"] for node in members)
        # A node sends an event to six others (of five nodes: to three), in packets that are full
        # if there is enough of them.
        assert packets / nodes < 0.6 * total


@pytest.mark.parametrize("seed", range(10))
async def test_an_event_as_long_as_a_packet_does_not_wait_behind_a_join(
    autojump_clock: MockClock, seed: int
) -> None:
    """Beside messages about nodes it has no room: once they are sent, nobody would send it."""
    async with SimCluster(seed=seed) as sim:
        a, *others = await sim.spawn(
            *"abc", enable_compression=False, user_event_size_limit=9216, push_pull_interval=600.0
        )
        await sim.converged()
        longest = 1400
        while not await was_sent(a.serf, longest):
            longest -= 1
        await trio.sleep(5)
        for other in others:
            got = [event for event in received(other.serf) if isinstance(event, UserEvent)]
            assert [longest] == [len(event.payload) for event in got]
        assert 0 == a.serf.statistics().queues["event"].depth


async def was_sent(serf: Serf, size: int) -> bool:
    try:
        await serf.user_event("long", bytes(size))
    except UserEventTooLarge:
        return False
    return True


def received(serf: Serf) -> list[Event]:
    """What waits to be read."""
    found: list[Event] = []
    with suppress(trio.WouldBlock):
        while True:
            found.append(serf.events.receive_nowait())
    return found
