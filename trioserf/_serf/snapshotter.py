"""The snapshot of a node: read at the start, kept up to date while it runs.

The event pipeline only notes lines.  A task writes them in a worker thread, twice a second, and
compacts the file when it has grown long.  What the lines are, and how long that is, says
`_cluster/snapshot_log.py`.  A disk that fails or hangs never stops the node: it is counted and
logged, and from time to time the whole file is written anew, which repairs it.

DIFFERS: Go flushes only when it appends, so the last lines before a quiet time may stay
unwritten for hours (test_quiet_data_is_written_too).

Source: hashicorp/serf v0.9.4, serf/snapshot.go.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar, final

import trio

from .. import _attrs as attrs
from .._cluster.effects import Deliver
from .._cluster.snapshot_log import SnapshotLog
from .._cluster.snapshot_replay import (
    PreviousNode,
    SnapshotState,
    replay,
    without_implausible_clocks,
)
from .._config import Config
from .._events import MemberEvent, UserEvent
from .._exceptions import SnapshotError
from .._memberlist.node_log import Log, node_log
from .._seams import run_in_thread
from .atomic_files import DISK_LIMIT, within
from .core import Core
from .snapshot_file import FileChangedError, SnapshotFile

T = TypeVar("T")

FLUSH_INTERVAL: Final = 0.5
"""How often lines are written, and the member clock is noted (seconds)."""
RETRY_INTERVAL: Final = 30.0
"""Pause between attempts to repair the file after a failure (seconds)."""
SLOW_DISK: Final = 2.0
"""How long a write may take before the log says so (seconds)."""
CLOSE_LIMIT: Final = 2.0
"""Longest wait for the disk when the node closes (seconds)."""
MAX_WAITING: Final = 10_000
"""Lines that may wait for the disk; beyond it they are dropped and the file is repaired."""
_SKIPS_LOGGED: Final = 5


@final
@attrs.frozen(kw_only=True)
class SnapshotStatistics:
    """The snapshot at one moment.

    Args:
      path: of the file.
      size: of the file (bytes), as far as it was written.
      waiting: lines not yet written.
      compactions: times the file was replaced by a shorter one.
      failures: writes that failed.
      broken: whether the file waits for its repair.
      refused: names that cannot be written.
    """

    path: str
    size: int
    waiting: int
    compactions: int
    failures: int
    broken: bool
    refused: int


class Snapshotter:
    """Keeps the snapshot file; made by `open`.

    Attributes:
      state: what the file said at the start.
    """

    def __init__(self, config: Config, file: SnapshotFile, state: SnapshotState, size: int) -> None:
        self.state = state
        self._file = file
        self._lines = file.lines
        self._content = SnapshotLog(
            state,
            rejoin_after_leave=config.rejoin_after_leave,
            min_compact_size=config.min_compact_size,
        )
        self._log: Log = node_log("snapshot", config.node_name)
        self._core: Core | None = None
        self._incarnation: Callable[[], int] = lambda: 0
        # One write at a time, which does not wait for threads of other parts of the program.
        self._limiter = trio.CapacityLimiter(1)
        self._number = 0
        self._size = size
        self._compactions = 0
        self._failures = 0
        self._broken = False
        self._retry_at = 0.0

    @classmethod
    async def open(cls, config: Config) -> Snapshotter:
        """Read the file, and make it if there is none.

        *Cancellation*: at once, whatever the disk does.

        Raises:
          SnapshotError: it cannot be opened, read, or repaired.
        """
        assert config.snapshot_path is not None, "there is a snapshot only where one is wanted"
        file = SnapshotFile(config.snapshot_path, deque())
        try:
            data = await within(DISK_LIMIT, file.read)
            state = replay(data, rejoin_after_leave=config.rejoin_after_leave)
            if config.memberlist.faithful_go:
                state = attrs.evolve(state, failed={})
            else:
                state = without_implausible_clocks(state)
            if state.needs_newline:
                await within(DISK_LIMIT, file.cut, state.whole_size)
        except OSError as error:
            raise SnapshotError(f"failed to open snapshot: {error}") from error
        snapshotter = cls(config, file, state, state.whole_size)
        for skipped in state.skipped[:_SKIPS_LOGGED]:
            snapshotter._log.warning("line %d: %s", skipped.line_no, skipped.reason)
        if len(state.skipped) > _SKIPS_LOGGED:
            snapshotter._log.warning("%d lines were skipped in all", len(state.skipped))
        if data:
            snapshotter._log.info(
                "recovered %s: %d members, clocks %d (members), %d (events), %d (queries)",
                *(config.snapshot_path, len(state.alive)),
                *(state.clock, state.event_clock, state.query_clock),
            )
        return snapshotter

    def previous_nodes(self, rng: random.Random) -> list[PreviousNode]:
        """The nodes that were alive at the end of the last run, in random order."""
        return _shuffled(self.state.alive, rng)

    def failed_nodes(self, rng: random.Random) -> list[PreviousNode]:
        """Those that had failed then, likewise; none for a node that does as Go."""
        return _shuffled(self.state.failed, rng)

    def statistics(self) -> SnapshotStatistics:
        """The numbers of this moment."""
        return SnapshotStatistics(
            path=self._file.path,
            size=self._size,
            waiting=len(self._lines),
            compactions=self._compactions,
            failures=self._failures,
            broken=self._broken,
            refused=self._content.refused,
        )

    # --- noting -------------------------------------------------------------------------

    def attach(self, core: Core, incarnation: Callable[[], int] = lambda: 0) -> None:
        """Complete it: the rules begin where the snapshot ended, so they are made after it.

        Args:
          core: its clock is noted.
          incarnation: gives that of this node; 0 for unknown.
        """
        self._core = core
        self._incarnation = incarnation

    def note(self, item: MemberEvent | UserEvent | Deliver) -> None:
        """Note an event or a query."""
        match item:
            case MemberEvent():
                self._put(self._content.on_member_event(item))
                self._note_clock()
            case UserEvent(ltime=ltime):
                self._put(self._content.on_user_event(ltime))
            case Deliver(query=query):
                self._put(self._content.on_query(query.ltime))

    def leave(self) -> None:
        """Note that the node leaves gracefully: nothing but the clock is noted after it."""
        self._put(self._content.on_leave())

    def _note_clock(self) -> None:
        """Note what changes without an event: the clock, and the local incarnation."""
        assert self._core is not None, "it is attached before anything happens"
        self._put(self._content.on_clock(self._core.members.clock.time))
        self._put(self._content.on_incarnation(self._incarnation()))

    def _put(self, lines: list[bytes]) -> None:
        if self._broken:
            return  # the repair writes everything there is to know
        if len(self._lines) >= MAX_WAITING:
            self._fail(TimeoutError("the disk does not keep up"))
        else:
            self._lines.extend(lines)

    # --- writing ------------------------------------------------------------------------

    async def run(self) -> None:
        """Task: write what was noted, until cancelled."""
        while True:
            await trio.sleep(FLUSH_INTERVAL)
            self._note_clock()
            if self._broken:
                if trio.current_time() >= self._retry_at:
                    await self._compact()
            elif self._lines:
                await self._append()
                if self._content.should_compact(self._size):
                    await self._compact()

    async def _append(self) -> None:
        try:
            written = await self._in_thread(
                partial(self._file.append, self._next_number(), sync=False)
            )
        except FileChangedError as error:
            self._log.warning("%s: it is written anew", error)
            await self._compact()
        except OSError as error:
            self._fail(error)
        else:
            self._size += written

    async def _compact(self) -> None:
        data = self._content.compacted()
        # From here to its success the file is in doubt, also if this is cancelled.
        self._broken = True
        self._lines.clear()
        try:
            await self._in_thread(partial(self._file.replace, self._next_number(), data))
        except OSError as error:
            self._fail(error)
        else:
            self._broken = False
            self._size = len(data)
            self._compactions += 1

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Cancellable, so that a dead disk does not keep the node from closing.

        A disk that is slow is named while it is waited for: nothing else would say so before
        thousands of lines wait.
        """
        outcome: T | OSError
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._warn_while_slow)
            try:
                outcome = await run_in_thread(call, abandon_on_cancel=True, limiter=self._limiter)
            except OSError as error:  # taken out of the nursery, which would wrap it
                outcome = error
            nursery.cancel_scope.cancel()
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    async def _warn_while_slow(self) -> None:
        pause, waited = SLOW_DISK, 0.0
        while True:
            await trio.sleep(pause)
            waited += pause
            self._log.warning(
                "the disk of snapshot %s has not answered for %g s", self._file.path, waited
            )
            pause = RETRY_INTERVAL

    def _fail(self, error: OSError) -> None:
        self._failures += 1
        self._broken = True
        self._lines.clear()
        self._retry_at = trio.current_time() + RETRY_INTERVAL
        self._log.error("failed to update snapshot %s: %s", self._file.path, error)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    async def close(self) -> None:
        """Write the last lines and wait, for a short time, until the disk has them."""
        self._note_clock()
        whole = self._content.compacted()
        data = whole if self._broken else None
        number = self._next_number()
        problem = await run_in_thread(self._file.within, CLOSE_LIMIT, number, data, whole)
        if problem is not None:
            self._fail(problem)


def _shuffled(addresses: Mapping[str, str], rng: random.Random) -> list[PreviousNode]:
    nodes = [PreviousNode(name, addr) for name, addr in addresses.items()]
    rng.shuffle(nodes)
    return nodes
