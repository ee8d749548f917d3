"""What a person reads in the log: one line for each thing that happened, with its reason."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import Cluster, address, cluster, host, known, status, until
from trioserf._events import MemberStatus
from trioserf._serf.serf import Serf


@pytest.fixture(autouse=True)
def log_at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="trioserf")


def lines(caplog: pytest.LogCaptureFixture, node: str, part: str) -> list[tuple[str, str]]:
    """Level and text of the lines of a node that have ``part`` in them."""
    texts = [(record.levelname, record.getMessage()) for record in caplog.records]
    return [(level, text) for level, text in texts if text.startswith(f"{node}: ") and part in text]


async def crash(net: Cluster, node: Serf) -> str:
    where = host(node)
    await node.aclose()
    return where


async def test_a_start_tells_address_encryption_and_peers(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        await net.start("a")
        await net.start("b", secret_key=bytes(16), retry_join="10.0.0.1:7946")
        assert [("INFO", "a: started at 10.0.0.1:7946, not encrypted; alone")] == lines(
            caplog, "a", "started"
        )
        assert [
            ("INFO", "b: started at 10.0.0.2:7946, encrypted; it goes on trying 10.0.0.1:7946")
        ] == lines(caplog, "b", "started")


async def test_a_join_a_leave_and_a_return_have_a_line_each(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        assert [("INFO", "b: joined, by 1 of 10.0.0.1:7946")] == lines(caplog, "b", "joined, by")
        assert [("INFO", "a: b at 10.0.0.2:7946 joined")] == lines(caplog, "a", "joined")
        await b.leave()
        assert [("INFO", "b: left the cluster")] == lines(caplog, "b", "left the")
        await until(lambda: status(a, "b") is MemberStatus.LEFT)
        assert [("INFO", "a: b at 10.0.0.2:7946 left")] == lines(caplog, "a", "left")
        await crash(net, b)
        caplog.clear()
        again = await net.start("b", host="10.0.0.2")
        await again.join([address(a)])
        await until(lambda: status(a, "b") is MemberStatus.ALIVE)
        assert [("INFO", "a: b at 10.0.0.2:7946 is back")] == lines(caplog, "a", "b at")


async def test_a_failure_tells_who_declared_it_and_who_suspected(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        nodes = await net.joined("a", "b", "c", "d", dead_on_refusal=False)
        caplog.clear()
        await crash(net, nodes[3])
        await until(lambda: all(status(n, "d") is MemberStatus.FAILED for n in nodes[:3]))
        for node in nodes[:3]:
            ((level, text),) = lines(caplog, node.name, "failed:")
            assert "WARNING" == level
            assert text.startswith(f"{node.name}: d at 10.0.0.4:7946 failed: declared dead by ")
            _, _, reason = text.partition("declared dead by ")
            by, suspected, confirmed = reason.split(", ", 2)
            assert by in {"this node", "a", "b", "c"} - {node.name}
            assert suspected.removeprefix("suspected by ") in {"this node", "a", "b", "c"}
            assert confirmed.startswith("confirmed by ")


async def test_a_key_change_tells_what_and_who_and_never_the_key(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    key = b"another key, 16b"
    async with cluster() as net:
        a, _ = await net.joined("a", "b", secret_key=bytes(16))
        caplog.clear()
        for change in (a.keys.install, a.keys.use):
            await change(key)
        await a.keys.remove(bytes(16))
        assert [
            "b: installed a key, asked by a; 2 keys in the ring",
            "b: encrypts with another key of the ring, asked by a; 2 keys in the ring",
            "b: removed a key, asked by a; 1 keys in the ring",
        ] == [text for _, text in lines(caplog, "b", "asked by")]
        assert "another key, 16b" not in caplog.text


async def test_a_recovered_snapshot_tells_what_was_in_it(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    path.write_text("alive: a 10.0.0.1:7946\nclock: 7\nevent-clock: 8\nquery-clock: 9\n")
    async with cluster() as net:
        await net.start("a")
        await net.start("b", snapshot_path=str(path))
        assert [
            (
                "INFO",
                f"b: recovered {path}: 1 members, clocks 7 (members), 8 (events), 9 (queries)",
            )
        ] == lines(caplog, "b", "recovered")
        assert [
            ("INFO", "b: started at 10.0.0.2:7946, not encrypted; 1 peers of its last run")
        ] == (lines(caplog, "b", "started"))
        await trio.sleep(5)
        assert 1 == len(lines(caplog, "b", "Re-joined"))


async def test_a_failure_far_away_has_one_line_without_line_ends(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        a, evil = await net.joined("a", "evil\nname")
        await crash(net, evil)
        await until(lambda: status(a, "evil\nname") is MemberStatus.FAILED)
        ((_, text),) = lines(caplog, "a", "failed:")
        assert "\n" not in text


async def test_a_refusal_is_given_as_the_reason_of_a_failure(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c", dead_on_refusal=True)
        await trio.sleep(10)
        await crash(net, c)
        await until(lambda: status(a, "c") is status(b, "c") is MemberStatus.FAILED)
        for node in (a, b):
            [(level, text)] = lines(caplog, node.local_member.name, "failed")
            assert "WARNING" == level
            assert "its host refuses its ports, seen by " in text
            explained = node.explain("c")
            assert "the process has ended (a crash, or it was killed); its host refuses" in str(
                explained.causes[0]
            )
            assert any(entry.what == "refuses" for entry in explained.timeline)
        assert sum(node.statistics().memberlist.refusals_declared for node in (a, b))


async def test_new_tags_of_a_member_have_no_line(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        before = lines(caplog, "a", "b at ")
        await b.set_tags({"role": "web"})
        await until(lambda: known(a, "b").tags == {"role": "web"})
        assert before == lines(caplog, "a", "b at ")
