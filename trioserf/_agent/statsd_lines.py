"""Metrics as statsd takes them: ``serf-agent.serf.events:1.000000|c``.

Source: armon/go-metrics v0.4.1, statsd.go, PushKey; metrics.go, SetGauge; hashicorp/serf v0.9.4,
cmd/serf/command/agent/command.go, startupTelemetry.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

Sort: TypeAlias = Literal["c", "g", "ms"]
"""Counter, gauge, or sample."""
PREFIX: Final = "serf-agent"
MAX_DATAGRAM: Final = 1400
"""Bytes of lines in one datagram."""
_NOT_IN_NAMES: Final = re.compile(r"[:\s|@\x00-\x1f\x7f]")
"""What would end a name, or a line: names of events are parts of names of metrics."""


def statsd_line(name: str, value: float, sort: Sort, host: str = "") -> bytes:
    """One line, with its newline.

    Args:
      name: without prefix, parts joined by dots.
      value: of the metric; samples are milliseconds.
      sort: see `Sort`.
      host: of this machine, which gauges are named after.
    """
    place = f"{host}." if host and sort == "g" else ""
    name = _NOT_IN_NAMES.sub("_", f"{PREFIX}.{place}{name}")
    return f"{name}:{value:.6f}|{sort}\n".encode("utf-8", "replace")


class LineBuffer:
    """Lines until they are sent: in datagrams of several, and never more than some."""

    def __init__(self, limit: int = 64 * 1024) -> None:
        self._limit = limit
        self._datagrams: list[bytearray] = []
        self._size = 0
        self.dropped = 0
        """Lines for which there was no room."""

    def __bool__(self) -> bool:
        return bool(self._datagrams)

    def add(self, line: bytes) -> None:
        """Keep a line for the next datagram."""
        if self._size + len(line) > self._limit:
            self.dropped += 1
            return
        self._size += len(line)
        if self._datagrams and len(self._datagrams[-1]) + len(line) <= MAX_DATAGRAM:
            self._datagrams[-1] += line
        else:
            self._datagrams.append(bytearray(line))

    def take(self) -> list[bytes]:
        """The datagrams so far, which are no longer kept."""
        datagrams, self._datagrams, self._size = self._datagrams, [], 0
        return [bytes(datagram) for datagram in datagrams]
