"""LZW a bit at a time, to compare with: plain, slow, and obviously the format."""

from __future__ import annotations

from collections.abc import Iterable


class Refused(Exception):
    """No such stream."""


class Table:
    """What writer and reader keep in step: strings, width, and the code before."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.width, self.next, self.top = 9, 257, 512
        self.previous: bytes | None = None
        self.strings: dict[int, bytes] = {}

    def read(self, code: int) -> bytes:
        """The string of a code that is neither clear nor end; moves on."""
        if code < 256:
            string = bytes((code,))
        elif code == self.next and self.previous is not None:
            string = self.previous + self.previous[:1]
        elif code in self.strings:
            string = self.strings[code]
        else:
            raise Refused(f"code {code}")
        if self.previous is not None:
            self.strings[self.next] = self.previous + string[:1]
        self.previous = string
        self.next += 1
        if self.next >= self.top:
            if self.width == 12:
                self.previous = None
                self.next -= 1
            else:
                self.width += 1
                self.top *= 2
        return string


NEXT = -1
"""For `pack`: the code of the string that is entered along with it."""


def pack(codes: Iterable[int]) -> bytes:
    """A stream of any codes, each cut to the width that a reader expects."""
    table, bits, count = Table(), 0, 0
    for code in codes:
        code = table.next if code == NEXT else code
        code &= (1 << table.width) - 1
        bits |= code << count
        count += table.width
        if code == 256:
            table.clear()
        elif code != 257:
            try:
                table.read(code)
            except Refused:
                break
    return bits.to_bytes((count + 7) // 8, "little")


def decompress(data: bytes) -> bytes:
    """The text of a stream."""
    table, out, position = Table(), bytearray(), 0
    bits = int.from_bytes(data, "little")
    while True:
        if position + table.width > 8 * len(data):
            raise Refused("no end")
        code = bits >> position & (1 << table.width) - 1
        position += table.width
        if code == 256:
            table.clear()
        elif code == 257:
            return bytes(out)
        else:
            out += table.read(code)
