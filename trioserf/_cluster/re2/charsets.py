"""Sets of characters, as expressions name them: ``[a-z]``, ``\\d``, ``[:alpha:]``, ``\\pL``.

A set is a list of groups; a character belongs to it when some group has it.  Each group, and
the set as a whole, may be negated.  Nothing is enumerated: the categories of
Unicode are looked up when matching.

Ignoring case means: a character stands for its whole orbit, that is for all characters with
which it shares its simple case folding (``k``, ``K`` and the Kelvin sign, for example).

Source: golang/go, src/regexp/syntax/parse.go (perl, posix and Unicode groups), perl_groups.go;
src/unicode/letter.go, SimpleFold.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from ... import _attrs as attrs
from .scripts import script_ranges

Range: TypeAlias = tuple[int, int]
"""First and last code point."""

MAX_RUNE: Final = 0x10FFFF

_CATEGORIES: Final[Mapping[str, str]] = {
    "C": "cfos",
    "L": "lmotu",
    "M": "cen",
    "N": "dlo",
    "P": "cdefios",
    "S": "ckmo",
    "Z": "lps",
}
"""All but Cn: before version 1.25, Go's ``C`` has no code points that are not assigned."""
_UNASSIGNED: Final = frozenset({"Cn"})
_CASED: Final = frozenset({"Lu", "Ll", "Lt"})

_IRREGULAR_ORBITS: Final = (
    "Kk\u212a", "Ss\u017f", "\xb5\u039c\u03bc", "\xc5\xe5\u212b", "\xdf\u1e9e", "\u0131",
    "\u0345\u0399\u03b9\u1fbe", "\u0392\u03b2\u03d0", "\u0395\u03b5\u03f5",
    "\u0398\u03b8\u03d1\u03f4", "\u039a\u03ba\u03f0", "\u03a0\u03c0\u03d6", "\u03a1\u03c1\u03f1",
    "\u03a3\u03c2\u03c3", "\u03a6\u03c6\u03d5", "\u03a9\u03c9\u2126", "\u0412\u0432\u1c80",
    "\u0414\u0434\u1c81", "\u041e\u043e\u1c82", "\u0421\u0441\u1c83", "\u0422\u0442\u1c84\u1c85",
    "\u042a\u044a\u1c86", "\u0462\u0463\u1c87", "\u1c88\ua64a\ua64b", "\u1e60\u1e61\u1e9b",
)  # fmt: skip
"""Orbits that ``lower``, ``upper`` and ``title`` of one member do not give."""
_ORBITS: Final[Mapping[str, str]] = {char: orbit for orbit in _IRREGULAR_ORBITS for char in orbit}


@lru_cache(maxsize=4096)
def orbit(char: str) -> str:
    """The characters equal to ``char`` when case is ignored, ``char`` included."""
    known = _ORBITS.get(char)
    if known is not None:
        return known
    forms = {char, char.lower(), char.upper(), char.title()}
    return "".join(form for form in forms if len(form) == 1)


def _bounds(ranges: Iterable[Range]) -> tuple[int, ...]:
    """Where the ranges begin and end, in ascending order; what touches is one range."""
    bounds: list[int] = []
    for first, last in sorted(ranges):
        if bounds and first <= bounds[-1]:
            bounds[-1] = max(last + 1, bounds[-1])
        else:
            bounds += (first, last + 1)
    return tuple(bounds)


@attrs.frozen(eq=False)
class Group:
    """Some ranges and categories, or (``negated``) all characters outside them.

    Attributes:
      bounds: the first character of a range, then the first behind it, and so on.
    """

    bounds: tuple[int, ...] = attrs.field(converter=_bounds)
    categories: frozenset[str] = frozenset()
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        """Whether ``char`` is in the ranges or categories, before any negation."""
        if bisect_right(self.bounds, ord(char)) % 2:
            return True
        return bool(self.categories) and unicodedata.category(char) in self.categories


