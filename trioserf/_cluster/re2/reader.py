"""A place in the text of an expression."""

from __future__ import annotations

from typing import NoReturn

from ..._exceptions import RemoteProtocolError


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
