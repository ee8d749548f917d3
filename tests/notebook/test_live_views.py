"""A live view draws when something changed, and no more than twice a second."""

from __future__ import annotations

import itertools
from ipaddress import ip_address

import attrs
import trio
from trio.testing import MockClock

from trioserf import Member, Members, MemberStatus, Serf
from trioserf.notebook.live_views import MOMENTS_KEPT, REFRESH_SECONDS, Recorder, looks, refresh
from trioserf.testing import SimCluster


@attrs.define
class Handle:
    """Stands for a display of IPython; remembers when it was drawn, and what."""

    drawn: list[tuple[float, object]] = attrs.field(factory=list)

    def update(self, shown: object) -> None:
        self.drawn.append((trio.current_time(), shown))


async def test_nothing_is_drawn_while_nothing_changes(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster, trio.open_nursery() as nursery:
        await cluster.spawn(3)
        await cluster.converged()
        serf, handle = cluster["node-1"].serf, Handle()
        before = looks(serf.members())
        nursery.start_soon(refresh, serf, Serf.members, handle, before)
        await trio.sleep(60)
        assert [] == handle.drawn
        await cluster.spawn("node-4")
        await cluster.converged()
        await trio.sleep(2 * REFRESH_SECONDS)
        assert handle.drawn
        last = handle.drawn[-1][1]
        assert isinstance(last, Members)
        assert "node-4" in last.names
        nursery.cancel_scope.cancel()


async def test_changes_all_the_time_are_drawn_twice_a_second(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster, trio.open_nursery() as nursery:
        await cluster.spawn(1)
        serf, handle = cluster["node-1"].serf, Handle()
        nursery.start_soon(refresh, serf, lambda _: trio.current_time(), handle, "")
        await trio.sleep(10.01)
        times = [time for time, _ in handle.drawn]
        assert len(times) in (19, 20)
        assert min(b - a for a, b in itertools.pairwise(times)) > 0.49
        nursery.cancel_scope.cancel()


async def test_a_live_view_ends_with_its_node(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(2)
        serf = cluster["node-1"].serf
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refresh, serf, Serf.members, Handle(), "")
                await cluster.leave("node-1")


def test_a_change_beyond_the_last_row_shown_is_a_change() -> None:
    crowd = [
        Member(name=f"n{i:03}", addr=ip_address("10.0.0.1"), port=1, status=MemberStatus.ALIVE)
        for i in range(250)
    ]
    lost = [*crowd[:-1], attrs.evolve(crowd[-1], status=MemberStatus.FAILED)]
    assert looks(Members(crowd)) != looks(Members(lost))


async def test_a_recorder_keeps_the_newest_moments(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster, trio.open_nursery() as nursery:
        await cluster.spawn(1)
        serf = cluster["node-1"].serf
        recorder = Recorder(serf)
        await nursery.start(recorder.run)
        for batch in range(0, MOMENTS_KEPT + 500, 250):
            for number in range(batch, batch + 250):
                await serf.user_event(f"e{number}", coalesce=False)
            await trio.sleep(0.01)
        assert len(recorder.moments) <= MOMENTS_KEPT
        assert f"user-event: e{number}" == str(recorder.moments[-1].event)
        nursery.cancel_scope.cancel()
