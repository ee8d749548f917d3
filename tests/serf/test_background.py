"""What a restarted node does about its former peers."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster, status, until
from trioserf._events import MemberStatus


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
