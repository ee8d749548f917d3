"""Curves over time: how an event spreads, how long queues are, how late answers come.

Pure: numbers in, a `Chart` out.  `figure` draws the same curves with matplotlib, for those who
want to style, zoom or print them; it comes with the extra ``trioserf[plot]``, and is imported
when a figure is drawn.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .._tables import Table, plain
from .svg import PALETTE, Axes, Chart, label, letters, mark, picture, polyline, seconds

MARKS_SHOWN: Final = 500
"""Nodes of a spread that have a mark of their own; the line shows all."""
_STYLES: Final = ("-", "--", ":", "-.")
"""Of lines, for matplotlib."""
_DASHES: Final = ("", "6 3", "2 3", "8 3 2 3", "1 2", "12 4")


def curves(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    x_label: str = "seconds",
    y_label: str = "",
    log_x: bool = False,
) -> Chart:
    """One curve for each name; they differ in colour and in dashes.

    Args:
      series: points ``(x, y)`` in order of x, for each name.
      log_x: for x in seconds of very different size: a logarithmic scale, on which what is
        not above 0 stands at the left end.
    """
    points = [point for curve in series.values() for point in curve]
    xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
    if log_x:
        xs = [x for x in xs if x > 0] or [1.0]
    axes = Axes(
        x_range=(min(xs), max(xs)),
        log_x=log_x,
        y_range=(min(0.0, *ys), max(ys) or 1.0),
        bottom=40 + 16 * len(series),
        height=280 + 16 * len(series),
    )
    shapes = axes.frame(title=title, x_label="", y_label=y_label)
    base = axes.height - axes.bottom
    shapes.append(
        letters((axes.left + axes.width) / 2, base + 32, label(x_label, 80), anchor="middle")
    )
    for index, (name, curve) in enumerate(series.items()):
        colour, dash = PALETTE[index % len(PALETTE)], _DASHES[index % len(_DASHES)]
        shapes.append(polyline([(axes.x(x), axes.y(y)) for x, y in curve], colour, dash=dash))
        row = base + 48 + 16 * index
        shapes.append(
            polyline([(axes.left, row - 4), (axes.left + 30, row - 4)], colour, dash=dash)
        )
        shapes.append(letters(axes.left + 38, row, label(name, 80)))
    rows = [
        (name, len(curve), f"{curve[-1][1]:.4g}" if curve else "", f"{_peak(curve):.4g}")
        for name, curve in series.items()
    ]
    table = Table(caption=title, header=("curve", "points", "last", "highest"), rows=tuple(rows))
    return Chart(picture(axes.width, axes.height, title, shapes), str(table))


def _peak(curve: Sequence[tuple[float, float]]) -> float:
    return max((y for _, y in curve), default=0.0)


def spread(arrivals: Mapping[str, float], *, title: str = "one event, node by node") -> Chart:
    """One event travelling through a cluster: a mark for each node, at its time of arrival.

    Args:
      arrivals: seconds after the event was sent, by node name.
    """
    ordered = sorted(arrivals.items(), key=lambda item: (item[1], item[0]))
    times = [time for _, time in ordered] or [0.0]
    axes = Axes(x_range=(0.0, max(times) * 1.02 or 1.0), y_range=(0.0, float(len(ordered) or 1)))
    shapes = axes.frame(title=title, x_label="seconds after sending", y_label="nodes that know")
    steps: list[tuple[float, float]] = [(axes.x(0), axes.y(0))]
    for count, (_, time) in enumerate(ordered, 1):
        steps += [(axes.x(time), steps[-1][1]), (axes.x(time), axes.y(count))]
    shapes.append(polyline(steps, PALETTE[0]))
    for count, (name, time) in enumerate(ordered[:MARKS_SHOWN], 1):
        tip = f"{name}: {seconds(time)}"
        shapes.append(mark("circle", axes.x(time), axes.y(count), PALETTE[1], size=3, tip=tip))
    text = f"{plain(title)}: {len(ordered)} nodes; " + (
        f"half after {seconds(statistics.median(times))}, the last after {seconds(times[-1])}"
        if ordered
        else "none"
    )
    return Chart(picture(axes.width, axes.height, title, shapes), text)


def latency(
    samples: Mapping[str, Sequence[float]], *, title: str = "latency", unit: str = "seconds"
) -> Chart:
    """The share of samples that are at most so long, one curve for each name.

    Args:
      samples: durations, in any order.
    """
    series = {name: _shares(values) for name, values in samples.items() if values}
    return curves(series, title=title, x_label=unit, y_label="% at most")


def _shares(values: Sequence[float]) -> list[tuple[float, float]]:
    """Stairs from nothing at 0 to 100 % at the longest."""
    stairs = [(0.0, 0.0)]
    for index, value in enumerate(sorted(values), 1):
        stairs += [(value, stairs[-1][1]), (value, 100.0 * index / len(values))]
    return stairs


def queues(
    samples: Sequence[tuple[float, Mapping[str, int]]], *, title: str = "messages waiting"
) -> Chart:
    """Queue depths over time.

    Args:
      samples: time (seconds) and depth by name of the queue, in order.
    """
    names = sorted({name for _, depths in samples for name in depths})
    series = {name: [(time, depths.get(name, 0)) for time, depths in samples] for name in names}
    return curves(series, title=title, y_label="messages")


def figure(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str = "",
    x_label: str = "seconds",
    y_label: str = "",
    log_x: bool = False,
    axes: object = None,
) -> object:
    """What `curves` draws, as a matplotlib figure: ``figure(...).savefig("spread.pdf")``.

    Args:
      series: points ``(x, y)`` in order of x, for each name.
      log_x: a logarithmic horizontal scale.
      axes: matplotlib's, to draw into; a new figure if it is not given.

    Returns:
      the ``matplotlib.figure.Figure``; ``%matplotlib inline`` lets a notebook show it.

    Raises:
      ModuleNotFoundError: there is no matplotlib.
    """
    ax: Any = axes if axes is not None else _new_axes()
    for index, (name, curve) in enumerate(series.items()):
        ax.plot(
            [x for x, _ in curve],
            [y for _, y in curve],
            label=_text(label(name, 80)),
            color=PALETTE[index % len(PALETTE)],
            linestyle=_STYLES[index % len(_STYLES)],
        )
    ax.set_title(_text(title))
    ax.set_xlabel(_text(x_label))
    ax.set_ylabel(_text(y_label))
    if log_x:
        ax.set_xscale("log")
    if series:
        ax.legend()
    found: object = ax.figure
    return found


def _new_axes() -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "figure() needs matplotlib: pip install 'trioserf[plot]'", name="matplotlib"
        ) from error
    return Figure(layout="constrained").add_subplot()


def _text(words: str) -> str:
    """To matplotlib, dollars are mathematics, and a label that begins with _ is none."""
    escaped = plain(words).replace("$", "\\$")
    return f"\u2009{escaped}" if escaped.startswith("_") else escaped
