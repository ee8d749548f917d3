"""A cluster inside a test, used as an application's author would."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

import trioserf
from trioserf import Config, ConfigError, EventType, MemberStatus, UserEvent
from trioserf.testing import SimCluster, SimNetwork, SimNode
from trioserf.testing.determinism import run


async def test_spawned_nodes_find_each_other(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster:
        nodes = await cluster.spawn(4)
        took = await cluster.converged()
        assert took < 5
        assert ["node-1", "node-2", "node-3", "node-4"] == [node.name for node in cluster]
        assert [*nodes] == [*cluster.nodes] == [*cluster.running]
        assert 4 == len(cluster)
        alive = dict.fromkeys((node.name for node in nodes), MemberStatus.ALIVE)
        assert all(alive == node.view() for node in nodes)


async def test_nodes_go_by_name_and_by_number(autojump_clock: MockClock) -> None:
    async with SimCluster() as cluster:
        await cluster.spawn("web", 2, "db")
        assert ["web", "node-1", "node-2", "db"] == [node.name for node in cluster.nodes]
        assert cluster["db"] is cluster[3] is cluster[-1] is cluster[cluster["db"]]
        with pytest.raises(ValueError, match="web"):
            await cluster.spawn("web")
        with pytest.raises(KeyError):
            cluster["nobody"]


@pytest.mark.parametrize("join", ["first", "previous", "random"])
async def test_every_way_to_join_leads_to_one_cluster(join: str, autojump_clock: MockClock) -> None:
    async with SimCluster(seed=2) as cluster:
        await cluster.spawn(6, join=join)  # type: ignore[arg-type]
        await cluster.converged()
        assert [6] * 6 == [len(node.serf.members().alive) for node in cluster]


async def test_nodes_that_join_nobody_are_alone(autojump_clock: MockClock) -> None:
    async with SimCluster() as cluster:
        await cluster.spawn(2, join=None)
        with pytest.raises(trio.TooSlowError, match="node-1 does not know node-2"):
            await cluster.converged(within=10)
        await cluster.converged(0)


async def test_waiting_in_vain_says_for_what(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=2) as cluster:
        with pytest.raises(trio.TooSlowError, match=r"not within 3 s: .*test_sim_cluster.py:\d+"):
            await cluster.until(lambda: False, within=3)
        with trio.move_on_after(1) as limit:
            await cluster.until(lambda: False, within=3)
        assert limit.cancelled_caught


async def test_settings_may_be_given_for_all_and_for_some(autojump_clock: MockClock) -> None:
    base = attrs.evolve(Config.lan(node_name="x"), tags={"role": "none"}, reap_interval=7.0)
    async with SimCluster(config=base) as cluster:
        await cluster.spawn("a", tags={"role": "web"}, probe_interval=0.5)
        await cluster.spawn("b")
        await cluster.converged()
        a, b = cluster["a"], cluster["b"]
        assert 0.5 == a.config.memberlist.probe_interval
        assert 1.0 == b.config.memberlist.probe_interval
        assert 7.0 == a.config.reap_interval == b.config.reap_interval
        assert {"role": "web"} == next(m.tags for m in b.serf.members() if m.name == "a")
        await a.serf.set_tags({"role": "db"})
        await cluster.converged()


async def test_an_encryption_key_has_the_name_that_it_has_elsewhere(
    autojump_clock: MockClock,
) -> None:
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn("a", encrypt_key=bytes(16))
        await cluster.spawn("b", encrypt_key="AAAAAAAAAAAAAAAAAAAAAA==")
        await cluster.converged()
        with pytest.raises(ConfigError, match="encrypt_key"):
            await cluster.spawn("c", encrypt_key=b"short")


async def test_a_crash_is_a_failure_and_a_restart_a_return(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=3) as cluster:
        await cluster.spawn(4)
        await cluster.converged()
        await cluster.crash("node-2")
        assert not cluster["node-2"].running
        with pytest.raises(RuntimeError, match="node-2 is not running"):
            cluster["node-2"].serf  # noqa: B018
        await cluster.converged()
        assert MemberStatus.FAILED == cluster[0].view()["node-2"]
        await cluster.restart("node-2")
        await cluster.converged()
        assert 2 == cluster["node-2"].lives
        await cluster.restart("node-2")  # a running node crashes first
        await cluster.converged()
        assert 3 == cluster["node-2"].lives


async def test_a_leave_is_no_failure(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=3) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        await cluster.leave("node-3")
        await cluster.converged()
        assert MemberStatus.LEFT == cluster[0].view()["node-3"]
        assert [] == cluster.timeline.about("node-3", EventType.MEMBER_FAILED)


async def test_a_stopped_node_is_taken_for_dead_until_it_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with SimCluster(seed=4) as cluster:
        await cluster.spawn(4)
        await cluster.converged()
        cluster.stop("node-4")
        assert cluster.is_stopped("node-4")
        await cluster.converged()
        frozen = cluster["node-4"].view()
        await trio.sleep(60)
        assert frozen == cluster["node-4"].view()
        assert MemberStatus.FAILED == cluster[0].view()["node-4"]
        cluster.resume("node-4")
        await cluster.converged()


async def test_a_stopped_node_can_be_crashed_and_does_not_hold_up_the_end(
    autojump_clock: MockClock,
) -> None:
    async with SimCluster(seed=4) as cluster:
        await cluster.spawn(3)
        cluster.stop(1, 2)
        await cluster.crash(1)
        await trio.sleep(1)
        assert ["node-1", "node-3"] == [node.name for node in cluster.running]
        before = trio.current_time()
    assert trio.current_time() - before < 30


async def test_both_sides_of_a_partition_agree_among_themselves_and_then_again(
    autojump_clock: MockClock,
) -> None:
    async with SimCluster(seed=5) as cluster:
        await cluster.spawn(5)
        await cluster.converged()
        cluster.partition([0, 1])
        await cluster.converged(0, 1)
        await cluster.converged(2, 3, 4)
        assert [2, 2, 3, 3, 3] == [len(node.serf.members().alive) for node in cluster]
        cluster.heal()
        await cluster.converged()
        assert [5] * 5 == [len(node.serf.members().alive) for node in cluster]


async def test_cuts_and_links_go_by_nodes_too(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=6) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        cluster.cut("node-1", both_ways=True)
        await cluster.converged(1, 2)
        cluster.heal()
        await cluster.converged()
        cluster.change_link([0, 1], 2, latency=0.3, both_ways=True)
        link = cluster.network.link(cluster[2].host, cluster[0].host)
        assert 0.3 == link.latency(cluster._rng)
        cluster.change_link(loss=0.05)
        await trio.sleep(30)
        await cluster.converged()


async def test_a_node_finds_back_with_its_disk_alone(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=7, disks=True) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        await trio.sleep(5)
        disk = cluster[2].disk
        assert disk is not None
        assert b"alive: node-1" in disk.read_bytes()
        await cluster[2].serf.user_event("last words")  # not on the disk yet
        written = disk.read_bytes()
        await cluster.crash(2)
        assert written == disk.read_bytes()
        await cluster.converged()
        await cluster.restart(2)
        await cluster.converged()
    assert not disk.exists()


async def test_names_of_any_length_have_disks_of_their_own(autojump_clock: MockClock) -> None:
    async with SimCluster(disks=True) as cluster:
        a, b = await cluster.spawn("/" * 200 + "a", "/" * 200 + "b")
        assert a.disk != b.disk
        await cluster.converged()


async def test_a_restart_on_another_host_keeps_the_name(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=8) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        await cluster.leave(2)
        old = cluster[2].address
        await cluster.restart(2, new_address=True)
        assert old != cluster[2].address
        await cluster.converged()


async def test_the_timeline_has_what_each_node_knew_when(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=9) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        await cluster[1].serf.user_event("deploy", b"v1")
        await trio.sleep(2)
        crashed = trio.current_time()
        await cluster.crash(2)
        await cluster.converged()
        timeline = cluster.timeline
        failures = timeline.about("node-3", EventType.MEMBER_FAILED)
        assert {"node-1", "node-2"} == {entry.node for entry in failures}
        assert all(crashed < entry.time for entry in failures)
        assert 3 == len(timeline.user_events("deploy"))
        assert all(isinstance(e.event, UserEvent) for e in timeline.user_events("deploy"))
        assert {"node-1"} == {entry.node for entry in timeline.seen_by("node-1")}
        text = str(timeline)
        assert "node-3        — crashes" in text
        assert "member-failed: node-3" in text
        assert len(timeline) == len(list(timeline)) == len(text.splitlines())


async def test_without_recording_the_timeline_has_only_what_was_done(
    autojump_clock: MockClock,
) -> None:
    async with SimCluster(record=False) as cluster:
        await cluster.spawn(2)
        await cluster.converged()
        assert ["— starts", "— starts"] == [entry.what for entry in cluster.timeline]


async def test_an_application_lives_and_dies_with_its_node(autojump_clock: MockClock) -> None:
    ticks: list[float] = []

    async def application(node: SimNode) -> None:
        while True:
            await trio.sleep(1)
            assert node.serf
            ticks.append(trio.current_time())

    async with SimCluster() as cluster:
        [node] = await cluster.spawn(1)
        node.start_soon(application, node)
        await trio.sleep(2.5)
        cluster.stop(node)
        await trio.sleep(10)
        assert 2 == len(ticks)
        cluster.resume(node)
        await trio.sleep(1)
        assert 3 <= len(ticks) <= 4
        await cluster.crash(node)
        before = len(ticks)
        await trio.sleep(10)
        assert before == len(ticks)
        with pytest.raises(RuntimeError, match="not running"):
            node.start_soon(application, node)


async def test_the_users_exception_comes_out_bare(autojump_clock: MockClock) -> None:
    async def body() -> None:
        async with SimCluster() as cluster:
            await cluster.spawn(2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await body()


async def test_a_bug_in_an_application_ends_the_block_and_comes_out_bare(
    autojump_clock: MockClock,
) -> None:
    async def fail() -> None:
        await trio.sleep(1)
        raise LookupError("a bug")

    async def body() -> None:
        async with SimCluster() as cluster:
            [node] = await cluster.spawn(1)
            node.start_soon(fail)
            await trio.sleep_forever()

    with pytest.raises(LookupError, match="a bug"):
        await body()


async def test_a_node_that_cannot_start_says_why_to_its_spawner(
    autojump_clock: MockClock,
) -> None:
    async with SimCluster() as cluster:
        with pytest.raises(trioserf.ConfigError, match="probe_interval"):
            await cluster.spawn("a", probe_interval=-1)
        with pytest.raises(OSError, match=r"snapshot|directory"):
            await cluster.spawn("b", snapshot_path="/nowhere/at/all")
        await cluster.spawn("c")


async def test_a_cluster_must_be_entered_first() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await SimCluster().spawn(1)


async def test_a_network_of_ones_own_may_be_used(autojump_clock: MockClock) -> None:
    network = SimNetwork(latency=(0.001, 0.01), grain=0.001)
    async with SimCluster(network=network) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        assert network.statistics().packets_delivered > 0
        assert cluster.network is network


async def test_nodes_whose_clocks_drift_stay_together(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=10) as cluster:
        await cluster.spawn(2)
        await cluster.spawn(1, drift=0.2)
        await cluster.spawn(1, drift=-0.2)
        assert 1.0 / 1.2 == pytest.approx(cluster[2].config.memberlist.probe_interval)
        assert 1.0 / 0.8 == pytest.approx(cluster[3].config.memberlist.probe_interval)
        await cluster.converged()
        await trio.sleep(60)
        assert [] == [e for e in cluster.timeline if "failed" in e.what]
        with pytest.raises(ValueError, match="drift"):
            await cluster.spawn(1, drift=-1.0)


def test_one_seed_gives_one_timeline() -> None:
    async def scenario() -> str:
        async with SimCluster(seed=11, loss=0.1, latency=(0.001, 0.02)) as cluster:
            await cluster.spawn(5)
            await cluster.converged()
            await cluster.crash(1)
            await cluster.converged()
            await cluster.restart(1)
            await cluster.converged()
        return str(cluster.timeline)

    first = run(1, scenario)
    assert first == run(1, scenario)
    assert first != run(2, scenario)
