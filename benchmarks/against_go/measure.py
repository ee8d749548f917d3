"""What is measured on one cluster: traffic, CPU, detection, false positives, events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from benchmarks.against_go.cluster import Cluster, Make, Member

EPISODE = 15.0
"""Seconds: reports of one member's failure that are no further apart are one false positive."""


@attrs.define
class Traffic:
    """What was sent, for each member and second, all packets of IP counted by the kernel."""

    packets: float
    octets: float
    """Bytes, with Ethernet headers."""


@attrs.frozen
class Detection:
    """How the others learned of one abrupt end; delays in seconds since the kill."""

    victim: Make
    delays: Sequence[tuple[Make, float]]
    """Who noticed, and after how long; members that never did are absent."""
    missed: int
    """Members that did not learn of it in time."""


@attrs.frozen
class FalsePositives:
    """Failures reported of members that lived."""

    reported: int
    """Reports of all members together."""
    reported_by_trioserf: int
    episodes: int
    """Members wrongly declared failed, each time counted once however many reported it."""
    of_trioserf: int
    """Episodes whose victim was a trioserf node."""
    member_seconds: float


@attrs.define
class Figures:
    """All that was found out about one cluster."""

    cpu: dict[Make, float] = attrs.field(factory=dict)
    """Milliseconds of CPU for each member and second, without loss."""
    memory: dict[Make, float] = attrs.field(factory=dict)
    """Resident MiB of each member."""
    churn: Traffic | None = None
    detections: list[Detection] = attrs.field(factory=list)
    event_delays: list[float] = attrs.field(factory=list)
    """From the sender's own report to each other member's (seconds)."""
    events_missed: int = 0
    """Members that a user event did not reach in time, over all events."""
    events_missed_by_trioserf: int = 0
    false_positives: dict[int, FalsePositives] = attrs.field(factory=dict)
    """Loss (percent) to what was wrongly reported."""
    lossy: dict[int, Traffic] = attrs.field(factory=dict)


@asynccontextmanager
async def traffic(cluster: Cluster) -> AsyncIterator[Traffic | None]:
    """Count what is sent during the block; the result is filled at its end."""
    if cluster.network is None:
        yield None
        return
    before, start = await cluster.network.sent(), trio.current_time()
    counted = Traffic(0.0, 0.0)
    yield counted
    after, seconds = await cluster.network.sent(), trio.current_time() - start
    share = seconds * len(cluster.members)
    counted.packets = (sum(s.packets for s in after) - sum(s.packets for s in before)) / share
    counted.octets = (sum(s.octets for s in after) - sum(s.octets for s in before)) / share


def _mean(members: Sequence[Member], values: Sequence[float]) -> dict[Make, float]:
    """The mean of one value for each member, apart for either make."""
    by_make: dict[Make, list[float]] = {}
    for member, value in zip(members, values, strict=True):
        by_make.setdefault(member.make, []).append(value)
    return {make: sum(of) / len(of) for make, of in by_make.items()}


async def events(cluster: Cluster, figures: Figures, count: int) -> None:
    """Send user events, by one member after the other, and see when each receives them."""
    for index in range(count):
        sender = cluster.members[index % len(cluster.members)]
        name = await cluster.send_event(sender)

        def everywhere(name: str = name) -> bool:
            return all(m.reported("Event", name) is not None for m in cluster.members)

        await cluster.until(everywhere, seconds=5)
        start = sender.reported("Event", name)
        assert start is not None, f"{sender.name} did not receive its own event"
        for member in cluster.others(sender):
            when = member.reported("Event", name)
            if when is None:
                figures.events_missed += 1
                figures.events_missed_by_trioserf += member.make is Make.TRIOSERF
            else:
                figures.event_delays.append(when - start)
        await trio.sleep(0.25)


async def detection(cluster: Cluster, figures: Figures, rounds: int, window: float) -> None:
    """Kill one member after the other, see when the others know, and bring it back.

    Args:
      window: how long a round takes at least (seconds), so that the traffic of different
        clusters is counted over the same times.
    """
    async with traffic(cluster) as figures.churn:
        for index in range(rounds):
            end = trio.current_time() + window
            victim = cluster.members[1 + index % (len(cluster.members) - 1)]
            figures.detections.append(await _detected(cluster, victim))
            cluster.start(victim)
            await cluster.agree(seconds=90)
            await trio.sleep_until(max(end, trio.current_time()))


async def _detected(cluster: Cluster, victim: Member) -> Detection:
    others = cluster.others(victim)
    seen = {member.name: len(member.reports) for member in others}

    def reported(member: Member) -> float | None:
        reports = member.reports[seen[member.name] :]
        return next((r.when for r in reports if (r.what, r.name) == ("Failed", victim.name)), None)

    cluster.kill(victim)
    start = trio.current_time()
    await cluster.until(lambda: all(reported(m) is not None for m in others), seconds=60)
    delays = [(m.make, when - start) for m in others if (when := reported(m)) is not None]
    return Detection(victim.make, delays, len(others) - len(delays))


async def under_loss(cluster: Cluster, figures: Figures, percent: int, seconds: float) -> None:
    """Lose packets for a while, with everybody alive, and count who is called failed."""
    before = [len(member.reports) for member in cluster.members]
    earlier_cpu = [member.cpu() for member in cluster.members]
    await _lose(cluster, percent)
    async with traffic(cluster) as counted:
        await trio.sleep(seconds)
    if counted is not None:
        figures.lossy[percent] = counted
    if percent == 0:
        spent = [
            (member.cpu() - earlier) * 1000 / seconds
            for member, earlier in zip(cluster.members, earlier_cpu, strict=True)
        ]
        figures.cpu = _mean(cluster.members, spent)
        figures.memory = _mean(cluster.members, [member.memory() for member in cluster.members])
    reported = [
        (report.when, report.name, member.make)
        for member, earlier in zip(cluster.members, before, strict=True)
        for report in member.reports[earlier:]
        if report.what == "Failed"
    ]
    await _lose(cluster, 0)
    episodes = _episodes([(when, name) for when, name, _ in reported])
    trioserf = {m.name for m in cluster.members if m.make is Make.TRIOSERF}
    figures.false_positives[percent] = FalsePositives(
        reported=len(reported),
        reported_by_trioserf=sum(make is Make.TRIOSERF for _, _, make in reported),
        episodes=len(episodes),
        of_trioserf=sum(name in trioserf for name in episodes),
        member_seconds=seconds * len(cluster.members),
    )
    await cluster.agree(seconds=120)


async def _lose(cluster: Cluster, percent: int) -> None:
    assert percent == 0 or cluster.network is not None, "loss needs hosts of their own"
    if cluster.network is not None:
        await cluster.network.lose(percent)


def _episodes(reported: Sequence[tuple[float, str]]) -> list[str]:
    """Whom each episode was about."""
    last: dict[str, float] = {}
    begun = []
    for when, name in sorted(reported):
        if when - last.get(name, -EPISODE) >= EPISODE:
            begun.append(name)
        last[name] = when
    return begun
