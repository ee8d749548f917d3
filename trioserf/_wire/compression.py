"""Compressed messages: an envelope around LZW, as Go's ``compress/lzw`` writes it.

    09 || {Algo: 0, Buf: LZW stream}

The stream is least significant bit first, with 8-bit literals.  The code numbers: 0 to 255 are
literal bytes, 256 clears the table, 257 ends the stream, 258 to 4095 are strings seen before.
Codes follow each other without gaps, 9 bits wide after a clear and growing to 12 with the number
of codes since that clear (the *place* of a code):

    places 0-254: 9 bits    255-766: 10    767-1790: 11    from 1791: 12

Go's encoder begins with a clear, and clears again at place 3838.  A decoder needs neither:
with all 4096 entries taken the table simply stays as it is.

Python is slow a bit at a time, so codes are unpacked and packed 256 at once: the fields of
one long integer are moved apart to 16 bits each (or together), half of them, then a quarter
of them, and so on, by one mask and one shift for all.  What remains in Python is one turn of
a small loop for each code when reading, for each byte when writing.

DIFFERS: Go takes any number of clears.  Each costs the reader a hundred times what it costs the
sender, so a stream may have only so many; Go's encoder writes one in 3838 codes
(test_a_stream_of_nothing_but_clears_is_refused).

Source: Go 1.21 standard library, compress/lzw/reader.go, writer.go; hashicorp/memberlist v0.2.2,
util.go: compressPayload, decompressPayload.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from itertools import pairwise
from operator import length_hint
from typing import Any, Final, TypeAlias

from .._exceptions import RemoteProtocolError
from .codec import decode, encode
from .limits import LZW_BYTES_PER_CLEAR, LZW_CLEARS
from .messages import TYPE_BYTES, Compressed, MessageType

_CLEAR: Final = 256
_END: Final = 257
_FIRST: Final = 258
_FULL: Final = 4096
_CODES_PER_BLOCK: Final = 3838
"""After so many codes Go's encoder clears the table."""
_PIECES: Final = 65536
"""Pieces of text are joined before there are more of them."""
_JOINED: Final = 1 << 20
"""Bytes of text that are joined at once: both forms of it are in memory for a moment."""

_BATCH: Final = 256
"""Codes moved at once: the log of it is paid in work, the whole of it in waste at the end."""
_FEW: Final = 64
"""So many codes are put together one by one sooner than in a batch."""
_SHORTS: Final = struct.Struct(f"<{_BATCH}H")
_LITERALS: Final = tuple(bytes((byte,)) for byte in range(256))


Pause: TypeAlias = Callable[[], object]
"""Lets others run, where this is done in a thread: called every half a millisecond or so."""
_PAUSE_EVERY: Final = 1 << 12
"""Bytes between two pauses: of text when writing, of the stream when reading."""


class TextTooLong(RemoteProtocolError):
    """A stream that is well formed so far has a longer text than the caller allows."""


# --- moving bit fields --------------------------------------------------------------------


@cache
def _moves(width: int) -> tuple[tuple[int, int, int], ...]:
    """The steps from fields of ``width`` bits to fields of 16: (stay mask, move mask, shift).

    Before the step for ``half``, groups of ``2 * half`` narrow fields lie together, one group
    every ``32 * half`` bits.  The step moves the upper half of each group to its place.
    """
    steps = []
    half = _BATCH // 2
    while half:
        lower = (1 << width * half) - 1
        groups = _BATCH // (2 * half)
        stay = sum([lower << (32 * half * group) for group in range(groups)])
        steps.append((stay, stay << width * half, (16 - width) * half))
        half //= 2
    return tuple(steps)


def _spread(fields: int, width: int) -> tuple[int, ...]:
    """The 256 fields of ``width`` bits in an integer, lowest first."""
    for stay, move, shift in _moves(width):
        fields = fields & stay | (fields & move) << shift
    return _SHORTS.unpack(fields.to_bytes(2 * _BATCH, "little"))


def _gather(codes: Sequence[int], width: int) -> int:
    """Up to 256 codes as one integer of fields of ``width`` bits, the first one lowest."""
    if len(codes) <= _FEW:
        fields = 0
        for code in reversed(codes):
            fields = fields << width | code
        return fields
    if len(codes) < _BATCH:
        codes = [*codes, *[0] * (_BATCH - len(codes))]
    fields = int.from_bytes(_SHORTS.pack(*codes), "little")
    for stay, move, shift in reversed(_moves(width)):
        fields = fields & stay | fields >> shift & move
    return fields


# --- decoding -----------------------------------------------------------------------------


def _batch_size(table_size: int, started: bool) -> tuple[int, int]:
    """For the coming codes: their width, and how many at most can be read at once."""
    place = table_size - 257 if started else 0
    if place < 255:
        return 9, 255 - place
    if place < 767:
        return 10, min(_BATCH, 767 - place)
    if place < 1791:
        return 11, min(_BATCH, 1791 - place)
    return 12, min(_BATCH, (_FULL - table_size) or _BATCH)


