"""The log of one node.  Its lines are safe to show and limited in rate."""

from __future__ import annotations

import logging
from typing import Any, Final, TypeAlias

import trio

from .. import _attrs as attrs
from .._text import printable

Log: TypeAlias = logging.LoggerAdapter[logging.Logger]

ARGUMENT_PRINTED: Final = 300
"""Characters of one argument of a log line; names of peers may have a megabyte."""
ERROR_PRINTED: Final = 2000
"""Characters of the text of an exception whose traceback is logged."""
_URGENT: Final = (20, 0.5)
"""Warnings and errors of one kind: lines at once, and further lines per second."""
_USUAL: Final = (100, 5.0)
"""Other lines of one kind, at once and per second: a hundred nodes may join in a moment."""
_USUAL_LENGTH: Final = 100
"""Characters of all texts in a line that counts as one; a longer one counts as so many more."""
_MAX_KINDS: Final = 256
"""Kinds of lines whose rates are remembered; the library has fewer."""

# Silent until the application routes the logs.
logging.getLogger("trioserf").addHandler(logging.NullHandler())


@attrs.define(eq=False)
class _LineAllowance:
    """Lines of one kind: how many may still be written, and how many were not."""

    left: float
    at: float
    missing: int = 0


@attrs.frozen(eq=False)
class _Shown:
    """An argument of a line, made into text only if the line is written."""

    value: object

    def __str__(self) -> str:
        return printable(self.value, ARGUMENT_PRINTED)

    def __repr__(self) -> str:
        return printable(repr(self.value), ARGUMENT_PRINTED)


class _NodeLog(logging.LoggerAdapter[logging.Logger]):
    """The only way of a node to the log, so no place that logs has to think of its peers.

    What a peer may have given is cut and printable: a name forges no line and rules no
    terminal.  And each kind of line is limited in rate, because most are written when a peer
    wishes: a flood of them becomes one line now and then, which says how many are missing.  The
    kind is the line without its arguments; of a line that is nothing but an argument, its first
    word.
    """

    def __init__(self, logger: logging.Logger, node: str) -> None:
        super().__init__(logger, {"node": node})
        self._prefix = f"{printable(node, ARGUMENT_PRINTED)}: "
        self._allowances: dict[str, _LineAllowance] = {}

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        if not self.isEnabledFor(level):
            return
        template = str(msg)
        kind = str(args[0]).partition(" ")[0] if template == "%s" else template
        length = sum([min(len(arg), ARGUMENT_PRINTED) for arg in args if isinstance(arg, str)])
        missing = self._missing(kind, level, max(1.0, length / _USUAL_LENGTH))
        if missing is None:
            return
        shown = [arg if isinstance(arg, int | float) else _Shown(arg) for arg in args]
        if missing:
            template += " [and %d such lines since the last one]"
            shown.append(missing)
        if isinstance(error := kwargs.get("exc_info"), BaseException):
            kwargs["exc_info"] = _shown_error(error)
        kwargs.setdefault("stacklevel", 2)
        self.logger.log(level, self._prefix.replace("%", "%%") + template, *shown, **kwargs)

    def _missing(self, kind: str, level: int, lines: float) -> int | None:
        """How many lines of a kind are missing before this one; None if it is missing, too.

        Args:
          lines: as how many lines of the usual length it counts.
        """
        try:
            now = trio.current_time()
        except RuntimeError:  # outside of Trio nothing arrives from peers
            return 0
        burst, rate = _URGENT if level >= logging.WARNING else _USUAL
        allowance = self._allowances.get(kind)
        if allowance is None:
            if len(self._allowances) >= _MAX_KINDS:
                self._allowances.clear()
            allowance = self._allowances[kind] = _LineAllowance(burst, now)
        allowance.left = min(burst, allowance.left + (now - allowance.at) * rate)
        allowance.at = now
        if allowance.left < 1:
            allowance.missing += 1
            return None
        allowance.left -= lines
        missing, allowance.missing = allowance.missing, 0
        return missing


def _shown_error(error: BaseException) -> BaseException:
    """The exception, or one of the same traceback whose text can be shown."""
    text = str(error)
    shown = printable(text, ERROR_PRINTED)
    if shown == text:
        return error
    return Exception(f"{type(error).__name__}: {shown}").with_traceback(error.__traceback__)


def node_log(part: str, node: str) -> Log:
    """The logger ``trioserf.<part>``, with the node's name before each message."""
    return _NodeLog(logging.getLogger(f"trioserf.{part}"), node)
