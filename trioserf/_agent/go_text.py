"""How Go prints: JSON documents, quoted texts, values, tables.

The standard library's ``json`` is not used: it would cost a command more time than the rest of
its output, and Go escapes otherwise.

Source: golang/go, encoding/json/encode.go, strconv/quote.go, fmt/print.go;
ryanuber/columnize, columnize.go.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_QUOTE_ESCAPES = _ESCAPES | {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v"}
_INFINITY = float("inf")
_UNSAFE_IN_HTML = "<>&\u2028\u2029"


def json_document(value: object) -> str:
    """A value as ``json.MarshalIndent`` prints it, indented by two blanks.

    Lists that Go would have as nil are given as None.  Dictionaries keep their order, so that
    of a Go map is sorted by the caller.
    """
    return _json(value, "\n")


def json_line(value: object) -> str:
    """A value on one line, as ``json.Marshal`` prints it."""
    return _json(value, "")


def _json(value: object, newline: str) -> str:
    if isinstance(value, str):
        return f'"{"".join(map(_json_char, value))}"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value) if abs(value) < _INFINITY else "null"
    if isinstance(value, bytes):
        return _json(value.decode("utf-8", "surrogateescape"), newline)
    inner = newline + "  " if newline else ""
    if isinstance(value, dict):
        colon = ": " if newline else ":"
        parts = [f"{_json(str(key), '')}{colon}{_json(item, inner)}" for key, item in value.items()]
        opening, closing = "{}"
    else:
        assert isinstance(value, list | tuple), f"no JSON for {type(value).__name__}"
        parts = [_json(item, inner) for item in value]
        opening, closing = "[]"
    if not parts:
        return opening + closing
    return f"{opening}{inner}{f',{inner}'.join(parts)}{newline}{closing}"


def _json_char(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char < " " or char in _UNSAFE_IN_HTML:
        return f"\\u{ord(char):04x}"
    if "\ud800" <= char <= "\udfff":  # a byte that is no UTF-8
        return "\\ufffd"
    return char


def quote(text: str) -> str:
    """A text in double quotes: ``%q``."""
    return f'"{"".join(map(_quoted_char, text))}"'


def _quoted_char(char: str) -> str:
    if char in _QUOTE_ESCAPES:
        return _QUOTE_ESCAPES[char]
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def columns(rows: Iterable[Sequence[str]]) -> str:
    """A table: cells as wide as the widest of their column, two blanks between them.

    The last cell of a row is not filled up.  White space around the whole table is cut.

    DIFFERS: Go puts the cells of a row together with ``|``, and takes them apart again, so
    that a name with that sign fills two columns.  Here a cell is a cell.  Test:
    test_a_cell_may_have_the_sign_that_go_cuts_at.
    """
    rows = list(rows)
    widths: dict[int, int] = {}
    for row in rows:
        for place, cell in enumerate(row):
            widths[place] = max(widths.get(place, 0), len(cell))
    lines = [
        "  ".join([*(cell.ljust(widths[place]) for place, cell in enumerate(row[:-1])), row[-1]])
        for row in rows
    ]
    return "\n".join(lines).strip()


def sorted_map(values: Mapping[str, object]) -> dict[str, object]:
    """A map in the order in which Go prints it: by the bytes of its keys."""
    return {
        key: values[key]
        for key in sorted(values, key=lambda key: key.encode("utf-8", "surrogateescape"))
    }
