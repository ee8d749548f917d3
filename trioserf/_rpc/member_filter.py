"""Which members ``members-filtered`` is about.

Each pattern ``p`` becomes ``^p$`` without a group around it, as in Go: ``al|zz`` means ``^al``
or ``zz$``.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc.go, filterMembers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import trio

from .._cluster.re2.program import Budget, Program, compile_expression
from .._events import Member
from .._exceptions import RemoteProtocolError

STEPS_PER_MEMBER: Final = 20_000
"""Work for one pattern on one member (steps of `Budget`); some 10 ms at most."""
_PAUSE_AFTER: Final = 32
"""Members between two checkpoints."""
_LITERAL: Final = re.compile(r"[\w ,:;=@#%&~/<>!'\"-]*", re.ASCII)
"""Patterns that mean only themselves."""


class _Pattern:
    """One pattern; most are plain words."""

    def __init__(self, what: str, text: str) -> None:
        self._literal = text if _LITERAL.fullmatch(text) else None
        self._program: Program | None = None
        self._what = what
        if self._literal is None:
            try:
                self._program = compile_expression(f"^{text}$")
            except RemoteProtocolError as error:
                raise RemoteProtocolError(f"Failed to compile {what} regex: {error}") from error

    def fits(self, value: str) -> bool:
        """Whether it matches all of ``value``.

        Raises:
          RemoteProtocolError: that takes too many steps.
        """
        if self._program is None:
            return value == self._literal
        budget = Budget(STEPS_PER_MEMBER)
        try:
            budget.spend(self._program.size)
            return self._program.found_in(value, budget)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{self._what} regex: {error}") from error


async def filter_members(
    members: Iterable[Member], name: str, status: str, tags: Mapping[str, str]
) -> list[Member]:
    """The members whose name, status and tags fit.

    Args:
      name, status: expressions; empty for any.
      tags: tag to expression; a tag that a member does not have is empty.

    Raises:
      RemoteProtocolError: an expression that Go refuses, or that takes too long.
    """
    by_tag = {tag: _Pattern(f"tag {tag!r}", text) for tag, text in tags.items()}
    by_name = _Pattern("name", name) if name else None
    by_status = _Pattern("status", status) if status else None
    found = []
    for number, member in enumerate(members):
        if number % _PAUSE_AFTER == 0:
            await trio.lowlevel.checkpoint()
        if by_name is not None and not by_name.fits(member.name):
            continue
        if by_status is not None and not by_status.fits(str(member.status)):
            continue
        if all(pattern.fits(member.tags.get(tag, "")) for tag, pattern in by_tag.items()):
            found.append(member)
    return found
