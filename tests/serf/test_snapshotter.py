"""The snapshot file of a running node.

These tests run on the real clock where they wait for the disk, and call the parts directly
where they can, so that none of them sleeps.
"""

from __future__ import annotations

import os
import random
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import address, cluster, drain, host, status, until, user_events
from trioserf._cluster.effects import Deliver, Publish
from trioserf._cluster.snapshot_replay import PreviousNode
from trioserf._config import Config, MemberlistConfig
from trioserf._events import EventType, Member, MemberEvent, MemberStatus, Query, UserEvent
from trioserf._exceptions import SnapshotError
from trioserf._seams import thread_runner
from trioserf._serf.core import Core
from trioserf._serf.serf import Serf
from trioserf._serf.snapshot_file import SnapshotFile
from trioserf._serf.snapshotter import FLUSH_INTERVAL, SLOW_DISK, Snapshotter
from trioserf._wire.serf_messages import QueryMessage


def settings(path: Path, **fields: object) -> Config:
    return Config(node_name="n1", snapshot_path=str(path), **fields)  # type: ignore[arg-type]


def foo(kind: EventType) -> MemberEvent:
    member = Member(name="foo", addr=ip_address("127.0.0.1"), port=5000)
    return MemberEvent(kind, (member,))


def query(ltime: int) -> Deliver:
    message = QueryMessage(
        ltime=ltime,
        id=1,
        addr=b"\x7f\0\0\1",
        port=1,
        source_node="x",
        flags=0,
        relay_factor=0,
        timeout=0,
        name="q",
        payload=None,
    )
    return Deliver(message, 0.0)


async def opened(config: Config) -> tuple[Snapshotter, Core]:
    snapshotter = await Snapshotter.open(config)
    core = Core.create(config, snapshotter.state)
    snapshotter.attach(core)
    return snapshotter, core


async def test_everything_passes_unchanged_and_in_order(tmp_path: Path) -> None:
    items = [
        UserEvent(42, "bar", b""),
        foo(EventType.MEMBER_JOIN),
        foo(EventType.MEMBER_FAILED),
        foo(EventType.MEMBER_JOIN),
    ]
    async with cluster() as net:
        a = await net.start("a", snapshot_path=str(tmp_path / "snap"))
        drain(a)
        first, *others = map(Publish, items)
        a._delegate.apply_effects([first, query(50), *others])
        event, asked, *rest = drain(a)
        assert items == [event, *rest]
        assert isinstance(asked, Query)
        assert (50, "q", b"") == (asked.ltime, asked.name, asked.payload)


async def test_a_restart_knows_the_clocks_and_the_nodes(tmp_path: Path) -> None:
    config = settings(tmp_path / "snap")
    snapshotter, core = await opened(config)
    core.members.clock.witness(100)
    for item in (UserEvent(42, "bar", b""), query(50), foo(EventType.MEMBER_JOIN)):
        snapshotter.note(item)
    await snapshotter.close()
    again, core = await opened(config)
    assert (100, 42, 50) == (again.state.clock, again.state.event_clock, again.state.query_clock)
    assert [PreviousNode("foo", "127.0.0.1:5000")] == again.previous_nodes(random.Random(1))
    assert (101, 43, 51) == (
        core.members.clock.time,
        core.events.clock.time,
        core.queries.clock.time,
    )
    assert (43, 51) == (core.events.min_time, core.queries.min_time)


async def test_after_a_leave_a_restart_knows_nothing(tmp_path: Path) -> None:
    config = settings(tmp_path / "snap")
    snapshotter, core = await opened(config)
    core.members.clock.witness(100)
    for item in (UserEvent(42, "bar", b""), query(50), foo(EventType.MEMBER_JOIN)):
        snapshotter.note(item)
    snapshotter.leave()
    await snapshotter.close()
    again, _ = await opened(config)
    assert (0, 0, 0) == (again.state.clock, again.state.event_clock, again.state.query_clock)
    assert [] == again.previous_nodes(random.Random(1))