def _codes_at(data: bytes, position: int, width: int, count: int) -> tuple[int, ...]:
    """Up to 256 codes of ``width`` bits, from bit ``position`` on."""
    start, offset = divmod(position, 8)
    bits = count * width
    raw = int.from_bytes(data[start : (position + bits + 7) // 8], "little") >> offset
    return _spread(raw & (1 << bits) - 1, width)[:count]


def decompress(data: bytes, max_output: int, pause: Pause | None = None) -> bytes:
    """The text of an LZW stream; bytes after its end code are ignored.

    Raises:
      RemoteProtocolError: an impossible code, no end code, or text of more than ``max_output``
        bytes.
    """
    clears_left = LZW_CLEARS + len(data) // LZW_BYTES_PER_CLEAR
    table: list[Any] = [*_LITERALS, None, None]
    previous: Any = None  # the string before, None after a clear
    text = BytesIO()  # gives its content away without a copy
    length = 0
    pieces: list[bytes] = []  # text, not joined yet
    emit, literals = pieces.append, _LITERALS
    # Lower bounds, without measuring the pieces: of what may still come, at all and until then.
    room = min(max_output, _JOINED)
    position, end, pauses = 0, 8 * len(data), _Pauses(pause)
    while True:
        pauses.at(position)
        width, count = _batch_size(len(table), previous is not None)
        count = min(count, (end - position) // width)
        if count <= 0:
            raise RemoteProtocolError("LZW stream has no end code")
        codes = iter(_codes_at(data, position, width, count))
        position += count * width
        add = table.append if len(table) < _FULL else _forget
        guessing = False
        while True:
            # Rare codes fail in the first loop before anything is changed: they find None or
            # nothing in the table.  After one that names the string to be entered with it that
            # string is entered before, and put right if need be: who sends many gains nothing.
            try:
                if not guessing:
                    for code in codes:
                        string = table[code]
                        add(previous + literals[string[0]])
                        emit(string)
                        previous = string
                for code in codes:
                    add(previous + previous[:1])
                    string = table[code]
                    table[-1] = previous + string[:1]
                    emit(string)
                    previous = string
            except (TypeError, IndexError):
                if guessing:
                    table.pop()
                    guessing = False
            else:
                break
            if code == _CLEAR:
                clears_left -= 1
                if clears_left < 0:
                    raise RemoteProtocolError("LZW stream clears its table too often")
                del table[_FIRST:]
                previous = None
                if width > 9:  # what is left of this batch was cut at the wrong width
                    position -= length_hint(codes) * width
                    break
            elif code == _END:
                return _whole(text, pieces, max_output)
            elif previous is None and code < _CLEAR:
                previous = table[code]
                emit(previous)
            elif previous is not None and code == len(table):
                previous += previous[:1]  # the string that is being entered just now
                add(previous)
                emit(previous)
                guessing = True
            else:
                raise RemoteProtocolError(f"LZW code {code} with {len(table)} in the table")
        room -= count * len(table)
        if room < 0 or len(pieces) > _PIECES:
            length += text.write(b"".join(pieces))
            pieces.clear()
            room = min(max_output - length, _JOINED)
            if room < 0:
                text.close()  # however long somebody keeps the exception and this frame
                del table[:]
                raise TextTooLong(f"LZW text is longer than {max_output} bytes")


class _Pauses:
    """Pauses of one who reads."""

    def __init__(self, pause: Pause | None) -> None:
        self._pause = pause
        self._next = 8 * _PAUSE_EVERY

    def at(self, position: int) -> None:
        """So many bits were read."""
        if self._pause is not None and position > self._next:
            self._next = position + 8 * _PAUSE_EVERY
            self._pause()


def _whole(text: BytesIO, pieces: list[bytes], max_output: int) -> bytes:
    """What is joined already, and the pieces behind it."""
    rest, length = b"".join(pieces), text.tell()
    if length + len(rest) > max_output:
        raise TextTooLong(f"LZW text is longer than {max_output} bytes")
    if not length:
        return rest
    text.write(rest)
    return text.getvalue()


def _forget(_string: bytes) -> None:
    """Add nothing: the table is full."""


# --- encoding -----------------------------------------------------------------------------


def compress(text: bytes, pause: Pause | None = None) -> bytes:
    """The LZW stream that Go's encoder makes of ``text``, byte for byte."""
    stream = compress_within(text, 2 * len(text) + 8, pause)
    assert stream is not None, "12 bits for each byte, clears and end need no more than this"
    return stream


def compress_within(text: bytes, limit: int, pause: Pause | None = None) -> bytes | None:
    """The stream, or None if it has more than ``limit`` bytes.

    Finding out that it is too long costs less than writing it.
    """
    stream = _BitStream()
    if not text:
        stream.write((_END,), 9)
        return stream.finish(limit)
    codes: list[int] = []
    emit = codes.append
    free = _FIRST
    # The strings of the table as a tree: for each code the bytes that may follow, with the codes
    # of those longer strings.  A dict of numbers alone is nothing to the collector of garbage,
    # whose passes hold up every thread; a tree of dicts in dicts would be.
    none: list[dict[int, int] | None] = [None] * min(_FULL, _FIRST + len(text))
    branches = none.copy()
    code = text[0]
    for start in range(1, len(text), _PAUSE_EVERY):
        if pause is not None and start > 1:
            pause()
        for byte in text[start : start + _PAUSE_EVERY]:
            branch = branches[code]
            if branch is None:
                branches[code] = {byte: free}
            elif byte in branch:
                code = branch[byte]
                continue
            else:
                branch[byte] = free
            emit(code)
            free += 1
            if free == _FULL:
                emit(_CLEAR)
                _write_block(stream, codes)
                codes.clear()
                branches = none.copy()
                free = _FIRST
            code = byte
    emit(code)
    if len(codes) == _CODES_PER_BLOCK:
        emit(_CLEAR)
        _write_block(stream, codes)
        codes.clear()
    emit(_END)
    if stream.size + 9 * len(codes) // 8 > limit:
        return None
    _write_block(stream, codes)
    return stream.finish(limit)


def _write_block(stream: _BitStream, codes: list[int]) -> None:
    """Write what stands between two clears, the second one included."""
    for width, begin, end in ((9, 0, 255), (10, 255, 767), (11, 767, 1791), (12, 1791, _FULL)):
        for at in range(begin, min(end, len(codes)), _BATCH):
            stream.write(codes[at : min(at + _BATCH, end)], width)


class _BitStream:
    """Fields of bits, one after the other, lowest bit first; it begins with a clear."""

    def __init__(self) -> None:
        self._bits, self._count = _CLEAR, 9
        self._whole = bytearray()

    def write(self, codes: Sequence[int], width: int) -> None:
        """Append up to 256 fields."""
        self._bits |= _gather(codes, width) << self._count
        whole, self._count = divmod(self._count + len(codes) * width, 8)
        self._whole += (self._bits & (1 << 8 * whole) - 1).to_bytes(whole, "little")
        self._bits >>= 8 * whole

    @property
    def size(self) -> int:
        """Whole bytes so far."""
        return len(self._whole)

    def finish(self, limit: int) -> bytes | None:
        """The stream, filled up with zero bits; None if it has more than ``limit`` bytes."""
        if self._count:
            self._whole.append(self._bits)
        return bytes(self._whole) if len(self._whole) <= limit else None


# --- the envelope -------------------------------------------------------------------------


LZW: Final = 0
"""The only algorithm."""
_WORTH_COMPRESSING: Final = 300
"""Longer messages (bytes) are compressed without estimating first."""
_ENVELOPE: Final = 13
"""Bytes of the shortest envelope."""


def compress_message(data: bytes, pause: Pause | None = None) -> bytes:
    """A message in its envelope, type byte first; it may well be longer than the message."""
    return _envelope(compress(data, pause))


def _envelope(stream: bytes) -> bytes:
    return TYPE_BYTES[MessageType.COMPRESS] + encode(Compressed(LZW, stream))


def decompress_message(body: bytes, max_output: int) -> bytes:
    """The message in the body of an envelope.

    Args:
      body: what follows the type byte.
      max_output: refuse a longer message (bytes).

    Raises:
      RemoteProtocolError: not such an envelope, an unknown algorithm, or as
        `decompress`.
    """
    return open_envelope(decode(Compressed, body), max_output)


def open_envelope(envelope: Compressed, max_output: int, pause: Pause | None = None) -> bytes:
    """The message in an envelope; arguments and errors as `decompress_message`."""
    if envelope.algorithm != LZW:
        raise RemoteProtocolError(f"compression algorithm {envelope.algorithm}")
    return decompress(envelope.buffer or b"", max_output, pause)


def compress_if_shorter(data: bytes) -> bytes:
    """A message in its envelope if that is shorter, else the message as it is."""
    size = len(data)
    if size < _WORTH_COMPRESSING and _least_size(data) >= size:
        return data
    stream = compress_within(data, size - _ENVELOPE)
    if stream is None:
        return data
    compressed = _envelope(stream)
    return compressed if len(compressed) < size else data


def _least_size(data: bytes) -> int:
    """A size that the compressed form of a short message cannot fall below.

    Where two bytes meet for the first time, no code can reach across, so there are more codes
    than different pairs of neighbours; each code has 9 bits, and so have clear and end.  For
    the usual ping this is a fifth of the work of finding out that it does not get shorter.
    """
    codes = len(set(pairwise(data))) + 1
    return _ENVELOPE + (9 * (codes + 2) + 7) // 8
