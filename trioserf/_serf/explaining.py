"""Builds explanations: of a member, of an address, or of this node.

Everything comes from the record that the membership half keeps (`_memberlist/history.py`) and from
the tables of this moment; nothing is asked of the network.  This module, with those that it uses,
is loaded when somebody asks.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TypedDict

from .._memberlist.history import DroppedInput, Note
from .._memberlist.loop_lag import LoopLagStatistics
from .._net.addresses import parse_address
from .._swim.nodes import NEVER, Node, NodeStatus
from .._swim.probing import ProbeReport
from ..abc import Address
from .diagnosis import causes_of_address, causes_of_member, causes_of_this_node
from .explanation import Explanation, InputProblem, TimelineEntry
from .known import Known, contact_of
from .wording import input_text, note_text


def explain(known: Known, subject: str | None) -> Explanation:
    """Explain a member by name, an address, or, for None, this node."""
    if subject is None or subject == known.local:
        return _this_node(known)
    notes = known.history.notes(subject)
    node = known.history.record(subject)
    if notes or node is not None or subject in known.members.names:
        return _member(known, subject, notes, node)
    host = _host(subject)
    if host is not None:
        return _address(known, subject, host)
    return Explanation(
        subject=subject,
        kind="unknown",
        causes=(f"This node knows no member {subject!r}, and never did as far as it remembers.",),
        **_own(known),
    )


class _Own(TypedDict):
    node: str
    health_score: int
    loop_lag: LoopLagStatistics


def _own(known: Known) -> _Own:
    """What every explanation says of this node."""
    return {
        "node": known.local,
        "health_score": known.memberlist.health_score,
        "loop_lag": known.history.loop_lag.statistics(),
    }


def _host(text: str) -> str | None:
    """The IP address in ``host`` or ``host:port``, normalised; None if there is none."""
    try:
        return str(ip_address(parse_address(text, 1).host))
    except ValueError:
        return None


def _member(known: Known, name: str, notes: list[Note], node: Node | None) -> Explanation:
    member = known.members.get(name)
    suspected, confirmed = _suspicion(notes)
    declared = [note for note in notes if note.what in ("declared dead", "left")]
    gone = node is not None and node.is_gone
    probes = [note.detail for note in notes if isinstance(note.detail, ProbeReport)]
    inputs = [] if node is None else known.inputs_of(node.address)
    return Explanation(
        subject=name,
        kind="member",
        causes=tuple(causes_of_member(known, name, notes, node)),
        status=None if member is None else member.status,
        suspect=node is not None and node.status is NodeStatus.SUSPECT,
        since=None if node is None else known.ago(node.changed_at),
        address=None if node is None else node.address,
        incarnation=None if node is None else node.incarnation,
        last_contact=None if node is None else known.ago(contact_of(node)),
        rtt=None if node is None else node.rtt,
        suspected_by=suspected,
        confirmed_by=confirmed,
        declared_by=(declared[-1].by or name) if declared and gone else "",
        probe=probes[-1] if probes else None,
        former_addresses=_addresses(notes, "moved"),
        conflicts=_addresses(notes, "conflict"),
        inputs=_inputs(known, inputs),
        timeline=_timeline(known, notes, inputs),
        **_own(known),
    )


def _suspicion(notes: list[Note]) -> tuple[str, tuple[str, ...]]:
    """Who suspected in the last suspicion, and who confirmed it."""
    begun = [index for index, note in enumerate(notes) if note.what == "suspected"]
    if not begun:
        return "", ()
    confirmed = (note.by for note in notes[begun[-1] :] if note.what == "confirmed")
    return notes[begun[-1]].by, tuple(dict.fromkeys(confirmed))


def _addresses(notes: list[Note], what: str) -> tuple[Address, ...]:
    found = (note.detail for note in notes if note.what == what)
    return tuple(dict.fromkeys(each for each in found if isinstance(each, Address)))


def _this_node(known: Known) -> Explanation:
    local = known.memberlist.local_node
    member = known.members.get(known.local)
    notes = known.history.notes(known.local)
    inputs = known.history.inputs()
    contact = max((contact_of(node) for node in known.others()), default=NEVER)
    return Explanation(
        subject=known.local,
        kind="this node",
        causes=tuple(causes_of_this_node(known, notes)),
        status=None if member is None else member.status,
        since=known.ago(local.changed_at),
        address=local.address,
        incarnation=local.incarnation,
        last_contact=known.ago(contact),
        conflicts=_addresses(notes, "conflict"),
        inputs=_inputs(known, inputs),
        timeline=_timeline(known, notes, inputs, this_node=True),
        **_own(known),
    )


def _address(known: Known, subject: str, host: str) -> Explanation:
    there = [node for node in known.memberlist.nodes() if node.address.host == host]
    inputs = known.inputs_of(host)
    notes = [
        note
        for name in known.history.names()
        for note in known.history.notes(name)
        if any(isinstance(each, Address) and each.host == host for each in _parties(note))
    ]
    return Explanation(
        subject=subject,
        kind="address",
        causes=tuple(causes_of_address(known, host, there, notes)),
        members=tuple(node.name for node in there),
        inputs=_inputs(known, inputs),
        timeline=_timeline(known, notes, inputs),
        **_own(known),
    )


def _parties(note: Note) -> tuple[object, object]:
    return note.source, note.detail


# --- timeline -----------------------------------------------------------------------------


def _inputs(known: Known, inputs: list[DroppedInput]) -> tuple[InputProblem, ...]:
    return tuple(
        InputProblem(
            source=str(each.source),
            layer=each.layer,
            problem=each.problem,
            count=each.count,
            ago=known.now - each.at,
        )
        for each in inputs
    )


def _timeline(
    known: Known, notes: list[Note], inputs: list[DroppedInput], *, this_node: bool = False
) -> tuple[TimelineEntry, ...]:
    entries = [
        TimelineEntry(
            ago=known.now - note.at,
            first_ago=known.now - note.since,
            count=note.count,
            name=note.name,
            what=note.what,
            text=note_text(note, known.name_of),
        )
        for note in notes
    ]
    entries += [
        TimelineEntry(
            ago=known.now - each.at,
            first_ago=known.now - each.since,
            count=each.count,
            name=known.name_of(each.source),
            what="exchange failed" if each.layer == "exchange" else "input dropped",
            text=input_text(each),
        )
        for each in inputs
    ]
    if this_node:
        entries += [
            TimelineEntry(
                ago=known.now - block.at,
                first_ago=known.now - block.at + block.seconds,
                count=1,
                name=known.local,
                what="blocked",
                text=f"the event loop was blocked for {block.seconds:.2f} s or longer",
            )
            for block in tuple(known.history.loop_lag.blocks)
        ]
    return tuple(sorted(entries, key=lambda entry: -entry.ago))