@attrs.frozen(eq=False)
class CharSet:
    """A set of characters.

    Args:
      groups: what is in it.
      negated: the set is everything else.
      fold: case is ignored.
    """

    groups: tuple[Group, ...]
    negated: bool = False
    fold: bool = False

    def __contains__(self, char: str) -> bool:
        chars = orbit(char) if self.fold else char
        for group in self.groups:
            if any(form in group for form in chars) is not group.negated:
                return not self.negated
        return self.negated


Chars: TypeAlias = str | CharSet
"""A set of characters; a text stands for those in it, and costs no object of its own."""


def literal(char: str, *, fold: bool) -> Chars:
    """The set of one character, and what is equal to it."""
    return orbit(char) if fold else char


ANY: Final = CharSet((), negated=True)
ANY_BUT_NEWLINE: Final = CharSet((Group(((10, 10),)),), negated=True)


# --- named groups -------------------------------------------------------------------------


def _ranges(text: str) -> tuple[Range, ...]:
    """Pairs of first and last characters, written one behind the other."""
    return tuple((ord(first), ord(last)) for first, last in zip(text[::2], text[1::2], strict=True))


_DIGIT: Final = _ranges("09")
_WORD: Final = _ranges("09AZ__az")
_PERL: Final[Mapping[str, tuple[Range, ...]]] = {
    "d": _DIGIT,
    "s": _ranges("\t\n\f\r  "),  # no vertical tab
    "w": _WORD,
}
_POSIX: Final[Mapping[str, tuple[Range, ...]]] = {
    "alnum": _ranges("09AZaz"),
    "alpha": _ranges("AZaz"),
    "ascii": _ranges("\x00\x7f"),
    "blank": _ranges("\t\t  "),
    "cntrl": _ranges("\x00\x1f\x7f\x7f"),
    "digit": _DIGIT,
    "graph": _ranges("!~"),
    "lower": _ranges("az"),
    "print": _ranges(" ~"),
    "punct": _ranges("!/:@[`{~"),
    "space": _ranges("\t\r  "),
    "upper": _ranges("AZ"),
    "word": _WORD,
    "xdigit": _ranges("09AFaf"),
}


_PERL_GROUPS: Final[Mapping[str, Group]] = {
    letter: Group(_PERL[letter.lower()], negated=letter.isupper()) for letter in "dswDSW"
}
_POSIX_GROUPS: Final[Mapping[str, Group]] = {
    sign + name: Group(ranges, negated=bool(sign))
    for sign in ("", "^")
    for name, ranges in _POSIX.items()
}


def perl_group(letter: str) -> Group | None:
    """``d``, ``s``, ``w``, or a capital for the opposite; None for other letters."""
    return _PERL_GROUPS.get(letter)


def posix_group(name: str) -> Group | None:
    """``alpha`` and so on, ``^alpha`` for the opposite; None if there is no such class."""
    return _POSIX_GROUPS.get(name)


@lru_cache(maxsize=512)
def unicode_group(name: str, *, negated: bool) -> Group | None:
    """A category (``L``, ``Lu``), a script (``Greek``) or one of Go 1.25's; else None.

    Source: golang/go 1.25, src/regexp/syntax/parse.go, unicodeTable, for ``Cn`` and what follows.
    """
    match name:
        case "Any":
            return Group(((0, MAX_RUNE),), negated=negated)
        case "ASCII":
            return Group(((0, 0x7F),), negated=negated)
        case "Cn":
            return Group((), _UNASSIGNED, negated)
        case "Assigned":
            return Group((), _UNASSIGNED, not negated)
        case "LC":
            return Group((), _CASED, negated)
    seconds = _CATEGORIES.get(name[:1], "")
    categories = frozenset(
        name[0] + second for second in seconds if name in (name[0], name[0] + second)
    )
    if categories:
        return Group((), categories, negated)
    ranges = script_ranges(name)
    return None if ranges is None else Group(ranges, negated=negated)
