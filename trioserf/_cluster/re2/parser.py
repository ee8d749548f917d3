"""An expression as text, read into a tree.

The dialect is that of Go's ``regexp.Compile``.  What it refuses is an error here too,
even where Python would accept it: look-around, back-references, ``\\Z``, ``(?x)``, doubled
quantifiers, counts over 1000.  Further limits on length, depth and size are this library's.

Source: golang/go, src/regexp/syntax/parse.go, parse, parsePerlFlags, repeat,
repeatIsValid, parseEscape, parseClass, parseNamedClass, parseUnicodeClass,
parsePerlClassEscape.
"""

from __future__ import annotations

import enum
from typing import Final, NoReturn, TypeAlias

from ... import _attrs as attrs
from ..._exceptions import RemoteProtocolError
from ..._tuples import NamedTuple
from .charsets import (
    ANY,
    ANY_BUT_NEWLINE,
    MAX_RUNE,
    Chars,
    CharSet,
    Group,
    Range,
    literal,
    perl_group,
    posix_group,
    unicode_group,
)

MAX_EXPRESSION: Final = 4096
"""Longest expression (characters)."""
MAX_DEPTH: Final = 50
"""Parentheses inside parentheses."""
MAX_PROGRAM: Final = 5000
"""Largest automaton (instructions), counted repeats written out."""
MAX_REPEAT: Final = 1000
"""Highest count, and highest product of nested counts; this one is Go's."""


# --- the tree -----------------------------------------------------------------------------
# Captures and greediness have no place in it.


class Assertion(enum.Enum):
    """What must hold between two characters; the value is how an expression says it."""

    TEXT_START = "\\A"
    TEXT_END = "\\z"
    LINE_START = "(?m)^"
    LINE_END = "(?m)$"
    WORD_BOUNDARY = "\\b"
    NO_WORD_BOUNDARY = "\\B"


@attrs.frozen
class Sequence:
    """One after the other."""

    parts: tuple[Node, ...]


@attrs.frozen
class Choice:
    """One of these."""

    options: tuple[Node, ...]


@attrs.frozen
class Repeat:
    """``low`` to ``high`` times; None is without end."""

    node: Node
    low: int
    high: int | None


Node: TypeAlias = Chars | Assertion | Sequence | Choice | Repeat


# --- a position in the expression ----------------------------------------------------------


def fail(problem: str, where: str) -> NoReturn:
    """Give the expression up; the text of the error is like Go's."""
    shown = where if len(where) <= 64 else where[:64] + "…"
    raise RemoteProtocolError(f"error parsing regexp: {problem}: {shown!r}")


