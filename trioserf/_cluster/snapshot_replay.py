"""The format of the snapshot file, and its replay: what a restarted node knows of its cluster.

A log of text lines.  Which nodes are alive, and the values of the three clocks, result from all
lines, first to last; when the log has grown long, it is compacted (`snapshot_log`).  Reading
and writing files is left to the caller.

A file may be damaged: the last line cut short by a crash, NUL bytes where blocks were never
written, or a line appended to a cut one by Go.  A replay skips what it cannot read, finds the
record behind such damage where it can, and reports both.

One line is not Go's: the incarnation of the node itself, so that a restarted node begins above
it and need not first refute that it is dead.  It is written as a comment, which Go ignores and
drops when it compacts (test_an_agent_rejoins_by_a_file_of_this_library).  A leave does not end
it: a node that returns after leaving must be above that as well.

A node whose last line says that it is no longer alive has its address in a line before.  Those that
*failed* are peers to try when no other one can be reached: where a network was down and all were
restarted meanwhile, nobody is alive in any snapshot.  One that left or was reaped has its last line
twice, which makes no difference to Go.

DIFFERS: Go tries none that failed, and such a cluster stays in pieces
(test_a_cluster_that_restarts_while_its_network_is_down_finds_together).

Source: hashicorp/serf v0.9.4, serf/snapshot.go.
"""

from __future__ import annotations

from typing import Final

from .. import _attrs as attrs
from .._text import text
from .._wire.limits import MAX_U64
from .lamport import EPOCH

ALIVE: Final = b"alive: "
NOT_ALIVE: Final = b"not-alive: "
CLOCK: Final = b"clock: "
EVENT_CLOCK: Final = b"event-clock: "
QUERY_CLOCK: Final = b"query-clock: "
LEAVE: Final = b"leave"
INCARNATION: Final = b"# incarnation: "
_KEYWORDS: Final = (ALIVE, NOT_ALIVE, CLOCK, EVENT_CLOCK, QUERY_CLOCK, LEAVE, INCARNATION)
_IGNORED: Final = (b"coordinate: ", b"#")
"""Lines of old versions, and comments."""
_LEAST_CUT: Final = len(b"# i")
"""The least that is left of a cut incarnation line; less may be a record commented out."""
MAX_CLOCK: Final = 2 * EPOCH - 1
"""Highest Lamport time that is accepted of a snapshot."""
MAX_FAILED: Final = 32
"""Nodes that failed which are remembered, those of last."""
_MAX_TRIES: Final = 16
"""Places of each keyword that are tried in one damaged line."""


@attrs.frozen
class PreviousNode:
    """A node that was alive at the end of the last run.

    Args:
      name: the node.
      addr: where it was: ``ip:port``, not checked.
    """

    name: str
    addr: str

    def __str__(self) -> str:
        return f"{self.name}: {self.addr}"


@attrs.frozen
class Skipped:
    """A part of a snapshot that could not be used.

    Args:
      line_no: where, counted from 1; 0 for the result of all lines.
      reason: why, with the text.
    """

    line_no: int
    reason: str


@attrs.frozen(kw_only=True)
class SnapshotState:
    """The state that a snapshot records.

    Args:
      alive: name to address (``ip:port``, not checked) of the nodes that were alive, in the
        order in which they joined.
      failed: the same of nodes that failed, in the order in which they did; at most
        `MAX_FAILED`.
      clock, event_clock, query_clock: highest recorded Lamport times; 0 for none.
      incarnation: the highest of the node itself; 0 for unknown.
      skipped: what could not be used.
      needs_newline: the last line is cut short.  It was not used; cut the file down to
        ``whole_size`` before appending, or at least begin with a newline.
      whole_size: where the last whole line ends (bytes).
    """

    alive: dict[str, str] = attrs.field(factory=dict)
    failed: dict[str, str] = attrs.field(factory=dict)
    clock: int = 0
    event_clock: int = 0
    query_clock: int = 0
    incarnation: int = 0
    skipped: tuple[Skipped, ...] = ()
    needs_newline: bool = False
    whole_size: int = 0


def replay(data: bytes, *, rejoin_after_leave: bool) -> SnapshotState:
    """The state that a snapshot file records.  Never fails.

    Args:
      data: the whole file.
      rejoin_after_leave: a graceful leave does not clear the state.
    """
    replaying = _Replay(rejoin_after_leave)
    whole, _, fragment = data.rpartition(b"\n")
    whole_size = len(data) - len(fragment)
    lines = whole.split(b"\n") if whole_size else []
    for line_no, line in enumerate(lines, 1):
        replaying.on_line(line_no, line)
    if fragment:
        replaying.skip(len(lines) + 1, "cut short", fragment)
    return SnapshotState(
        alive=replaying.alive,
        failed=replaying.failed,
        clock=replaying.clocks[CLOCK],
        event_clock=replaying.clocks[EVENT_CLOCK],
        query_clock=replaying.clocks[QUERY_CLOCK],
        incarnation=replaying.incarnation,
        skipped=tuple(replaying.skipped),
        needs_newline=bool(fragment),
        whole_size=whole_size,
    )


