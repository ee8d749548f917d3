"""What is sent on a stream: one request, at most one reply, each in a frame.

::

    dialled stream := [label] frame            a reply is a frame alone
    frame          := 0a || length (4 bytes) || ciphertext of inner  |  inner
    inner          := 09 || {Algo, Buf} compressing plain            |  plain
    plain          := 00 ping | 02 ack | 06 push/pull | 08 user message | 0d error
    push/pull      := header || node records || user state

Only the encrypted frame has a length in front.  The rest must be parsed to find its end, because
Go keeps its side of the stream open.  So `StreamParser` returns an encrypted or compressed
frame as it is, since opening one may be heavy: `decode_layer` takes off one layer at a time, in
any thread, and `decode_frame` all of them.  What comes in clear it parses, and returns the
request itself.

How long a peer may take is the caller's business.  What it can make this node do is not: lengths
are refused before anything is kept for them, and the work in one call is bounded.

Source: hashicorp/memberlist v0.2.2, net.go: handleConn, readStream, sendLocalState,
readRemoteState, readUserMsg, encryptLocalState, decryptRemoteState; v0.5.4, label.go;
limits of v0.6.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, final

import msgpack  # type: ignore[import-untyped]

from .. import _attrs as attrs
from .._exceptions import LocalProtocolError, RemoteProtocolError
from . import limits
from .codec import BAD_INPUT, decode, decode_prefix, encode, from_value
from .codec_settings import CodecSettings
from .compression import Pause, TextTooLong, compress_message, open_envelope
from .encryption import decrypt, encrypt, encrypted_size
from .labels import LABEL_BYTE, check_label, label_header, take_label
from .messages import (
    TYPE_BYTES,
    USER_PREFIX,
    Ack,
    Compressed,
    ErrorReply,
    MessageType,
    NodeRecord,
    Ping,
    PushPullHeader,
    UserMessageHeader,
)

FRAME_HEADER: Final = 5
"""Type byte and length of an encrypted frame (bytes)."""


class StreamError(RemoteProtocolError):
    """What came on a stream breaks the protocol.  It was dropped; the stream is of no more use.

    ``reply`` is whether the peer gets an error reply; its text is that of the exception.
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

    max_output: int = limits.MAX_STREAM_OUTPUT


# --- what a peer sends --------------------------------------------------------------------


@final
@attrs.frozen
class PushPullState:
    """A full state exchange: the request and the reply have the same form."""

    join: bool
    records: tuple[NodeRecord, ...] = attrs.field(repr=lambda records: f"<{len(records)}>")
    user_state: bytes = attrs.field(repr=lambda state: f"<{len(state)} bytes>")


@final
@attrs.frozen
class UserMessageStream:
    """A reliable user message."""

    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")


StreamRequest: TypeAlias = PushPullState | Ping | Ack | UserMessageStream | ErrorReply
"""What one side of a stream may send."""


@final
@attrs.frozen(repr=False)
class EncryptedFrame:
    """A whole frame: ``header`` is its type byte and length, which are authenticated too."""

    header: bytes
    ciphertext: bytes


Frame: TypeAlias = EncryptedFrame | Compressed | bytes
"""A whole frame that is not opened yet; bytes are a request in clear, type byte first."""


def weight(frame: Frame) -> int:
    """How heavy taking off the next layer is: as parsing so many plain bytes."""
    match frame:
        case EncryptedFrame():
            return len(frame.ciphertext) // limits.ENCRYPTED_PER_PLAIN
        case Compressed():
            return limits.COMPRESSED_WEIGHT * len(frame.buffer or b"")
        case _:
            return len(frame)


def footprint(frame: Frame | StreamRequest, size: int) -> int:
    """Memory that a frame or a request keeps (bytes), at most.

    Args:
      size: bytes that a request had in its frame.
    """
    match frame:
        case EncryptedFrame():
            return len(frame.ciphertext)
        case Compressed():
            return len(frame.buffer or b"")
        case bytes():
            return len(frame)
        case PushPullState():
            return size + limits.RECORD_SIZE * len(frame.records)
    return size


