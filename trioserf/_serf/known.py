"""What one node knows at one moment, read from its tables and its record for an explanation."""

from __future__ import annotations

from typing import Final

from .. import _attrs as attrs
from .._events import MemberStatus
from .._memberlist.history import DroppedInput, History
from .._memberlist.memberlist import Memberlist
from .._swim.nodes import NEVER, Node, NodeStatus
from .._swim.probing import ProbeReport, StreamPing
from ..abc import Address
from .members_view import Members

HOST_RUNS: Final = frozenset({StreamPing.REFUSED, StreamPing.CONNECTED, StreamPing.FAILED})
"""What a ping over a stream met where the host is up and can be reached."""


@attrs.frozen(kw_only=True)
class Known:
    """What this node knows at this moment, for whatever it is asked about.

    Args:
      memberlist: the membership half; its record is read.
      members: the members as Serf lists them.

    Attributes:
      now: the time (trio clock, seconds).
    """

    memberlist: Memberlist
    members: Members
    now: float = attrs.field(init=False)

    @now.default
    def _now(self) -> float:
        return self.history.clock()

    @property
    def history(self) -> History:
        return self.memberlist.history

    @property
    def local(self) -> str:
        """The name of this node."""
        return self.memberlist.name

    def ago(self, at: float) -> float | None:
        """How long ago ``at`` was; None for never."""
        return None if at == NEVER else max(0.0, self.now - at)

    def name_of(self, source: Address | str) -> str:
        """The node at an address, or the only one on a host; else the address itself."""
        host = source.host if isinstance(source, Address) else source
        there = [node for node in self.memberlist.nodes() if node.address.host == host]
        if isinstance(source, Address) and len(there) > 1:
            there = [node for node in there if node.address == source]
        return there[0].name if len(there) == 1 else str(source)

    def inputs_of(self, place: Address | str) -> list[DroppedInput]:
        """Dropped input from a host, or from an address if several nodes are on its host."""
        host = place.host if isinstance(place, Address) else place
        alone = sum(node.address.host == host for node in self.memberlist.nodes()) < 2
        return [
            each
            for each in self.history.inputs()
            if isinstance(each.source, Address)
            and (each.source == place or (each.source.host == host and (alone or place == host)))
        ]

    def found_out(self, node: Node) -> ProbeReport | None:
        """How the last probe of a node went that failed, if there was one."""
        for note in reversed(self.history.notes(node.name)):
            if note.what == "probe unanswered" and isinstance(note.detail, ProbeReport):
                return note.detail
        return None

    def others(self) -> list[Node]:
        """The records of all other members that did not leave, also of those that were dropped."""
        names = [
            member.name
            for member in self.members
            if member.name != self.local and member.status is not MemberStatus.LEFT
        ]
        return [node for name in names if (node := self.history.record(name)) is not None]

    def vanished(self) -> list[Node]:
        """Those of them that failed, and whose hosts were not seen to run; the first first."""
        failed = [
            node
            for node in self.others()
            if node.status is NodeStatus.DEAD
            and ((report := self.found_out(node)) is None or report.stream not in HOST_RUNS)
        ]
        return sorted(failed, key=lambda node: node.changed_at)


def contact_of(node: Node) -> float:
    """When a node last answered, pinged, or exchanged state (trio clock, seconds)."""
    return max(node.answered_at, node.pinged_at)
