"""A client for commands that ask once and end: plain sockets, one call at a time.

It imports neither trio nor attrs, so that a command starts at once.  Everything that comes from
the agent is plain: dictionaries with Go's field names, texts, bytes.

::

    with connect("127.0.0.1:7373") as agent:
        for member in agent.call("members")["Members"]: ...
        for record in agent.records("query", {"Name": "load", "RequestAck": True}): ...

Source: hashicorp/serf v0.9.4, client/rpc_client.go.
"""

from __future__ import annotations

import _socket  # what "socket" is made of: the rest of it is not needed, and takes longer
import time

from .._exceptions import RPCError
from .._text import is_short_ipv4
from .._wire.rpc_address import TCPAddress, UnixAddress, parse_rpc_address
from .._wire.rpc_client_session import ClientSession, Record, Reply
from .._wire.rpc_messages import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Self

CONNECT_TIMEOUT = 10.0
"""Time for connection, handshake and authentication (seconds), as in Go."""
_READ_SIZE = 64 * 1024
_LONGEST_WAIT = 1e8
"""Seconds (three years): sockets take no much longer time."""


class BlockingClient:
    """A connection to an agent; see `connect`.

    Every call raises `RPCError` with the text of an agent that refuses, ``ConnectionError``
    when the agent has gone, ``TimeoutError`` when `deadline` has passed, and
    `RemoteProtocolError` when the other side is no agent.  After the last three it can only
    be closed.
    """

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock
        self._session = ClientSession()
        self.deadline: float | None = None
        """When calls give up (``time.monotonic()``, seconds); None for never."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection.  Idempotent."""
        self._sock.close()

    def fileno(self) -> int:
        """For ``select``: readable when `records` may have more, or nothing may come."""
        return self._sock.fileno()

    def call(self, command: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask, and wait for the answer: its body, None if it has none.

        Raises:
          RPCError: the agent refuses; ``response`` is the body of its answer.
          OSError: as `next_event`.
        """
        seq = self.send(command, body)
        while True:
            event = self.next_event()
            if isinstance(event, Reply) and event.seq == seq:
                if event.error:
                    raise RPCError(event.error, command, event.body)
                return event.body

    def records(self, command: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Begin a command that goes on, and give its records as they come.

        A query ends behind its last answer; a stream and a monitor end with the connection.
        Records of a query without a sender, which Go agents send at its end, are dropped.

        Raises:
          RPCError: the agent refuses.
          OSError: as `next_event`.
        """
        seq = self.send(command, body)
        while True:
            event = self.next_event()
            if event.seq != seq:
                continue
            if isinstance(event, Reply):
                if event.error:
                    raise RPCError(event.error, command, event.body)
                continue
            kind = event.body.get("Type")
            if kind == "done":
                return
            if kind is None or event.body["From"]:
                yield event.body

    # --- several commands at once

    def send(self, command: str, body: Mapping[str, Any] | None = None) -> int:
        """Send a request without waiting for its answer: its number."""
        seq, data = self._session.request(command, body)
        self._limit()
        self._sock.sendall(data)
        return seq

    def next_event(self) -> Reply | Record:
        """Whatever comes next: an answer, or a record of a command that goes on.

        Raises:
          TimeoutError: nothing came until ``deadline``.
          ConnectionError: the agent has gone.
        """
        while True:
            event = self._session.next_event()
            if event is not None:
                return event
            self._limit()
            data = self._sock.recv(_READ_SIZE)
            if not data:
                raise ConnectionError("client closed")
            self._session.feed(data)

    def _limit(self) -> None:
        if self.deadline is None:
            self._sock.settimeout(None)
            return
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(min(left, _LONGEST_WAIT))


def connect(
    address: str, auth_key: str | None = None, *, timeout: float = CONNECT_TIMEOUT
) -> BlockingClient:
    """Connect to an agent and authenticate.

    Args:
      address: ``host:port``, ``[::1]:port`` or ``unix:/path``.
      auth_key: of the agent; None or "" sends none.
      timeout: for all of it (seconds); afterwards there is no limit until `deadline` is set.

    Raises:
      ValueError: the address is none; in Go's words.
      OSError: nobody listens there, or the agent went.
      RPCError: the key is wrong.
      RemoteProtocolError: what listens there is no agent.
    """
    parsed = parse_rpc_address(address)
    deadline = time.monotonic() + timeout
    if isinstance(parsed, UnixAddress):
        sock = _connected(_socket.AF_UNIX, parsed.path, timeout)
    else:
        sock = _dial(parsed, timeout)
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    client = BlockingClient(sock)
    try:
        client.deadline = deadline
        client.call("handshake", {"Version": VERSION})
        if auth_key:
            client.call("auth", {"AuthKey": auth_key})
    except BaseException:
        client.close()
        raise
    client.deadline = None
    return client


def _dial(address: TCPAddress, timeout: float) -> _socket.socket:
    """Connect to the first address of a host that takes it."""
    name = address.host or "localhost"
    if is_short_ipv4(name):
        raise _socket.gaierror(_socket.EAI_NONAME, f"{name!r} is neither an address nor a name")
    host = name.encode() if name.isascii() else name  # a text would load the codec of IDNA
    failed: OSError = OSError(f"no address of {address.host}")
    for family, _, _, _, where in _socket.getaddrinfo(host, address.port, 0, _socket.SOCK_STREAM):
        try:
            return _connected(family, where, timeout)
        except OSError as error:
            failed = error
    raise failed


def _connected(family: int, where: str | tuple[Any, ...], timeout: float) -> _socket.socket:
    sock = _socket.socket(family, _socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(where)
    except BaseException:
        sock.close()
        raise
    return sock
