"""An expression as a tree.  Captures and greediness have no place in it."""

from __future__ import annotations

import enum
from typing import TypeAlias

from ... import _attrs as attrs
from .charsets import CharSet


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


Node: TypeAlias = CharSet | Assertion | Sequence | Choice | Repeat
