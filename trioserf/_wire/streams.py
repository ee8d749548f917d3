"""What is sent on a stream: one request, at most one reply, each in a frame.

::

    dialled stream := [label] frame            a reply is a frame alone
    frame          := 0a || length (4 bytes) || ciphertext of inner  |  inner
    inner          := 09 || {Algo, Buf} compressing plain            |  plain
    plain          := 00 ping | 02 ack | 06 push/pull | 08 user message | 0d error
    push/pull      := header || node records || user state

Only the encrypted frame has a length in front.  The rest must be parsed to find its end, because
Go keeps its side of the stream open.  `StreamParser` takes bytes as they come; here are the
writers.

Source: hashicorp/memberlist v0.2.2, net.go: handleConn, readStream, sendLocalState,
readRemoteState, readUserMsg, encryptLocalState, decryptRemoteState; v0.5.4, label.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from .._exceptions import LocalProtocolError
from .codec import encode
from .compression import compress_message
from .encryption import encrypt, encrypted_size
from .labels import label_header
from .limits import MAX_FRAME, MAX_NODES
from .limits import MAX_USER_MESSAGE as MAX_USER_MESSAGE
from .limits import MAX_USER_STATE as MAX_USER_STATE
from .messages import (
    TYPE_BYTES,
    USER_PREFIX,
    Ack,
    ErrorReply,
    MessageType,
    NodeRecord,
    Ping,
    PushPullHeader,
    UserMessageHeader,
    encode_message,
)
from .stream_parser import EncryptedFrame as EncryptedFrame
from .stream_parser import Frame as Frame
from .stream_parser import PlainFrame as PlainFrame
from .stream_parser import PushPullState as PushPullState
from .stream_parser import StreamCodec as StreamCodec
from .stream_parser import StreamError as StreamError
from .stream_parser import StreamParser as StreamParser
from .stream_parser import StreamRequest as StreamRequest
from .stream_parser import UserMessageStream as UserMessageStream
from .stream_parser import decode_frame as decode_frame
from .stream_parser import decode_layer as decode_layer
from .stream_parser import weight as weight


def dial_prefix(codec: StreamCodec) -> bytes:
    """What the dialling side writes first: the label header, or nothing."""
    return label_header(codec.label)


def frame(plain: bytes, codec: StreamCodec, nonce: bytes | None) -> bytes:
    """A frame around ``plain``: compressed and encrypted as the codec says.

    Heavy for large input (limits.THREAD_THRESHOLD); may run in any thread.

    Raises:
      LocalProtocolError: nothing to send, no nonce where one is needed, or an encrypted frame
        that no peer would read.
    """
    if not plain:
        raise LocalProtocolError("an empty frame cannot be sent")
    inner = compress_message(plain) if codec.compress else plain
    if codec.key is None:
        return inner
    if nonce is None:
        raise LocalProtocolError("an encrypted frame needs a nonce")
    version = codec.encryption_version
    length = encrypted_size(len(inner), version)
    if length > MAX_FRAME:
        raise LocalProtocolError(f"a frame of {length} bytes: expected at most {MAX_FRAME}")
    header = TYPE_BYTES[MessageType.ENCRYPT] + length.to_bytes(4, "big")
    aad = header + codec.label
    return header + encrypt(inner, key=codec.key, nonce=nonce, version=version, aad=aad)


def push_pull_bytes(join: bool, records: Sequence[NodeRecord], user_state: bytes) -> bytes:
    """A push/pull, not yet framed.  Raises ``LocalProtocolError`` beyond the limits."""
    if len(records) > MAX_NODES or len(user_state) > MAX_USER_STATE:
        raise LocalProtocolError(
            f"a push/pull of {len(records)} nodes and {len(user_state)} bytes is too large"
        )
    header = PushPullHeader(len(records), len(user_state), join)
    return b"".join(
        (TYPE_BYTES[MessageType.PUSH_PULL], encode(header), *map(encode, records), user_state)
    )


def user_message_bytes(body: bytes) -> bytes:
    """A user message, not yet framed.  Raises ``LocalProtocolError`` if it is too long."""
    if len(body) > MAX_USER_MESSAGE:
        raise LocalProtocolError(
            f"a user message of {len(body)} bytes: expected at most {MAX_USER_MESSAGE}"
        )
    return USER_PREFIX + encode(UserMessageHeader(len(body))) + body


def ping_bytes(ping: Ping) -> bytes:
    """A ping, not yet framed."""
    return encode_message(ping)


def ack_bytes(ack: Ack) -> bytes:
    """An ack, not yet framed."""
    return encode_message(ack)


def error_bytes(text: str) -> bytes:
    """An error reply, not yet framed."""
    return encode_message(ErrorReply(text))
