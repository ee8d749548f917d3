"""What an agent writes: ``==> `` lines, and its log, to standard output and to syslog.

Log lines are held back until the start is over, so that the first thing to read is how it went.

DIFFERS: Go never prints the lines that it held back if the start fails.  Here they go to standard
error then.  Test: test_a_failed_start_shows_what_was_logged.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go, setupLoggers; gated_writer.go,
log_levels.go, syslog.go.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .._rpc.log_feed import LEVELS, level_number, log_line
from .agent_options import OptionsError
from .console import Console, OutputClosedError, OutputFailedError

if TYPE_CHECKING:
    from logging.handlers import SysLogHandler

MAX_HELD: Final = 4096
"""Lines that are held back during the start; the oldest beyond that are lost."""
SYSLOG: Final = "/dev/log"
"""Where the daemon listens."""
_STDLIB_LEVELS: Final = (1, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
"""Those of `LEVELS` in the standard library's numbers."""
_PRIORITIES: Final = {"TRACE": "debug", "DEBUG": "info", "INFO": "notice", "WARN": "warning"}
"""What Go makes of levels for syslog; all others are ``err``."""


def check_level(text: str) -> int:
    """The place of a level in `LEVELS`.

    Raises:
      OptionsError: there is no such level.
    """
    level = level_number(text)
    if level is None:
        valid = " ".join(LEVELS)
        raise OptionsError(f"Invalid log level: {text.upper()}. Valid log levels are: [{valid}]")
    return level


class AgentOutput(logging.Handler):
    """The output of an agent, and a handler for the log of the library.

    Args:
      console: of the command.
      level: the least important lines to print, as a place in `LEVELS`.
    """

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level=_STDLIB_LEVELS[level])
        self._console = console
        self._held: deque[str] | None = deque(maxlen=MAX_HELD)
        self._syslog: SysLogHandler | None = None

    def set_level(self, level: int) -> None:
        """Print from this level on, a place in `LEVELS`."""
        self.setLevel(_STDLIB_LEVELS[level])

    # --- lines of the agent itself

    def say(self, text: str) -> None:
        """A line that begins with ``==> ``."""
        self._write(f"==> {text}")

    def detail(self, text: str = "") -> None:
        """A line that belongs to the one before."""
        self._write(f"    {text}" if text else "")

    # --- the log

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record, or keep it until the start is over; called by `logging`."""
        line = log_line(record)
        if self._syslog is not None:
            level, _, text = line.partition(" [")[2].partition("] ")
            _to_syslog(self._syslog, level, text)
        if self._held is not None:
            self._held.append(line)
        else:
            self._print(line)

    def _print(self, line: str) -> None:
        self._write("    " + self._console.safe(line))

    def _write(self, text: str) -> None:
        # A node goes on when nobody reads what it prints any more.
        with suppress(OutputClosedError, OutputFailedError):
            self._console.line(text)

    def begin_streaming(self) -> None:
        """Print what was held back, and from now on everything at once."""
        held, self._held = self._held or (), None
        for line in held:
            self._print(line)

    def show_held(self) -> None:
        """The start has failed: print what was held back to standard error."""
        held, self._held = self._held or (), None
        for line in held:
            print("    " + self._console.safe(line), file=sys.stderr)

    def add_syslog(self, facility: str, path: str = SYSLOG) -> None:
        """Send lines to the syslog daemon of this machine, too.

        Args:
          facility: in any case.
          path: of the socket of the daemon.

        Raises:
          OptionsError: no such facility, or no daemon.
        """
        from logging.handlers import SysLogHandler  # few agents have it

        number = SysLogHandler.facility_names.get(facility.lower())
        if number is None:
            raise OptionsError(f"Syslog setup failed: invalid syslog facility: {facility}")
        try:
            self._syslog = _syslog_handler(path, number)
        except OSError:
            raise OptionsError("Syslog setup failed: Unix syslog delivery error") from None

    def close(self) -> None:
        """Close the connection to syslog, if there is one."""
        if self._syslog is not None:
            self._syslog.close()
        super().close()


def _syslog_handler(path: str, facility: int) -> SysLogHandler:
    """The standard library's handler, made fit for an event loop.

    Raises:
      OSError: there is no daemon.
    """
    from logging.handlers import SysLogHandler

    class Handler(SysLogHandler):
        append_nul = False

        def _connect_unixsocket(self, address: str) -> None:
            # Also when it connects anew, as it does when a datagram cannot be sent: a daemon
            # that hangs must not hold up the node.
            super()._connect_unixsocket(address)  # type: ignore[misc]
            self.socket: socket.socket
            self.socket.setblocking(False)

        def mapPriority(self, levelName: str) -> str:  # noqa: N802, N803 - of the base class
            return levelName

        def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the same
            """A line that cannot be sent is lost."""

    handler = Handler(path, facility)
    # Some versions of Python raise if there is no daemon, others try again with each line.
    handler.socket.getpeername()
    return handler


def _to_syslog(handler: SysLogHandler, level: str, text: str) -> None:
    """One datagram for one line."""
    line = f"{time.strftime('%b %e %H:%M:%S')} serf[{os.getpid()}]: {text}\n"
    record = logging.LogRecord("serf", 0, "", 0, line, None, None)
    record.levelname = _PRIORITIES.get(level, "err")
    handler.emit(record)
