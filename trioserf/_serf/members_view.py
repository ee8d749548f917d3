"""The members as a user sees them: a sequence that shows itself as a table.

Names and tags come from the network, so they are escaped before they reach a terminal or a
notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from re import Pattern
from typing import Any, Final, TypeAlias, final, overload

from .. import _attrs as attrs
from .._events import Member, MemberStatus
from .._public_names import set_public_module
from .._tables import Table, shown_as_table
from .._text import host_and_port, short_repr, tags_text

_VERSIONS: Final = (
    *("protocol_min", "protocol_max", "protocol_cur"),
    *("delegate_min", "delegate_max", "delegate_cur"),
)


def _row(member: Member) -> tuple[str, ...]:
    return (
        member.name,
        host_and_port(member.addr, member.port),
        str(member.status),
        str(member.delegate_cur),
        tags_text(member.tags),
    )


StatusFilter: TypeAlias = MemberStatus | Iterable[MemberStatus] | None
"""One status, or several of which any will do; None for all."""
TagFilter: TypeAlias = Mapping[str, str | Pattern[str]] | None
"""For each tag its value, or an expression that the whole value matches; None for all."""


@attrs.frozen
class Selection:
    """Which members somebody wants.

    Args:
      statuses: any of these; None for all.
      tags: all of these, each with a test of its value.
    """

    statuses: frozenset[MemberStatus] | None
    tags: tuple[tuple[str, Callable[[str], object]], ...]

    @classmethod
    def create(cls, status: StatusFilter, tags: TagFilter) -> Selection:
        """The selection that a user's arguments ask for.

        Raises:
          TypeError: they are something else.
        """
        if tags is not None and not isinstance(tags, Mapping):
            raise TypeError(f"tags={short_repr(tags)}: expected a mapping of names to values")
        return cls(
            None if status is None else _statuses(status),
            tuple((name, _test_of(name, value)) for name, value in (tags or {}).items()),
        )

    def of(self, members: tuple[Member, ...]) -> tuple[Member, ...]:
        """Those of ``members`` that fit."""
        if self.statuses is None and not self.tags:
            return members
        return tuple(filter(self._fits, members))

    def _fits(self, member: Member) -> bool:
        if self.statuses is not None and member.status not in self.statuses:
            return False
        tags = member.tags
        return all(name in tags and test(tags[name]) for name, test in self.tags)


def _statuses(status: object) -> frozenset[MemberStatus]:
    several = [status] if isinstance(status, str | bytes | int) else status
    found = tuple(several) if isinstance(several, Iterable) else (several,)
    for one in found:
        if not isinstance(one, MemberStatus):
            raise TypeError(
                f"status={short_repr(one)}: expected a MemberStatus, as MemberStatus.ALIVE"
            )
    return frozenset(found)


def _test_of(name: object, value: object) -> Callable[[str], object]:
    if not isinstance(name, str):
        raise TypeError(f"tags={{{short_repr(name)}: ...}}: expected the name of a tag")
    if isinstance(value, str):
        return value.__eq__
    if isinstance(value, Pattern):
        return value.fullmatch
    raise TypeError(
        f"tags={{{name!r}: {short_repr(value)}}}: expected a string or a compiled expression"
    )


def _as_tuple(members: Iterable[Member]) -> tuple[Member, ...]:
    return tuple(members)


@final
@shown_as_table
@attrs.frozen(repr=False)
class Members(Sequence[Member]):
    """The members at one moment, any status, ordered by name.

    It is an immutable sequence; printing it gives a table, and so does a notebook cell.
    """

    _members: tuple[Member, ...] = attrs.field(default=(), converter=_as_tuple)

    @overload
    def __getitem__(self, index: int) -> Member: ...

    @overload
    def __getitem__(self, index: slice) -> Members: ...

    def __getitem__(self, index: int | slice) -> Member | Members:
        if isinstance(index, slice):
            return Members(self._members[index])
        return self._members[index]

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members)

    def get(self, name: str) -> Member | None:
        """The member of this name, if there is one."""
        return next((member for member in self._members if member.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(member.name for member in self._members)

    def with_status(self, *statuses: MemberStatus) -> Members:
        """Those that have one of these statuses."""
        return self.select(status=statuses)

    def select(
        self,
        *,
        status: MemberStatus | Iterable[MemberStatus] | None = None,
        tags: Mapping[str, str | Pattern[str]] | None = None,
    ) -> Members:
        """Those that fit: ``members.select(status=MemberStatus.ALIVE, tags={"role": "web"})``.

        Args:
          status: one, or several of which any will do.
          tags: all of these: for each tag its value, or a compiled expression (``re``) that
            the whole value matches.

        Raises:
          TypeError: something else was given, such as the text of a status.
        """
        return Members(Selection.create(status, tags).of(self._members))

    @property
    def alive(self) -> Members:
        """Those that are alive."""
        return self.with_status(MemberStatus.ALIVE)

    @property
    def failed(self) -> Members:
        """Those that failed."""
        return self.with_status(MemberStatus.FAILED)

    @property
    def summary(self) -> str:
        """How many there are, by status: "3 in all: 2 alive, 1 failed"."""
        counts = dict.fromkeys(MemberStatus, 0)
        for member in self._members:
            counts[member.status] += 1
        parts = [f"{count} {status}" for status, count in counts.items() if count]
        return f"{len(self)} in all" + (f": {', '.join(parts)}" if parts else "")

    def to_dicts(self) -> list[dict[str, Any]]:
        """Plain values, for data frames and JSON: one dictionary for each member."""
        return [
            {
                "name": member.name,
                "addr": str(member.addr),
                "port": member.port,
                "status": str(member.status),
                "tags": dict(member.tags),
                **{name: getattr(member, name) for name in _VERSIONS},
            }
            for member in self._members
        ]

    def __repr__(self) -> str:
        return f"<Members: {self.summary}>"

    def __str__(self) -> str:
        return str(attrs.evolve(self._table(), caption=""))

    def _table(self) -> Table:
        header = ("name", "address", "status", "protocol", "tags")
        return Table(caption=self.summary, header=header, rows=map(_row, self._members))


set_public_module(Members)
