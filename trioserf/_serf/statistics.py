"""The statistics of a node, frozen at one moment.

`SerfStatistics` is the typed form; `stats` gives Go's texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal, final

from .. import _attrs as attrs
from .._cluster.effects import QueueName
from .._events import MemberStatus, SerfState
from .._memberlist.statistics import MemberlistStatistics
from .._public_names import set_public_module
from .._swim.broadcasts import QueueStatistics
from .._tables import Table, escape, plain, shown_as_table
from .core import Core
from .delegate import SerfDelegate
from .snapshotter import SnapshotStatistics


@final
@shown_as_table
@attrs.frozen(kw_only=True)
class SerfStatistics:
    """Counters since the start, and sizes of this moment.

    Args:
      state: of the node.
      members: known members by status.
      member_time, event_time, query_time: the three Lamport clocks.
      queues: the broadcast queues: intent, query, event.
      stored_intents: intents about names that are no members.
      open_queries: queries of this node that are under way.
      subscribers: readers of events, `Serf.events` included.
      events_dropped: events that slow readers missed, all together.
      dropped_by_reader: the same for each reader of this moment; ``events`` is `Serf.events`,
        which counts only if somebody reads it.
      coordinate_resets: resets of the local coordinate; None if disabled.
      encrypted: whether there is a key ring.
      snapshot: the snapshot file; None if there is none.
      bad_input: dropped Serf messages, by layer.
      counts: every Serf metric counter, by Go's name.
      memberlist: the membership layer below.
    """

    state: SerfState
    members: Mapping[MemberStatus, int]
    member_time: int
    event_time: int
    query_time: int
    queues: Mapping[Literal["intent", "query", "event"], QueueStatistics]
    stored_intents: int
    open_queries: int
    subscribers: int
    events_dropped: int
    dropped_by_reader: Mapping[str, int]
    coordinate_resets: int | None
    encrypted: bool
    snapshot: SnapshotStatistics | None
    bad_input: Mapping[str, int]
    counts: Mapping[str, float]
    memberlist: MemberlistStatistics

    def to_dict(self) -> dict[str, object]:
        """Every number by its name; those of parts are called ``part.name``."""
        return dict(_flat("", self))

    def _table(self) -> Table:
        shown, zeros = self._grouped()
        caption = f"statistics: {self.state}; {len(zeros)} more are 0 (to_dict() has all)"
        return Table(caption=caption, header=("of", "what", "value"), rows=shown)

    def _repr_html_(self) -> str:
        shown = str(self._table()._repr_html_())
        zeros = ", ".join(map(plain, self._grouped()[1]))
        return f"{shown}<details><summary>what is 0</summary>{escape(zeros)}</details>"

    def _grouped(self) -> tuple[list[tuple[str, str, object]], list[str]]:
        """Rows of what is not 0, with the group where it begins; and the names of the rest."""
        rows: dict[str, list[tuple[str, object]]] = {}
        zeros = []
        # The node itself first: what has no group.
        for name, value in sorted(self.to_dict().items(), key=lambda pair: "." in pair[0]):
            group, what = _group_of(name)
            if not (value or isinstance(value, bool)):
                zeros.append(name)
                continue
            text = f"{value:.4g}" if isinstance(value, float) and value < 1e4 else value
            rows.setdefault(group, []).append((what, text))
        shown = [
            (group if at == 0 else "", what, text)
            for group, row in rows.items()
            for at, (what, text) in enumerate(row)
        ]
        return shown, zeros


def _group_of(name: str) -> tuple[str, str]:
    """The group of a number, and its name there: counters have Go's names, which have dots."""
    for group in ("memberlist.counts", "counts", "memberlist.bad_input", "bad_input"):
        if name.startswith(group + "."):
            return group, name[len(group) + 1 :]
    group, dot, what = name.rpartition(".")
    return (group, what) if dot else ("node", name)


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    fields = getattr(type(value), "__attrs_attrs__", None)
    if isinstance(value, Mapping):
        pairs = dict(value)
    elif fields is not None:
        pairs = {field.name: getattr(value, field.name) for field in fields}
    else:
        yield prefix, value
        return
    for name, each in pairs.items():
        yield from _flat(f"{prefix}.{name}" if prefix else str(name), each)


def collect(delegate: SerfDelegate) -> SerfStatistics:
    """The statistics of this moment."""
    core, memberlist, snapshotter = delegate.core, delegate.memberlist, delegate.snapshotter
    by_status = dict.fromkeys(MemberStatus, 0)
    for member in core.members.members():
        by_status[member.status] += 1
    queues: dict[QueueName, QueueStatistics] = {
        name: queue.statistics() for name, queue in core.broadcasts.queues.items()
    }
    return SerfStatistics(
        state=core.state,
        members=MappingProxyType(by_status),
        member_time=core.members.clock.time,
        event_time=core.events.clock.time,
        query_time=core.queries.clock.time,
        queues=MappingProxyType(queues),
        stored_intents=len(core.members.intents),
        open_queries=len(delegate.tracker),
        subscribers=len(delegate.fanout),
        events_dropped=delegate.fanout.dropped,
        dropped_by_reader=MappingProxyType(delegate.fanout.dropped_by_reader()),
        coordinate_resets=delegate.coordinates.resets,
        encrypted=memberlist.keyring is not None,
        snapshot=None if snapshotter is None else snapshotter.statistics(),
        bad_input=MappingProxyType(dict(delegate.drop_log.counts)),
        counts=MappingProxyType(dict(delegate.metrics.counts)),
        memberlist=memberlist.statistics(),
    )


def stats(
    core: Core, *, health_score: int, encrypted: bool, coordinate_resets: int | None
) -> dict[str, str]:
    """The numbers that ``serf info`` shows, with Go's keys and texts.

    Args:
      health_score: memberlist's awareness, 0 is best.
      coordinate_resets: None if coordinates are disabled.

    Source: hashicorp/serf v0.9.4, serf/serf.go, Stats.
    """
    members = core.members
    numbers = {
        "members": str(members.num_members),
        "failed": str(members.num_failed),
        "left": str(members.num_left),
        "health_score": str(health_score),
        "member_time": str(members.clock.time),
        "event_time": str(core.events.clock.time),
        "query_time": str(core.queries.clock.time),
        "intent_queue": str(core.broadcasts.depth("intent")),
        "event_queue": str(core.broadcasts.depth("event")),
        "query_queue": str(core.broadcasts.depth("query")),
        "encrypted": "true" if encrypted else "false",
    }
    if coordinate_resets is not None:
        numbers["coordinate_resets"] = str(coordinate_resets)
    return numbers


set_public_module(SerfStatistics)
