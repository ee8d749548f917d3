"""Snapshot files when processes die and disks fail, at every step of every write.

A process that dies is a fork that ends itself before one of the calls to the operating system;
a disk that fails is such a call that raises.  Both are found by the profiling hook of Python,
so nothing of the code under test is replaced.
"""

from __future__ import annotations

import errno
import logging
import os
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._cluster.snapshot_replay import SnapshotState, replay
from trioserf._config import Config
from trioserf._events import UserEvent
from trioserf._serf.core import Core
from trioserf._serf.snapshot_file import SnapshotFile
from trioserf._serf.snapshotter import FLUSH_INTERVAL, RETRY_INTERVAL, Snapshotter
from trioserf.testing.determinism import threads_in_place

pytestmark = pytest.mark.filterwarnings(
    # The fork does nothing but one write, and ends without looking back.
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"
)

OLD = b"alive: a 10.0.0.1:7946\nalive: b 10.0.0.2:7946\nclock: 3\nevent-clock: 5\n"
NEW = b"alive: a 10.0.0.1:7946\nclock: 9\nevent-clock: 7\nquery-clock: 0\n"
LINE = b"event-clock: 6\n"

# --- every call to the operating system -----------------------------------------------------

ON_DISK = {"open", "write", "flush", "fsync", "replace", "unlink", "truncate"}


@contextmanager
def before_each_call(then: Callable[[str], object]) -> Iterator[None]:
    """Call ``then`` with the name of each call that the two files about files are going to make.

    What it raises is raised in the place of the call.
    """

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        if event != "c_call" or not frame.f_code.co_filename.endswith(("files.py", "_file.py")):
            return
        if argument.__name__ in ON_DISK:
            then(argument.__name__)

    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(before)


def dies_before_call(number: int, write: Callable[[], object]) -> bool:
    """Run ``write`` in a process that dies before its call of this number; whether it did."""
    calls = 0

    def count(_name: str) -> None:
        nonlocal calls
        calls += 1
        if calls > number:
            os._exit(9)

    child = os.fork()
    if child == 0:
        with before_each_call(count):
            write()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def settings(path: Path) -> Config:
    return Config(node_name="n1", snapshot_path=str(path))


async def opened(path: Path) -> Snapshotter:
    snapshotter = await Snapshotter.open(settings(path))
    snapshotter.attach(Core.create(settings(path), snapshotter.state))
    return snapshotter


def said(state: SnapshotState) -> tuple[dict[str, str], int, int, int]:
    return state.alive, state.clock, state.event_clock, state.query_clock


def read(data: bytes) -> SnapshotState:
    return replay(data, rejoin_after_leave=False)


# --- processes that die ---------------------------------------------------------------------


async def test_a_replacement_cut_off_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path,
) -> None:
    path, found = tmp_path / "snap", []
    file = SnapshotFile(str(path), deque())
    for number in range(100):
        path.write_bytes(OLD)
        died = dies_before_call(number, lambda: file.replace(1, NEW))
        found.append(path.read_bytes())
        snapshotter = await opened(path)
        assert said(read(found[-1])) == said(snapshotter.state)
        assert () == snapshotter.state.skipped
        # What the dead process left behind is in nobody's way.
        SnapshotFile(str(path), deque()).replace(1, NEW)
        assert NEW == path.read_bytes()
        if not died:
            break
    assert len(found) > 5, "steps"
    turn = found.index(NEW)
    assert [OLD] * turn + [NEW] * (len(found) - turn) == found


async def test_a_write_cut_off_at_any_step_loses_at_most_what_it_was_to_write(
    tmp_path: Path,
) -> None:
    path = tmp_path / "snap"
    for number in range(100):
        path.write_bytes(OLD)
        file = SnapshotFile(str(path), deque([LINE]))
        died = dies_before_call(number, lambda file=file: file.append(1, sync=True))  # type: ignore[misc]
        assert path.read_bytes() in (OLD, OLD + LINE)
        if not died:
            break
    assert number > 2, "steps"
    assert OLD + LINE == path.read_bytes()


