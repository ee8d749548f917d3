"""JSON as Go reads it, with Go's words for what is none.

Files are read by the standard library's parser once they have passed here: it takes the same
values, and says other things about what it refuses.

Source: golang/go, encoding/json/scanner.go (the states, and the texts of the errors), stream.go
(Decoder.readValue: only the first value of a file is looked at), decode.go (UnmarshalTypeError).
"""

from __future__ import annotations

import json
from typing import Any, Final

_SPACE: Final = b" \t\r\n"
_MAX_DEPTH: Final = 10_000
_LITERALS: Final = {b"t": b"true", b"f": b"false", b"n": b"null"}
_DIGITS: Final = b"0123456789"
_HEX: Final = b"0123456789abcdefABCDEF"
_VALUE: Final = "looking for beginning of value"
_KEY: Final = "looking for beginning of object key string"


class _End(Exception):
    """The bytes end inside a value."""


class _Scanner:
    """Goes over one value, as far as it is JSON."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def skip_space(self) -> None:
        while self.position < len(self._data) and self._data[self.position] in _SPACE:
            self.position += 1

    def refuse(self, where: str) -> ValueError:
        """What is wrong with the next byte."""
        return ValueError(f"invalid character {_quoted(self._data[self.position])} {where}")

    def _peek(self) -> bytes:
        if self.position >= len(self._data):
            raise _End
        return self._data[self.position : self.position + 1]

    def _next(self) -> bytes:
        self.skip_space()
        return self._peek()

    def value(self) -> None:
        """One value; without recursion, for it may be deep."""
        open_ones: list[bytes] = []
        while True:
            opened = self._scalar_or_opening()
            if opened:
                open_ones.append(opened)
                if len(open_ones) > _MAX_DEPTH:
                    self.position -= 1
                    raise self.refuse("exceeded max depth")
                closing = b"}" if opened == b"{" else b"]"
                if self._next() != closing:
                    if opened == b"{":
                        self._key()
                    continue
            elif not open_ones:
                return
            if not self._ended(open_ones, just_opened=bool(opened)):
                return

    def _ended(self, open_ones: list[bytes], *, just_opened: bool) -> bool:
        """Close what ends here; whether a further value must follow."""
        while open_ones:
            in_object = open_ones[-1] == b"{"
            char = self._next()
            if char == (b"}" if in_object else b"]"):
                self.position += 1
                open_ones.pop()
                just_opened = False
                continue
            if char != b"," or just_opened:
                pair = "after object key:value pair"
                raise self.refuse(pair if in_object else "after array element")
            self.position += 1
            if in_object:
                self._key()
            return True
        return False

    def _key(self) -> None:
        if self._next() != b'"':
            raise self.refuse(_KEY)
        self._string()
        if self._next() != b":":
            raise self.refuse("after object key")
        self.position += 1

    def _scalar_or_opening(self) -> bytes:
        """Go over a scalar, or return what is opened."""
        char = self._next()
        if char in (b"{", b"["):
            self.position += 1
            return char
        if char == b'"':
            self._string()
        elif char == b"-" or char in _DIGITS:
            self._number(char)
        elif char in _LITERALS:
            self._literal(_LITERALS[char])
        else:
            raise self.refuse(_VALUE)
        return b""

    def _literal(self, word: bytes) -> None:
        for expected in word:
            if self._peek()[0] != expected:
                raise self.refuse(f"in literal {word.decode()} (expecting {_quoted(expected)})")
            self.position += 1

    def _string(self) -> None:
        self.position += 1
        while (char := self._peek()) != b'"':
            if char < b" ":
                raise self.refuse("in string literal")
            self.position += 1
            if char == b"\\":
                self._escape()
        self.position += 1

    def _escape(self) -> None:
        char = self._peek()
        if char not in b'bfnrt\\/"u':
            raise self.refuse("in string escape code")
        self.position += 1
        if char == b"u":
            for _ in range(4):
                if self._peek() not in _HEX:
                    raise self.refuse("in \\u hexadecimal character escape")
                self.position += 1

    def _number(self, char: bytes) -> None:
        if char == b"-":
            self.position += 1
            char = self._a_digit("in numeric literal")
        self.position += 1
        if char != b"0":
            self._digits()
        if self._follows(b"."):
            self._a_digit("after decimal point in numeric literal")
            self._digits()
        if self._follows(b"eE"):
            self._follows(b"+-")
            self._a_digit("in exponent of numeric literal")
            self._digits()

    def _a_digit(self, where: str) -> bytes:
        char = self._peek()
        if char not in _DIGITS:
            raise self.refuse(where)
        return char

    def _digits(self) -> None:
        while self._follows(_DIGITS):
            pass

    def _follows(self, chars: bytes) -> bool:
        """Whether one of these comes next, which is then gone over."""
        found = self.position < len(self._data) and self._data[self.position] in chars
        self.position += found
        return found


def _quoted(byte: int) -> str:
    """Go's ``quoteChar``: a byte is shown as the character of this number."""
    from .go_text import quote

    char = chr(byte)
    if char == "'":
        return "'\\''"
    return f"'{char}'" if char == '"' else f"'{quote(char)[1:-1]}'"


def first_json_value(data: bytes) -> Any:
    """The first value of a file; what follows it is not looked at, as by Go's ``Decoder``.

    Raises:
      ValueError: there is none; in Go's words.
    """
    scanner = _Scanner(data)
    scanner.skip_space()
    if scanner.position == len(data):
        raise ValueError("EOF")
    try:
        scanner.value()
    except _End:
        raise ValueError("unexpected EOF") from None
    return _parsed(data[: scanner.position])


def whole_json_value(data: bytes) -> Any:
    """The value that a file is, as by Go's ``Unmarshal``.

    Raises:
      ValueError: it is none; in Go's words.
    """
    scanner = _Scanner(data + b" ")  # as Go does, which then complains of a blank
    try:
        scanner.value()
    except _End:
        raise ValueError("unexpected end of JSON input") from None
    scanner.skip_space()
    if scanner.position <= len(data):
        raise scanner.refuse("after top-level value")
    return _parsed(data)


def _parsed(data: bytes) -> Any:
    try:
        # Go replaces what is no UTF-8.
        value: Any = _DECODER.decode(data.decode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    return value


_DECODER: Final = json.JSONDecoder(
    # Go has floats alone; a whole number is kept whole, for it is the usual one.
    parse_int=lambda digits: int(digits) if len(digits) < 20 else float(digits),
)


def wrong_type(value: object, wanted: str) -> ValueError:
    """That a value does not fit into a Go type, as ``Unmarshal`` says it."""
    kinds = {bool: "bool", str: "string", list: "array", dict: "object"}
    kind = kinds.get(type(value), "number")
    return ValueError(f"json: cannot unmarshal {kind} into Go value of type {wanted}")


def go_text_of(value: str) -> str:
    """A text from JSON, with what is no text replaced as Go replaces it: half a surrogate pair."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
