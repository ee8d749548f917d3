"""How streams are read and written, and what is said on them.

Source: hashicorp/memberlist v0.2.2, net.go: readStream, handleConn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, final

from .. import _attrs as attrs
from .._exceptions import RemoteProtocolError
from .codec_settings import CodecSettings
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
class StreamCodec(CodecSettings):
    """How streams are written and read.

    Args:
      max_output: most bytes that a stream may decompress to.
    """

    max_output: int = MAX_STREAM_OUTPUT


@final
@attrs.frozen
class PushPullState:
    """A full state exchange, asked for or answered."""

    join: bool
    records: tuple[NodeRecord, ...] = attrs.field(repr=lambda records: f"<{len(records)}>")
    user_state: bytes = attrs.field(repr=lambda state: f"<{len(state)} bytes>")


@final
@attrs.frozen
class UserMessageStream:
    """A reliable user message."""

    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")


StreamRequest: TypeAlias = PushPullState | Ping | Ack | UserMessageStream | ErrorReply
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
