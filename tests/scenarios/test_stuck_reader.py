"""A reader that does not read for an hour: no other notices, and it finds one exact gap."""

from __future__ import annotations

import attrs
import pytest
import trio

from trioserf import Event, EventsDropped
from trioserf.testing import SimCluster
from trioserf.testing.determinism import run
from trioserf.testing.timeline import TimelineEntry

HOUR = 3600.0
BUFFER = 16


@attrs.frozen
class Outcome:
    """What a run showed.

    Args:
      timeline: every event of every node with its moment, from readers that do read.
      pings: how long a ping of the node with the stuck reader took, each time (seconds).
      stuck: what the stuck reader found when it read at last.
      expected: all events that another reader of the same node was given meanwhile.
    """

    timeline: list[TimelineEntry]
    pings: list[float]
    stuck: list[Event]
    expected: list[Event]


async def an_hour_of_churn(cluster: SimCluster, pings: list[float]) -> None:
    end = trio.current_time() + HOUR
    while trio.current_time() < end:
        await cluster[2].serf.user_event("beat", coalesce=False)
        await cluster[0].serf.user_event("tock", coalesce=False)
        await trio.sleep(20)
        await cluster.crash(1)
        await trio.sleep(20)
        await cluster.restart(1)
        async with cluster[2].serf.query(
            "load", filter_nodes=["node-1"], request_ack=True
        ) as asked:
            before = trio.current_time()
            assert asked.acks is not None
            async for _ in asked.acks:
                pings.append(trio.current_time() - before)
                break
        await trio.sleep(20)
        await cluster[2].serf.set_tags({"time": str(trio.current_time())})


def drain(channel: trio.MemoryReceiveChannel[Event]) -> list[Event]:
    events: list[Event] = []
    while channel.statistics().current_buffer_used:
        events.append(channel.receive_nowait())
    return events


async def live(with_stuck_reader: bool) -> Outcome:
    pings: list[float] = []
    async with SimCluster(seed=1) as cluster:
        # Probes are rarer than usual: they are most of the time that the simulation takes.
        await cluster.spawn(3, enable_compression=False, probe_interval=6.0)
        await cluster.converged()
        serf = cluster[0].serf
        stuck: list[Event] = []
        async with serf.subscribe(max_buffer_size=100_000) as roomy:
            if with_stuck_reader:
                async with serf.subscribe(max_buffer_size=BUFFER) as channel:
                    await an_hour_of_churn(cluster, pings)
                    stuck = drain(channel)
                    expected = drain(roomy)
                    # It reads again, and misses nothing more.
                    await serf.user_event("after", coalesce=False)
                    stuck += drain(channel)
                    expected += drain(roomy)
            else:
                await an_hour_of_churn(cluster, pings)
                expected = drain(roomy)
                await serf.user_event("after", coalesce=False)
                expected += drain(roomy)
        return Outcome(list(cluster.timeline), pings, stuck, expected)


def moments(outcome: Outcome) -> list[str]:
    return [str(entry) for entry in outcome.timeline]


@pytest.mark.slow
def test_a_reader_stopped_for_an_hour_delays_no_other_and_finds_its_gap() -> None:
    stopped, free = run(1, live, True), run(1, live, False)
    assert len(stopped.expected) > 10 * BUFFER
    # The very same moments, to the last digit, at every node and for every answer.
    assert free.pings == stopped.pings
    assert 60 == len(stopped.pings)
    assert moments(free) == moments(stopped)

    before, after = stopped.expected[:BUFFER], stopped.expected[-1]
    missed = len(stopped.expected) - BUFFER - 1
    assert [*before, EventsDropped(missed), after] == stopped.stuck
