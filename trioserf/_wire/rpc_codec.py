"""msgpack objects of the agent's RPC protocol, out of a stream of bytes that may be hostile.

The protocol has no frames: one object follows the other, in both directions.  A Go agent reads
them with no limit at all; eleven bytes that announce a map of 2³¹−1 entries end it.  So the
headers of an object are walked here first, as they arrive, and nothing is built before all of
it is there and every length, the nesting and the number of values are within the limits.  What
is stored meanwhile is what arrived, never what was announced.

What a Go decoder accepts is accepted: nil for anything, any width of an integer, text or bytes
for either, a struct as an array in the order of its keys, unknown keys.  Texts are UTF-8 with
``surrogateescape``: old clients send any bytes as text.

This file needs msgpack and nothing else, so that a short-lived command starts at once.

Source: hashicorp/go-msgpack v0.5.5, codec; hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc.go.
"""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]

from .._exceptions import RemoteProtocolError
from .._text import text
from .limits import MAX_I64, MAX_U8, MAX_U16, MAX_U64, MIN_I64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final, TypeAlias

    Reader: TypeAlias = Callable[[Any], Any]
    """Checks one msgpack value and converts it; None becomes the zero value."""
    Fields: TypeAlias = Mapping[str, Reader]
    """A struct: Go's field names, in alphabetical order, which is the order of the array
    form."""

MAX_NESTING: Final = 32
"""Containers inside containers; the deepest body that is known has 3 levels."""
UNTRUSTED_SIZE: Final = 64 * 1024
"""Longest object of a client that has not authenticated (bytes)."""
UNTRUSTED_VALUES: Final = 1024
"""Most values inside such an object."""
REQUEST_SIZE: Final = 1024 * 1024
"""Longest object of a client that may ask (bytes); the largest legal request has 1,200."""
REQUEST_VALUES: Final = 32 * 1024
"""Most values inside such an object."""
REPLY_SIZE: Final = 256 * 1024 * 1024
"""Longest object that a client accepts of its agent (bytes): a million members."""
REPLY_VALUES: Final = 64 * 1024 * 1024
"""Most values inside such an object."""

_BAD_INPUT = (ValueError, TypeError, OverflowError, msgpack.UnpackException)
"""What ``unpackb`` raises; ``TypeError`` is for a container as the key of a map."""


def pack(value: Any) -> bytes:
    """One object in Go's form: texts as str, bytes as bin.  Keys stay in their order."""
    data: bytes = msgpack.packb(value, use_bin_type=True, unicode_errors="surrogateescape")
    return data


# --- out of a stream ----------------------------------------------------------------------


def _tables() -> tuple[bytes, bytes, bytes, bytes]:
    """For each first byte of a value: bytes of its length, further bytes that are fixed,
    values inside, and values for each unit of its length."""
    length, fixed, inside, per_unit = (bytearray(256) for _ in range(4))
    for head in range(0x80, 0x90):
        inside[head] = 2 * (head & 0x0F)
    for head in range(0x90, 0xA0):
        inside[head] = head & 0x0F
    for head in range(0xA0, 0xC0):
        fixed[head] = head & 0x1F
    for head, width in ((0xC4, 1), (0xC5, 2), (0xC6, 4), (0xD9, 1), (0xDA, 2), (0xDB, 4)):
        length[head] = width  # bin and str
    for head, width in ((0xC7, 1), (0xC8, 2), (0xC9, 4)):
        length[head], fixed[head] = width, 1  # ext
    for head, size in zip(range(0xCA, 0xD4), (4, 8, 1, 2, 4, 8, 1, 2, 4, 8), strict=True):
        fixed[head] = size  # floats and integers
    for head, size in zip(range(0xD4, 0xD9), (2, 3, 5, 9, 17), strict=True):
        fixed[head] = size  # fixext
    for head, width, units in ((0xDC, 2, 1), (0xDD, 4, 1), (0xDE, 2, 2), (0xDF, 4, 2)):
        length[head], per_unit[head] = width, units  # arrays and maps
    return bytes(length), bytes(fixed), bytes(inside), bytes(per_unit)


_LENGTH, _FIXED, _INSIDE, _PER_UNIT = _tables()


