"""What a restarted node does about its former peers."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import address, answer_queries, cluster, known, status, until
from trioserf._events import MemberStatus
from trioserf._memberlist.node_log import node_log
from trioserf._serf.background import _address
from trioserf._serf.open import open_serf
from trioserf.abc import Address
from trioserf.testing import SimCluster


async def test_a_restart_tries_the_peers_of_its_snapshot_until_one_is_reached(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    lines = [f"alive: gone{number} 10.8.8.{number}:7946\n" for number in range(1, 5)]
    path.write_text("".join([*lines, "alive: odd not an address\n", "alive: a 10.0.0.1:7946\n"]))
    async with cluster() as net:
        a = await net.start("a")
        b = await net.start("b", snapshot_path=str(path))
        await until(lambda: status(a, "b") is MemberStatus.ALIVE)
        assert MemberStatus.ALIVE is status(b, "a")
        await trio.sleep(60)
        assert "failed to re-join any" not in caplog.text


async def test_a_restart_that_reaches_no_peer_goes_on_alone(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    path.write_text("alive: gone 10.8.8.8:7946\nalive: b 10.0.0.1:7946\n")
    async with cluster() as net:
        b = await net.start("b", snapshot_path=str(path))
        await trio.sleep(60)
        assert 1 == b.num_nodes
        assert "failed to re-join any" in caplog.text


async def test_the_address_of_this_node_under_a_former_name_is_no_rejoin(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(4):
        path = tmp_path / f"snap-{seed}"
        path.write_text("alive: old-b 10.0.0.2:7946\nalive: old-a 10.0.0.1:7946\n")
        async with cluster(seed) as net:
            a = await net.start("a")
            b = await net.start("b", snapshot_path=str(path))
            assert ("10.0.0.1:7946", "10.0.0.2:7946") == (address(a), address(b))
            # Names change here, as the snapshot shows: "a" may be at the address of "old-a".
            await until(lambda a=a: status(a, "b") is MemberStatus.ALIVE)
    assert "Re-joined to previously known node: old-b" not in caplog.text


async def test_an_address_of_this_node_is_nothing_to_rejoin(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    path.write_text("alive: old 10.0.0.1:7946\nalive: b 10.0.0.1:7946\n")
    async with cluster() as net:
        b = await net.start("b", snapshot_path=str(path))
        await trio.sleep(60)
        assert 0 == b.memberlist.statistics().lost
        assert "re-join" not in caplog.text


@pytest.mark.parametrize("away", [0.05, 3.0])
async def test_a_node_that_restarts_at_another_port_gets_queries_within_a_second(
    away: float, tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Its peers hold the old address, before and after they found that it failed."""
    path = str(tmp_path / "snap")
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with open_serf(net.config("c", host="10.0.0.3", snapshot_path=path)) as c:
            await c.join([address(a)])
            await until(lambda: status(b, "c") is MemberStatus.ALIVE)
            await trio.sleep(5)
        await trio.sleep(away)
        moved = net.config("c", host="10.0.0.3", snapshot_path=path)
        memberlist = attrs.evolve(
            moved.memberlist, bind_port=7947, transport=net.network.transport("10.0.0.3", 7947)
        )
        async with open_serf(attrs.evolve(moved, memberlist=memberlist)) as c:
            nursery.start_soon(answer_queries, c)
            await trio.sleep(1)
            for asking in (a, b):
                result = await asking.ask("load", timeout=1)
                assert "c" in {response.node for response in result.responses}
                assert 7947 == known(asking, "c").port


async def test_a_snapshot_does_not_lead_into_another_cluster(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    path.write_text("alive: a 10.0.0.1:7946\nalive: c 10.0.0.2:7946\n")
    async with cluster() as net:
        strangers = await net.joined("db-1", "db-2")
        b = await net.start("b", snapshot_path=str(path))
        await trio.sleep(120)
        assert [1, 2, 2] == [node.num_nodes for node in (b, *strangers)]
        assert "label" in caplog.text


@pytest.mark.slow
async def test_a_network_that_comes_late_brings_all_together(autojump_clock: MockClock) -> None:
    for names in (("a", "b", "c"), ("rack/1/a", "rack/1/b", "/", "..")):
        async with SimCluster(seed=3, disks=True) as nodes:
            await nodes.spawn(*names)
            await nodes.converged()
            await trio.sleep(5)  # until the snapshots are written
            await nodes.crash(*names)
            nodes.partition(*[[name] for name in names])
            await nodes.restart(*names)
            await trio.sleep(120)
            nodes.heal()
            assert await nodes.converged(within=600) < 300


@pytest.mark.slow
async def test_a_failed_member_with_a_slash_in_its_name_is_reconnected(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        fields = {"seed_memory": 0.0, "require_node_names": True}
        a, b = [await net.start(name, **fields) for name in ("rack/a", "rack/b")]
        await a.join([f"rack/b/{address(b)}"])
        net.network.partition(["10.0.0.1"], ["10.0.0.2"])
        await until(lambda: status(a, "rack/b") is MemberStatus.FAILED)
        await trio.sleep(60)
        assert 1 == a.memberlist.num_nodes
        net.network.heal()
        await until(lambda: status(a, "rack/b") is MemberStatus.ALIVE)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10.0.0.7:7946", Address("10.0.0.7", 7946)),
        ("[::ffff:10.0.0.7]:7946", Address("10.0.0.7", 7946)),
        ("10.0.0.7", None),
        ("10.0.0.7:0", None),
        ("10.0.0.7:port", None),
        ("web-7:7946", None),
        ("", None),
    ],
)
def test_a_line_of_a_snapshot_may_hold_no_address(text: str, place: Address | None) -> None:
    assert place == _address(text, node_log("serf", "a"))
