"""Tables that print in a terminal and show in a notebook.

Cells often come from the network (names, tags, payloads).  Nothing of them reaches a terminal
or a page unescaped: control characters are shown as escapes, markup as text, and what is very
long is cut.  Colours are left to the theme, so that a table reads the same on a light and
a dark background; rich, where somebody uses it, gets a boxed table with the status in colour.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar, final

from . import _attrs as attrs
from ._text import printable

ROWS_SHOWN: Final = 200
"""Rows of a table that are shown; a note counts the rest."""
CELL_SHOWN: Final = 600
"""Characters of a cell that are shown; all tags of a member fit."""
_STATUS_STYLES: Final = {
    "alive": "green",
    "leaving": "yellow",
    "left": "dim",
    "failed": "bold red",
}
"""How rich shows a status; its word is always there too."""
_STATUS_MARKS: Final = {"failed": "! failed", "left": "- left"}
"""What stands out without any colour, in ASCII for every terminal."""
_STATUS_TAGS: Final = {"failed": ("<strong>", "</strong>"), "left": ("<em>", "</em>")}
"""What stands out without any colour, on a page."""


def plain(text: object) -> str:
    """``text`` on one line, cut where it is very long, without control characters and the like."""
    return printable(text, CELL_SHOWN)


def short_payload(payload: bytes) -> str:
    """Application bytes for the eye: all of a few, the beginning of many."""
    if len(payload) <= 32:
        return repr(payload)
    return f"{payload[:24]!r}… ({len(payload)} bytes)"


def columns(text: str) -> int:
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
        rows = self.rows[:ROWS_SHOWN]
        shown = [self.header, *(tuple(map(_marked, self.header, row)) for row in rows)]
        widths = [max(map(columns, column)) for column in zip(*shown, strict=True)]
        lines = [self.caption] if self.caption else []
        for row in shown:
            padded = (
                cell + " " * (width - columns(cell))
                for cell, width in zip(row, widths, strict=True)
            )
            lines.append("  ".join(padded).rstrip())
        if self.rest:
            lines.append(f"… and {self.rest} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        body = "".join(_html_row("td", row, self.header) for row in self.rows[:ROWS_SHOWN])
        note = f"<p>… and {self.rest} more</p>" if self.rest else ""
        return (
            f'<table style="color:inherit">{caption}<thead>'
            f"{_html_row('th', self.header)}</thead>"
            f"<tbody>{body}</tbody></table>{note}"
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def __rich__(self) -> object:
        """The table for ``rich.print``, which alone calls this."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            title=Text(self.caption) if self.caption else None,
            caption=Text(f"… and {self.rest} more") if self.rest else None,
            box=box.ROUNDED,
        )
        for name in self.header:
            table.add_column(Text(name), overflow="fold")
        for row in self.rows[:ROWS_SHOWN]:
            marked = map(_marked, self.header, row)
            table.add_row(*map(Text, marked, map(_style, self.header, row)))
        return table


def _style(column: str, cell: str) -> str:
    return _STATUS_STYLES.get(cell, "") if column == "status" else ""


def _marked(column: str, cell: str) -> str:
    return _STATUS_MARKS.get(cell, cell) if column == "status" else cell


class HasTable(Protocol):
    """What can be shown as a table."""

    def _table(self) -> Table: ...


C = TypeVar("C", bound=type[HasTable])


def shown_as_table(cls: C) -> C:
    """Let a class show its ``_table()``: printed, as the result of a cell, and by rich.

    Methods that the class has already stay as they are.
    """

    # What `help()` shows of them is that they are methods of the class: so their names, and no
    # type of `self`.
    def text(self: Any) -> str:
        return str(self._table())

    def html_text(self: Any) -> str:
        return str(self._table()._repr_html_())

    def bundle(self: Any, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def rich(self: Any) -> object:
        return self._table().__rich__()

    shown = {"__str__": text, "_repr_html_": html_text, "_repr_mimebundle_": bundle}
    for name, method in (shown | {"__rich__": rich}).items():
        if name not in vars(cls):
            method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
            setattr(cls, name, method)
    return cls


def _html_row(tag: str, cells: Sequence[str], header: Sequence[str] = ()) -> str:
    names = header or [""] * len(cells)
    return "<tr>" + "".join(map(_html_cell, [tag] * len(cells), cells, names)) + "</tr>"


def _html_cell(tag: str, cell: str, column: str) -> str:
    # Only what is long may be broken anywhere, or it would squeeze the columns beside it.
    wrap = ";max-width:30em;overflow-wrap:anywhere" if len(cell) > 40 else ""
    before, after = _STATUS_TAGS.get(cell, ("", "")) if column == "status" else ("", "")
    text = f"{before}{escape(_marked(column, cell))}{after}"
    return f'<{tag} style="text-align:left{wrap}">{text}</{tag}>'


def escape(text: str) -> str:
    from html import escape  # for notebooks; it would take a millisecond of every import

    return escape(text)
