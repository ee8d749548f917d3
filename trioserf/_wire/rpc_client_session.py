"""The client's end of a connection to an agent: numbers requests, sorts what comes back.

Pure: what it gives is to be written, what was read is fed to it.

A command that goes on (``stream``, ``monitor``, ``query``) keeps its number for good: an agent
may send records of it even after the answer to ``stop``.

Source: hashicorp/serf v0.9.4, client/rpc_client.go, genericRPC, respondSeq, listen.
"""

from __future__ import annotations

from .._exceptions import RemoteProtocolError
from .._tuples import NamedTuple
from .rpc_codec import REPLY_SIZE, REPLY_VALUES, ObjectReader, read_fields
from .rpc_messages import COMMANDS, REPLY_HEADER, WITHOUT_BODY, pack_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .rpc_codec import Reader
    from .rpc_messages import Command


class Reply(NamedTuple):
    """The answer to a request: the error text, "" for success, and the body if there is one."""

    seq: int
    error: str
    body: Any = None


class Record(NamedTuple):
    """One record of a command that goes on."""

    seq: int
    body: Any


class ClientSession:
    """What the client knows about its connection."""

    __slots__ = ("_body_of", "_header", "_last_seq", "_reader", "_records", "_waiting")

    def __init__(self) -> None:
        self._reader = ObjectReader(REPLY_SIZE, REPLY_VALUES)
        self._last_seq = 0
        self._waiting: dict[int, Command] = {}
        self._records: dict[int, Reader] = {}
        self._header: Mapping[str, Any] = {}
        self._body_of: Reader | None = None

    def request(self, command: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        """A request: its number, and what to write.

        Args:
          command: one of `COMMANDS`.
          body: its fields; what is missing is sent as nil.
        """
        self._last_seq += 1
        spec = COMMANDS[command]
        self._waiting[self._last_seq] = spec
        if spec.request is not None:
            given = body or {}
            assert given.keys() <= spec.request.keys(), f"{command} has no such field"
            body = {name: given.get(name) for name in spec.request}
        return self._last_seq, pack_request(command, self._last_seq, body)

    def feed(self, data: bytes | bytearray) -> None:
        """Add what was read; then call `next_event` until it gives None."""
        self._reader.feed(data)

    def next_event(self) -> Reply | Record | None:
        """What came; None if more bytes are needed.

        Raises:
          RemoteProtocolError: this is no agent, or the two are out of step.  The connection
            can only be closed.
        """
        while True:
            if self._body_of is not None:
                return self._next_body(self._body_of)
            taken = self._reader.take()
            if taken is None:
                return None
            reply = self._on_header(taken[0])
            if reply is not None:
                return reply

    def _on_header(self, raw: Any) -> Reply | None:
        if not (isinstance(raw, dict) and raw.keys() >= {b"Error", b"Seq"}):
            raise RemoteProtocolError("expected the header of a reply with Error and Seq")
        self._header = read_fields(REPLY_HEADER, raw)
        seq, error = self._header["Seq"], self._header["Error"]
        command = self._waiting.get(seq)
        if command is not None:
            if command.reply is not None and error not in WITHOUT_BODY:
                self._body_of = command.reply
                return None
            del self._waiting[seq]
            if command.record is not None and not error:
                self._records[seq] = command.record
            return Reply(seq, error)
        # What is neither is the second refusal of a Go agent: see `ServerSession`.
        self._body_of = self._records.get(seq)
        return None

    def _next_body(self, read: Reader) -> Reply | Record | None:
        taken = self._reader.take()
        if taken is None:
            return None
        self._body_of = None
        body = read(taken[0])
        seq = self._header["Seq"]
        if self._waiting.pop(seq, None) is not None:
            return Reply(seq, self._header["Error"], body)
        if body.get("Type") == "done":
            del self._records[seq]
        return Record(seq, body)