def footprint_inside(frame: EncryptedFrame | bytes) -> int:
    """Memory that taking off the next layer needs besides (bytes), at most.

    How long the text of a compressed frame is nobody knows before: there it is the caller's
    limit.
    """
    if isinstance(frame, EncryptedFrame):
        return 2 * len(frame.ciphertext)  # the text, and what is taken out of it
    if frame[0] != MessageType.PUSH_PULL:
        return len(frame)
    try:
        header, start = decode_prefix(PushPullHeader, frame[: limits.SMALL_INPUT], 1)
    except RemoteProtocolError:
        return len(frame)  # odd, or no push/pull at all
    # A record has some bytes, whatever the header claims.
    most = limits.FREE_RECORDS + (len(frame) - start) // limits.LEAST_RECORD
    return len(frame) + limits.RECORD_SIZE * max(0, min(header.nodes, most))


def decode_layer(
    frame: Frame,
    codec: StreamCodec,
    max_output: int | None = None,
    pause: Pause | None = None,
) -> Frame | StreamRequest:
    """The frame without its outermost layer, or the request that was in it.  In any thread.

    Args:
      max_output: longest text of a compressed frame here (bytes), instead of the codec's.
      pause: called in the middle of long work.

    Raises:
      TextTooLong: the text is longer than ``max_output``.
      StreamError: it breaks the protocol.  The peer gets a reply for what fails outside of the
        request, as in Go.
    """
    try:
        match frame:
            case EncryptedFrame():
                return _decrypt(frame, codec)
            case Compressed():
                allowed = codec.max_output if max_output is None else max_output
                plain = open_envelope(frame, allowed, pause)
                if not plain:
                    raise RemoteProtocolError("a compressed frame of nothing")
                return plain
            case _:
                request = _RequestReader().read_whole(frame)
    except RemoteProtocolError as error:
        if max_output is not None and isinstance(error, TextTooLong):
            raise
        raise StreamError(str(error), reply=not isinstance(frame, bytes)) from error
    if request is None:
        raise StreamError("a frame is cut short inside")
    return request


def _decrypt(frame: EncryptedFrame, codec: StreamCodec) -> Frame:
    assert codec.keyring is not None, "checked before the frame was read"
    aad = frame.header + codec.label
    plain = decrypt(frame.ciphertext, keyring=codec.keyring, aad=aad, accept_v0=codec.accept_v0)
    if not plain:
        raise RemoteProtocolError("an encrypted frame of nothing")
    if plain[0] == MessageType.COMPRESS:
        return decode(Compressed, plain[1:])
    return plain


def decode_frame(
    result: Frame | StreamRequest, codec: StreamCodec, max_output: int | None = None
) -> StreamRequest:
    """The request in what `StreamParser.receive` returned; raises as `decode_layer`."""
    while isinstance(result, Frame):
        result = decode_layer(result, codec, max_output)
    return result


# --- writing ------------------------------------------------------------------------------


def dial_prefix(codec: StreamCodec) -> bytes:
    """What the dialling side writes first: the label header, or nothing."""
    return label_header(codec.label) if codec.label else b""


