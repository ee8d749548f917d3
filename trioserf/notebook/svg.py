"""Drawing: a few SVG shapes as text, and a chart that shows itself.

Pure: numbers in, text out.  Lines and letters are in ``currentColor``, so a chart reads on
a light and on a dark background; marks differ in shape as well as in colour, and the colours
can be distinguished without distinguishing red from green.  All text is escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Final, final

from .. import _attrs as attrs
from .._tables import columns, plain

BLUE: Final = "#3b8eea"
ORANGE: Final = "#e08a00"
GREY: Final = "#8a8a8a"
VIOLET: Final = "#9b6fd0"
LABEL_COLUMNS: Final = 24
"""How much of a name is written beside a mark; the tip has all of it."""
COLUMN_PIXELS: Final = 6.5
"""About the width of a character of a label."""
PALETTE: Final = (BLUE, ORANGE, VIOLET, "#2aa198", "#c46aa0", GREY)


@final
@attrs.frozen
class Chart:
    """A picture with its description: SVG in a notebook, text in a terminal.

    Args:
      svg: the picture.
      text: what it shows, in words and numbers.
    """

    svg: str = attrs.field(repr=False)
    text: str

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self.svg}

    def __rich__(self) -> object:
        """For ``rich.print``, which alone calls this: the text, never taken for its markup."""
        from rich.text import Text

        return Text(self.text)


def picture(width: float, height: float, title: str, shapes: Iterable[str]) -> str:
    """A whole SVG element of ``width`` x ``height`` pixels; ``title`` is read aloud."""
    label = html.escape(plain(title))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{label}" '
        f'style="max-width:100%;font:11px sans-serif" fill="currentColor">'
        f"<title>{label}</title>{''.join(shapes)}</svg>"
    )


def line(x1: float, y1: float, x2: float, y2: float, *, faint: bool = False) -> str:
    """A thin straight line."""
    opacity = ' stroke-opacity="0.25"' if faint else ' stroke-opacity="0.7"'
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="currentColor"{opacity}/>'
    )


def polyline(points: Sequence[tuple[float, float]], colour: str, *, dash: str = "") -> str:
    """A curve through ``points``; ``dash`` as in SVG, to tell curves apart."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'


def rectangle(
    x: float, y: float, width: float, height: float, colour: str, *, opacity: float = 1.0
) -> str:
    """A filled box."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" '
        f'fill="{colour}" fill-opacity="{opacity:.2f}"/>'
    )


def letters(x: float, y: float, content: object, *, anchor: str = "start", size: float = 11) -> str:
    """Text; ``anchor`` is ``start``, ``middle`` or ``end``."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}">'
        f"{html.escape(plain(content))}</text>"
    )


def label(name: object, limit: int = LABEL_COLUMNS) -> str:
    """As much of a name as has room: ``limit`` columns of a terminal."""
    whole = plain(name)
    if columns(whole) <= limit:
        return whole
    while columns(whole) >= limit:
        whole = whole[:-1]
    return whole + "…"


def heading(title: object) -> str:
    """The title above a chart."""
    return letters(4, 15, label(title, 80), size=13)


def mark(shape: str, x: float, y: float, colour: str, *, size: float = 5, tip: str = "") -> str:
    """A mark: ``circle``, ``square``, ``triangle`` or ``cross``; ``tip`` shows on hovering."""
    title = f"<title>{html.escape(plain(tip))}</title>" if tip else ""
    match shape:
        case "square":
            body = (
                f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size:g}" '
                f'height="{2 * size:g}" fill="{colour}">{title}</rect>'
            )
        case "triangle":
            corners = (x, y - size), (x - size, y + size), (x + size, y + size)
            points = " ".join(f"{cx:.1f},{cy:.1f}" for cx, cy in corners)
            body = f'<polygon points="{points}" fill="{colour}">{title}</polygon>'
        case "cross":
            body = (
                f'<path d="M{x - size:.1f} {y - size:.1f}L{x + size:.1f} {y + size:.1f}'
                f'M{x - size:.1f} {y + size:.1f}L{x + size:.1f} {y - size:.1f}" '
                f'stroke="{colour}" stroke-width="2.5" fill="none">{title}</path>'
            )
        case _:
            body = (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" fill="{colour}">{title}</circle>'
            )
    return body


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``wanted`` of them."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    raw = span / max(1, wanted)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def seconds(value: float) -> str:
    """A duration with the unit that suits it."""
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-3:
        return f"{value * 1e6:.3g} µs"
    if size < 1:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.4g} s"


@final
@attrs.frozen(kw_only=True)
class Axes:
    """A frame with two scales; maps values to pixels.

    Args:
      x_range, y_range: smallest and largest value on each scale.
      log_x: the horizontal scale is logarithmic, and in seconds; its range is above 0.
      width, height: of the whole picture (pixels).
      left, right, top, bottom: margins (pixels).
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    log_x: bool = False
    width: float = 640
    height: float = 280
    left: float = 60
    right: float = 20
    top: float = 40
    bottom: float = 40

    def x(self, value: float) -> float:
        """The pixel column of a value."""
        usable = self.width - self.left - self.right
        if self.log_x:
            low, high = map(math.log, self.x_range)
            value = math.log(max(value, self.x_range[0]))
            return self.left + _share(value, (low, high)) * usable
        return self.left + _share(value, self.x_range) * usable

    def x_ticks(self) -> list[tuple[float, str]]:
        """Places on the horizontal scale, and what is written there."""
        if not self.log_x:
            return [(value, f"{value:g}") for value in ticks(*self.x_range)]
        low, high = (math.log10(bound) for bound in self.x_range)
        decades = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
        return [(10.0**decade, seconds(10.0**decade)) for decade in decades]

    def y(self, value: float) -> float:
        """The pixel row of a value; larger is higher."""
        usable = self.height - self.top - self.bottom
        return self.height - self.bottom - _share(value, self.y_range) * usable

    def frame(self, *, title: str, x_label: str, y_label: str) -> list[str]:
        """Lines, numbers and names of the scales."""
        base, shapes = self.height - self.bottom, [heading(title)]
        for value, number in self.x_ticks():
            shapes.append(line(self.x(value), base, self.x(value), base + 4))
            shapes.append(letters(self.x(value), base + 16, number, anchor="middle"))
        for value in ticks(*self.y_range):
            row = self.y(value)
            shapes.append(line(self.left, row, self.width - self.right, row, faint=True))
            shapes.append(letters(self.left - 6, row + 4, f"{value:g}", anchor="end"))
        shapes.append(line(self.left, base, self.width - self.right, base))
        middle = (self.left + self.width - self.right) / 2
        shapes.append(letters(middle, self.height - 6, label(x_label, 80), anchor="middle"))
        shapes.append(letters(4, self.top - 10, label(y_label, 80), size=10) if y_label else "")
        return shapes


def _share(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    if high <= low:
        return 0.5
    return min(1.0, max(0.0, (value - low) / (high - low)))