class ObjectReader:
    """Takes objects out of bytes that arrive in any pieces.

    After an error it must not be used any more.

    Args:
      max_size: longest object (bytes).
      max_values: most values in an object, itself and those inside containers.
    """

    __slots__ = ("_buffer", "_left", "_offset", "_open", "_values", "max_size", "max_values")

    def __init__(self, max_size: int, max_values: int) -> None:
        self.max_size = max_size
        self.max_values = max_values
        self._buffer = bytearray()
        self._restart()

    def _restart(self) -> None:
        self._offset = 0  # up to where the object was walked; may be past what is here
        self._left = 1  # values still to come in the innermost container
        self._open: list[int] = []  # the same for those around it
        self._values = 0

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray) -> None:
        """Add what arrived."""
        self._buffer += data

    def take(self) -> tuple[Any] | None:
        """The next object, in a tuple because it may be None; None if it is not here yet.

        Strings of any kind come as bytes.

        Raises:
          RemoteProtocolError: over a limit, or not msgpack.
        """
        self._walk()
        end = self._offset
        if self._left or end > len(self._buffer):
            return None
        data = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._restart()
        try:
            return (msgpack.unpackb(data, raw=True, strict_map_key=False),)
        except _BAD_INPUT as error:
            raise RemoteProtocolError(f"msgpack: {error}") from error

    def _walk(self) -> None:
        """Step over as many values as are here, and refuse what announces too much."""
        buffer, offset, left = self._buffer, self._offset, self._left
        size, open_containers = len(buffer), self._open
        while left and offset < size:
            head = buffer[offset]
            end = offset + 1 + _LENGTH[head]
            if end > size:
                break
            length = int.from_bytes(buffer[offset + 1 : end], "big") if end > offset + 1 else 0
            per_unit = _PER_UNIT[head]
            inside = _INSIDE[head] + per_unit * length
            end += _FIXED[head] + (0 if per_unit else length)
            self._values += 1
            if end + inside > self.max_size:  # a value needs at least one byte
                raise RemoteProtocolError(f"an object of more than {self.max_size} bytes")
            if self._values + inside > self.max_values:
                raise RemoteProtocolError(f"an object of more than {self.max_values} values")
            left -= 1
            if inside:
                if len(open_containers) >= MAX_NESTING:
                    raise RemoteProtocolError(f"nested deeper than {MAX_NESTING}")
                open_containers.append(left)
                left = inside
            while not left and open_containers:
                left = open_containers.pop()
            offset = end
        self._offset, self._left = offset, left


# --- values -------------------------------------------------------------------------------


def _wrong(expected: str, value: object) -> RemoteProtocolError:
    return RemoteProtocolError(f"expected {expected}, got {type(value).__name__}")


def read_text(value: Any) -> str:
    """Text; any bytes are kept by ``surrogateescape``."""
    if type(value) is bytes:
        return text(value)
    if value is None:
        return ""
    raise _wrong("a text", value)


def read_bytes(value: Any) -> bytes:
    """Bytes; a list of small integers and an empty map are taken as Go takes them."""
    if type(value) is bytes:
        return value
    if not value and type(value) in (type(None), dict):
        return b""
    if type(value) is list and all(type(item) is int and 0 <= item < 256 for item in value):
        return bytes(value)
    raise _wrong("bytes", value)


def read_bool(value: Any) -> bool:
    """A truth value."""
    if type(value) is bool:
        return value
    if value is None:
        return False
    raise _wrong("a bool", value)


def read_float(value: Any) -> float:
    """A number."""
    if type(value) in (float, int):
        return float(value)
    if value is None:
        return 0.0
    raise _wrong("a number", value)


def integer(low: int, high: int) -> Reader:
    """A reader of integers from ``low`` to ``high``."""

    def read(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        if value is None:
            return 0
        what = value if type(value) is int else type(value).__name__
        raise RemoteProtocolError(f"expected an integer from {low} to {high}, got {what}")

    return read


read_uint8 = integer(0, MAX_U8)
read_uint16 = integer(0, MAX_U16)
read_uint64 = integer(0, MAX_U64)
read_int32 = integer(-(1 << 31), (1 << 31) - 1)
read_int64 = integer(MIN_I64, MAX_I64)


def list_of(read: Reader) -> Reader:
    """A reader of lists; nil and an empty map are empty ones."""

    def read_list(value: Any) -> list[Any]:
        if type(value) is list:
            return [read(item) for item in value]
        if not value and type(value) in (type(None), dict):
            return []
        raise _wrong("a list", value)

    return read_list


def map_of(read: Reader) -> Reader:
    """A reader of maps from text."""

    def read_map(value: Any) -> dict[str, Any]:
        if type(value) is dict:
            return {read_text(key): read(item) for key, item in value.items()}
        if value is None:
            return {}
        raise _wrong("a map", value)

    return read_map


def struct(fields: Fields) -> Reader:
    """A reader of structs: see `read_fields`."""
    return lambda value: read_fields(fields, value)


def read_fields(
    fields: Fields, value: Any, missing: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All fields of a struct by name; what is missing has its zero value.

    Args:
      fields: name to reader, in alphabetical order.
      value: a map, an array of the values in that order, or None for a struct of zeros.
      missing: values of fields that are not there, instead of zeros.

    Raises:
      RemoteProtocolError: another type, or a field of one.
    """
    if type(value) is dict:
        by_name = {read_text(key): item for key, item in value.items()}
    elif type(value) is list:
        by_name = dict(zip(fields, value, strict=False))
    elif value is None:
        by_name, missing = {}, None
    else:
        raise _wrong("a map", value)
    found = {}
    for name, read in fields.items():
        if missing is not None and name not in by_name:
            found[name] = missing[name]
            continue
        try:
            found[name] = read(by_name.get(name))
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{name}: {error}") from None
    return found
