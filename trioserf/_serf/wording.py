"""Durations, names, notes and probes in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from .._memberlist.history import DroppedInput, Note
from .._swim.probing import ProbeReport, StreamPing
from ..abc import Address

LISTED: Final = 5
"""Names in a sentence; the rest is counted."""


def seconds(duration: float) -> str:
    """A duration for the eye: ``0.52 s``, ``3.1 s``, ``48 s``, ``12 min``, ``3.4 h``."""
    if duration < 1:
        return f"{duration:.2f} s"
    if duration < 10:
        return f"{duration:.1f} s"
    if duration < 120:
        return f"{duration:.0f} s"
    return f"{duration / 60:.0f} min" if duration < 7200 else f"{duration / 3600:.1f} h"


def times(count: int) -> str:
    """``once``, ``3 times``."""
    return "once" if count == 1 else f"{count} times"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; of many only some."""
    shown = [f"{name!r}" for name in names[:LISTED]]
    if len(names) > LISTED:
        return f"{', '.join(shown)} and {len(names) - LISTED} more"
    if len(shown) < 2:
        return "".join(shown) or "none"
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def probe_text(report: ProbeReport) -> str:
    """How a probe went, on one line."""
    parts = [
        f"no ack within {seconds(report.waited)}" if report.sent else "the ping could not be sent"
    ]
    if report.late:
        parts.append("the node itself acked late")
    if report.helpers:
        said = ", ".join(f"{name}: {reply}" for name, reply in report.helpers)
        parts.append(f"helpers asked: {said}")
    else:
        parts.append("no helper was asked")
    if report.stream is not StreamPing.NOT_TRIED:
        parts.append(f"on a stream: {report.stream.value}")
    return "; ".join(parts)


def note_text(note: Note, name_of: Callable[[Address | str], str]) -> str:
    """A note as a sentence without its end.

    Args:
      note: the note.
      name_of: gives the node at an address.
    """
    source = note.source
    if source is None or source == "":
        origin = ""
    elif isinstance(source, Address):
        origin = f" (in a packet of {_at(source, name_of)})"
    else:
        origin = f" (in a state exchange with {_at(source, name_of)})"
    return _what_happened(note) + origin


def _at(source: Address | str, name_of: Callable[[Address | str], str]) -> str:
    name = name_of(source)
    return name if name == str(source) else f"{name}, {source}"


def _what_happened(note: Note) -> str:
    detail, incarnation = note.detail, f"incarnation {note.incarnation}"
    if isinstance(detail, ProbeReport):
        return probe_text(detail)
    match note.what:
        case "joined":
            return f"first alive message, {incarnation}"
        case "returned":
            return f"alive again, {incarnation}"
        case "announced":
            return f"this node announced itself, {incarnation}"
        case "updated":
            return f"new metadata, {incarnation}"
        case "moved":
            return f"alive at another address, before at {detail}"
        case "suspected":
            return f"suspected by {note.by}, {incarnation}"
        case "confirmed":
            return f"suspicion confirmed by {note.by}"
        case "refuted":
            return f"refuted the suspicion, {incarnation}"
        case "declared dead":
            why = f": {detail}" if detail else ""
            return f"declared dead by {note.by}, {incarnation}{why}"
        case "left":
            return f"left by itself, {incarnation}"
        case "removed":
            return "removed on purpose (force-leave)"
        case "other address":
            return f"an alive message names the address {detail}: one of the two is probed"
        case "address probed":
            return str(detail)
        case "conflict":
            return f"a node of this name at {detail} was refused"
        case "refused":
            return f"a message about it was refused: {detail}"
        case "refuses":
            return str(detail)
        case "forgotten":
            return "its record was dropped from the table"
        case "refutation":
            by = f" of {note.by}" if note.by else ""
            return f"this node refuted a {detail} message{by}, {incarnation}"
        case "probe unanswered" | "reached indirectly":
            return str(detail)
        case never:
            assert_never(never)


def input_text(dropped: DroppedInput) -> str:
    """Dropped input as a sentence without its end."""
    if dropped.layer == "exchange":
        return f"state exchange with {dropped.source} failed: {dropped.problem}"
    return f"input of {dropped.source} was dropped ({dropped.layer}): {dropped.problem}"
