"""Metrics of nodes for Prometheus; needs the extra ``trioserf[prometheus]``.

::

    tap = PrometheusTap()
    config = Config.lan(node_name="web-1", tap=tap)
    prometheus_client.start_http_server(9100)

Names are Go's, with underscores for dots: ``memberlist.udp.sent`` is the counter
``memberlist_udp_sent_total``.  Counts become counters, gauges gauges, and samples summaries
(``_count`` and ``_sum``); durations are milliseconds, as in Go.  Several nodes of one program
share a tap, and differ by ``metric_labels``.

What is a size, an age or a status at one moment comes from the nodes that the tap watches, read
when Prometheus asks, so it is true then and not when it last changed::

    async with trioserf.open(config) as serf:
        tap.watch(serf)

However many names and label values come, the number of time series stays bounded: a metric that
has too many gets all others in one series, whose labels are ``other``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias, final

from . import _attrs as attrs
from ._events import SerfState

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Summary
    from prometheus_client.core import Metric

    from ._serf.serf import Serf
    from ._serf.statistics import SerfStatistics

    _Kind: TypeAlias = type[Counter] | type[Gauge] | type[Summary]
    _Metric: TypeAlias = Counter | Gauge | Summary

MAX_METRICS: Final = 256
"""Metrics of one tap; further names are dropped and counted."""
MAX_SERIES: Final = 64
"""Time series of one metric; all further ones are one."""
OTHER: Final = "other"
"""The value of every label of the series that takes what has no room."""

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_]")


def prometheus_name(name: str) -> str:
    """A name, of a metric or a label, in the characters that Prometheus allows."""
    name = _NOT_IN_NAMES.sub("_", name)
    return name if name[:1].isalpha() else f"n{name}"


@attrs.define(eq=False)
class _Family:
    """One metric: its label names, and the series that it has."""

    metric: _Metric
    labels: Mapping[str, str]
    """Label as given to label as exported."""
    series: dict[tuple[str, ...], _Metric] = attrs.field(factory=dict)

    def at(self, labels: Mapping[str, str], limit: int) -> _Metric:
        """The series of these label values; labels that the metric does not have are left out."""
        if not self.labels:
            return self.metric
        values = tuple(str(labels.get(label, "")) for label in self.labels)
        series = self.series.get(values)
        if series is None:
            if len(self.series) >= limit - 1:
                values = (OTHER,) * len(self.labels)
            series = self.series.get(values)
            if series is None:
                series = self.series[values] = self.metric.labels(*values)
        return series


@final
class PrometheusTap:
    """A `trioserf.abc.Tap` that keeps everything in a registry of ``prometheus_client``.

    Args:
      registry: where the metrics are registered; None takes the global one.
      max_metrics, max_series: bounds, see the head of this module.

    Raises:
      ImportError: ``prometheus_client`` is not installed.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        max_metrics: int = MAX_METRICS,
        max_series: int = MAX_SERIES,
    ) -> None:
        import prometheus_client

        self._library = prometheus_client
        self._registry = prometheus_client.REGISTRY if registry is None else registry
        self._max_metrics = max_metrics
        self._max_series = max_series
        self._families: dict[str, _Family | None] = {}
        self._watched: _Watched | None = None
        self.dropped: int = 0
        """Values that were not kept: too many names, or a name that is something else already."""

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add to a counter."""
        series = self._series(self._library.Counter, name, labels)
        if isinstance(series, self._library.Counter) and value >= 0:
            series.inc(value)
        else:
            self.dropped += 1

    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Set a gauge."""
        series = self._series(self._library.Gauge, name, labels)
        if isinstance(series, self._library.Gauge):
            series.set(value)
        else:
            self.dropped += 1

    def sample(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Add one observation to a summary."""
        series = self._series(self._library.Summary, name, labels)
        if isinstance(series, self._library.Summary):
            series.observe(value)
        else:
            self.dropped += 1

    def watch(self, serf: Serf) -> None:
        """Read this node at each scrape, until it is closed; series have its name as ``node``.

        Raises:
          ValueError: ``max_series`` nodes are watched already, or their names are taken.
        """
        if self._watched is None:
            watched = _Watched(self._max_series)
            self._registry.register(watched)
            self._watched = watched
        self._watched.add(serf)

    def _series(self, kind: _Kind, name: str, labels: Mapping[str, str]) -> _Metric | None:
        if name not in self._families:
            if len(self._families) >= self._max_metrics:
                return None
            self._families[name] = self._new_family(kind, name, labels)
        family = self._families[name]
        return None if family is None else family.at(labels, self._max_series)

    def _new_family(self, kind: _Kind, name: str, labels: Mapping[str, str]) -> _Family | None:
        exported = {label: prometheus_name(label) for label in labels}
        try:
            metric = kind(
                prometheus_name(name),
                f"{name} of trioserf, named as in Go",
                tuple(exported.values()),
                registry=self._registry,
            )
        except ValueError:
            return None  # the name is taken, or a label is reserved
        return _Family(metric, exported)


# --- what is read at a scrape -------------------------------------------------------------

_Numbers: TypeAlias = Mapping[str, float]
_LOST: Final = re.compile(r"trioserf\.serf\.(\w+)")


def _members(now: SerfStatistics) -> _Numbers:
    return {str(status): count for status, count in now.members.items()}


def _queues(now: SerfStatistics) -> Mapping[str, tuple[int, float]]:
    queues = [*now.queues.items(), ("membership", now.memberlist.queue)]
    return {str(name): (queue.depth, queue.oldest) for name, queue in queues}


def _dropped(now: SerfStatistics) -> _Numbers:
    """What was refused, was too old, or found no room, by reason."""
    reasons: dict[str, float] = {"slow_reader": now.events_dropped}
    for name, count in now.counts.items():
        found = _LOST.fullmatch(name)
        if found is not None:
            reasons[found[1]] = count
    for layers in (now.bad_input, now.memberlist.bad_input):
        for layer, count in layers.items():
            reasons[layer] = reasons.get(layer, 0) + count
    return reasons


_FIGURES: Final[tuple[tuple[str, str, str, str, Callable[[SerfStatistics], _Numbers]], ...]] = (
    ("gauge", "trioserf_members", "known members by status", "status", _members),
    (
        *("gauge", "trioserf_queue_depth", "broadcasts that wait", "queue"),
        lambda now: {name: depth for name, (depth, _) in _queues(now).items()},
    ),
    (
        *("gauge", "trioserf_queue_age_seconds", "how long the oldest one has waited", "queue"),
        lambda now: {name: age for name, (_, age) in _queues(now).items()},
    ),
    ("counter", "trioserf_dropped", "events and input dropped, by reason", "reason", _dropped),
    (
        *("gauge", "trioserf_loop_lag_seconds", "how late the tasks of the node ran", "which"),
        lambda now: {"last": now.memberlist.loop_lag.last, "worst": now.memberlist.loop_lag.worst},
    ),
    (
        *("counter", "trioserf_suspicions", "suspicions that began at this node", "outcome"),
        lambda now: {
            "refuted": now.memberlist.suspicions_refuted,
            "other": now.memberlist.suspicions - now.memberlist.suspicions_refuted,
        },
    ),
    (
        *("gauge", "trioserf_health_score", "of the node; 0 is well", "of"),
        lambda now: {"node": now.memberlist.health_score},
    ),
)
"""Kind, name, help, label, and the figure for each value of the label."""


@attrs.define(eq=False)
class _Watched:
    """A collector of ``prometheus_client``: asks the nodes when it is asked, in any thread.

    Args:
      limit: nodes, and values of a label.
    """

    limit: int
    nodes: list[Serf] = attrs.field(factory=list, init=False)

    def add(self, serf: Serf) -> None:
        self._forget_closed()
        if serf in self.nodes:
            return
        if len(self.nodes) >= self.limit:
            raise ValueError(f"{self.limit} nodes are watched already")
        if serf.name in {node.name for node in self.nodes}:
            raise ValueError(f"another node named {serf.name!r} is watched already")
        self.nodes.append(serf)

    def _forget_closed(self) -> None:
        self.nodes = [node for node in self.nodes if node.state is not SerfState.SHUTDOWN]

    def describe(self) -> list[Metric]:
        return list(self._families({}))

    def collect(self) -> list[Metric]:
        self._forget_closed()
        return list(self._families({node.name: node.statistics() for node in self.nodes}))

    def _families(self, nodes: Mapping[str, SerfStatistics]) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for kind, name, about, label, figures in _FIGURES:
            made = GaugeMetricFamily if kind == "gauge" else CounterMetricFamily
            family = made(name, about, labels=("node", label))
            for node, now in nodes.items():
                for value, figure in sorted(figures(now).items())[: self.limit]:
                    family.add_metric((node, value), figure)
            yield family
