"""What happened when: one lane for each member, coloured by its state.

Pure: recorded events in, a `Chart` out.  `Recorder` collects them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, final

import attrs

from .._events import Event, EventsDropped, EventType, MemberEvent, UserEvent
from .._tables import ROWS_SHOWN, Table
from .svg import (
    BLUE,
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
)


@final
@attrs.frozen
class Moment:
    """An event and when it was seen.

    Args:
      time: trio clock (seconds).
      event: as the node gave it.
    """

    time: float
    event: Event


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
_LANE: Final = 20.0


def timeline(moments: Iterable[Moment], *, title: str = "what happened") -> Chart:
    """The story of a cluster: members as lanes, user events and queries above them.

    Args:
      moments: in order of time, for example ``Recorder.moments``.
    """
    story = list(moments)
    start = story[0].time if story else 0.0
    end = max((story[-1].time - start) * 1.03 if story else 0.0, 1e-3)
    names = list(dict.fromkeys(name for moment in story for name in _names(moment.event)))
    shown = names[:ROWS_SHOWN]
    rest = len(names) - len(shown)
    height = 70 + _LANE * (len(shown) + 1)
    axes = Axes(x_range=(0.0, end), y_range=(0.0, 1.0), height=height, left=110, top=30, width=720)
    shapes = [heading(title), letters(10, 44, "events")]
    shapes += _scale(axes, end)
    for index, name in enumerate(shown):
        row = 30 + _LANE * (index + 1)
        shapes.append(letters(10, row + 14, label(name, 16)))
        shapes += _lane(axes, row, end, [(m.time - start, m.event) for m in story], name)
    if rest:
        shapes.append(letters(10, height - 8, f"… and {rest} more"))
    for moment in story:
        if not isinstance(moment.event, MemberEvent):
            x = axes.x(moment.time - start)
            shapes.append(mark("triangle", x, 40, VIOLET, size=4, tip=_words(moment.event)))
    rows = [(f"{m.time - start:.3f}", _words(m.event)) for m in story]
    text = str(Table(caption=title, header=("s", "event"), rows=tuple(rows)))
    return Chart(picture(axes.width, height, title, shapes), text)


def _scale(axes: Axes, end: float) -> list[str]:
    base = axes.height - axes.bottom + 8
    return [
        letters(axes.x(end * share), base + 14, f"{end * share:.3g} s", anchor="middle")
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]


def _names(event: Event) -> tuple[str, ...]:
    return tuple(m.name for m in event.members) if isinstance(event, MemberEvent) else ()


def _lane(
    axes: Axes, row: float, end: float, story: Sequence[tuple[float, Event]], name: str
) -> list[str]:
    changes = [
        (time, event.type)
        for time, event in story
        if isinstance(event, MemberEvent) and name in _names(event)
    ]
    bars, marks = [], []
    for index, (time, kind) in enumerate(changes):
        until = changes[index + 1][0] if index + 1 < len(changes) else end
        colour = _COLOURS[kind]
        if colour is not None:
            left, right = axes.x(time), axes.x(until)
            bars.append(rectangle(left, row + 5, right - left, 10, colour, opacity=0.45))
        shape, mark_colour = _MARKS[kind]
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
