"""Whether nodes agree on who is alive, and if not, which disagree about which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from .. import _attrs as attrs
from .._events import Member, MemberStatus

View: TypeAlias = Callable[[], Iterable[Member]]
"""What a node knows now."""

_SHOWN = 5
"""Disagreements listed before the rest is counted."""


def alive_names(members: Iterable[Member]) -> set[str]:
    """The names of the members that are alive."""
    return {member.name for member in members if member.status is MemberStatus.ALIVE}


@attrs.define(eq=False)
class Agreement:
    """Do these nodes see each other, and no other node, alive?

    Asked again and again while a cluster settles, so it looks first at those that disagreed
    last time, and stops at the first that still does.

    Args:
      views: the nodes by name.
      tags: the tags that each is known to have; a node that shows others disagrees.
    """

    views: Mapping[str, View]
    tags: Callable[[str], Mapping[str, str]]
    _pending: list[str] = attrs.field(factory=list, init=False)

    def reached(self) -> bool:
        """Whether all agree now."""
        if not self._pending:
            self._pending = list(self.views)
        while self._pending:
            if self._complaints_of(self._pending[-1], stop_at_first=True):
                return False
            self._pending.pop()
        # Those that agreed at first may see it otherwise by now.
        return not any(self._complaints_of(name, stop_at_first=True) for name in self.views)

    def complaints(self) -> list[str]:
        """Every disagreement, in words."""
        return [text for name in self.views for text in self._complaints_of(name)]

    def summary(self) -> str:
        """The first disagreements, in one line."""
        found = self.complaints()
        rest = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return "; ".join(found[:_SHOWN]) + rest

    def _complaints_of(self, name: str, *, stop_at_first: bool = False) -> list[str]:
        members = {member.name: member for member in self.views[name]()}
        found = []
        for other in self.views:
            member = members.pop(other, None)
            if member is None:
                found.append(f"{name} does not know {other}")
            elif member.status is not MemberStatus.ALIVE:
                found.append(f"{name} sees {other} {member.status}")
            elif member.tags != self.tags(other):
                found.append(f"{name} sees old tags of {other}")
            if found and stop_at_first:
                return found
        found += [f"{name} still sees {other} alive" for other in alive_names(members.values())]
        return found
