"""`Explanation`: why a member is what it is, as far as one node knows, and how that looks.

Names and texts come from the network, so control characters are shown as escapes and markup as
text.  Colours are never the only sign: every entry of the timeline names what it is.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, Final, Literal, final

from .. import _attrs as attrs
from .._events import MemberStatus
from .._memberlist.loop_lag import LoopLagStatistics
from .._public_names import set_public_module
from .._swim.probing import ProbeReport
from .._tables import escape, plain
from ..abc import Address
from .wording import listed, probe_text, seconds

ENTRIES_SHOWN: Final = 100
"""Entries of a timeline that are shown, the newest."""


@final
@attrs.frozen(kw_only=True)
class TimelineEntry:
    """One thing that happened, or several alike in a row.

    Args:
      ago: how long ago the last of them was (seconds).
      first_ago: how long ago the first was (seconds).
      count: how many they were.
      name: the node that it happened to.
      what: in one or two words, always the same for the same thing.
      text: in a sentence.
    """

    ago: float
    first_ago: float
    count: int
    name: str
    what: str
    text: str


@final
@attrs.frozen(kw_only=True)
class InputProblem:
    """Input from one host that this node dropped, or exchanges with that host that failed.

    Args:
      source: where the last came from.
      layer: where it was noticed, as in ``MemberlistStatistics.bad_input``; ``exchange`` for a
        state exchange that this node began.
      problem: what was wrong with the last.
      count: how often.
      ago: how long ago the last was (seconds).
    """

    source: str
    layer: str
    problem: str
    count: int
    ago: float


@final
@attrs.frozen(kw_only=True, repr=False)
class Explanation:
    """Why a member, an address or this node is what it is; shows itself as text and as HTML.

    Args:
      subject: what was asked about: a name or an address.
      kind: what that is; ``unknown`` if this node knows no such member and no such address.
      node: the node that explains.
      causes: what the rest means, in sentences; the likeliest cause first.
      status: of the member; None if there is no member.
      suspect: whether it is suspected at this moment.
      since: for how long it has had that status (seconds); None if not known.
      address, incarnation: of the member, as last known.
      last_contact: how long ago it last answered, pinged, or exchanged state with this node
        (seconds); None for never.  About this node: how long ago any other node did.
      rtt: the last round-trip time of a probe (seconds).
      suspected_by: who suspected it first, in the suspicion that runs or was the last.
      confirmed_by: who confirmed that.
      declared_by: who declared it dead, "" for nobody; its own name if it left.
      probe: how the last probe went that it did not answer directly and in time.
      former_addresses: where it was before, the oldest first.
      conflicts: other addresses that use its name, and were refused.
      members: the members at the address that was asked about.
      inputs: input that was dropped: from the host of the member or address, or from all hosts.
      health_score: of this node; 0 is well.
      loop_lag: how late the tasks of this node ran.
      timeline: what happened, the oldest first.
    """

    subject: str
    kind: Literal["member", "this node", "address", "unknown"]
    node: str
    causes: tuple[str, ...] = ()
    status: MemberStatus | None = None
    suspect: bool = False
    since: float | None = None
    address: Address | None = None
    incarnation: int | None = None
    last_contact: float | None = None
    rtt: float | None = None
    suspected_by: str = ""
    confirmed_by: tuple[str, ...] = ()
    declared_by: str = ""
    probe: ProbeReport | None = None
    former_addresses: tuple[Address, ...] = ()
    conflicts: tuple[Address, ...] = ()
    members: tuple[str, ...] = ()
    inputs: tuple[InputProblem, ...] = ()
    health_score: int
    loop_lag: LoopLagStatistics
    timeline: tuple[TimelineEntry, ...] = ()

    def __repr__(self) -> str:
        return f"<Explanation of {self.subject!r} by {self.node!r}: {' '.join(self.causes)}>"

    def __str__(self) -> str:
        return _as_text(self)

    def _repr_html_(self) -> str:
        return _as_html(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and MessagePack: numbers, texts, lists and dictionaries."""
        values: dict[str, Any] = _plain_value(self)
        return values


# --- how it looks -------------------------------------------------------------------------


def _heading(e: Explanation) -> str:
    """One line: what it is, since when, where."""
    if e.kind == "unknown":
        return f"{e.subject}: not known"
    if e.kind == "address":
        return f"{e.subject}: the address of {listed(e.members)}" if e.members else f"{e.subject}"
    status = str(e.status) if e.status is not None else "forgotten"
    parts = [f"{e.subject}: {status}{' and suspected' if e.suspect else ''}"]
    if e.since is not None:
        parts[0] += f" for {seconds(e.since)}"
    if e.kind == "this node":
        parts[0] += " (this node)"
    if e.address is not None:
        parts += [str(e.address), f"incarnation {e.incarnation}"]
    contact = "never" if e.last_contact is None else f"{seconds(e.last_contact)} ago"
    parts.append(f"last contact {contact}")
    if e.rtt is not None:
        parts.append(f"round trip {e.rtt * 1000:.3g} ms")
    if e.kind == "this node":
        parts.append(f"health score {e.health_score}")
        lag = e.loop_lag
        parts.append(f"loop lag {lag.last * 1000:.0f} ms, at worst {seconds(lag.worst)}")
    return plain(" · ".join(parts))


