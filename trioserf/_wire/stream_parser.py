"""Reading a stream, as its bytes come.

`StreamParser` takes off label and frame; `_Body` reads what is inside, whether it comes from
the network bit by bit or is at hand as a whole.  Both are generators inside: where bytes are
missing they yield, so that the code reads in the order of the bytes.

How long a peer may take is the caller's business.  What it can make us do is not: lengths are
refused before anything is kept for them, work in one call is bounded, and heavy work comes
back as `Work` that a thread can do.

Source: hashicorp/memberlist v0.5.4, net.go: handleConn, readStream, decryptRemoteState,
readRemoteState, readUserMsg; limits of v0.6.0.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Concatenate, ParamSpec, TypeVar, final

from .._exceptions import RemoteProtocolError
from .codec import decode, from_value
from .compression import open_envelope
from .encryption import decrypt
from .labels import LABEL_BYTE, check_label, take_label
from .limits import (
    COMPRESSED_WEIGHT,
    FREE_RECORDS,
    LEAST_RECORD,
    MAX_FRAME,
    MAX_NODES,
    MAX_RECORDS,
    MAX_STREAM_COMPRESSED,
    MAX_STREAM_VALUE,
    MAX_USER_MESSAGE,
    MAX_USER_STATE,
    SLICE,
    THREAD_THRESHOLD,
)
from .messages import (
    Ack,
    Compressed,
    ErrorReply,
    MessageType,
    NodeRecord,
    Ping,
    PushPullHeader,
    UserMessageHeader,
)
from .stream_codec import (
    FRAME_HEADER,
    PushPullState,
    StreamCodec,
    StreamError,
    StreamRequest,
    UserMessageStream,
    Work,
)
from .values import ValueReader

T = TypeVar("T")
P = ParamSpec("P")


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
        self._ladder: Generator[None, None, StreamRequest | Work] | None = self._climb(accept_side)

    def receive(self, data: bytes) -> StreamRequest | Work | None:
        """Take bytes as they came.

        Returns:
          what the peer said, once it is here; or work that will tell; or None if bytes are
          missing.  What follows the request is ignored.

        Raises:
          StreamError: it breaks the protocol.
        """
        assert self._ladder is not None, "a stream carries one request, which was read already"
        self._started = self._started or bool(data)
        try:
            for piece in _slices(data):
                self._buffer += piece
                next(self._ladder)
        except StopIteration as stop:
            self._ladder = None
            result: StreamRequest | Work = stop.value
            return result
        except StreamError:
            raise
        except RemoteProtocolError as error:
            raise StreamError(str(error)) from error
        return None

    def eof(self) -> None:
        """The peer ends the stream.

        Raises:
          StreamError: in the middle of what it was to say.
        """
        if self._started:
            raise StreamError("the stream ended early")

    def _climb(self, accept_side: bool) -> Generator[None, None, StreamRequest | Work]:
        codec, buffer = self._codec, self._buffer
        if accept_side:
            yield from self._label()
        while not buffer:
            yield
        if buffer[0] == MessageType.ENCRYPT:
            return (yield from self._frame())
        if codec.keyring and codec.verify_incoming:
            raise StreamError(
                "encryption is configured but remote state is not encrypted", reply=True
            )
        if buffer[0] == MessageType.COMPRESS:
            return (yield from self._compressed())
        body = _Body()
        while (request := body.feed(bytes(buffer))) is None:
            buffer.clear()
            yield
        return request

    def _label(self) -> Generator[None, None, None]:
        codec, buffer = self._codec, self._buffer
        while not buffer:
            yield
        label = b""
        if buffer[0] == LABEL_BYTE:
            while len(buffer) < 2 or len(buffer) < 2 + buffer[1]:
                yield
            end = 2 + buffer[1]
            label, _ = take_label(bytes(buffer[:end]))
            del buffer[:end]
        check_label(label, codec.label, skip=codec.skip_inbound_label_check)

    def _frame(self) -> Generator[None, None, StreamRequest | Work]:
        codec, buffer = self._codec, self._buffer
        if not codec.keyring:
            raise StreamError(
                "remote state is encrypted and encryption is not configured", reply=True
            )
        while len(buffer) < FRAME_HEADER:
            yield
        length = int.from_bytes(buffer[1:FRAME_HEADER], "big")
        if length > MAX_FRAME:
            raise StreamError(f"a frame of {length} bytes is too long", reply=True)
        while len(buffer) < FRAME_HEADER + length:
            yield
        header = bytes(buffer[:FRAME_HEADER])
        encrypted = bytes(buffer[FRAME_HEADER : FRAME_HEADER + length])
        buffer.clear()
        # Decrypting is twenty times as fast as parsing.
        return _now_or_later(length // 20, True, _open_frame, header, encrypted, codec)

    def _compressed(self) -> Generator[None, None, StreamRequest | Work]:
        buffer = self._buffer
        reader = ValueReader(MAX_STREAM_COMPRESSED)
        del buffer[0]
        try:
            while True:
                reader.feed(bytes(buffer))
                buffer.clear()
                value = reader.take_value()
                if value is not None:
                    envelope = from_value(Compressed, value[0])
                    break
                yield
        except RemoteProtocolError as error:
            raise StreamError(str(error), reply=True) from error
        return _now_or_later(_weight(envelope), True, _inflate, envelope, self._codec)


# --- what can be done in a thread ---------------------------------------------------------


def _now_or_later(
    weight: int,
    inline: bool,
    step: Callable[Concatenate[bool, P], StreamRequest | Work],
    *args: P.args,
    **kwargs: P.kwargs,
) -> StreamRequest | Work:
    """The result of a step and of all that follow; or, if the step is heavy, work for a thread.

    Args:
      weight: plain bytes that take as long to parse.
      inline: whether this runs between other tasks; else in a thread already.
      step: called with ``inline`` and ``args``.
    """
    if not inline or weight <= THREAD_THRESHOLD:
        return step(inline, *args, **kwargs)

    def run() -> StreamRequest:
        result = step(False, *args, **kwargs)
        assert not isinstance(result, Work), "in a thread, nothing is put off"
        return result

    return Work(run, weight)


def _open_frame(
    inline: bool, header: bytes, encrypted: bytes, codec: StreamCodec
) -> StreamRequest | Work:
    assert codec.keyring is not None, "checked before the frame was read"
    aad = header + codec.label
    try:
        plain = decrypt(encrypted, keyring=codec.keyring, aad=aad, accept_v0=codec.accept_v0)
        if not plain:
            raise RemoteProtocolError("an encrypted frame of nothing")
        if plain[0] != MessageType.COMPRESS:
            return _now_or_later(len(plain), inline, _read_whole, plain)
        envelope = decode(Compressed, plain[1:])
    except RemoteProtocolError as error:
        raise _owed(error) from error
    return _now_or_later(_weight(envelope), inline, _inflate, envelope, codec)


def _inflate(inline: bool, envelope: Compressed, codec: StreamCodec) -> StreamRequest | Work:
    try:
        plain = open_envelope(envelope, codec.max_output)
        if not plain:
            raise RemoteProtocolError("a compressed frame of nothing")
    except RemoteProtocolError as error:
        raise _owed(error) from error
    return _now_or_later(len(plain), inline, _read_whole, plain)


def _read_whole(_inline: bool, plain: bytes) -> StreamRequest | Work:
    try:
        request = _Body().feed(plain)
    except RemoteProtocolError as error:
        raise StreamError(str(error)) from error
    if request is None:
        raise StreamError("a frame is cut short inside")
    return request


def _weight(envelope: Compressed) -> int:
    return COMPRESSED_WEIGHT * len(envelope.buffer or b"")


def _owed(error: RemoteProtocolError) -> StreamError:
    """The peer is told of what fails down to here, as in Go."""
    return error if isinstance(error, StreamError) else StreamError(str(error), reply=True)


def _slices(data: bytes) -> Iterator[bytes]:
    """``data`` in slices that are parsed in one go; at least one."""
    if len(data) <= SLICE:
        yield data
    else:
        for start in range(0, len(data), SLICE):
            yield data[start : start + SLICE]


# --- inside the frame ---------------------------------------------------------------------


@final
class _Body:
    """Reads type byte and body."""

    def __init__(self) -> None:
        self._reader = ValueReader(MAX_STREAM_VALUE + SLICE)
        self._steps = self._read()

    def feed(self, data: bytes) -> StreamRequest | None:
        """Take bytes; the request, once it is complete.

        Raises:
          RemoteProtocolError: it breaks the protocol.
        """
        try:
            for piece in _slices(data):
                self._reader.feed(piece)
                next(self._steps)
        except StopIteration as stop:
            request: StreamRequest = stop.value
            return request
        return None

    def _read(self) -> Generator[None, None, StreamRequest]:
        kind = (yield from self._bytes(1))[0]
        match kind:
            case MessageType.PING:
                return (yield from self._struct(Ping))
            case MessageType.ACK:
                return (yield from self._struct(Ack))
            case MessageType.ERROR:
                return (yield from self._struct(ErrorReply))
            case MessageType.USER:
                length = (yield from self._struct(UserMessageHeader)).length
                if not 0 <= length <= MAX_USER_MESSAGE:
                    raise RemoteProtocolError(f"a user message of {length} bytes")
                return UserMessageStream((yield from self._bytes(length)))
            case MessageType.PUSH_PULL:
                return (yield from self._push_pull())
        raise RemoteProtocolError(f"message type {kind} on a stream")

    def _push_pull(self) -> Generator[None, None, PushPullState]:
        header = yield from self._struct(PushPullHeader)
        if not 0 <= header.nodes <= MAX_NODES:
            raise RemoteProtocolError(f"a push/pull of {header.nodes} nodes")
        if not 0 <= header.user_state_len <= MAX_USER_STATE:
            raise RemoteProtocolError(f"user state of {header.user_state_len} bytes")
        reader, records = self._reader, list[NodeRecord]()
        start = reader.taken
        for count in range(1, header.nodes + 1):
            while (value := reader.take_value()) is None:
                yield
            records.append(from_value(NodeRecord, value[0]))
            size = reader.taken - start
            if size > MAX_RECORDS:
                raise RemoteProtocolError(f"node records of more than {MAX_RECORDS} bytes")
            if count > FREE_RECORDS and size < LEAST_RECORD * count:
                raise RemoteProtocolError(f"{count} node records in only {size} bytes")
        state = yield from self._bytes(header.user_state_len)
        return PushPullState(header.join, tuple(records), state)

    def _struct(self, cls: type[T]) -> Generator[None, None, T]:
        while (value := self._reader.take_value()) is None:
            yield
        return from_value(cls, value[0])

    def _bytes(self, count: int) -> Generator[None, None, bytes]:
        data = bytearray()
        while True:
            data += self._reader.take_bytes(count - len(data))
            if len(data) == count:
                return bytes(data)
            yield
