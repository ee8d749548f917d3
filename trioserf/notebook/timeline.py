"""What happened when: one lane for each member, coloured by its state.

Pure: recorded events in, a `Chart` out.  `Recorder` collects them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, final

from .. import _attrs as attrs
from .._events import Event, EventsDropped, EventType, MemberEvent, UserEvent
from .._tables import ROWS_SHOWN, Table
from .svg import (
    BLUE,
    COLUMN_PIXELS,
    GREY,
    ORANGE,
    VIOLET,
    Axes,
    Chart,
    heading,
    label,
    letters,
    mark,
    picture,
    rectangle,
    seconds,
    ticks,
)


@final
@attrs.frozen
class Moment:
    """An event and when it was seen.

    Args:
      time: trio clock (seconds).
      event: as the node gave it.
      known: whether it was so already when the recording began: a lane, and no mark.
    """

    time: float
    event: Event
    known: bool = False


_COLOURS: Final = {
    EventType.MEMBER_JOIN: BLUE,
    EventType.MEMBER_UPDATE: BLUE,
    EventType.MEMBER_FAILED: ORANGE,
    EventType.MEMBER_LEAVE: GREY,
    EventType.MEMBER_REAP: None,
}
_MARKS: Final = {
    EventType.MEMBER_JOIN: ("circle", BLUE),
    EventType.MEMBER_UPDATE: ("square", BLUE),
    EventType.MEMBER_FAILED: ("cross", ORANGE),
    EventType.MEMBER_LEAVE: ("triangle", GREY),
    EventType.MEMBER_REAP: ("square", GREY),
}
_MEANINGS: Final = {
    EventType.MEMBER_JOIN: "joined",
    EventType.MEMBER_UPDATE: "changed",
    EventType.MEMBER_FAILED: "failed",
    EventType.MEMBER_LEAVE: "left",
    EventType.MEMBER_REAP: "forgotten",
}
_TOP: Final = 46.0
_LANE: Final = 20.0


def timeline(
    moments: Iterable[Moment], *, title: str = "what happened", start: float | None = None
) -> Chart:
    """What happened in a cluster: members as lanes, user events and queries, if any, above them.

    Args:
      moments: in order of time, for example ``Recorder.moments``.
      start: time that is called 0 and stands at the left; what came earlier is not shown as a
        mark, only by its consequence.  The first moment, if it is not given.
    """
    seen = list(moments)
    if start is None:
        start = seen[0].time if seen else 0.0
    end = max((seen[-1].time - start) * 1.03 if seen else 0.0, 1e-3)
    names = list(dict.fromkeys(name for moment in seen for name in _names(moment.event)))
    shown = names[:ROWS_SHOWN]
    rest = len(names) - len(shown)
    others = any(m.time >= start and not isinstance(m.event, MemberEvent) for m in seen)
    top = _TOP + _LANE if others else _TOP
    height = top + 40 + _LANE * len(shown)
    axes = Axes(x_range=(0.0, end), y_range=(0.0, 1.0), height=height, left=110, width=720)
    shapes = [heading(title)] + ([letters(10, _TOP + 14, "events")] if others else [])
    shapes += _scale(axes, end) + _legend(
        axes, [m for m in seen if m.time >= start and not m.known]
    )
    for index, name in enumerate(shown):
        row = top + _LANE * index
        shapes.append(letters(10, row + 14, label(name, 15)))
        shapes += _lane(
            axes, row, end, [(-1.0 if m.known else m.time - start, m.event) for m in seen], name
        )
    if rest:
        shapes.append(letters(10, height - 8, f"… and {rest} more"))
    for moment in seen:
        if not isinstance(moment.event, MemberEvent) and moment.time >= start:
            x = axes.x(moment.time - start)
            shapes.append(mark("triangle", x, _TOP + 10, VIOLET, size=4, tip=_words(moment.event)))
    rows = [
        (f"{m.time - start:.3f}", ("already " if m.known else "") + _words(m.event))
        for m in seen
        if m.time >= start
    ]
    text = str(Table(caption=title, header=("s", "event"), rows=tuple(rows)))
    return Chart(picture(axes.width, height, title, shapes), text)


def _legend(axes: Axes, moments: Sequence[Moment]) -> list[str]:
    """What the marks that occur mean."""
    seen = {m.event.type for m in moments if isinstance(m.event, MemberEvent)}
    items = [(*_MARKS[kind], word) for kind, word in _MEANINGS.items() if kind in seen]
    if any(not isinstance(moment.event, MemberEvent) for moment in moments):
        items.append(("triangle", VIOLET, "event or query"))
    shapes, x = [], axes.left
    for shape, colour, word in items:
        shapes += [mark(shape, x, 30, colour, size=4), letters(x + 9, 34, word)]
        x += 28 + COLUMN_PIXELS * len(word)
    return shapes


def _scale(axes: Axes, end: float) -> list[str]:
    base = axes.height - axes.bottom + 22
    return [letters(axes.x(t), base, seconds(t), anchor="middle") for t in ticks(0.0, end)]


def _names(event: Event) -> tuple[str, ...]:
    return tuple(m.name for m in event.members) if isinstance(event, MemberEvent) else ()


def _lane(
    axes: Axes, row: float, end: float, moments: Sequence[tuple[float, Event]], name: str
) -> list[str]:
    changes = [
        (time, event.type)
        for time, event in moments
        if isinstance(event, MemberEvent) and name in _names(event)
    ]
    bars, marks = [], []
    for index, (time, kind) in enumerate(changes):
        until = changes[index + 1][0] if index + 1 < len(changes) else end
        colour = _COLOURS[kind]
        if colour is not None:
            left, right = axes.x(max(0.0, time)), axes.x(max(0.0, until))
            bars.append(rectangle(left, row + 5, right - left, 10, colour, opacity=0.45))
        shape, mark_colour = _MARKS[kind]
        if time < 0:
            continue
        tip = f"{name}: {kind} at {time:.3f} s"
        marks.append(mark(shape, axes.x(time), row + 10, mark_colour, tip=tip))
    return bars + marks


def _words(event: Event) -> str:
    match event:
        case MemberEvent():
            return f"{event.type}: {', '.join(_names(event))}"
        case EventsDropped():
            return f"{event.count} events were dropped here"
        case UserEvent():
            return f"user event {event.name} ({len(event.payload)} bytes)"
        case _:
            return f"query {event.name} from {event.source_node}"