async def test_after_a_leave_a_restart_may_rejoin(tmp_path: Path) -> None:
    config = settings(tmp_path / "snap", rejoin_after_leave=True)
    snapshotter, core = await opened(config)
    core.members.clock.witness(100)
    for item in (UserEvent(42, "bar", b""), query(50), foo(EventType.MEMBER_JOIN)):
        snapshotter.note(item)
    snapshotter.leave()
    await snapshotter.close()
    again, _ = await opened(config)
    assert (100, 42, 50) == (again.state.clock, again.state.event_clock, again.state.query_clock)
    assert [PreviousNode("foo", "127.0.0.1:5000")] == again.previous_nodes(random.Random(1))


async def test_a_long_file_is_replaced_by_a_short_one(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    path = tmp_path / "snap"
    snapshotter, _ = await opened(settings(path, min_compact_size=1024))
    for number in range(1024):
        snapshotter.note(UserEvent(number, "e", b""))
        snapshotter.note(query(number))
        if number % 200 == 0:
            await snapshotter._append()
            if snapshotter._content.should_compact(snapshotter._size):
                await snapshotter._compact()
    await snapshotter.close()
    assert 1 < snapshotter.statistics().compactions
    again, _ = await opened(settings(path))
    assert (1023, 1023) == (again.state.event_clock, again.state.query_clock)
    assert ["snap"] == os.listdir(tmp_path)


async def test_quiet_data_is_written_too(
    tmp_path: Path, nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    path = tmp_path / "snap"
    snapshotter, _ = await opened(settings(path))
    nursery.start_soon(snapshotter.run)
    snapshotter.note(foo(EventType.MEMBER_JOIN))
    await trio.testing.wait_all_tasks_blocked()
    assert b"" == path.read_bytes()
    mock_clock.jump(FLUSH_INTERVAL)
    while snapshotter.statistics().size == 0:
        await trio.testing.wait_all_tasks_blocked()
    assert b"alive: foo 127.0.0.1:5000\n" == path.read_bytes()
    nursery.cancel_scope.cancel()


async def test_a_cut_line_is_dropped_before_anything_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "snap"
    path.write_bytes(b"alive: foo 127.0.0.1:5000\nalive: ba")
    snapshotter, _ = await opened(settings(path))
    snapshotter.note(UserEvent(3, "e", b""))
    await snapshotter.close()
    assert b"alive: foo 127.0.0.1:5000\nevent-clock: 3\n" == path.read_bytes()


async def test_a_new_file_is_readable_for_all(tmp_path: Path) -> None:
    path = tmp_path / "snap"
    await opened(settings(path))
    assert 0o644 & ~_umask() == path.stat().st_mode & 0o777


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


async def test_a_file_that_cannot_be_opened_keeps_the_node_from_starting(
    tmp_path: Path,
) -> None:
    async with cluster() as net:
        with pytest.raises(SnapshotError, match="failed to open snapshot"):
            await net.start("a", snapshot_path=str(tmp_path / "no" / "directory"))


# --- disks that fail ----------------------------------------------------------------------


@contextmanager
def in_the_way(path: Path) -> Iterator[None]:
    """A directory where the file was: nothing can be written there."""
    saved = path.with_suffix(".saved")
    path.rename(saved)
    path.mkdir()
    (path / "something").write_bytes(b"")
    try:
        yield
    finally:
        (path / "something").unlink()
        path.rmdir()
        saved.rename(path)


async def test_a_failing_disk_is_counted_and_repaired_later(
    tmp_path: Path, nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    path = tmp_path / "snap"
    snapshotter, _ = await opened(settings(path))
    nursery.start_soon(snapshotter.run)
    with in_the_way(path):
        snapshotter.note(foo(EventType.MEMBER_JOIN))
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(FLUSH_INTERVAL)
        while not snapshotter.statistics().broken:
            await trio.testing.wait_all_tasks_blocked()
        snapshotter.note(UserEvent(7, "e", b""))
    assert 1 == snapshotter.statistics().failures
    await trio.testing.wait_all_tasks_blocked()
    mock_clock.jump(31)
    while snapshotter.statistics().broken:
        await trio.testing.wait_all_tasks_blocked()
    expected = b"alive: foo 127.0.0.1:5000\nclock: 0\nevent-clock: 7\nquery-clock: 0\n"
    assert expected == path.read_bytes()
    nursery.cancel_scope.cancel()


async def test_the_last_write_repairs_what_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "snap"
    snapshotter, _ = await opened(settings(path))
    snapshotter.note(foo(EventType.MEMBER_JOIN))
    with in_the_way(path):
        await snapshotter._append()
    await snapshotter.close()
    assert path.read_bytes().startswith(b"alive: foo 127.0.0.1:5000\n")


async def test_a_last_write_that_fails_is_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "folder" / "snap"
    path.parent.mkdir()
    snapshotter, _ = await opened(settings(path))
    snapshotter.note(foo(EventType.MEMBER_JOIN))
    path.unlink()
    path.parent.rmdir()
    await snapshotter.close()
    assert 1 == snapshotter.statistics().failures
    assert "No such file or directory" in caplog.text


async def test_as_in_go_failed_nodes_are_not_remembered(tmp_path: Path) -> None:
    snapshotter, _ = await opened(settings(tmp_path / "snap"))
    snapshotter.note(foo(EventType.MEMBER_JOIN))
    snapshotter.note(foo(EventType.MEMBER_FAILED))
    await snapshotter.close()
    for faithful, failed in ((False, ["foo"]), (True, [])):
        memberlist = MemberlistConfig(faithful_go=faithful)
        again, _ = await opened(settings(tmp_path / "snap", memberlist=memberlist))
        assert failed == list(again.state.failed)
        assert {} == again.state.alive


def test_a_disk_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    file = SnapshotFile(str(tmp_path / "snap"), deque([b"x\n"]))
    with file._lock:  # somebody else is in the middle of a write that never ends
        problem = file.within(0.01, 1, None)
    assert isinstance(problem, TimeoutError)


def test_a_replacement_that_was_overtaken_is_dropped(tmp_path: Path) -> None:
    file = SnapshotFile(str(tmp_path / "snap"), deque([b"new\n"]))
    file.append(2, sync=False)
    file.replace(1, b"old\n")
    assert b"new\n" == file.read()


def test_lines_added_during_a_write_are_not_lost(tmp_path: Path) -> None:
    lines: deque[bytes] = deque()
    file = SnapshotFile(str(tmp_path / "snap"), lines)
    done = threading.Event()

    def add() -> None:
        for number in range(5000):
            lines.append(b"%d\n" % number)
        done.set()

    thread = threading.Thread(target=add)
    thread.start()
    number = 0
    while not done.is_set():
        number += 1
        file.append(number, sync=False)
    thread.join()
    file.append(number + 1, sync=False)
    assert b"".join(b"%d\n" % number for number in range(5000)) == file.read()


async def test_an_application_that_never_reads_does_not_hold_up_the_node(
    tmp_path: Path,
) -> None:
    async with cluster() as net:
        a = await net.start("a", snapshot_path=str(tmp_path / "snap"), event_buffer_size=10)
        for number in range(3000):
            a.user_event_nowait(f"e{number}")
        assert 3001 == int(a.stats()["event_time"])


@pytest.mark.parametrize("change", ["removed", "another", "cut", "longer"])
async def test_a_file_that_is_not_what_was_written_is_written_whole(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "snap"
    snapshotter, _ = await opened(settings(path))
    snapshotter.note(foo(EventType.MEMBER_JOIN))
    await snapshotter._append()
    before = path.read_bytes()
    if change == "removed":
        path.unlink()
    elif change == "another":
        (tmp_path / "new").write_bytes(b"x" * len(before))
        (tmp_path / "new").rename(path)
    else:
        path.write_bytes(before[:10] if change == "cut" else before + b"?")
    snapshotter.note(UserEvent(7, "e", b""))
    await snapshotter._append()
    expected = b"alive: foo 127.0.0.1:5000\nclock: 0\nevent-clock: 7\nquery-clock: 0\n"
    assert expected == path.read_bytes()
    assert 0 == snapshotter.statistics().failures
    snapshotter.note(UserEvent(8, "e", b""))
    await snapshotter._append()
    assert expected + b"event-clock: 8\n" == path.read_bytes()


async def test_the_last_write_makes_a_removed_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "snap"
    snapshotter, _ = await opened(settings(path))
    snapshotter.note(foo(EventType.MEMBER_JOIN))
    await snapshotter._append()
    path.unlink()
    snapshotter.note(UserEvent(7, "e", b""))
    await snapshotter.close()
    assert path.read_bytes().startswith(b"alive: foo 127.0.0.1:5000\n")


@contextmanager
def hung_disk() -> Iterator[list[bool]]:
    """A file system whose every answer fails to come until the block ends."""
    released, asked = threading.Event(), []

    async def run_sync(call, *args, abandon_on_cancel=False, limiter=None):  # type: ignore[no-untyped-def]
        def hang() -> object:
            asked.append(abandon_on_cancel)
            released.wait()
            return call(*args)

        return await trio.to_thread.run_sync(
            hang, abandon_on_cancel=abandon_on_cancel, limiter=limiter
        )

    before = thread_runner.get()
    thread_runner.set(run_sync)
    try:
        yield asked
    finally:
        thread_runner.set(before)
        released.set()


async def test_opening_with_a_hung_disk_can_be_cancelled_and_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hung_disk():
        with trio.move_on_after(0.05) as limit:
            await Snapshotter.open(settings(tmp_path / "snap"))
        assert limit.cancelled_caught
        monkeypatch.setattr("trioserf._serf.snapshotter.DISK_LIMIT", 0.05)
        with pytest.raises(SnapshotError, match=r"did not answer for 0\.05 s"):
            await Snapshotter.open(settings(tmp_path / "snap"))


async def test_a_slow_disk_is_named_within_seconds(
    tmp_path: Path,
    nursery: trio.Nursery,
    mock_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    snapshotter, _ = await opened(settings(tmp_path / "snap"))
    with hung_disk() as asked:
        nursery.start_soon(snapshotter.run)
        snapshotter.note(UserEvent(7, "e", b""))
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(FLUSH_INTERVAL)
        while not asked:
            await trio.testing.wait_all_tasks_blocked()
        assert not caplog.records
        mock_clock.jump(SLOW_DISK)
        await trio.testing.wait_all_tasks_blocked()
        (record,) = caplog.records
        assert "has not answered for 2 s" in record.getMessage()
        nursery.cancel_scope.cancel()
    assert 0 == snapshotter.statistics().failures


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
async def test_a_pipe_is_no_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "snap"
    os.mkfifo(path)
    with pytest.raises(SnapshotError, match="is no regular file"):
        await Snapshotter.open(settings(path))


# --- clusters -----------------------------------------------------------------------------


async def test_a_node_that_failed_comes_back_by_itself(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    quick = {"probe_interval": 0.5, "probe_timeout": 0.2, "suspicion_mult": 1}
    async with cluster() as net:
        a = await net.start("a", **quick)
        path = str(tmp_path / "snap")
        b = await net.start("b", snapshot_path=path, **quick)
        await b.join([address(a)])
        await a.user_event("hello")
        await until(lambda: user_events(drain(b)))
        await trio.sleep(2)
        await b.aclose()
        await until(lambda: status(a, "b") is MemberStatus.FAILED)
        await a.remove_failed_node("b")
        assert MemberStatus.LEFT is status(a, "b")
        again = await net.start("b", host=host(b), snapshot_path=path, **quick)
        await until(lambda: 2 == len(a.members().alive) == len(again.members().alive))
        await trio.sleep(5)
        assert [] == user_events(drain(again))


async def test_a_node_that_left_stays_alone(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        path = str(tmp_path / "snap")
        b = await net.start("b", snapshot_path=path)
        await b.join([address(a)])
        await trio.sleep(2)
        await b.leave()
        await b.aclose()
        again = await net.start("b", host=host(b), snapshot_path=path)
        await trio.sleep(5)
        assert 1 == again.num_nodes
        assert MemberStatus.LEFT is status(a, "b")


def local_incarnation(node: Serf) -> int:
    return node.memberlist.local_node.incarnation


@pytest.mark.parametrize("leaves", [False, True], ids=["fails", "leaves"])
async def test_a_restarted_node_begins_above_its_last_incarnation(
    leaves: bool, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """So a peer that has it as dead accepts it at once, whichever peer it joins first."""
    async with cluster() as net:
        a = await net.start("a")
        path = tmp_path / "snap"
        b = await net.start("b", snapshot_path=str(path))
        assert 1 == local_incarnation(b)
        await b.join([address(a)])
        for number in range(3):
            await b.set_tags({"version": str(number)})
        if leaves:
            await b.leave()
        reached = local_incarnation(b)
        await b.aclose()
        assert f"# incarnation: {reached}" in path.read_text().splitlines()
        again = await net.start("b", host=host(b), snapshot_path=str(path))
        assert 4 == reached == local_incarnation(again) - 1
        await trio.sleep(2)
        assert 0 == again.memberlist.statistics().refuted
        await again.aclose()  # a jumping clock does not wait for the thread that writes
        assert f"# incarnation: {reached + 1}" in path.read_text().splitlines()


@pytest.mark.parametrize("line", ["", "# incarnation: 4294967295"], ids=["none", "absurd"])
async def test_without_a_sound_incarnation_a_node_begins_as_in_go(
    line: str, tmp_path: Path
) -> None:
    path = tmp_path / "snap"
    path.write_text(f"clock: 3\n{line}\n")
    async with cluster() as net:
        assert 1 == local_incarnation(await net.start("a", snapshot_path=str(path)))


async def test_the_file_of_a_short_run(tmp_path: Path) -> None:
    async with cluster() as net:
        path = tmp_path / "snap"
        a = await net.start("a", snapshot_path=str(path))
        await a.user_event("e")
        async with a.query("q"):
            pass
        await a.leave()
        await a.aclose()
        lines = path.read_text().split("\n")
        assert "alive: a 10.0.0.1:7946" == lines[0]
        assert "event-clock: 1" in lines
        assert "query-clock: 1" in lines
        assert "leave" in lines


async def test_the_snapshot_is_part_of_the_statistics(tmp_path: Path) -> None:
    async with cluster() as net:
        path = str(tmp_path / "snap")
        a = await net.start("a", snapshot_path=path)
        snapshot = a.statistics().snapshot
        assert snapshot is not None
        assert path == snapshot.path
        assert not snapshot.broken


async def test_many_lines_that_make_no_sense_are_logged_as_a_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    path.write_text("clock: 9\n" + "nonsense\n" * 9)
    await Snapshotter.open(settings(path))
    said = [record.getMessage() for record in caplog.records]
    assert 5 == sum(": line " in text for text in said)
    assert 1 == sum("9 lines were skipped in all" in text for text in said)


async def test_a_disk_that_does_not_keep_up_is_a_failure_that_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trioserf._serf.snapshotter.MAX_WAITING", 3)
    snapshotter, _core = await opened(settings(tmp_path / "snap"))
    for ltime in range(1, 20):
        snapshotter.note(query(ltime))
    assert 1 == snapshotter.statistics().failures
    assert not snapshotter._lines
    await snapshotter.close()
    assert b"query-clock: 19\n" in (tmp_path / "snap").read_bytes()
