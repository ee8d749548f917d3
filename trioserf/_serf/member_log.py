"""What the log says of members that join, fail and leave: one line each, with the reason.

An event says what a member is now; that it was there before, who declared it dead, and who
suspected it before that is in the record of this node (`trioserf._memberlist.history`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from .._events import EventType, Member, MemberEvent
from .._memberlist.history import Note
from .._memberlist.node_log import Log
from .._text import host_and_port

MEMBER_LEVELS: Final[Mapping[EventType, int]] = {
    EventType.MEMBER_JOIN: logging.INFO,
    EventType.MEMBER_LEAVE: logging.INFO,
    EventType.MEMBER_FAILED: logging.WARNING,
}
"""Levels of the lines; the other kinds of events have none."""
NAMES_SHOWN = 5
"""Nodes named in one line."""


def log_member_event(
    log: Log, event: MemberEvent, local: str, notes: Callable[[str], Sequence[Note]]
) -> None:
    """One line for each member of the event but this node.

    Args:
      event: of a kind that has lines, see `MEMBER_LEVELS`.
      local: the name of this node.
      notes: gives what is known about a node, the oldest first.
    """
    for member in event.members:
        if member.name == local:
            continue
        place = host_and_port(member.addr, member.port)
        match event.type:
            case EventType.MEMBER_JOIN:
                back = [note.what for note in notes(member.name)][-1:] == ["returned"]
                log.info("%s at %s %s", member.name, place, "is back" if back else "joined")
            case EventType.MEMBER_FAILED:
                log.warning(
                    "%s at %s failed: %s", member.name, place, _reason(member, local, notes)
                )
            case _:
                log.info("%s at %s left", member.name, place)


def _reason(member: Member, local: str, notes: Callable[[str], Sequence[Note]]) -> str:
    """Who declared a member dead, and who suspected it before that."""

    def named(note: Note) -> str:
        return "this node" if note.by in ("", local) else note.by

    dead, refuses, suspects, confirming = "", "", "", list[str]()
    for note in notes(member.name):
        match note.what:
            case "suspected":
                suspects, confirming = named(note), []
            case "confirmed":
                confirming.append(named(note))
            case "refuted" | "returned" | "joined":
                dead, refuses, suspects, confirming = "", "", "", []
            case "refuses":
                refuses = str(note.detail)
            case "declared dead":
                dead, refuses = named(note), str(note.detail) or refuses
            case _:
                pass
    parts = [f"declared dead by {dead}" if dead else "no longer in the membership"]
    if refuses:
        parts.append(refuses)
    if suspects:
        parts.append(f"suspected by {suspects}")
        shown = ", ".join(confirming[:NAMES_SHOWN]) or "nobody"
        rest = len(confirming) - NAMES_SHOWN
        parts.append(f"confirmed by {shown}" + (f" and {rest} more" if rest > 0 else ""))
    return ", ".join(parts)
