"""Messages in, effects out: what the delegate does with what the network brings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import (
    address,
    cluster,
    drain,
    host,
    status,
    until,
    user_events,
    without,
)
from trioserf._cluster.effects import SendTo
from trioserf._config import Config, MemberlistConfig
from trioserf._events import EventsDropped, MemberEvent, MemberStatus, Query, UserEvent
from trioserf._serf.delegate import memberlist_config
from trioserf._serf.serf import Serf
from trioserf._wire.messages import MessageType
from trioserf._wire.packets import make_compound
from trioserf._wire.serf_messages import (
    QUERY_FLAG_ACK,
    QUERY_FLAG_NO_BROADCAST,
    JoinIntent,
    LeaveIntent,
    QueryMessage,
    RelayHeader,
    SerfMessageType,
    UDPAddr,
    UserEventMessage,
    encode_relay,
    encode_serf,
)
from trioserf.abc import Address, Packet

ASKED = QueryMessage(
    ltime=3, id=9, addr=b"\x0a\0\0\x09", port=7946, timeout=10**9, name="load", source_node="b"
)


def waiting(node: Serf) -> list[bytes]:
    """What the node would gossip now."""
    return node._delegate.get_broadcasts_for(1, 0, 10_000)


def receive(node: Serf, message: bytes) -> None:
    node._delegate.notify_message(message)


async def test_a_new_message_is_broadcast_byte_for_byte(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        plain = encode_serf(UserEventMessage(5, "deploy", b"v1", True))
        # The same map with a key that this version does not know, behind the others.
        future = bytes([plain[0], plain[1] + 1]) + plain[2:] + b"\xa5Zebra\x01"
        receive(a, future)
        assert [("deploy", b"v1")] == user_events(drain(a))
        assert [future] == waiting(a)


async def test_a_duplicate_is_not_broadcast_again(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        message = encode_serf(UserEventMessage(5, "deploy", b"v1", True))
        receive(a, message)
        for _ in range(10):
            waiting(a)
        receive(a, message)
        assert [] == waiting(a)
        assert 1 == len(user_events(drain(a)))


async def test_what_is_received_has_no_limit_but_that_of_packets(
    autojump_clock: MockClock,
) -> None:
    """The configured limits hold for what is sent; other nodes may have other limits."""
    async with cluster() as net:
        a = await net.start("a", user_event_size_limit=10, query_size_limit=10)
        drain(a)
        event = encode_serf(UserEventMessage(5, "deploy", bytes(9000), True))
        query = encode_serf(attrs.evolve(ASKED, payload=bytes(9000)))
        for message in (event, query):
            receive(a, message)
        assert [9000, 9000] == [
            len(event.payload)
            for event in drain(a)
            if not isinstance(event, MemberEvent | EventsDropped)
        ]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x03",
        b"\x03\xc1",
        b"\x02\x80",
        b"\x06\xc0",
        b"\x07\x80",
        b"\x0a\x80",
        b"\xff",
        b"\x09",
        b"\x09\x80",
        b"\x09\xc1",
        b"\x04\xdf\xff\xff\xff\xff",
    ],
)
async def test_garbage_changes_nothing(autojump_clock: MockClock, message: bytes) -> None:
    async with cluster() as net:
        a = await net.start("a")
        drain(a)
        before = a.stats()
        receive(a, message)
        assert before == a.stats()
        assert [] == drain(a)
        assert [] == waiting(a)


async def test_a_flood_of_garbage_is_counted_but_does_not_fill_the_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        for _ in range(1000):
            receive(a, b"\xff")
        assert 1000 == a.statistics().bad_input["serf"]
        assert 1 == len([r for r in caplog.records if "(serf)" in r.getMessage()])


async def test_an_empty_message_in_a_packet_is_no_error(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        packet = Packet(bytes([MessageType.USER]), Address("10.9.9.9", 1), trio.current_time())
        a.memberlist._receiver.on_packet(packet)
        await trio.sleep(0.1)
        assert {} == a.statistics().memberlist.bad_input


@pytest.mark.parametrize("state", [b"\x02", b"\x02\xc1", b"\x03\x80", b"garbage"])
async def test_a_broken_push_pull_changes_nothing(autojump_clock: MockClock, state: bytes) -> None:
    async with cluster() as net:
        a = await net.start("a")
        before = a.stats()
        a._delegate.merge_remote_state(state, join=True)
        assert before == a.stats()
        assert 1 == a.statistics().bad_input["push/pull"]


async def test_a_leave_intent_about_this_node_is_refuted(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        receive(a, encode_serf(LeaveIntent(100, "a", False)))
        assert MemberStatus.ALIVE is a.local_member.status
        assert [encode_serf(JoinIntent(101, "a"))] == waiting(a)


async def test_intents_about_unknown_nodes_are_kept_and_broadcast(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        message = encode_serf(LeaveIntent(7, "later", False))
        receive(a, message)
        assert [message] == waiting(a)
        assert 1 == a.statistics().stored_intents
        later = await net.start("later")
        await later.join([address(a)])
        await until(lambda: status(a, "later") is not None)


async def test_a_relay_passes_on_what_it_does_not_understand(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        to = b.memberlist.advertise_address
        event = encode_serf(UserEventMessage(50, "relayed", b"", False))
        header = RelayHeader(UDPAddr(to.to_bytes(), to.port), "b")
        receive(a, encode_relay(header, event))
        assert [] == user_events(drain(a))
        await trio.sleep(0.1)
        assert [("relayed", b"")] == user_events(drain(b))


async def test_a_query_without_an_address_is_delivered_but_cannot_be_responded_to(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        message = attrs.evolve(ASKED, addr=b"xyz", port=0, source_node="", flags=QUERY_FLAG_ACK)
        receive(a, encode_serf(message))
        [query] = [event for event in drain(a) if isinstance(event, Query)]
        assert "" == query.source_node
        with pytest.raises(Exception, match="load"):
            await query.respond(b"1")


async def test_a_node_that_cannot_send_an_ack_only_logs_it(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        a = await net.start("a", require_node_names=True)
        message = attrs.evolve(
            ASKED, source_node="", flags=QUERY_FLAG_ACK, name="_serf_conflict", payload=b"x"
        )
        with caplog.at_level(logging.ERROR):
            receive(a, encode_serf(message))
        assert 2 == len(caplog.records)


async def test_messages_of_a_kind_can_be_dropped_in_tests(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        with without(b, SerfMessageType.USER_EVENT):
            await a.user_event("lost")
            await trio.sleep(3)
            assert [] == user_events(drain(b))
        with without(b, SerfMessageType.PUSH_PULL, SerfMessageType.JOIN):
            c = await net.start("c")
            await c.join([address(b)])
            await trio.sleep(3)
            assert None is status(b, "c")


async def test_a_flood_from_one_source_does_not_stop_a_node(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        for number in range(2000):
            event = encode_serf(UserEventMessage(number, f"e{number}", b"", False))
            data = bytes([MessageType.USER]) + event
            net.network.inject(data, source=Address("10.6.6.6", 1), to=Address(host(a), 7946))
        await trio.sleep(1)
        assert MemberStatus.ALIVE is status(b, "a")


# --- metrics ------------------------------------------------------------------------------


@attrs.define
class Recorder:
    """A tap that records its calls."""

    calls: list[tuple[str, str]] = attrs.field(factory=list)
    broken: bool = False
    samples: list[tuple[str, float]] = attrs.field(factory=list)

    def _note(self, kind: str, name: str) -> None:
        if self.broken:
            raise ZeroDivisionError
        self.calls.append((kind, name))

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self._note("count", name)

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self._note("gauge", name)

    def sample(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self._note("sample", name)
        self.samples.append((name, value))


async def test_a_tap_gets_the_metrics_of_go(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        tap = Recorder()
        a = await net.start("a", tap=tap, queue_check_interval=1.0, probe_interval=0.5)
        b = await net.start("b")
        await b.join([address(a)])
        await a.user_event("x")
        await a.ask("y", request_ack=True)
        await b.user_event("z")
        await trio.sleep(5)
        expected = {
            ("count", "serf.member.join"),
            ("count", "serf.events"),
            ("count", "serf.queries"),
            ("count", "serf.query_acks"),
            ("sample", "serf.msgs.received"),
            ("sample", "serf.msgs.sent"),
            ("sample", "serf.queue.Intent"),
            ("sample", "serf.coordinate.adjustment-ms"),
        }
        assert set() == expected - set(tap.calls)


async def test_a_broken_tap_is_removed(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", tap=Recorder(broken=True))
        await a.user_event("x")
        assert ("x", b"") in user_events(drain(a))


# --- reads from other threads -------------------------------------------------------------


async def test_reads_are_safe_from_another_thread(nursery: trio.Nursery) -> None:
    async with cluster() as net:
        a = await net.start("a")
        stop = threading.Event()

        def read() -> int:
            rounds = 0
            while not stop.is_set():
                names = a.members().names
                assert list(names) == sorted(names)
                str(a.members())
                a.stats()
                a.statistics()
                a.local_member  # noqa: B018
                a.coordinate()
                a.cached_coordinate("b")
                rounds += 1
            return rounds

        rounds: list[int] = []

        async def reader() -> None:
            rounds.append(await trio.to_thread.run_sync(read))

        nursery.start_soon(reader)
        for number in range(30):
            node = await net.start(f"n{number}")
            await node.join([address(a)])
            await a.user_event(f"e{number}")
            await trio.sleep(0.005)
        stop.set()
        await until(lambda: rounds)
        assert 3 < rounds[0]


def test_serf_decides_some_settings_of_the_membership_half() -> None:
    given = MemberlistConfig(name="x", gossip_nodes=7, metric_labels={"below": "1"})
    config = Config(node_name="n1", protocol_version=5, memberlist=given)
    settings = memberlist_config(config)
    assert ("n1", 2, 5, 2, 5, 7) == (
        settings.name,
        settings.protocol_version,
        settings.delegate_protocol_version,
        settings.delegate_protocol_min,
        settings.delegate_protocol_max,
        settings.gossip_nodes,
    )
    assert {"below": "1"} == dict(settings.metric_labels)
    labelled = Config(node_name="n1", memberlist=given, metric_labels={"dc": "east"})
    assert {"dc": "east"} == dict(memberlist_config(labelled).metric_labels)


FORGED = [
    encode_serf(UserEventMessage(2**31, "forged", bytes(2000), False)),
    encode_serf(attrs.evolve(ASKED, ltime=2**31, flags=QUERY_FLAG_NO_BROADCAST)),
    encode_serf(UserEventMessage(2**40, "forged", b"", False)),
    encode_serf(UserEventMessage(2**64 - 1, "forged", b"", False)),
    encode_serf(attrs.evolve(ASKED, ltime=2**40, flags=QUERY_FLAG_NO_BROADCAST)),
    encode_serf(attrs.evolve(ASKED, ltime=2**64 - 1)),
    encode_serf(LeaveIntent(2**64 - 1, "b", False)),
    encode_serf(LeaveIntent(2**31, "a", False)),
]


@pytest.mark.parametrize("message", FORGED)
async def test_a_forged_time_leaves_every_clock_usable(
    nursery: trio.Nursery, autojump_clock: MockClock, message: bytes
) -> None:
    async with cluster() as net:
        nodes = await net.joined("a", "b", "c")
        for node in nodes:
            await node.user_event("before")
            nursery.start_soon(answer_queries, node)
        await trio.sleep(1)
        receive(nodes[0], message)
        for turn in range(3):  # at once, while the nodes learn of the time, and after it
            readers = {node: node.subscribe(UserEvent) for node in nodes}
            async with AsyncExitStack() as stack:
                channels = {
                    node: await stack.enter_async_context(reader)
                    for node, reader in readers.items()
                }
                for node in reversed(nodes):  # last the one that knows of the time
                    await node.user_event(f"{turn} of {node.name}")
                    with trio.fail_after(2):
                        result = await node.ask("load")
                    assert {"a", "b", "c"} == {one.node for one in result.responses}
                expected = {f"{turn} of {node.name}" for node in nodes}
                for channel in channels.values():
                    left = set(expected)
                    with trio.fail_after(1):
                        while left:
                            event = await channel.receive()
                            assert isinstance(event, UserEvent)
                            left.discard(event.name)
            await trio.sleep(2 * turn)
        for node in nodes:
            assert {MemberStatus.ALIVE} == {member.status for member in node.members()}
        clocks = {node.statistics().event_time // 2**31 for node in nodes}
        assert 1 == len(clocks), "all know the same time"


def creeping_queries(time: int, number: int) -> bytes:
    return encode_serf(attrs.evolve(ASKED, ltime=time, id=number, flags=QUERY_FLAG_NO_BROADCAST))


def creeping_events(time: int, number: int) -> bytes:
    return encode_serf(UserEventMessage(time, f"forged {number}", bytes(2000), False))


def creeping_short_events(time: int, number: int) -> bytes:
    return encode_serf(UserEventMessage(time, f"forged {number}", b"", False))


@pytest.mark.parametrize(
    ("make", "step"),
    [
        (creeping_queries, 0),
        (creeping_queries, 500),
        (creeping_queries, 8000),
        (creeping_events, 500),
        (creeping_short_events, 500),
        (creeping_short_events, 8000),
    ],
)
async def test_a_clock_that_is_driven_ahead_in_small_steps_leaves_every_clock_usable(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    make: Callable[[int, int], bytes],
    step: int,
) -> None:
    async with cluster() as net:
        nodes = await net.joined("a", "b", "c", event_buffer_size=50_000)
        for node in nodes:
            nursery.start_soon(answer_queries, node)
        await trio.sleep(1)
        victim, peer, _ = nodes
        core = victim._delegate.core

        async def creep() -> None:
            clock = core.queries.clock if make is creeping_queries else core.events.clock
            for number in range(4_000):
                receive(victim, make(clock.time + step, number))
                await trio.sleep(0.001)

        nursery.start_soon(creep)
        for turn in range(30):
            with trio.fail_after(2):
                await peer.user_event("mine", b"%d" % turn)
                await victim.user_event("mine", b"of the victim %d" % turn)
                for node in (victim, peer):
                    result = await node.ask("load", filter_nodes=["a", "b"], timeout=0.2)
                    assert {"a", "b"} == {one.node for one in result.responses}, turn
            await trio.sleep(0.05)
        await trio.sleep(1)
        for node in (victim, peer):
            mine = {event for event in user_events(drain(node)) if event[0] == "mine"}
            assert 60 == len(mine)


async def answer_queries(node: Serf) -> None:
    async with node.subscribe(Query) as queries:
        async for query in queries:
            await query.respond(b"")


async def test_a_restarted_node_accepts_messages_whatever_its_snapshot_says(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    path = tmp_path / "snapshot"
    top = 2**64 - 1
    path.write_text(f"clock: {top}\nevent-clock: {top}\nquery-clock: {top}\n")
    async with cluster() as net:
        a = await net.start("a", snapshot_path=path)
        (b,) = await net.joined("b")
        await b.join([address(a)])
        drain(a)
        await b.user_event("one")
        await until(lambda: [("one", b"")] == user_events(drain(a)), limit=2)
        result = await b.ask("load", request_ack=True)
        assert {"a", "b"} == set(result.acks)
    await trio.sleep(1)
    assert str(top) not in path.read_text().splitlines()[-3:]


async def test_a_flood_of_long_events_leaves_joins_possible(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        for number in range(60):
            receive(a, encode_serf(UserEventMessage(5, f"{number}", bytes(10**6), False)))
        for number in range(4000):
            receive(
                a, encode_serf(UserEventMessage(6 + number % 500, f"{number}", bytes(5000), False))
            )
        assert len(a._delegate.local_state(True)) < 2**21
        b = await net.start("b")
        await b.join([address(a)])
        await until(lambda: status(a, "b") is MemberStatus.ALIVE, limit=5)
        assert 60 == a.statistics().counts["trioserf.serf.event_too_long"]


async def test_what_fits_no_packet_is_delivered_but_not_queued(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        receive(a, encode_serf(UserEventMessage(5, "long", bytes(2000), False)))
        receive(a, encode_serf(attrs.evolve(ASKED, payload=bytes(2000))))
        receive(a, encode_serf(LeaveIntent(50, "n" * 2000, False)))  # no node has such a name
        assert {0} == {queue.depth for queue in a.statistics().queues.values()}
        assert 2 == a.statistics().counts["trioserf.serf.too_long_to_broadcast"]
        assert 1 == a.statistics().bad_input["intents"]
        assert [("long", bytes(2000))] == user_events(drain(a))
        await b.join([address(a)])
        assert [("long", bytes(2000))] == user_events(drain(b)), "it comes by push/pull"


async def test_in_go_what_fits_no_packet_stays_in_the_queue(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", faithful_go=True)
        receive(a, encode_serf(UserEventMessage(5, "long", bytes(2000), False)))
        assert 1 == a.statistics().queues["event"].depth


async def test_a_packet_of_queries_is_answered_with_little(autojump_clock: MockClock) -> None:
    """As many queries as one packet holds, whose answers shall go to somebody else."""
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        sent: list[SendTo] = []
        a._delegate.send = sent.append  # type: ignore[method-assign,assignment]
        a._delegate.internal.send = sent.append
        for source, port in (("b", 7946), ("b", 80), ("nobody", 7946)):
            for name in ("_serf_conflict", "load"):
                where = bytes(map(int, host(b).split(".")))
                queries = [
                    QueryMessage(
                        ltime=int(a.stats()["query_time"]),
                        id=number,
                        addr=where,
                        port=port,
                        source_node=source,
                        timeout=10**9,
                        flags=QUERY_FLAG_ACK | QUERY_FLAG_NO_BROADCAST,
                        name=name,
                        payload=b"b",
                    )
                    for number in range(120)
                ]
                parts = [bytes([MessageType.USER]) + encode_serf(query) for query in queries]
                packet = Packet(make_compound(parts), Address("10.9.9.9", 1), trio.current_time())
                sent.clear()
                a.memberlist._receiver.on_packet(packet)
                await trio.sleep(0.1)
                assert len(sent) <= 2 * 16
        assert 6 * 104 == a.statistics().memberlist.bad_input["requests"]


async def test_a_tap_gets_how_long_it_took_to_find_a_failure(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        tap = Recorder()
        quick = {"probe_interval": 0.5, "probe_timeout": 0.2, "dead_on_refusal": False}
        a = await net.start("a", tap=tap, **quick)
        b = await net.start("b", **quick)
        await b.join([address(a)])
        await trio.sleep(5)
        await b.aclose()
        await until(lambda: status(a, "b") is MemberStatus.FAILED)
        [took] = [value for name, value in tap.samples if name == "trioserf.serf.detection"]
        [began] = [
            note.since for note in a.memberlist.history.notes("b") if note.what == "suspected"
        ]
        failed = a.memberlist.history.notes("b")[-1].at
        assert pytest.approx((failed - began) * 1000) == took
        assert 1000 < took


async def test_a_membership_half_that_takes_no_slices_gives_and_merges_whole_states(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        for number in range(400):
            receive(a, encode_serf(UserEventMessage(5 + number, "deploy", b"", False)))
        drain(b)
        b._delegate.merge_remote_state(a._delegate.local_state(False), False)
        await trio.sleep(0.1)
        assert 400 == len(user_events(drain(b)))
