"""What this node found out about each node, and how: the record behind ``Serf.explain()``.

A status says what a node is, not why.  The reasons pass by as effects of the rules, as probes
that were not answered, and as input that was dropped.  `History` keeps them, also after the
failure that they led to, for a user who asks later.  Notes are made where something unusual
happened: a probe that is answered in time never calls this module.

Memory is bounded.  A node has its own list once something unusual was noted about it; joins and
updates, of which a large cluster has thousands at its start, share one short list before that.
When all lists together are too long, the list with the oldest last note is dropped as a whole.
What happens again and again is one note with a count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias, assert_never

from .. import _attrs as attrs
from .._swim.effects import Applied, Conflict, ProbeAddress, Refuted
from .._swim.nodes import Node, NodeStatus
from .._swim.probing import ProbeReport, ProbeRound
from ..abc import Address
from .loop_lag import LoopLag

MAX_PER_NODE: Final = 64
"""Notes about one node; beyond it the oldest goes."""
MAX_NOTES: Final = 1024
"""Notes in all; they take half a megabyte at most."""
MAX_ROUTINE: Final = 64
"""Joins and updates that are kept of nodes about which nothing else is known."""
MAX_SOURCES: Final = 256
"""Most entries of dropped input; an entry has one host and one layer."""
MAX_LATE: Final = 8
"""Probes remembered after their end, because their helpers may still send nacks."""
_TEXT_SHOWN: Final = 200
"""Characters kept of the text of an error."""

What: TypeAlias = Literal[
    "joined",
    "returned",
    "updated",
    "moved",
    "suspected",
    "confirmed",
    "refuted",
    "declared dead",
    "left",
    "announced",
    "removed",
    "probe unanswered",
    "reached indirectly",
    "other address",
    "address probed",
    "conflict",
    "refused",
    "refuses",
    "forgotten",
    "refutation",
]
"""What a note is about; see `History`, which makes them."""

_ROUTINE: Final = frozenset({"joined", "updated", "announced"})
_NEWEST_ONLY: Final = frozenset({"probe unanswered", "reached indirectly"})
"""Kinds of notes of which, where several come in a row, the newest and a count are kept."""

Source: TypeAlias = Address | str | None
"""Who sent what led to a note: the source of a packet, the host of a state exchange, or None for
what this node found out by itself."""


@attrs.define(eq=False, weakref_slot=False)
class Note:
    """One thing that happened to a node, or several alike in a row.

    Args:
      at: when it happened, the last time (trio clock, seconds).
      since: the first time.
      name: the node.
      what: happened.
      by: which other node said or did it; "" for this node or none.
      source: who sent the message.
      incarnation: of the node after it.
      detail: an address, the report of a probe, or a text.
      count: how often.
    """

    at: float
    since: float
    name: str
    what: What
    by: str
    source: Source
    incarnation: int
    detail: Address | ProbeReport | str
    count: int = 1


@attrs.define(eq=False)
class DroppedInput:
    """Input of one host that was dropped in one layer, or exchanges with it that failed.

    Args:
      source: where the last came from.
      layer: as `DropLog` counts it; ``exchange`` for a state exchange that this node began.
      problem: of the last.
      count: how often.
      since, at: the first and the last time (trio clock, seconds).
    """

    source: Address | str
    layer: str
    problem: str
    count: int
    since: float
    at: float


@attrs.define(eq=False)
class History:
    """The notes.

    Args:
      nodes: the records of the table; read only.
      local: the name of this node.
      clock: gives the time (trio clock, seconds), in any thread.
      loop_lag: how late this node's tasks run.
    """

    nodes: Mapping[str, Node]
    local: str
    clock: Callable[[], float]
    loop_lag: LoopLag
    _notes: dict[str, list[Note]] = attrs.field(factory=dict, init=False)
    _last: dict[str, Node] = attrs.field(factory=dict, init=False)
    """The newest record of each node with notes: the table drops those of failed nodes."""
    _routine: list[Note] = attrs.field(factory=list, init=False)
    _inputs: dict[tuple[str, str], DroppedInput] = attrs.field(factory=dict, init=False)
    _probes: tuple[tuple[ProbeRound, Note], ...] = attrs.field(default=(), init=False)
    _total: int = attrs.field(default=0, init=False)

    # --- reads, from any thread -----------------------------------------------------------

    def notes(self, name: str) -> list[Note]:
        """What is known about a node, the oldest first."""
        routine = [note for note in tuple(self._routine) if note.name == name]
        return routine + list(self._notes.get(name, ()))

    def names(self) -> list[str]:
        """The nodes with notes of their own."""
        return list(self._notes)

    def record(self, name: str) -> Node | None:
        """The record of a node, also one that the table has dropped."""
        return self.nodes.get(name) or self._last.get(name)

    def inputs(self) -> list[DroppedInput]:
        """Dropped input, the latest last."""
        return list(self._inputs.values())

    # --- effects --------------------------------------------------------------------------

    def applied(self, effect: Applied, source: Source) -> None:
        """A message changed the record of a node."""
        name = effect.name
        match effect.kind:
            case "suspect":
                self.note(name, "suspected", by=effect.by, source=source)
            case "dead" if effect.by == name:
                self.note(name, "left", source=source)
            case "dead":
                self.note(name, "declared dead", by=effect.by, source=source, detail=effect.why)
            case "alive" if name == self.local:
                self.note(name, "announced")
            case "alive":
                if effect.moved_from is not None:
                    self.note(name, "moved", source=source, detail=effect.moved_from)
                if effect.was is NodeStatus.SUSPECT:
                    self.note(name, "refuted", source=source)
                elif effect.was is NodeStatus.ALIVE:
                    if effect.moved_from is None:
                        self.note(name, "updated", source=source)
                elif name in self._notes:
                    self.note(name, "returned", source=source)
                else:
                    self.note(name, "joined", source=source)
            case never:
                assert_never(never)

    def refuted(self, effect: Refuted, source: Source) -> None:
        """This node refuted a message about itself."""
        # What a state exchange says about a node is applied as if this node had found it out.
        by = "" if effect.by == self.local else effect.by
        self.note(self.local, "refutation", by=by, source=source, detail=effect.kind)

    def conflict(self, effect: Conflict, source: Source) -> None:
        """Another address has the name of a node."""
        name = effect.existing.name
        self.note(name, "conflict", source=source, detail=effect.other.address)

    def other_address(self, effect: ProbeAddress, source: Source) -> None:
        """An alive message has another address than the node: one of them is probed."""
        address = Address.from_bytes(effect.alive.addr or b"", effect.alive.port)
        self.note(effect.existing.name, "other address", source=source, detail=address)

    def address_probed(self, effect: ProbeAddress, answered: bool) -> None:
        """The result of that probe."""
        detail = f"{effect.address} {'answered' if answered else 'did not answer'}"
        self.note(effect.existing.name, "address probed", detail=detail)

    def left(self, name: str) -> None:
        """A member counts as left: if its node had failed, it was removed on purpose."""
        node = self.record(name)
        if node is not None and node.status is NodeStatus.DEAD:
            self.note(name, "removed")

    # --- what tasks found out ---------------------------------------------------------------

    def probed(self, probe: ProbeRound) -> None:
        """A probe was not answered directly and in time."""
        report, name = probe.report(), probe.node.name
        what: What = "reached indirectly" if report.reached else "probe unanswered"
        note = self.note(name, what, detail=report)
        self._probes = (*self._probes, (probe, note))[-MAX_LATE:]

    def late_nack(self, seq_no: int, source: Address) -> None:
        """A nack arrived after the end of its probe, as from Go's helpers, which wait that long."""
        for probe, note in self._probes:
            if probe.seq_no == seq_no:
                probe.on_nack(source)
                note.detail = probe.report()

    def exchange_failed(self, to: Address, error: Exception) -> None:
        """A state exchange that this node began failed."""
        self.dropped("exchange", to, error)

    def dropped(self, layer: str, source: object, problem: object) -> None:
        """Input was dropped, and counted under ``layer``."""
        now = self.clock()
        origin = source if isinstance(source, Address) else str(source)
        # A peer that opens a stream has a port of no meaning; one that was dialled has its own.
        if isinstance(origin, Address) and layer != "exchange":
            key = origin.host, layer
        else:
            key = str(origin), layer
        known = self._inputs.pop(key, None)
        if known is None:
            known = DroppedInput(origin, layer, _cut(problem), 0, now, now)
            if len(self._inputs) >= MAX_SOURCES:
                del self._inputs[next(iter(self._inputs))]
        elif now - known.at >= 1.0:  # a flood need not be written down in full
            known.problem = _cut(problem)
        known.source, known.at, known.count = origin, now, known.count + 1
        self._inputs[key] = known

    # --- notes ----------------------------------------------------------------------------

    def note(
        self,
        name: str,
        what: What,
        *,
        by: str = "",
        source: Source = None,
        detail: Address | ProbeReport | str = "",
    ) -> Note:
        """Keep one note."""
        node, now = self.nodes.get(name), self.clock()
        incarnation = 0 if node is None else node.incarnation
        note = Note(now, now, name, what, by, source, incarnation, detail)
        if name not in self._notes:
            if what in _ROUTINE:
                self._routine.append(note)
                if len(self._routine) > MAX_ROUTINE:
                    del self._routine[0]
                return note
            self._notes[name] = []
        notes = self._notes[name] = self._notes.pop(name)  # now the newest
        if node is not None:
            self._last[name] = node
        if notes and _alike(notes[-1], note):
            note.since, note.count = notes[-1].since, notes[-1].count + 1
            notes[-1] = note
            return note
        notes.append(note)
        self._total += 1
        if len(notes) > MAX_PER_NODE:
            del notes[0]
            self._total -= 1
        while self._total > MAX_NOTES:
            oldest = next(iter(self._notes))
            self._total -= len(self._notes.pop(oldest))
            self._last.pop(oldest, None)
        return note


def _alike(before: Note, note: Note) -> bool:
    return (before.what, before.by) == (note.what, note.by) and (
        note.what in _NEWEST_ONLY or before.detail == note.detail
    )


def _cut(problem: object) -> str:
    text = str(problem)
    return text if len(text) <= _TEXT_SHOWN else text[: _TEXT_SHOWN - 1] + "…"
