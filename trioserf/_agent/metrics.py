"""What an agent counts: kept for ``/metrics`` and SIGUSR1, and sent to statsd or statsite.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go, startupTelemetry;
armon/go-metrics v0.4.1, statsd.go, statsite.go, inmem.go.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import trio

from .. import _attrs as attrs
from .._rpc.log_feed import AGENT_LOG
from .statsd_lines import LineBuffer, Sort, statsd_line

FLUSH_INTERVAL: Final = 0.1
"""Longest time that a metric waits to be sent (seconds)."""
RETRY_INTERVAL: Final = 15.0
"""Time between two attempts to connect to statsite (seconds)."""
MAX_NAMES: Final = 1024
"""Metrics that are kept; names beyond that, of many events, are one."""
_OTHER: Final = "other"
_NOT_IN_NAMES: Final = re.compile("[^a-zA-Z0-9_]")


@attrs.define(eq=False)
class _Series:
    """One metric: the kind, the last value or the sum of all, and how many there were."""

    sort: Sort
    value: float = 0.0
    count: int = 0


@attrs.define(eq=False)
class AgentMetrics:
    """A `trioserf.abc.Tap` for a whole agent.

    Args:
      host: of this machine, which gauges of statsd are named after.
    """

    host: str = ""
    sending: bool = False
    _series: dict[str, _Series] = attrs.field(factory=dict, init=False)
    _lines: LineBuffer = attrs.field(factory=LineBuffer, init=False)
    _more: trio.Event = attrs.field(factory=trio.Event, init=False)

    # --- a tap

    def count(self, name: str, value: float = 1.0, labels: Mapping[str, str] | None = None) -> None:
        """Add to a counter."""
        self._put("c", name, value)

    def gauge(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Set a gauge."""
        self._put("g", name, value)

    def sample(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Add an observation."""
        self._put("ms", name, value)

    def _put(self, sort: Sort, name: str, value: float) -> None:
        series = self._series.get(name)
        if series is None:
            if len(self._series) >= MAX_NAMES:
                name = f"{_OTHER}.{sort}"
            series = self._series.setdefault(name, _Series(sort))
        series.count += 1
        series.value = value if sort == "g" else series.value + value
        if self.sending:
            self._lines.add(statsd_line(name, value, sort, self.host))
            self._more.set()

    # --- readers

    def text(self) -> str:
        """All of them in the form that Prometheus reads."""
        lines = []
        for name, series in sorted(self._series.items()):
            shown = _NOT_IN_NAMES.sub("_", name)
            if series.sort == "ms":
                lines += [
                    f"# TYPE {shown} summary",
                    f"{shown}_count {series.count}",
                    f"{shown}_sum {series.value:.10g}",
                ]
            elif series.sort == "c":
                lines += [f"# TYPE {shown}_total counter", f"{shown}_total {series.value:.10g}"]
            else:
                lines += [f"# TYPE {shown} gauge", f"{shown} {series.value:.10g}"]
        return "\n".join([*lines, ""])

    async def _datagrams(self) -> list[bytes]:
        """Wait for metrics, a moment for more, and take them."""
        await self._more.wait()
        await trio.sleep(FLUSH_INTERVAL)
        self._more = trio.Event()
        return self._lines.take()

    async def send_to_statsd(self, host: str, port: int) -> None:
        """Task: sends what is counted in datagrams; nobody need listen."""
        while True:
            with suppress(OSError):
                family = (await trio.socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
                with trio.socket.socket(family[0], socket.SOCK_DGRAM) as sock:
                    # Not connected, or an absent receiver would be an error of each second send.
                    while True:
                        for datagram in await self._datagrams():
                            with suppress(OSError):
                                await sock.sendto(datagram, family[4])
            AGENT_LOG.warning("cannot send metrics to statsd at %s:%d", host, port)
            await trio.sleep(RETRY_INTERVAL)

    async def send_to_statsite(self, host: str, port: int) -> None:
        """Task: the same over a connection, which is opened again when it breaks."""
        while True:
            with suppress(OSError, trio.BrokenResourceError):
                async with await trio.open_tcp_stream(host, port) as stream:
                    while True:
                        for lines in await self._datagrams():
                            await stream.send_all(lines)
            AGENT_LOG.warning("cannot send metrics to statsite at %s:%d", host, port)
            await trio.sleep(RETRY_INTERVAL)
