"""The log of the library as the lines that ``serf monitor`` shows, and the last of them.

A logging handler on the logger ``trioserf`` for as long as a server runs.  It adds nothing to
what is logged: lines below the level of that logger are not made, so a program that wants
debug lines in its monitors sets the level.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/log_writer.go, log_levels.go,
ipc_log_stream.go.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import trio

from .._wire.rpc_codec import pack
from .outbox import RecordQueue

REMEMBERED_LINES: Final = 512
"""Lines that a new monitor gets to see, as in Go."""
MONITOR_QUEUE_SIZE: Final = 2 * REMEMBERED_LINES
"""Lines that may wait for a monitor: those remembered, and as many new ones."""
LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERR")
"""Go's levels, the least important first."""
_ROOT: Final = "trioserf"
_SHOWN: Final = 64
"""Bytes of a payload in a log line."""

AGENT_LOG: Final = logging.getLogger(f"{_ROOT}.agent")
"""What the agent does for its clients."""
IPC_LOG: Final = logging.getLogger(f"{_ROOT}.agent.ipc")
"""Who connects, and what is wrong with it."""


def quoted(payload: bytes) -> str:
    """A payload for a log line: printable, in quotes, not long."""
    text = repr(payload[:_SHOWN])[2:-1].replace('"', '\\"')
    more = f"... ({len(payload)} bytes)" if len(payload) > _SHOWN else ""
    return f'"{text}"{more}'


def level_number(text: str) -> int | None:
    """The place of a level in `LEVELS`, in any case; None if there is no such level."""
    name = text.upper()
    return LEVELS.index(name) if name in LEVELS else None


def _level_of(record: logging.LogRecord) -> int:
    if record.levelno < logging.DEBUG:
        return 0
    return 1 + sum(record.levelno >= each for each in (20, 30, 40))


def log_line(record: logging.LogRecord) -> str:
    """A record in Go's form: ``2006/01/02 15:04:05 [LEVEL] part: text``."""
    when = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(record.created))
    part = record.name.removeprefix(f"{_ROOT}.")
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text += f" ({type(error).__name__}: {error})"
    return f"{when} [{LEVELS[_level_of(record)]}] {part}: {text}"


class LogFeed(logging.Handler):
    """Hands every line to the monitors, and keeps the last ones for those to come."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED_LINES)
        self._monitors: dict[RecordQueue, int] = {}
        self._gaps: list[str] = []
        self._thread = threading.get_ident()
        self._token: trio.lowlevel.TrioToken | None = None

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Take part in logging for the length of a block, inside a Trio task."""
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.get_ident()
        logger = logging.getLogger(_ROOT)
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record, in any thread; called by `logging`."""
        try:
            level, line = _level_of(record), pack({"Log": log_line(record)})
        except Exception:
            self.handleError(record)
            return
        if threading.get_ident() == self._thread:
            self._add(level, line)
            return
        assert self._token is not None, "lines come to those that are attached"
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._add, level, line)

    def _add(self, level: int, line: bytes) -> None:
        self._lines.append((level, line))
        for monitor, lowest in list(self._monitors.items()):
            if level >= lowest:
                monitor.put(line)
        # Only now, when every full monitor is known: this adds lines.
        gaps, self._gaps = self._gaps, []
        for client in gaps:
            IPC_LOG.warning("Dropping logs to %s", client)

    def report_gap(self, client: str) -> None:
        """A monitor of this client begins to drop lines: logged behind the first of them."""
        self._gaps.append(client)

    def add_monitor(self, monitor: RecordQueue, lowest: int) -> None:
        """Give it the remembered lines from a level on, and from now on all new ones."""
        for level, line in self._lines:
            if level >= lowest:
                monitor.put(line)
        self._monitors[monitor] = lowest

    def discard_monitor(self, monitor: RecordQueue) -> None:
        """No more lines.  Idempotent."""
        self._monitors.pop(monitor, None)
