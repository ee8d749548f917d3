"""msgpack in go-msgpack's dialect, for plain values.

Written: strings and bytes in the old raw forms only, integers in their shortest form, without
regard to sign.  Read: everything; strings come as bytes, from each of their forms.

Memory: ``msgpack.unpackb`` makes a list as long as its header claims before it reads the
first element, and it nests a thousand deep, so a few kilobytes of nested headers could ask
for gigabytes.  The claims are therefore added up first, see `_check_claims`.

Source: hashicorp/go-msgpack v0.5.5, codec/msgpack.go.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, final

import msgpack  # type: ignore[import-untyped]

from .._exceptions import LocalProtocolError, RemoteProtocolError
from .limits import (
    FEW_CONTAINERS,
    LARGE_VALUE,
    MANY_CONTAINERS,
    MANY_VALUES,
    MAX_ARRAY,
    MAX_CLAIMS,
    MAX_MAP,
    MAX_NESTING,
    SMALL_INPUT,
    WIDE_HEADERS,
)


def pack_value(value: Any) -> bytes:
    """Plain values (None, bool, int, float, str, bytes, lists, dicts) as bytes.

    Raises:
      LocalProtocolError: something else is among them, or an integer needs over 64 bits.
    """
    # A packer is kept, because making one takes three times as long as using it.  A call has it
    # for itself, whatever other threads do; one that failed or has grown large is not kept.
    try:
        packer = _packers.pop()
    except IndexError:
        packer = msgpack.Packer(use_bin_type=False)
    data: bytes
    try:
        try:
            data = packer.pack(value)
        except UnicodeEncodeError:  # a name that is not UTF-8
            return _pack_any_text(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise LocalProtocolError(f"cannot be packed: {error}") from error
    if len(data) <= _SMALL:
        _packers.append(packer)
    return data


def unpack_value(data: bytes, max_values: int = MANY_VALUES) -> Any:
    """The plain value at the start of ``data``; strings come as bytes.

    Args:
      data: the value, and what follows it.
      max_values: refuse a value that has more inside.  Kept only where it matters: input that
        is large or may have many containers.

    Raises:
      RemoteProtocolError: not msgpack, cut short, or beyond the limits.
    """
    if len(data) > SMALL_INPUT:
        _check_claims(data, max_values)
    try:
        return _unpack(data)
    except msgpack.ExtraData as trailing:
        return trailing.unpacked
    except _BAD_INPUT as error:
        raise RemoteProtocolError(f"msgpack: {error}") from error


def unpack_prefix(data: bytes, offset: int = 0, max_values: int = MANY_VALUES) -> tuple[Any, int]:
    """The plain value at ``offset``, and the offset behind it.

    Raises:
      RemoteProtocolError: as `unpack_value`.
    """
    rest = data[offset:] if offset else data
    if len(rest) > SMALL_INPUT:
        _check_claims(rest, max_values)
    try:
        return _unpack(rest), len(data)
    except msgpack.ExtraData as trailing:
        return trailing.unpacked, len(data) - len(trailing.extra)
    except _BAD_INPUT as error:
        raise RemoteProtocolError(f"msgpack: {error}") from error


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
            max_array_len=min(MAX_ARRAY, max_size),
            max_map_len=min(MAX_MAP, max_size),
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
        except _BAD_INPUT as error:
            raise RemoteProtocolError(f"msgpack: {error}") from error


_SMALL: Final = 4096
"""Bytes; a packer that wrote more is thrown away with its buffer."""
_packers: Final[list[Any]] = []
"""Packers that are not in use; asking first whether there is one would let two threads take it."""
_pack_any_text: Callable[[Any], bytes] = partial(
    msgpack.packb, use_bin_type=False, unicode_errors="surrogateescape"
)


_unpack: Callable[[bytes], Any] = partial(msgpack.unpackb, raw=True, strict_map_key=False)
_BAD_INPUT = (ValueError, TypeError, OverflowError, msgpack.UnpackException)
"""What ``unpackb`` raises; ``TypeError`` is for a container as the key of a map."""


# --- claims -------------------------------------------------------------------------------

_WIDE_HEADERS = (0xDC, 0xDD, 0xDE, 0xDF)
"""array 16, array 32, map 16, map 32."""
_CONTAINERS = bytes((*range(0x80, 0xA0), *_WIDE_HEADERS))
"""The same, and the headers of maps and arrays of up to 15."""


def count_containers(data: bytes) -> int:
    """How many containers a value may have at most: bytes that look like a header of one."""
    return len(data) - len(data.translate(None, _CONTAINERS))


def _check_claims(data: bytes, max_values: int) -> None:
    """Refuse bytes that would make ``unpackb`` allocate or work out of proportion.

    The quick test is an upper bound: only wide headers can claim much, and none claims more
    than there are bytes.  And only containers cost more to make than to walk over: half a
    microsecond each.  Where a bound is too high (odd or large input), the value is walked
    header by header, which costs about a quarter of a microsecond for each; what is long
    because of its texts has few.
    """
    wide = sum(map(data.count, _WIDE_HEADERS))
    if wide > WIDE_HEADERS or wide * len(data) > MAX_CLAIMS or _may_be_costly(data, max_values):
        _walk(data, max_values)


def _may_be_costly(data: bytes, max_values: int) -> bool:
    if max_values >= MANY_VALUES:
        return len(data) > MANY_CONTAINERS and count_containers(data) > MANY_CONTAINERS
    return len(data) > LARGE_VALUE or count_containers(data) > FEW_CONTAINERS


def _walk(data: bytes, max_values: int) -> None:
    """Step over one value and everything inside; refuse depth, excess and lack of bytes."""
    size = len(data)
    offset = 0
    open_containers: list[int] = []
    left = 1  # values still to come in the innermost container
    for _ in range(max_values):
        if offset >= size:
            raise RemoteProtocolError("msgpack: cut short")
        left -= 1
        inner, offset = _step(data, offset)
        if inner:
            if len(open_containers) >= MAX_NESTING:
                raise RemoteProtocolError(f"msgpack: nested deeper than {MAX_NESTING}")
            if inner > size - offset:  # each value inside needs a byte
                raise RemoteProtocolError("msgpack: a container claims more than there is")
            open_containers.append(left)
            left = inner
        while left == 0:
            if not open_containers:
                return
            left = open_containers.pop()
    raise RemoteProtocolError(f"msgpack: more than {max_values} values")


def _step(data: bytes, offset: int) -> tuple[int, int]:
    """For the value at ``offset``: how many values are inside, and where its bytes end.

    Bytes of a length that is cut short are read as a smaller length; the offset is then
    past the end, which the caller notices.
    """
    head = data[offset]
    offset += 1
    if head < 0x80 or head >= 0xE0:
        return 0, offset
    if head < 0x90:
        return 2 * (head & 0x0F), offset
    if head < 0xA0:
        return head & 0x0F, offset
    if head < 0xC0:
        return 0, offset + (head & 0x1F)
    width, extra, per_item = _WIDTHS[head - 0xC0]
    if not width:
        return 0, offset + extra
    end = offset + width
    length = int.from_bytes(data[offset:end], "big")
    if per_item:
        return per_item * length, end
    return 0, end + extra + length


def _widths() -> tuple[tuple[int, int, int], ...]:
    """For heads c0 … df: bytes of length, further fixed bytes, values per unit of length."""
    table = dict.fromkeys(range(0xC0, 0xE0), (0, 0, 0))  # nil, false, true and c1 stay so
    for head, width in ((0xC4, 1), (0xC5, 2), (0xC6, 4), (0xD9, 1), (0xDA, 2), (0xDB, 4)):
        table[head] = (width, 0, 0)  # bin, str
    for head, width in ((0xC7, 1), (0xC8, 2), (0xC9, 4)):
        table[head] = (width, 1, 0)  # ext
    for head, fixed in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):
        table[head] = (0, fixed, 0)  # float, uint, int
    for head, fixed in zip(range(0xD4, 0xD9), (2, 3, 5, 9, 17), strict=True):
        table[head] = (0, fixed, 0)  # fixext
    for head, width, per_item in ((0xDC, 2, 1), (0xDD, 4, 1), (0xDE, 2, 2), (0xDF, 4, 2)):
        table[head] = (width, 0, per_item)
    return tuple(table[head] for head in range(0xC0, 0xE0))


_WIDTHS = _widths()
