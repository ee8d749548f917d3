"""Where nodes are: a map of network coordinates, and round-trip times between all pairs.

Pure.  Coordinates have eight dimensions; the map shows the two in which the nodes differ most
(the first two principal axes, found by power iteration).  Heights, the time every packet of a
node pays anyway, are shown by the size of its mark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from .. import _attrs as attrs
from .._events import Member
from .._tables import ROWS_SHOWN, Table, columns, shown_as_table
from .._vivaldi.coordinate import Coordinate
from .svg import BLUE, COLUMN_PIXELS, Axes, Chart, label, letters, mark, picture, seconds

PAIRS_SHOWN: Final = 40
"""Nodes of a matrix that are shown: with 200 it would have 40,000 cells."""
_ITERATIONS: Final = 100
"""Of the power iteration."""
_LINE: Final = 12.0
"""Pixels between two names, one below the other."""
_NEAR: Final = _LINE - 0.5
"""Names nearer than that (pixels) touch; places of nodes that share a dot differ by rounding."""
_CROWD: Final = 40
"""Nodes of a map from which on a name has its place or none."""


class HasCoordinates(Protocol):
    """A node: it knows its coordinate, and those of members that it has probed."""

    @property
    def name(self) -> str: ...
    def members(self) -> Iterable[Member]: ...
    def coordinate(self) -> Coordinate: ...
    def cached_coordinate(self, name: str) -> Coordinate | None: ...


Coordinates: TypeAlias = Mapping[str, Coordinate] | HasCoordinates | Iterable[HasCoordinates]
"""By node name; or a node, which knows those of others, or several."""


def coordinates_of(given: Coordinates) -> dict[str, Coordinate]:
    """Coordinates by node name.

    Raises:
      TypeError: something else was given.
      CoordinatesDisabled: a node has none.
    """
    several: object = given
    wanted = "expected a node, several nodes, or a mapping of node names to coordinates"
    if isinstance(given, Mapping):
        for name, place in given.items():
            if not isinstance(place, Coordinate):
                raise TypeError(f"{name!r}: {place!r}: {wanted}")
        return dict(given)
    if hasattr(given, "cached_coordinate"):
        nodes: list[Any] = [given]
    elif isinstance(several, Iterable) and not isinstance(several, (str, bytes)):
        nodes = list(several)
    else:
        raise TypeError(f"{given!r}: {wanted}")
    found: dict[str, Coordinate] = {}
    for node in nodes:
        if not hasattr(node, "cached_coordinate"):
            raise TypeError(f"{node!r}: {wanted}")
        for member in node.members():
            place = node.cached_coordinate(member.name)
            if place is not None:
                found.setdefault(member.name, place)
    # What a node says of itself is newer than what others have of it.
    return found | {node.name: node.coordinate() for node in nodes}


def coordinate_map(coordinates: Coordinates, *, title: str = "where nodes are") -> Chart:
    """Nodes on a plane; distances are milliseconds of round-trip time, roughly.

    Args:
      coordinates: by node name, or a node, or several: ``coordinate_map(serf)``.  What is not
        finite is left out.

    Raises:
      TypeError: something else was given.
    """
    known = {name: c for name, c in coordinates_of(coordinates).items() if c.is_valid}
    places = dict(zip(known, project([c.vec for c in known.values()]), strict=True))
    points = {name: (1e3 * x, 1e3 * y) for name, (x, y) in places.items()}
    reach = max((max(abs(x), abs(y)) for x, y in points.values()), default=0.0) * 1.15 or 1.0
    axes = Axes(x_range=(-reach, reach), y_range=(-reach, reach), width=480, height=480)
    shapes = axes.frame(title=title, x_label="ms", y_label="ms")
    labels = _Labels(axes, lines=1 if len(points) > _CROWD else 12)
    for name, (x, y) in list(points.items())[:ROWS_SHOWN]:
        height = known[name].height
        size = 4 + min(8.0, 1e3 * max(0.0, height))
        tip = f"{name}: height {seconds(height)}, error {known[name].error:.2f}"
        shapes.append(mark("circle", axes.x(x), axes.y(y), BLUE, size=size, tip=tip))
        labels.add(axes.x(x), axes.y(y), size, label(name))
    shapes += labels.shapes
    if len(points) > ROWS_SHOWN:
        more = f"… and {len(points) - ROWS_SHOWN} more"
        shapes.append(letters(axes.width - 4, 15, more, anchor="end"))
    rows = [
        (name, f"{x:.2f}", f"{y:.2f}", seconds(known[name].height), f"{known[name].error:.2f}")
        for name, (x, y) in points.items()
    ]
    table = Table(
        caption=title, header=("node", "x ms", "y ms", "height", "error"), rows=tuple(rows)
    )
    return Chart(picture(axes.width, axes.height, title, shapes), str(table))


class _Labels:
    """Names beside marks, one below the other where they would overlap.

    Where a crowd leaves no room, a name is left out; its mark still has a tip.

    Args:
      axes: of the picture; a name that would not fit stands left of its mark.
      lines: places that are tried for a name, each below the one before.
    """

    def __init__(self, axes: Axes, *, lines: int) -> None:
        self._axes = axes
        self._lines = lines
        self._taken: list[tuple[float, float, float]] = []
        self.shapes: list[str] = []

    def add(self, x: float, y: float, size: float, text: str) -> None:
        length = COLUMN_PIXELS * columns(text)
        left = x + size + 2
        before = left + length > self._axes.width
        if before:
            left = x - size - 2 - length
        for row in (y + 4 + _LINE * step for step in range(self._lines)):
            if row > self._axes.height - self._axes.bottom - 2:
                return
            if not self._covered(left, left + length, row):
                self._taken.append((left, left + length, row))
                place, anchor = (x - size - 2, "end") if before else (left, "start")
                self.shapes.append(letters(place, row, text, anchor=anchor))
                return

    def _covered(self, left: float, right: float, row: float) -> bool:
        return any(
            abs(row - taken) < _NEAR and left < end and begin < right
            for begin, end, taken in self._taken
        )


def project(vectors: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """The first two principal components of ``vectors`` (seconds), centred."""
    if not vectors:
        return []
    size = len(vectors[0])
    centre = [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]
    rows = [[v - c for v, c in zip(vector, centre, strict=True)] for vector in vectors]
    first = _axis(rows, size)
    xs = [_dot(row, first) for row in rows]
    rest = [
        [v - x * a for v, a in zip(row, first, strict=True)]
        for row, x in zip(rows, xs, strict=True)
    ]
    second = _axis(rest, size)
    return [(x, _dot(row, second)) for x, row in zip(xs, rest, strict=True)]


def _axis(rows: Sequence[Sequence[float]], size: int) -> list[float]:
    """The direction in which ``rows`` vary most; zeros if they do not vary."""
    axis = [1.0 / (index + 1) for index in range(size)]
    for _ in range(_ITERATIONS):
        weights = [_dot(row, axis) for row in rows]
        turned = [
            sum(w * row[i] for w, row in zip(weights, rows, strict=True)) for i in range(size)
        ]
        length = math.sqrt(_dot(turned, turned))
        if length < 1e-30:
            return [0.0] * size
        axis = [value / length for value in turned]
    return axis


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


@shown_as_table
@attrs.frozen(repr=False)
class RTTMatrix:
    """Round-trip times between all pairs, shaded by length; see `rtt_matrix`.

    Args:
      names: of the nodes, in order.
      times: seconds, row by row; None where unknown.
    """

    names: tuple[str, ...]
    times: tuple[tuple[float | None, ...], ...]

    def __repr__(self) -> str:
        return f"<RTTMatrix: {len(self.names)} nodes>"

    def _table(self) -> Table:
        names = self.names[:PAIRS_SHOWN]
        rows = [
            (name, *map(_ms, row[:PAIRS_SHOWN]))
            for name, row in zip(names, self.times, strict=False)
        ]
        return Table(caption=self._caption(), header=("", *names), rows=tuple(rows))

    def _caption(self) -> str:
        rest = len(self.names) - PAIRS_SHOWN
        return "round-trip time, milliseconds" + (f" (… and {rest} more)" if rest > 0 else "")

    def _repr_html_(self) -> str:
        known = [value for row in self.times for value in row if value is not None]
        longest = max(known, default=0.0) or 1.0
        names = self.names[:PAIRS_SHOWN]
        head = "".join(f"<th>{html.escape(label(name))}</th>" for name in ("", *names))
        body = "".join(
            f"<tr><th>{html.escape(label(name))}</th>"
            + "".join(_shaded(value, longest) for value in row[:PAIRS_SHOWN])
            + "</tr>"
            for name, row in zip(names, self.times, strict=False)
        )
        caption = f"<caption>{self._caption()}</caption>"
        return f"<table style='color:inherit'>{caption}<tr>{head}</tr>{body}</table>"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{1e3 * value:.2f}"


def _shaded(value: float | None, longest: float) -> str:
    share = 0.0 if value is None else 0.6 * value / longest
    return f'<td style="background:rgba(59,142,234,{share:.2f})">{_ms(value)}</td>'


def rtt_matrix(coordinates: Coordinates) -> RTTMatrix:
    """Estimated round-trip times between all pairs of nodes.

    Args:
      coordinates: as for `coordinate_map`.
    """
    known = coordinates_of(coordinates)
    names = tuple(sorted(known))
    times = tuple(
        tuple(None if a == b else known[a].distance_to(known[b]) for b in names) for a in names
    )
    return RTTMatrix(names, times)