def without_implausible_clocks(state: SnapshotState) -> SnapshotState:
    """The state, with 0 for Lamport times that no cluster reaches by counting.

    If the cluster is that far indeed, the node learns of it when it joins.

    DIFFERS: Go accepts every time (so does a node with ``faithful_go``): a single forged
    message, noted in the snapshot, makes the node deaf for ever, restarts included
    (test_an_implausible_clock_of_a_snapshot_is_passed_over).
    """
    skipped = list(state.skipped)

    def accepted(name: str, time: int) -> int:
        if time <= MAX_CLOCK:
            return time
        skipped.append(Skipped(0, f"implausible {name}: {time}"))
        return 0

    return attrs.evolve(
        state,
        clock=accepted("clock", state.clock),
        event_clock=accepted("event-clock", state.event_clock),
        query_clock=accepted("query-clock", state.query_clock),
        skipped=tuple(skipped),
    )


class _Replay:
    def __init__(self, rejoin_after_leave: bool) -> None:
        self._rejoin = rejoin_after_leave
        self.alive: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.clocks = {CLOCK: 0, EVENT_CLOCK: 0, QUERY_CLOCK: 0}
        self.incarnation = 0
        self.skipped: list[Skipped] = []

    def skip(self, line_no: int, reason: str, what: bytes) -> None:
        shown = repr(what[:64])[1:] + ("…" if len(what) > 64 else "")
        self.skipped.append(Skipped(line_no, f"{reason}: {shown}"))

    def on_line(self, line_no: int, line: bytes) -> None:
        if b"\0" in line:
            damage, _, line = line.rpartition(b"\0")
            self.skip(line_no, "NUL bytes", damage + b"\0")
            if not line:
                return
        problem = self._on_record(line)
        if problem is None:
            return
        start = self._glued_record(line)
        self.skip(line_no, problem, line[:start])

    def _glued_record(self, line: bytes) -> int | None:
        """Apply the record behind a cut one; its start, None if there is none.

        DIFFERS: Go skips the line as a whole.
        Test: test_a_record_behind_a_cut_one_is_found.
        """
        starts = sorted(start for word in _KEYWORDS for start in _occurrences(line, word) if start)
        for start in starts:
            front = line[:start]
            cut = any(word.startswith(front) or front.startswith(word) for word in _KEYWORDS)
            if cut and self._on_record(line[start:]) is None:
                return start
        return None

    def _on_record(self, line: bytes) -> str | None:
        """Apply a line; the reason if that is impossible."""
        if line == LEAVE:
            if not self._rejoin:
                self.alive.clear()
                self.failed.clear()
                self.clocks = dict.fromkeys(self.clocks, 0)
            return None
        if line.startswith(ALIVE):
            name, space, address = line[len(ALIVE) :].rpartition(b" ")
            if not space:
                return "no address"
            # A node that returns moves to the end.
            self.alive.pop(text(name), None)
            self.failed.pop(text(name), None)
            self.alive[text(name)] = text(address)
            return None
        if line.startswith(NOT_ALIVE):
            note_failed(self.alive, self.failed, text(line[len(NOT_ALIVE) :]))
            return None
        for word in (*self.clocks, INCARNATION):
            if line.startswith(word):
                number = _number(line[len(word) :])
                if number is None:
                    return "no incarnation" if word == INCARNATION else "no clock value"
                if word == INCARNATION:
                    self.incarnation = max(self.incarnation, number)
                else:
                    self.clocks[word] = number
                return None
        if line.startswith(_IGNORED):
            return "no incarnation" if _is_glued_to_an_incarnation(line) else None
        return "unrecognized line"


def note_failed(alive: dict[str, str], failed: dict[str, str], name: str) -> None:
    """A node is no longer alive; if that is said again, it left or was reaped."""
    address = alive.pop(name, None)
    failed.pop(name, None)
    if address is not None:
        failed[name] = address
        if len(failed) > MAX_FAILED:
            del failed[next(iter(failed))]


def _is_glued_to_an_incarnation(line: bytes) -> bool:
    """Whether a comment is a cut incarnation line, with a record right behind it."""
    return any(
        line.startswith(INCARNATION[:length]) and line.startswith(_KEYWORDS, length)
        for length in range(_LEAST_CUT, len(INCARNATION))
    )


def _occurrences(line: bytes, word: bytes) -> list[int]:
    found: list[int] = []
    at = line.find(word)
    while at >= 0 and len(found) < _MAX_TRIES:
        found.append(at)
        at = line.find(word, at + 1)
    return found


def _number(digits: bytes) -> int | None:
    """An unsigned number of 64 bits as Go reads it: ASCII digits and nothing else."""
    significant = digits.lstrip(b"0")
    if not digits.isdigit() or len(significant) > 20:
        return None
    number = int(digits[-20:])
    return number if number <= MAX_U64 else None