def _facts(e: Explanation) -> Iterator[str]:
    """Lines about who said what, as far as there is something."""
    if e.suspected_by:
        confirmed = f", confirmed by {listed(e.confirmed_by)}" if e.confirmed_by else ""
        yield f"Suspected by {e.suspected_by!r}{confirmed or ', confirmed by nobody'}."
    if e.declared_by and e.declared_by != e.subject:
        yield f"Declared dead by {e.declared_by!r}."
    if e.probe is not None:
        yield f"Last probe without a direct ack: {probe_text(e.probe)}."


def _as_text(e: Explanation) -> str:
    """For a terminal."""
    lines = [_heading(e), *(f"  {plain(each)}" for each in (*e.causes, *_facts(e)))]
    shown = e.timeline[-ENTRIES_SHOWN:]
    if shown:
        lines.append("")
        ago = [_ago(entry) for entry in shown]
        width, widest = max(map(len, ago)), max(len(entry.what) for entry in shown)
        for when, entry in zip(ago, shown, strict=True):
            who = "" if entry.name == e.subject else f"{plain(entry.name)}: "
            lines.append(f"  {when:>{width}}  {entry.what:<{widest}}  {who}{plain(entry.text)}")
    if len(e.timeline) > len(shown):
        lines.append(f"  … and {len(e.timeline) - len(shown)} earlier")
    return "\n".join(lines)


def _ago(entry: TimelineEntry) -> str:
    when = f"{seconds(entry.ago)} ago"
    if entry.count == 1:
        return when
    return f"{entry.count} × since {seconds(entry.first_ago)}, last {when}"


_GOOD: Final = frozenset({"joined", "returned", "refuted", "updated", "reached indirectly"})
_BAD: Final = frozenset({"declared dead", "conflict", "blocked", "probe unanswered"})
_DOT: Final = (
    "position:absolute;left:-0.42em;top:0.45em;width:0.7em;height:0.7em;border-radius:50%;"
    "border:1px solid currentColor;background:"
)


def _as_html(e: Explanation) -> str:
    """For a notebook: a line of time with a dot for each entry, coloured and named."""
    causes = "".join(f"<li>{escape(plain(each))}</li>" for each in e.causes)
    said = "".join(f"<div>{escape(plain(each))}</div>" for each in _facts(e))
    shown = e.timeline[-ENTRIES_SHOWN:]
    rest = len(e.timeline) - len(shown)
    earlier = f"<div>… and {rest} earlier</div>" if rest else ""
    entries = "".join(_html_entry(e.subject, entry) for entry in shown)
    line = (
        '<ol style="list-style:none;margin:0.5em 0 0 0.5em;padding:0;'
        f'border-left:2px solid currentColor">{entries}</ol>'
        if entries
        else ""
    )
    return (
        f'<div style="color:inherit"><strong>{escape(_heading(e))}</strong>'
        f'<ul style="margin:0.3em 0">{causes}</ul>{said}{earlier}{line}</div>'
    )


def _html_entry(subject: str, entry: TimelineEntry) -> str:
    colour = (
        "#d95f02" if entry.what in _BAD else "#1f78b4" if entry.what in _GOOD else "transparent"
    )
    who = "" if entry.name == subject else f"{plain(entry.name)}: "
    return (
        '<li style="position:relative;margin:0;padding:0.1em 0 0.1em 1em;text-align:left">'
        f'<span style="{_DOT}{colour}"></span>'
        f'<span style="opacity:0.75">{escape(_ago(entry))}</span> '
        f"<strong>{escape(entry.what)}</strong> {escape(who + plain(entry.text))}</li>"
    )


def _plain_value(value: Any) -> Any:
    """Numbers, texts, lists and dictionaries."""
    if isinstance(value, Address):
        return str(value)
    if isinstance(value, tuple):
        return [_plain_value(each) for each in value]
    if isinstance(value, enum.Enum):
        return str(value) if isinstance(value, MemberStatus) else value.value
    if hasattr(value, "__attrs_attrs__"):
        fields = attrs.fields(type(value))
        return {field.name: _plain_value(getattr(value, field.name)) for field in fields}
    return value


set_public_module(Explanation)
