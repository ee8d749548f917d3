"""Writing the snapshot: the lines to append for each event, and the compacted log.

The format is that of `snapshot_replay`.  Writing files is left to the caller.

Source: hashicorp/serf v0.9.4, serf/snapshot.go.
"""

from __future__ import annotations

from typing import Final

from .._events import EventType, MemberEvent
from .._text import host_and_port, raw_text
from .snapshot_replay import (
    ALIVE,
    CLOCK,
    EVENT_CLOCK,
    INCARNATION,
    LEAVE,
    NOT_ALIVE,
    QUERY_CLOCK,
    SnapshotState,
    note_failed,
)

MIN_COMPACT_SIZE: Final = 128 * 1024
"""Logs up to this size are left alone (bytes)."""
_BYTES_PER_NODE: Final = 128
"""Rough size of the lines of one node in a compacted log."""
_THRESHOLD: Final = 2
"""A log this many times larger than the estimate is worth compacting."""
_RECORDED: Final = (EventType.MEMBER_JOIN, EventType.MEMBER_LEAVE, EventType.MEMBER_FAILED)


class SnapshotLog:
    """Turns events into lines to append.

    Each ``on_…`` method records something and returns the lines to append for it, each with its
    newline.

    Args:
      state: the result of the replay.
      rejoin_after_leave: as for `replay`.
      min_compact_size: logs up to this size are left alone (bytes).

    Attributes:
      refused: events about nodes whose names cannot be written.
    """

    def __init__(
        self,
        state: SnapshotState,
        *,
        rejoin_after_leave: bool = False,
        min_compact_size: int = MIN_COMPACT_SIZE,
    ) -> None:
        self._alive = dict(state.alive)
        self._failed = dict(state.failed)
        self._numbers = {
            CLOCK: state.clock,
            EVENT_CLOCK: state.event_clock,
            QUERY_CLOCK: state.query_clock,
            INCARNATION: state.incarnation,
        }
        self._rejoin = rejoin_after_leave
        self._min_compact_size = min_compact_size
        self._leaving = False
        self.refused: int = 0

    @property
    def alive(self) -> dict[str, str]:
        """Name to address of the nodes that are alive (a copy)."""
        return dict(self._alive)

    def on_member_event(self, event: MemberEvent) -> list[bytes]:
        """Members joined, left, failed or were reaped.  Call `on_clock` after it."""
        if self._leaving:
            return []
        lines: list[bytes] = []
        for member in event.members:
            reaped = event.type is EventType.MEMBER_REAP and member.name in self._failed
            if event.type not in _RECORDED and not reaped:
                continue
            if "\n" in member.name or "\0" in member.name:
                # DIFFERS: Go writes such names, and reads them back as something else.
                # Test: test_names_that_would_break_the_file_are_refused.
                self.refused += 1
            elif event.type is EventType.MEMBER_JOIN:
                self._alive.pop(member.name, None)
                self._failed.pop(member.name, None)
                self._alive[member.name] = address = host_and_port(member.addr, member.port)
                lines.append(_alive_line(member.name, address))
            else:
                left = event.type is EventType.MEMBER_LEAVE and member.name in self._alive
                for _ in range(2 if left else 1):
                    note_failed(self._alive, self._failed, member.name)
                    lines.append(NOT_ALIVE + raw_text(member.name) + b"\n")
        return lines

    def on_user_event(self, ltime: int) -> list[bytes]:
        """A user event of this Lamport time was seen."""
        return [] if self._leaving else self._advance(EVENT_CLOCK, ltime)

    def on_query(self, ltime: int) -> list[bytes]:
        """A query of this Lamport time was seen, internal or not."""
        return [] if self._leaving else self._advance(QUERY_CLOCK, ltime)

    def on_clock(self, time: int) -> list[bytes]:
        """The member clock is at ``time``: the last value that was used is one less.

        Recorded also after a leave, so that the clock survives it.

        DIFFERS: Go records 2**64 - 1 while the clock is still 0.
        Test: test_an_unused_clock_is_not_recorded.
        """
        return self._advance(CLOCK, time - 1)

    def on_incarnation(self, incarnation: int) -> list[bytes]:
        """The incarnation of the node itself; recorded also after a leave."""
        return self._advance(INCARNATION, incarnation)

    def _advance(self, word: bytes, number: int) -> list[bytes]:
        if number <= self._numbers[word]:
            return []
        self._numbers[word] = number
        return [_number_line(word, number)]

    def on_leave(self) -> list[bytes]:
        """The node leaves gracefully.  From now on only clock and incarnation are recorded."""
        self._leaving = True
        if not self._rejoin:
            self._alive.clear()
            self._failed.clear()
        return [LEAVE + b"\n"]

    def should_compact(self, size: int) -> bool:
        """Whether a log of ``size`` bytes is to be replaced by `compacted`."""
        estimate = _THRESHOLD * _BYTES_PER_NODE * (len(self._alive) + 2 * len(self._failed))
        return size > max(estimate, self._min_compact_size)

    def compacted(self) -> bytes:
        """The shortest log of the same state."""
        lines = [_alive_line(name, address) for name, address in self._alive.items()]
        for name, address in self._failed.items():
            lines += (_alive_line(name, address), NOT_ALIVE + raw_text(name) + b"\n")
        for word, number in self._numbers.items():
            if number or word != INCARNATION:
                lines.append(_number_line(word, number))
        return b"".join(lines)


def _alive_line(name: str, address: str) -> bytes:
    return ALIVE + raw_text(name) + b" " + raw_text(address) + b"\n"


def _number_line(word: bytes, number: int) -> bytes:
    return word + b"%d\n" % number
