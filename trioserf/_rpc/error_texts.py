"""What Go's agent says where calls of this library raise: scripts compare these texts.

Source: hashicorp/serf v0.9.4, serf/serf.go; serf/event.go, Query.Respond; serf/query.go;
cmd/serf/command/agent/agent.go; hashicorp/memberlist v0.2.2, memberlist.go, Join; golang/go,
encoding/base64 and net (the texts of their errors).
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Sequence

import trio

from .._exceptions import (
    AlreadyResponded,
    BroadcastTimeout,
    DeadlineExceeded,
    FeatureNotSupported,
    InvalidState,
    JoinError,
    QueryTooLarge,
    ResponseTooLarge,
    SerfError,
    TagsTooLarge,
    UserEventTooLarge,
)
from .._memberlist.state_exchange import LeadsHere
from .._text import host_and_port, printable

_TRAILING_SIZE = re.compile(r": \d+ bytes$")
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def error_text(error: Exception) -> str:
    """Go's text for an error of a call on the node."""
    match error:
        case UserEventTooLarge() | QueryTooLarge() | ResponseTooLarge():
            return _TRAILING_SIZE.sub("", str(error))
        case TagsTooLarge():
            return "Encoded length of tags exceeds limit of 512 bytes"
        case FeatureNotSupported():
            return "Feature not supported"
        case BroadcastTimeout():
            return "timed out broadcasting node removal"
        case AlreadyResponded():
            return "response already sent"
        case DeadlineExceeded():
            return "response is past the deadline"
        case InvalidState():
            return "Serf can't Join after Leave or Shutdown"
        case trio.ClosedResourceError():
            return "Serf is shut down"
        case SerfError():
            return str(error)
    return f"{type(error).__name__}: {error}"


# --- join ---------------------------------------------------------------------------------


def joined_itself(error: JoinError) -> int:
    """How many of the addresses were those of this node itself, which Go counts as joined.

    DIFFERS: `trioserf.Serf.join` calls that an error, because it may be that everybody joins
    only itself; the RPC command and an agent's start do as Go does, because scripts give every
    agent the same list.  Test: test_a_join_of_the_agent_itself_counts_as_with_go.
    """
    return sum(isinstance(cause, LeadsHere) for cause in error.exceptions)


def join_error_text(error: JoinError, addresses: Sequence[str], default_port: int) -> str:
    """Go's list of what went wrong, one line for each address that was tried.

    Args:
      default_port: of an address without one.
    """
    lines = []
    for index, cause in enumerate(error.exceptions):
        text = addresses[index] if len(addresses) == len(error.exceptions) else ""
        lines.append(f"\t* {_join_cause(cause, text, default_port)}")
    count = len(lines)
    head = f"{count} error{'s' if count > 1 else ''} occurred:"
    return "\n".join([head, *lines, "", ""])


def _join_cause(error: Exception, address: str, default_port: int) -> str:
    try:
        host, port = _host_and_port(address.rpartition("/")[2], default_port)
    except ValueError as problem:
        return f"Failed to resolve {address}: {problem}"
    if isinstance(error, socket.gaierror) or not address:
        return f"Failed to resolve {address}: lookup {host}: no such host"
    if isinstance(error, OSError):
        where = host_and_port(host, port)
        return f"Failed to join {host}: dial tcp {where}: {_system_error(error)}"
    return f"Failed to join {host}: {error}"


def _host_and_port(address: str, default_port: int) -> tuple[str, int]:
    """Host and port, as memberlist and Go take an address apart.

    Raises:
      ValueError: in their words.
    """
    colon, bracket = address.rfind(":"), address.rfind("]")
    has_port = colon > bracket if address.startswith("[") else address.count(":") == 1
    if not has_port:
        host = address.strip("[]")
        if "]" in host:
            raise ValueError(f"address [{host}]:{default_port}: missing port in address")
        return host, default_port
    host, _, port = address.rpartition(":")
    if host.startswith("["):
        if not host.endswith("]"):
            raise ValueError(f"address {address}: missing ']' in address")
        host = host[1:-1]
    problem = f'strconv.ParseUint: parsing "{printable(port)}": '
    if not (port.isascii() and port.isdigit()):
        raise ValueError(f"{problem}invalid syntax")
    if int(port[:20]) > 65535:
        raise ValueError(f"{problem}value out of range")
    return host, int(port)


def _system_error(error: OSError) -> str:
    if error.errno == errno.ETIMEDOUT or isinstance(error, TimeoutError):
        return "i/o timeout"
    if error.errno is None:
        return str(error)
    return f"connect: {os.strerror(error.errno).lower()}"


# --- keys ---------------------------------------------------------------------------------


def base64_error(text: str) -> str | None:
    """Go's complaint about a text that is not standard base64; None if it is.

    Line ends are skipped, as Go skips them.
    """
    data = text.encode("utf-8", "surrogateescape")
    places = [(index, byte) for index, byte in enumerate(data) if byte not in b"\r\n"]
    for number, (index, byte) in enumerate(places):
        if byte in _BASE64:
            continue
        if byte != ord("=") or number % 4 < 2:
            return _corrupt(index)
        return _padding_error(places[number + 1 :], number % 4, index, len(data))
    return _corrupt(len(data) - len(places) % 4) if len(places) % 4 else None


def _padding_error(rest: list[tuple[int, int]], already: int, index: int, end: int) -> str | None:
    """What is wrong behind the first ``=``, before which the last group has 2 or 3 letters."""
    if already == 2:
        if not rest:
            return _corrupt(end)
        if rest[0][1] != ord("="):
            return _corrupt(rest[0][0] - 1)
        rest = rest[1:]
    return _corrupt(rest[0][0]) if rest else None


def _corrupt(offset: int) -> str:
    return f"illegal base64 data at input byte {offset}"
