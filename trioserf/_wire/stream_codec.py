"""How streams are read and written, and what is said on them.

Source: hashicorp/memberlist v0.2.2, net.go: readStream, handleConn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, final

import attrs

from .._exceptions import RemoteProtocolError
from .keyring import Keyring
from .limits import MAX_STREAM_OUTPUT
from .messages import Ack, ErrorReply, NodeRecord, Ping

FRAME_HEADER: Final = 5
"""Type byte and length of an encrypted frame (bytes)."""


class StreamError(RemoteProtocolError):
    """What came on a stream breaks the protocol.  It was dropped; the stream is of no more use.

    ``reply`` is whether the peer is owed an error reply; its text is that of the exception.
    """

    def __init__(self, text: str, *, reply: bool = False) -> None:
        super().__init__(text)
        self.reply = reply


@final
@attrs.frozen(kw_only=True)
class StreamCodec:
    """How streams are written and read; as `PacketCodec`, but for ``max_output``.

    Args:
      label: the label of the cluster; empty for none.
      skip_inbound_label_check: someone in front of us checks and removes it.
      keyring: keys; None or an empty ring turns encryption off.
      verify_incoming: refuse what is not encrypted.
      verify_outgoing: encrypt what is sent.
      encryption_version: 0 or 1, for sending.
      compress: send compressed.
      accept_v0: accept encryption version 0.
      max_output: most bytes that a stream may decompress to.
    """

    label: bytes = b""
    skip_inbound_label_check: bool = False
    keyring: Keyring | None = None
    verify_incoming: bool = True
    verify_outgoing: bool = True
    encryption_version: int = 1
    compress: bool = True
    accept_v0: bool = True
    max_output: int = MAX_STREAM_OUTPUT
    key: bytes | None = attrs.field(init=False, repr=False)
    """What encrypts frames; None if they are sent in clear."""

    @key.default
    def _key(self) -> bytes | None:
        return self.keyring.primary if self.keyring and self.verify_outgoing else None

    @property
    def encrypts(self) -> bool:
        """Whether frames are encrypted, so that each needs a nonce."""
        return self.key is not None


@final
@attrs.frozen
class PushPullRequest:
    """A full state exchange, asked for or answered."""

    join: bool
    records: tuple[NodeRecord, ...] = attrs.field(repr=lambda records: f"<{len(records)}>")
    user_state: bytes = attrs.field(repr=lambda state: f"<{len(state)} bytes>")


@final
@attrs.frozen
class UserMessageStream:
    """A reliable user message."""

    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")


StreamRequest: TypeAlias = PushPullRequest | Ping | Ack | UserMessageStream | ErrorReply
"""What one side of a stream may say."""


@final
@attrs.frozen
class Work:
    """The rest of reading a stream, heavy enough for a thread.

    Args:
      run: does it, in any thread: returns what `StreamParser.receive` would have returned, or
        raises `StreamError`.
      size: plain bytes that take about as long to parse.
    """

    run: Callable[[], StreamRequest]
    size: int
