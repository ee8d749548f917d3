"""What an expression says about one character: escapes, and classes in brackets.

Source: golang/go, src/regexp/syntax/parse.go, parseEscape, parseClass, parseNamedClass,
parseUnicodeClass, parsePerlClassEscape.
"""

from __future__ import annotations

from typing import Final

from .charsets import MAX_RUNE, Group, Range, perl_group, posix_group, unicode_group
from .reader import Reader, fail

_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OCTAL: Final = frozenset("01234567")
_HEX: Final = frozenset("0123456789abcdefABCDEF")

_BAD_RANGE: Final = "invalid character class range"
_BAD_ESCAPE: Final = "invalid escape sequence"
_OPEN_CLASS: Final = "missing closing ]"


def group_escape(reader: Reader) -> Group | None:
    """Behind a backslash: ``d`` and the like, ``pL``, ``p{Greek}``; None for anything else."""
    char = reader.peek()
    if not char or char not in "pP":
        group = perl_group(char)
        if group is not None:
            reader.at += 1
        return group
    start = reader.at - 1
    reader.at += 1
    name: str | None = reader.next(_BAD_RANGE, start)
    if name == "{":
        name = reader.until("}")
    if not name:
        fail(_BAD_RANGE, reader.text[start:])
    negated = (char == "P") is not name.startswith("^")
    group = unicode_group(name.removeprefix("^"), negated=negated)
    if group is None:
        fail("unknown or unsupported character class", reader.since(start))
    return group


def char_escape(reader: Reader) -> str:
    """Behind a backslash: an escape that stands for one character."""
    start = reader.at - 1
    char = reader.next("trailing backslash at end of expression", start)
    if char in _CONTROLS:
        return _CONTROLS[char]
    if char == "x":
        return _hex_escape(reader, start)
    if char == "0" or (char in _OCTAL and reader.peek() in _OCTAL):
        digits = char
        while len(digits) < 3 and reader.peek() in _OCTAL:
            digits += reader.next(_BAD_ESCAPE, start)
        return chr(int(digits, 8))
    if char.isascii() and not char.isalnum():
        return char
    return fail(_BAD_ESCAPE, reader.since(start))


def _hex_escape(reader: Reader, start: int) -> str:
    first = reader.next(_BAD_ESCAPE, start)
    digits = reader.until("}") if first == "{" else first + reader.next(_BAD_ESCAPE, start)
    if not digits or not set(digits) <= _HEX or int(digits, 16) > MAX_RUNE:
        fail(_BAD_ESCAPE, reader.since(start))
    return chr(int(digits, 16))


def read_class(reader: Reader) -> tuple[tuple[Group, ...], bool]:
    """Behind an opening bracket: the groups of the class, and whether it is negated."""
    start = reader.at - 1
    negated = reader.take("^")
    ranges: list[Range] = []
    groups: list[Group] = []
    first = True
    while first or not reader.take("]"):
        first = False
        group = _class_group(reader)
        if group is not None:
            groups.append(group)
        else:
            ranges.append(_class_range(reader, start))
    return (Group(tuple(ranges)), *groups), negated


def _class_group(reader: Reader) -> Group | None:
    """``[:alpha:]``, ``\\d``, ``\\pL``; None for anything else."""
    start = reader.at
    if reader.take("[:"):
        name = reader.until(":]")
        if name is not None:
            group = posix_group(name)
            if group is None:
                fail(_BAD_RANGE, reader.since(start))
            return group
    elif reader.take("\\"):
        group = group_escape(reader)
        if group is not None:
            return group
    reader.at = start
    return None


def _class_range(reader: Reader, start: int) -> Range:
    began = reader.at
    low = high = _class_char(reader, start)
    if reader.ahead("-") and not reader.ahead("-]") and reader.at + 1 < len(reader.text):
        reader.at += 1
        high = _class_char(reader, start)
        if high < low:
            fail(_BAD_RANGE, reader.since(began))
    return ord(low), ord(high)


def _class_char(reader: Reader, start: int) -> str:
    char = reader.next(_OPEN_CLASS, start)
    return char_escape(reader) if char == "\\" else char