async def test_a_file_cut_at_any_byte_is_read_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "snap"
    whole = OLD + b"not-alive: b\n# incarnation: 4\nquery-clock: 2\n"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = whole[: whole.rfind(b"\n", 0, cut) + 1]
        snapshotter = await opened(path)
        assert said(read(kept)) == said(snapshotter.state)
        assert (kept != whole[:cut]) is bool(snapshotter.state.skipped)
        snapshotter.note(UserEvent(50, "e", b""))
        await snapshotter.close()
        again = read(path.read_bytes())
        assert (again.alive, 50, ()) == (read(kept).alive, again.event_clock, again.skipped)


async def test_a_node_starts_with_a_damaged_file_and_logs_what_it_skipped(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "snap"
    path.write_bytes(b"clock: 7\n\0\0\0\0event-clock: 5\nnonsense\nalive: nobody\nquery-clo")
    with caplog.at_level(logging.WARNING):
        async with cluster() as net:
            a = await net.start("a", snapshot_path=str(path))
            assert ("8", "6", "1") == (
                a.stats()["member_time"],
                a.stats()["event_time"],
                a.stats()["query_time"],
            )
    logged = [record.getMessage() for record in caplog.records if "line" in record.getMessage()]
    for text, reason in zip(
        logged,
        ("2: NUL bytes", "3: unrecognized", "4: no address", "5: cut short"),
        strict=True,
    ):
        assert reason in text


# --- disks that fail ------------------------------------------------------------------------

FAILURES = {
    "read-only": ("open", errno.EROFS),
    "full": ("write", errno.ENOSPC),
    "full, reported late": ("flush", errno.ENOSPC),
    "broken": ("fsync", errno.EIO),
    "rename refused": ("replace", errno.EACCES),
}


@pytest.mark.parametrize(("call", "code"), FAILURES.values(), ids=FAILURES)
async def test_a_failing_disk_loses_nothing_that_was_written_and_is_repaired(
    call: str, code: int, tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    path = tmp_path / "snap"
    path.write_bytes(OLD + b"# so long that it is replaced\n" * 30)
    failed: list[str] = []

    def fail(name: str) -> None:
        if name == call:
            failed.append(name)
            sys.setprofile(None)
            raise OSError(code, os.strerror(code))

    with threads_in_place():
        config = Config(node_name="n1", snapshot_path=str(path), min_compact_size=10)
        snapshotter = await Snapshotter.open(config)
        snapshotter.attach(Core.create(config, snapshotter.state))
        nursery.start_soon(snapshotter.run)
        snapshotter.note(UserEvent(6, "e", b""))
        with before_each_call(fail):
            await trio.sleep(FLUSH_INTERVAL + 0.1)
        assert [call] == failed
        assert 1 == snapshotter.statistics().failures
        # A process that starts now finds what was there before, or more.
        state = (await opened(path)).state
        assert read(OLD).alive == state.alive
        assert state.event_clock in (5, 6)
        snapshotter.note(UserEvent(7, "e", b""))
        await trio.sleep(RETRY_INTERVAL + 1)
        statistics = snapshotter.statistics()
        assert (False, 1) == (statistics.broken, statistics.failures)
        assert (read(OLD).alive, 7) == (
            read(path.read_bytes()).alive,
            read(path.read_bytes()).event_clock,
        )
        assert ["snap"] == os.listdir(tmp_path)
        nursery.cancel_scope.cancel()


async def test_a_node_on_a_failing_disk_serves_its_users(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def fail(name: str) -> None:
        if name == "open":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    path = tmp_path / "snap"
    with threads_in_place():
        async with cluster() as net:
            a = await net.start("a", snapshot_path=str(path))
            b = await net.start("b", rng=random.Random(1))
            with before_each_call(fail):
                await b.join(["10.0.0.1"])
                await a.user_event("still")
                await trio.sleep(5)
            snapshot = a.statistics().snapshot
            assert snapshot is not None
            assert snapshot.broken
            assert 2 == len(a.members().alive) == len(b.members().alive)
