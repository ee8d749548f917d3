"""The members as a user sees them: a sequence that shows itself as a table.

Names and tags come from the network, so they are escaped before they reach a terminal or a
notebook.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, final, overload

from .. import _attrs as attrs
from .._events import Member, MemberStatus
from .._tables import Table, shown_as_table
from .._text import host_and_port, tags_text

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
        return Members(member for member in self._members if member.status in statuses)

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
