"""Who reaches whom in a simulated network, and over which link.

Pure bookkeeping: links by direction, cuts by direction, and one partition.  Where there is a cut
or a partition nothing passes, whatever the link.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, Unpack, final

from .. import _attrs as attrs
from .links import Link, LinkChanges

Hosts: TypeAlias = "str | Iterable[str] | None"
"""One host, several hosts, or None for every host."""


def host_names(hosts: Hosts) -> tuple[str | None, ...]:
    """The hosts one by one; every host is the single entry None."""
    if hosts is None or isinstance(hosts, str):
        return (hosts,)
    return tuple(hosts)


@final
@attrs.frozen(kw_only=True)
class Reject:
    """What a firewall refuses to let pass, and how it says so.

    Args:
      packets: whether datagrams are answered with ICMP port unreachable.
      streams: how a SYN is answered: ``"rst"`` as if the host itself had, ``"icmp"`` with port
        unreachable; None lets streams pass.
      by: who seems to have answered: ``"host"``, the worst case (a filter on the
        host itself, or on a bridge), or ``"router"``.
    """

    packets: bool = True
    streams: Literal["rst", "icmp"] | None = "rst"
    by: Literal["host", "router"] = "host"


@attrs.define(eq=False)
class Topology:
    """Links, cuts and the partition of one network.

    Args:
      default: the link where no other was set.
    """

    default: Link
    divided: bool = attrs.field(default=False, init=False)
    """Whether there is any cut or partition at all."""
    rejecting: bool = attrs.field(default=False, init=False)
    """Whether there is any firewall at all."""
    _links: dict[tuple[str | None, str | None], Link] = attrs.field(factory=dict, init=False)
    _cuts: set[tuple[str | None, str | None]] = attrs.field(factory=set, init=False)
    _groups: dict[str, int] = attrs.field(factory=dict, init=False)
    _rejects: dict[tuple[str | None, str | None], Reject] = attrs.field(factory=dict, init=False)

    def link(self, source: str, target: str) -> Link:
        """The link in force: of this pair, else from the source, else to the target."""
        links = self._links
        if not links:
            return self.default
        return (
            links.get((source, target))
            or links.get((source, None))
            or links.get((None, target))
            or self.default
        )

    def set_link(self, source: Hosts, target: Hosts, link: Link | None) -> None:
        """Put a link on each direction from ``source`` to ``target``; None takes it away."""
        for start in host_names(source):
            for end in host_names(target):
                if start is None and end is None:
                    self.default = link or Link()
                elif link is None:
                    self._links.pop((start, end), None)
                else:
                    self._links[start, end] = link

    def change_link(self, source: Hosts, target: Hosts, **changes: Unpack[LinkChanges]) -> None:
        """Change some fields of the links from ``source`` to ``target``."""
        for start in host_names(source):
            for end in host_names(target):
                present = self._present(start, end)
                self.set_link(start, end, attrs.evolve(present, **changes))

    def _present(self, source: str | None, target: str | None) -> Link:
        if source is not None and target is not None:
            return self.link(source, target)
        return self._links.get((source, target)) or self.default

    def cut(self, source: Hosts, target: Hosts) -> None:
        """Let nothing pass from ``source`` to ``target``."""
        for start in host_names(source):
            for end in host_names(target):
                self._cuts.add((start, end))
        self._note_divided()

    def mend(self, source: Hosts, target: Hosts) -> None:
        """Take away exactly the cuts that the same arguments made."""
        for start in host_names(source):
            for end in host_names(target):
                self._cuts.discard((start, end))
        self._note_divided()

    def partition(self, groups: Iterable[Iterable[str]]) -> None:
        """Let nothing pass between different groups; replaces the partition in force.

        Hosts in none of the groups form one more group.

        Raises:
          ValueError: a host is in two groups.
        """
        members: dict[str, int] = {}
        for number, group in enumerate(groups, start=1):
            for host in (group,) if isinstance(group, str) else group:
                if members.setdefault(host, number) != number:
                    raise ValueError(f"{host} is in two groups of the partition")
        self._groups = members
        self._note_divided()

    def heal(self) -> None:
        """Take away the partition and every cut."""
        self._groups = {}
        self._cuts.clear()
        self.divided = False

    def _note_divided(self) -> None:
        self.divided = bool(self._cuts or self._groups)

    def blocked(self, source: str, target: str) -> bool:
        """Whether a cut or a partition stands in this direction.  A host always reaches itself."""
        if not self.divided or source == target:
            return False
        groups, cuts = self._groups, self._cuts
        if groups and groups.get(source, 0) != groups.get(target, 0):
            return True
        return bool(cuts) and (
            (source, target) in cuts
            or (source, None) in cuts
            or (None, target) in cuts
            or (None, None) in cuts
        )

    def set_reject(self, source: Hosts, target: Hosts, reject: Reject | None) -> None:
        """Put a firewall on each direction from ``source`` to ``target``; None takes it away."""
        for start in host_names(source):
            for end in host_names(target):
                if reject is None:
                    self._rejects.pop((start, end), None)
                else:
                    self._rejects[start, end] = reject
        self.rejecting = bool(self._rejects)

    def reject(self, source: str, target: str) -> Reject | None:
        """The firewall in this direction.  A host always reaches itself."""
        rejects = self._rejects
        if not rejects or source == target:
            return None
        return (
            rejects.get((source, target))
            or rejects.get((source, None))
            or rejects.get((None, target))
            or rejects.get((None, None))
        )
