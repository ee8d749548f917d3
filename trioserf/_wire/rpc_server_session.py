"""One client of an agent, as far as the protocol goes: handshake, authentication, requests.

Pure: bytes go in, requests and refusals come out, in the order of their arrival.

DIFFERS: Go does not read the body of a command that it refuses for want of authentication; it
takes the body for a header, and so answers twice.  Here the body is read, and there is one
answer (test_a_command_before_authentication_is_refused_once).

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc.go, handleClient, handleRequest,
handleHandshake, handleAuth.
"""

from __future__ import annotations

import hmac
from typing import Any, NamedTuple

from .._exceptions import RemoteProtocolError
from .._text import raw_text
from . import rpc_messages as messages
from .rpc_codec import (
    REQUEST_SIZE,
    REQUEST_VALUES,
    UNTRUSTED_SIZE,
    UNTRUSTED_VALUES,
    ObjectReader,
    read_fields,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .rpc_codec import Fields


class Request(NamedTuple):
    """A command to be carried out, with every field of its body."""

    command: str
    seq: int
    fields: dict[str, Any]


class Answer(NamedTuple):
    """A header to be written, with no body; then the connection is closed if ``close``."""

    seq: int
    error: str = ""
    close: bool = False


class ServerSession:
    """What the server knows about one connection.

    Args:
      auth_key: what a client must send before anything else; None if it need not.
    """

    __slots__ = ("_auth_key", "_header", "_refused", "_trusted", "_waiting_for_body", "reader")

    def __init__(self, auth_key: str | None) -> None:
        self._auth_key = auth_key
        self._header: dict[str, Any] = {"Command": "", "Seq": 0}
        self._waiting_for_body: Fields | None = None
        self._refused = False
        self._trusted: bool | None = None  # None before the handshake
        self.reader = ObjectReader(UNTRUSTED_SIZE, UNTRUSTED_VALUES)

    def __repr__(self) -> str:
        return f"<ServerSession: {self._header['Command']!r}, {len(self.reader)} bytes held>"

    def feed(self, data: bytes | bytearray) -> None:
        """Add what arrived; then call `next_request` until it gives None."""
        self.reader.feed(data)

    def next_request(self) -> Request | Answer | None:
        """What is to be done next; None if more bytes are needed.

        Raises:
          RemoteProtocolError: the client breaks the protocol; the text is Go's log line.  The
            connection can only be closed.
        """
        if self._waiting_for_body is None:
            answer = self._next_header()
            if answer is not None or self._waiting_for_body is None:
                return answer
        return self._next_body(self._waiting_for_body)

    def _next_header(self) -> Request | Answer | None:
        try:
            taken = self.reader.take()
            if taken is None:
                return None
            self._header = read_fields(messages.REQUEST_HEADER, taken[0], self._header)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"failed to decode request header: {error}") from error
        name, seq = self._header["Command"], self._header["Seq"]
        if self._trusted is None and name != "handshake":
            return Answer(seq, messages.HANDSHAKE_REQUIRED, close=True)
        command = messages.COMMANDS.get(name)
        if self._trusted is False and name not in ("handshake", "auth"):
            self._refused = True
            if command is None or command.request is None:
                return self._refuse()
        elif command is None:
            return Answer(seq, messages.UNSUPPORTED_COMMAND, close=True)
        elif command.request is None:
            return Request(name, seq, {})
        self._waiting_for_body = command.request
        return None

    def _next_body(self, fields: Fields) -> Request | Answer | None:
        try:
            taken = self.reader.take()
            if taken is None:
                return None
            self._waiting_for_body = None
            if self._refused:
                return self._refuse()
            body = read_fields(fields, taken[0])
        except RemoteProtocolError as error:
            raise RemoteProtocolError(
                f"Failed to evaluate request: decode failed: {self._header['Command']}: {error}"
            ) from error
        name, seq = self._header["Command"], self._header["Seq"]
        if name == "handshake":
            return self._handshake(seq, body["Version"])
        if name == "auth":
            return self._authenticate(seq, body["AuthKey"])
        return Request(name, seq, body)

    def _refuse(self) -> Answer:
        self._refused = False
        return Answer(self._header["Seq"], messages.AUTH_REQUIRED)

    def _handshake(self, seq: int, version: int) -> Answer:
        if version != messages.VERSION:
            return Answer(seq, messages.UNSUPPORTED_VERSION)
        if self._trusted is not None:
            return Answer(seq, messages.HANDSHAKE_TWICE)
        self._trusted = False
        if self._auth_key is None:
            self._trust()
        return Answer(seq)

    def _authenticate(self, seq: int, key: str) -> Answer:
        given = raw_text(key)
        expected = raw_text(self._auth_key or "")
        if not hmac.compare_digest(given, expected):
            return Answer(seq, messages.WRONG_AUTH_KEY)
        self._trust()
        return Answer(seq)

    def _trust(self) -> None:
        self._trusted = True
        self.reader.max_size = REQUEST_SIZE
        self.reader.max_values = REQUEST_VALUES
