"""Metrics of nodes for Prometheus; needs the extra ``trioserf[prometheus]``.

::

    tap = PrometheusTap()
    config = Config.lan(node_name="web-1", tap=tap)
    prometheus_client.start_http_server(9100)

Names are Go's, with underscores for dots: ``memberlist.udp.sent`` is the counter
``memberlist_udp_sent_total``.  Counts become counters, gauges gauges, and samples summaries
(``_count`` and ``_sum``); durations are milliseconds, as in Go.  Several nodes of one program
share a tap, and differ by ``metric_labels``.

However many names and label values come, the number of time series stays bounded: a metric that
has too many gets all others in one series, whose labels are ``other``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias, final

from . import _attrs as attrs

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Summary

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
