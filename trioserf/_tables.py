"""Tables that print in a terminal and show in a notebook.

Cells often come from the network (names, tags, payloads).  Nothing of them reaches a terminal
or a page unescaped: control characters are shown as escapes, markup as text.  Colours are
left to the theme, so that a table reads the same on light and dark ground.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

import attrs

ROWS_SHOWN: Final = 200
"""Rows of a table that are shown; a note counts the rest."""


def plain(text: object) -> str:
    """``text`` on one line, without control characters and stray surrogates."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )


def _width(text: str) -> int:
    """Columns that ``text`` takes in a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _cells(rows: Iterable[Iterable[object]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(plain(cell) for cell in row) for row in rows)


def _cell_row(row: Iterable[object]) -> tuple[str, ...]:
    return tuple(plain(cell) for cell in row)


@final
@attrs.frozen(kw_only=True)
class Table:
    """A caption, a header and rows of text.

    Args:
      caption: one line above the table; may be empty.
      header: names of the columns.
      rows: as many cells as the header; any objects, shown by ``str()``.
    """

    caption: str = attrs.field(default="", converter=plain)
    header: tuple[str, ...] = attrs.field(converter=_cell_row)
    rows: tuple[tuple[str, ...], ...] = attrs.field(default=(), converter=_cells)

    @classmethod
    def of_pairs(
        cls, caption: str, pairs: Mapping[str, object], header: Sequence[str] = ("what", "value")
    ) -> Table:
        """A table of two columns."""
        return cls(caption=caption, header=tuple(header), rows=tuple(pairs.items()))

    @property
    def rest(self) -> int:
        """Rows that are not shown."""
        return max(0, len(self.rows) - ROWS_SHOWN)

    def __str__(self) -> str:
        shown = [self.header, *self.rows[:ROWS_SHOWN]]
        widths = [max(map(_width, column)) for column in zip(*shown, strict=True)]
        lines = [self.caption] if self.caption else []
        for row in shown:
            padded = (
                cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
            )
            lines.append("  ".join(padded).rstrip())
        if self.rest:
            lines.append(f"… and {self.rest} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        body = "".join(_html_row("td", row) for row in self.rows[:ROWS_SHOWN])
        note = f"<p>… and {self.rest} more</p>" if self.rest else ""
        return (
            f'<table style="color:inherit">{caption}<thead>'
            f"{_html_row('th', self.header)}</thead>"
            f"<tbody>{body}</tbody></table>{note}"
        )


def _html_row(tag: str, cells: Iterable[str]) -> str:
    style = ' style="text-align:left"'
    return (
        "<tr>" + "".join(f"<{tag}{style}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
    )