def frame(plain: bytes, codec: StreamCodec, nonce: bytes | None) -> bytes:
    """A frame around ``plain``: compressed and encrypted as the codec says.

    Heavy for large input (THREAD_THRESHOLD); may run in any thread.

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
    if length > limits.MAX_FRAME:
        raise LocalProtocolError(f"a frame of {length} bytes: expected at most {limits.MAX_FRAME}")
    header = TYPE_BYTES[MessageType.ENCRYPT] + length.to_bytes(4, "big")
    aad = header + codec.label
    return header + encrypt(inner, key=codec.key, nonce=nonce, version=version, aad=aad)


def push_pull_bytes(join: bool, records: Sequence[NodeRecord], user_state: bytes) -> bytes:
    """A push/pull, not yet framed.  Raises ``LocalProtocolError`` beyond the limits."""
    if len(records) > limits.MAX_NODES or len(user_state) > limits.MAX_USER_STATE:
        raise LocalProtocolError(
            f"a push/pull of {len(records)} nodes and {len(user_state)} bytes is too large"
        )
    header = PushPullHeader(len(records), len(user_state), join)
    return b"".join(
        (TYPE_BYTES[MessageType.PUSH_PULL], encode(header), *map(encode, records), user_state)
    )


def user_message_bytes(body: bytes) -> bytes:
    """A user message, not yet framed.  Raises ``LocalProtocolError`` if it is too long."""
    if len(body) > limits.MAX_USER_MESSAGE:
        raise LocalProtocolError(
            f"a user message of {len(body)} bytes: expected at most {limits.MAX_USER_MESSAGE}"
        )
    return USER_PREFIX + encode(UserMessageHeader(len(body))) + body


# --- the parser ---------------------------------------------------------------------------


@final
class StreamParser:
    """Reads one request or reply from a stream.

    Args:
      codec: how to read.
      accept_side: whether the peer dialled: then a label comes first.
    """

    def __init__(self, codec: StreamCodec, *, accept_side: bool) -> None:
        self._codec = codec
        self._buffer = bytearray()
        self._started = False
        # Functions, not methods of this object: with those it would live in a circle, and its
        # buffers of 45 kB until the next collection of garbage.
        self._read: Callable[[StreamParser], Frame | StreamRequest | None] = (
            StreamParser._read_label if accept_side else StreamParser._read_type
        )
        self._compressed: ValueReader
        self._request: _RequestReader | None = None
        self.size: int = 0
        """Memory of the node records that were read so far, beside their bytes (bytes)."""

    def receive(self, data: bytes) -> Frame | StreamRequest | None:
        """Take bytes as they came.

        Returns:
          the request, or a frame that `decode_frame` opens; or None if bytes are missing.
          What follows is ignored.

        Raises:
          StreamError: it breaks the protocol.
        """
        self._started = self._started or bool(data)
        try:
            for piece in _slices(data):
                self._buffer += piece
                result = self._read(self)
                if result is not None:
                    return result
        except StreamError:
            raise
        except RemoteProtocolError as error:
            reply = self._read is StreamParser._read_compressed
            raise StreamError(str(error), reply=reply) from error
        return None

    def eof(self) -> None:
        """The peer ends the stream.

        Raises:
          StreamError: in the middle of a request.
        """
        if self._started:
            raise StreamError("the stream ended early")

    def _read_label(self) -> Frame | StreamRequest | None:
        codec, buffer = self._codec, self._buffer
        if not buffer:
            return None
        label = b""
        if buffer[0] in _FOREIGN:
            raise StreamError(_foreign(buffer[0]))
        if buffer[0] == LABEL_BYTE:
            if len(buffer) < 2 or len(buffer) < 2 + buffer[1]:
                return None
            end = 2 + buffer[1]
            label, _ = take_label(bytes(buffer[:end]))
            del buffer[:end]
        if label or codec.label:
            check_label(label, codec.label, skip=codec.skip_inbound_label_check)
        self._read = StreamParser._read_type
        return self._read_type()

    def _read_type(self) -> Frame | StreamRequest | None:
        codec, buffer = self._codec, self._buffer
        if not buffer:
            return None
        if buffer[0] == MessageType.ENCRYPT:
            if not codec.keyring:
                raise StreamError(
                    "remote state is encrypted and encryption is not configured", reply=True
                )
            self._read = StreamParser._read_encrypted
        elif buffer[0] in _FOREIGN:
            raise StreamError(_foreign(buffer[0]))
        elif codec.keyring and codec.verify_incoming:
            raise StreamError(
                "encryption is configured but remote state is not encrypted", reply=True
            )
        elif buffer[0] == MessageType.COMPRESS:
            del buffer[0]
            self._compressed = ValueReader(limits.MAX_STREAM_COMPRESSED)
            self._read = StreamParser._read_compressed
        else:
            self._request = _RequestReader()
            self._read = StreamParser._read_plain
        return self._read(self)

    def _read_encrypted(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < FRAME_HEADER:
            return None
        length = int.from_bytes(buffer[1:FRAME_HEADER], "big")
        if length > limits.MAX_FRAME:
            raise StreamError(f"a frame of {length} bytes is too long", reply=True)
        end = FRAME_HEADER + length
        if len(buffer) < end:
            return None
        frame = EncryptedFrame(bytes(buffer[:FRAME_HEADER]), bytes(buffer[FRAME_HEADER:end]))
        buffer.clear()
        return frame

    def _read_compressed(self) -> Frame | None:
        self._compressed.feed(bytes(self._buffer))
        self._buffer.clear()
        value = self._compressed.take_value()
        return None if value is None else from_value(Compressed, value[0])

    def _read_plain(self) -> StreamRequest | None:
        assert self._request is not None, "made with the first byte of a request"
        data = bytes(self._buffer)
        self._buffer.clear()
        request = self._request.feed(data)
        self.size = limits.RECORD_SIZE * self._request.count
        return request


def _slices(data: bytes) -> Iterable[bytes]:
    """``data`` in slices that are parsed in one go; at least one."""
    if len(data) <= limits.SLICE:
        return (data,)
    return (data[at : at + limits.SLICE] for at in range(0, len(data), limits.SLICE))


# --- inside the frame ---------------------------------------------------------------------

_RECORDS_TOGETHER: Final = 16
"""Node records between two looks at how many there are in how many bytes."""

_HEADERS: Final[Mapping[int, type[Any]]] = {
    MessageType.PING: Ping,
    MessageType.ACK: Ack,
    MessageType.ERROR: ErrorReply,
    MessageType.USER: UserMessageHeader,
    MessageType.PUSH_PULL: PushPullHeader,
}
"""What follows the type byte; the first three are the whole request."""


_FOREIGN: Final[Mapping[int, str]] = {
    0x16: "this looks like TLS",
    **dict.fromkeys(b"CDGHOPT", "this looks like HTTP"),  # CONNECT, DELETE, GET, HTTP/1.1, …
    ord("S"): "this looks like SSH",
}
"""What begins so, where it is no message type."""


def _foreign(kind: int) -> str:
    """What to say about a stream that begins with a byte that is no message type."""
    guess = _FOREIGN.get(kind)
    number = f"message type {kind} on a stream"
    return number if guess is None else f"{guess}, not gossip: {number}"


@final
class ValueReader:
    """Values that arrive piece by piece, and raw bytes between them.

    Feed it, then take until it returns None.  It keeps what is fed and not taken.

    Args:
      max_size: refuse to hold more than this (bytes).
    """

    def __init__(self, max_size: int) -> None:
        self._unpacker = msgpack.Unpacker(
            raw=True,
            strict_map_key=False,
            read_size=min(4096, max_size),
            max_buffer_size=max_size,
            max_array_len=min(limits.MAX_ARRAY, max_size),
            max_map_len=min(limits.MAX_MAP, max_size),
        )
        self.take_bytes: Callable[[int], bytes] = self._unpacker.read_bytes
        """Up to so many bytes, as many as are here; only between two values."""
        self.taken: Callable[[], int] = self._unpacker.tell
        """Bytes taken so far."""

    def feed(self, data: bytes) -> None:
        """Add bytes.

        Raises:
          RemoteProtocolError: the value that is under way is too long.
        """
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull as error:
            raise RemoteProtocolError("msgpack: a value is too long") from error

    def take_value(self) -> tuple[Any] | None:
        """The next value, in a tuple because it may be None; None if it is not here yet.

        Raises:
          RemoteProtocolError: not msgpack, or beyond the limits.
        """
        try:
            return (self._unpacker.unpack(),)
        except msgpack.OutOfData:
            return None
        except BAD_INPUT as error:
            raise RemoteProtocolError(f"msgpack: {error}") from error


@final
class _RequestReader:
    """Reads a request: type byte, header, node records and raw bytes, as far as it has them."""

    def __init__(self) -> None:
        self._values = ValueReader(limits.MAX_STREAM_VALUE + limits.SLICE)
        self._kind: type[Any] | None = None
        self._header: Any = None
        self._records: list[NodeRecord] = []
        self._records_start = 0
        self._tail = bytearray()

    def feed(self, data: bytes) -> StreamRequest | None:
        """Take bytes; the request, once it is complete.

        Raises:
          RemoteProtocolError: it breaks the protocol.
        """
        for piece in _slices(data):
            self._values.feed(piece)
            request = self._read()
            if request is not None:
                return request
        return None

    def read_whole(self, data: bytes) -> StreamRequest | None:
        """The request that is in ``data``, which is all there is; None if it is cut short.

        What is behind the records is copied once, not piece by piece.
        """
        for piece in _slices(data):
            self._values.feed(piece)
            if self._header is None and not self._read_header():
                continue
            header = self._header
            wanted = header.nodes if type(header) is PushPullHeader else 0
            if self._read_records(wanted):
                return self._read_rest(data)
        return None

    def _read_rest(self, data: bytes) -> StreamRequest | None:
        """The request whose header and records are read, from all its bytes."""
        header, start = self._header, self._values.taken()
        match header:
            case UserMessageHeader():
                body = data[start : start + header.length]
                return UserMessageStream(body) if len(body) == header.length else None
            case PushPullHeader():
                state = data[start : start + header.user_state_len]
                if len(state) < header.user_state_len:
                    return None
                return PushPullState(header.join, tuple(self._records), state)
        request: StreamRequest = header
        return request

    @property
    def count(self) -> int:
        """Node records read so far."""
        return len(self._records)

    def _read(self) -> StreamRequest | None:
        """Read on where the bytes ended before."""
        if self._header is None and not self._read_header():
            return None
        header = self._header
        match header:
            case UserMessageHeader():
                return UserMessageStream(bytes(self._tail)) if self._fill(header.length) else None
            case PushPullHeader():
                if self._read_records(header.nodes) and self._fill(header.user_state_len):
                    return PushPullState(header.join, tuple(self._records), bytes(self._tail))
                return None
        request: StreamRequest = header
        return request

    def _read_header(self) -> bool:
        values = self._values
        if self._kind is None:
            first = values.take_bytes(1)
            if not first:
                return False
            self._kind = _HEADERS.get(first[0])
            if self._kind is None:
                raise RemoteProtocolError(_foreign(first[0]))
        value = values.take_value()
        if value is None:
            return False
        self._header = header = from_value(self._kind, value[0])
        self._records_start = values.taken()
        if type(header) is UserMessageHeader and not 0 <= header.length <= limits.MAX_USER_MESSAGE:
            raise RemoteProtocolError(f"a user message of {header.length} bytes")
        if type(header) is PushPullHeader:
            if not 0 <= header.nodes <= limits.MAX_NODES:
                raise RemoteProtocolError(f"a push/pull of {header.nodes} nodes")
            if not 0 <= header.user_state_len <= limits.MAX_USER_STATE:
                raise RemoteProtocolError(f"user state of {header.user_state_len} bytes")
        return True

    def _read_records(self, wanted: int) -> bool:
        take, records = self._values.take_value, self._records
        complete = True
        for count in range(len(records), wanted):
            if not count % _RECORDS_TOGETHER:
                self._check_records()
            value = take()
            if value is None:
                complete = False
                break
            records.append(from_value(NodeRecord, value[0]))
        self._check_records()
        return complete

    def _check_records(self) -> None:
        size, count = self._values.taken() - self._records_start, len(self._records)
        if size > limits.MAX_RECORDS:
            raise RemoteProtocolError(f"node records of more than {limits.MAX_RECORDS} bytes")
        if count > limits.FREE_RECORDS and size < limits.LEAST_RECORD * count:
            raise RemoteProtocolError(f"{count} node records in only {size} bytes")

    def _fill(self, size: int) -> bool:
        self._tail += self._values.take_bytes(size - len(self._tail))
        return len(self._tail) == size