class Reader:
    """Reads an expression from left to right.

    Attributes:
      text: the whole expression.
      at: the index of what comes next.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """The next character, or nothing at the end."""
        return self.text[self.at : self.at + 1]

    def next(self, problem: str, start: int) -> str:
        """Read a character that must be there, as part of what began at ``start``."""
        char = self.peek()
        if not char:
            fail(problem, self.text[start:])
        self.at += 1
        return char

    def ahead(self, prefix: str) -> bool:
        """Whether ``prefix`` comes next."""
        return self.text.startswith(prefix, self.at)

    def take(self, prefix: str) -> bool:
        """Read ``prefix`` if it comes next."""
        if not self.ahead(prefix):
            return False
        self.at += len(prefix)
        return True

    def until(self, end: str) -> str | None:
        """Read up to and over ``end``; the text in front of it.  None, unread, without one."""
        before, found, _ = self.text[self.at :].partition(end)
        if not found:
            return None
        self.at += len(before) + len(end)
        return before

    def since(self, start: int) -> str:
        """What was read from ``start`` on."""
        return self.text[start : self.at]


# --- one character: escapes, and classes in brackets ----------------------------------------

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


# --- the whole expression --------------------------------------------------------------------


def parse(expression: str) -> tuple[Node, int]:
    """The tree of an expression, and how many instructions it needs.

    Raises:
      RemoteProtocolError: Go refuses it, or it is over one of these limits; the text says which.
    """
    if len(expression) > MAX_EXPRESSION:
        fail(f"longer than {MAX_EXPRESSION} characters", expression)
    if any("\ud800" <= char <= "\udfff" for char in expression):
        fail("invalid UTF-8", expression)
    return _Parser(expression).parse()


@attrs.frozen
class _Flags:
    fold: bool = False
    """i"""
    multi_line: bool = False
    """m"""
    dot_newline: bool = False
    """s"""


_FLAG_NAMES: Final = {"i": "fold", "m": "multi_line", "s": "dot_newline", "U": ""}
"""U turns greediness around, which cannot be seen here."""
_QUANTIFIERS: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_ASSERTIONS: Final = {
    "A": Assertion.TEXT_START,
    "z": Assertion.TEXT_END,
    "b": Assertion.WORD_BOUNDARY,
    "B": Assertion.NO_WORD_BOUNDARY,
}


class _Part(NamedTuple):
    """A node, and its cost."""

    node: Node
    size: int
    """Instructions."""
    repeats: int = 1
    """Highest product of counts in it."""


@attrs.define
class _Level:
    """An open group: the whole expression, or one parenthesis."""

    flags_outside: _Flags
    options: list[_Part] = attrs.field(factory=list)
    parts: list[_Part] = attrs.field(factory=list)

    # Nothing, in a sequence or once more as an option, is left out.  It takes no instructions,
    # and would cost the compiler time that nobody paid for: "(){1000}" a thousand visits.

    def end_option(self) -> None:
        nodes = tuple([part.node for part in self.parts if part.size])
        size = sum([part.size for part in self.parts])
        repeats = max([part.repeats for part in self.parts], default=1)
        self.options.append(_Part(nodes[0] if len(nodes) == 1 else Sequence(nodes), size, repeats))
        self.parts = []

    def close(self) -> _Part:
        self.end_option()
        nodes = tuple([option.node for option in self.options if option.size])
        size = sum([option.size for option in self.options])
        if len(nodes) < len(self.options):
            nodes += (Sequence(()),)
        if len(nodes) > 1:
            size += 1
        repeats = max([option.repeats for option in self.options])
        return _Part(nodes[0] if len(nodes) == 1 else Choice(nodes), size, repeats)


class _Parser:
    def __init__(self, expression: str) -> None:
        self._in = Reader(expression)
        self._flags = _Flags()
        self._levels = [_Level(self._flags)]

    def parse(self) -> tuple[Node, int]:
        reader = self._in
        after_quantifier = False
        while char := reader.peek():
            start = reader.at
            reader.at += 1
            bounds = self._quantifier(char)
            if bounds is None:
                self._item(char)
                after_quantifier = False
                continue
            reader.take("?")
            if after_quantifier:
                fail("invalid nested repetition operator", reader.since(start))
            self._repeat(start, *bounds)
            after_quantifier = True
        if len(self._levels) > 1:
            fail("missing closing )", reader.text)
        whole = self._levels[0].close()
        if whole.size > MAX_PROGRAM:
            fail("expression is too large", reader.text)
        return whole.node, whole.size

    def _push(self, node: Node) -> None:
        self._levels[-1].parts.append(_Part(node, 1))

    def _push_literal(self, char: str) -> None:
        self._push(literal(char, fold=self._flags.fold))

    def _item(self, char: str) -> None:
        """Anything but a quantifier; ``char`` is read already."""
        multi_line = self._flags.multi_line
        match char:
            case "(":
                self._open()
            case ")":
                self._close()
            case "|":
                self._levels[-1].end_option()
            case "^":
                self._push(Assertion.LINE_START if multi_line else Assertion.TEXT_START)
            case "$":
                self._push(Assertion.LINE_END if multi_line else Assertion.TEXT_END)
            case ".":
                self._push(ANY if self._flags.dot_newline else ANY_BUT_NEWLINE)
            case "[":
                groups, negated = read_class(self._in)
                self._push(CharSet(groups, negated, self._flags.fold))
            case "\\":
                self._escape()
            case _:
                self._push_literal(char)

    def _escape(self) -> None:
        reader = self._in
        assertion = _ASSERTIONS.get(reader.peek())
        if assertion is not None:
            reader.at += 1
            self._push(assertion)
        elif reader.take("Q"):
            quoted = reader.until("\\E")
            if quoted is None:
                quoted = reader.text[reader.at :]
                reader.at = len(reader.text)
            for char in quoted:
                self._push_literal(char)
        elif (group := group_escape(reader)) is not None:
            self._push(CharSet((group,), fold=self._flags.fold))
        else:
            self._push_literal(char_escape(reader))

    # repetition

    def _quantifier(self, char: str) -> tuple[int, int | None] | None:
        """The bounds, if ``char`` begins a quantifier, whose rest is then read."""
        return self._counts() if char == "{" else _QUANTIFIERS.get(char)

    def _counts(self) -> tuple[int, int | None] | None:
        """``{2}``, ``{2,}``, ``{2,3}``; anything else that begins with a brace is literal."""
        reader = self._in
        start = reader.at
        low = high = self._number()
        if low is not None and reader.take(","):
            high = self._number()
        if low is None or not reader.take("}"):
            reader.at = start
            return None
        if low > MAX_REPEAT or (high is not None and not low <= high <= MAX_REPEAT):
            fail("invalid repeat count", reader.since(start - 1))
        return low, high

    def _number(self) -> int | None:
        """Decimal digits without a leading zero, or None and nothing is read.

        More than nine digits are just "many".
        """
        reader = self._in
        start = reader.at
        while "0" <= reader.peek() <= "9":
            reader.at += 1
        digits = reader.since(start)
        if not digits or (digits[0] == "0" and len(digits) > 1):
            reader.at = start
            return None
        return int(digits[:9])

    def _repeat(self, start: int, low: int, high: int | None) -> None:
        parts = self._levels[-1].parts
        shown = self._in.since(start)
        if not parts:
            fail("missing argument to repetition operator", shown)
        part = parts.pop()
        repeats = part.repeats
        if shown[0] == "{":
            count = low if high is None else high
            repeats = count * repeats if count else 1
            if repeats > MAX_REPEAT and count > 1:
                fail("invalid repeat count", shown)
        if high is None:
            size = part.size * (low + 1) + 1
        else:
            size = part.size * high + high - low
        if size > MAX_PROGRAM:
            fail("expression is too large", shown)
        if not part.size or high == 0:
            parts.append(_Part(Sequence(()), 0, repeats))
            return
        parts.append(_Part(Repeat(part.node, low, high), size, repeats))

    # parentheses

    def _open(self) -> None:
        outside = self._flags
        if self._in.take("?") and not self._perl_group(self._in.at - 2):
            return
        if len(self._levels) > MAX_DEPTH:
            fail(f"nested deeper than {MAX_DEPTH}", self._in.text)
        self._levels.append(_Level(outside))

    def _close(self) -> None:
        if len(self._levels) == 1:
            fail("unexpected )", self._in.text)
        level = self._levels.pop()
        self._flags = level.flags_outside
        self._levels[-1].parts.append(level.close())

    def _perl_group(self, start: int) -> bool:
        """What follows ``(?``: a name or flags.  False if no parenthesis was opened."""
        reader = self._in
        behind = reader.ahead("<=") or reader.ahead("<!")
        if reader.take("P<") or (not behind and reader.take("<")):  # Go takes that since 1.22
            name = reader.until(">")
            if not name or not name.isascii() or not name.replace("_", "0").isalnum():
                fail("invalid named capture", reader.text[start:])
            return True
        changes: dict[str, bool] = {}
        on, dangling = True, False
        while True:
            char = reader.next("missing closing )", start)
            if char in _FLAG_NAMES:
                changes[_FLAG_NAMES[char]] = on
                dangling = False
            elif char == "-" and on:
                on, dangling = False, True
            elif char in ":)" and not dangling:
                changes.pop("", None)
                self._flags = attrs.evolve(self._flags, **changes)
                return char == ":"
            else:
                fail("invalid or unsupported Perl syntax", reader.since(start))
