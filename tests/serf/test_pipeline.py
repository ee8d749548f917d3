"""The stages that hold events, with real rules and a mock clock."""

from __future__ import annotations

from ipaddress import ip_address

import attrs
import trio
from trio.testing import MockClock

from tests.serf.clusters import address, cluster, drain
from trioserf._cluster.coalescing import MemberCoalescer, UserCoalescer
from trioserf._config import Config
from trioserf._events import (
    EventType,
    Member,
    MemberEvent,
    UserEvent,
)
from trioserf._memberlist.deadlines import Deadlines
from trioserf._memberlist.node_log import node_log
from trioserf._serf.fanout import Fanout
from trioserf._serf.pipeline import CoalescingStage, NodeEvent, coalescing_stages


@attrs.define
class Recorder:
    """The end of a pipeline: what came, and when."""

    events: list[tuple[float, NodeEvent]] = attrs.field(factory=list)
    closed: bool = False

    def put(self, event: NodeEvent) -> None:
        self.events.append((trio.current_time(), event))

    def close(self) -> None:
        self.closed = True


def join(name: str) -> MemberEvent:
    member = Member(name=name, addr=ip_address("10.0.0.1"), port=7946)
    return MemberEvent(EventType.MEMBER_JOIN, (member,))


async def test_events_that_wait_come_merged_when_it_is_quiet(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    recorder = Recorder()
    deadlines = Deadlines()
    stage = CoalescingStage(MemberCoalescer(period=10, quiescent=1), recorder, deadlines)
    nursery.start_soon(deadlines.run)
    start = trio.current_time()
    stage.put(join("a"))
    await trio.sleep(0.6)
    stage.put(join("b"))
    await trio.sleep(5)
    merged = MemberEvent(EventType.MEMBER_JOIN, join("a").members + join("b").members)
    assert [(start + 1.6, merged)] == recorder.events
    nursery.cancel_scope.cancel()


async def test_events_that_wait_come_at_the_latest_after_the_period(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    recorder = Recorder()
    deadlines = Deadlines()
    stage = CoalescingStage(MemberCoalescer(period=2, quiescent=1), recorder, deadlines)
    nursery.start_soon(deadlines.run)
    start = trio.current_time()
    for number in range(20):
        stage.put(join(f"n{number}"))
        await trio.sleep(0.25)
    await trio.sleep(5)
    assert start + 2 == recorder.events[0][0]
    nursery.cancel_scope.cancel()


async def test_what_is_not_handled_passes_at_once(autojump_clock: MockClock) -> None:
    recorder = Recorder()
    stage = CoalescingStage(UserCoalescer(period=2, quiescent=1), recorder, Deadlines())
    stage.put(UserEvent(1, "deploy", b"", coalesce=True))
    stage.put(UserEvent(2, "restart", b"", coalesce=False))
    stage.put(join("a"))
    events = [event for _, event in recorder.events]
    assert [UserEvent(2, "restart", b"", coalesce=False), join("a")] == events


async def test_closing_passes_on_what_waits_then_closes_the_next_stage(
    autojump_clock: MockClock,
) -> None:
    recorder = Recorder()
    stage = CoalescingStage(MemberCoalescer(period=2, quiescent=1), recorder, Deadlines())
    stage.put(join("a"))
    stage.close()
    assert [join("a")] == [event for _, event in recorder.events]
    assert recorder.closed


async def test_without_coalescing_an_event_reaches_its_readers_at_once() -> None:
    fanout = Fanout(node_log("serf", "n1"))
    reader = fanout.add(5)
    stages = coalescing_stages(Config(node_name="n1"), fanout, Deadlines())
    assert fanout is stages
    stages.put(join("a"))
    assert join("a") == reader.receive_channel.receive_nowait()


async def test_stages_are_there_only_if_both_their_times_are_set() -> None:
    fanout = Fanout(node_log("serf", "n1"))
    config = Config(
        node_name="n1", coalesce_period=1.0, user_coalesce_period=3.0, user_quiescent_period=1.0
    )
    stage = coalescing_stages(config, fanout, Deadlines())
    assert isinstance(stage, CoalescingStage)
    assert isinstance(stage.coalescer, UserCoalescer)
    assert fanout is stage.then


async def test_member_events_are_merged_if_wanted(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", coalesce_period=5.0, quiescent_period=1.0)
        for name in "bcd":
            node = await net.start(name)
            await node.join([address(a)])
        await trio.sleep(6)
        [event] = drain(a)
        assert isinstance(event, MemberEvent)
        assert EventType.MEMBER_JOIN is event.type
        assert ["a", "b", "c", "d"] == sorted(member.name for member in event.members)


async def test_events_that_wait_come_before_the_end(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", coalesce_period=50.0, quiescent_period=50.0)
        await a.aclose()
        [event] = [event async for event in a.events]
        assert isinstance(event, MemberEvent)
