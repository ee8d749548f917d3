"""Lengths of time as Go writes them: ``300ms``, ``1.5s``, ``1h30m``, ``-2s``.

Source: golang/go, time/time.go and time/format.go, ParseDuration and Duration.String.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""Nanoseconds in each unit."""
MAX_NANOSECONDS: Final = 2**63 - 1
_DIGITS: Final = "0123456789"


def parse_duration(text: str) -> float:
    """Seconds.

    Raises:
      ValueError: in Go's words.
    """
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0.0
    if not unsigned:
        raise _invalid(text)
    total, rest = 0, unsigned
    while rest:
        whole, rest = _split(rest, _DIGITS)
        digits = ""
        if rest[:1] == ".":
            digits, rest = _split(rest[1:], _DIGITS)
        if not whole and not digits:
            raise _invalid(text)
        unit, rest = _split(rest, _DIGITS + ".", inside=False)
        if not unit:
            raise ValueError(f"time: missing unit in duration {_quote(text)}")
        size = _UNITS.get(unit)
        if size is None:
            raise ValueError(f"time: unknown unit {_quote(unit)} in duration {_quote(text)}")
        if len(whole) > 19:  # more than 2**63 whatever the unit is
            raise _invalid(text)
        total += int(whole or "0") * size
        if digits:
            digits = digits[:18]  # below a nanosecond of an hour
            total += int(digits) * size // 10 ** len(digits)
        if total > MAX_NANOSECONDS:
            raise _invalid(text)
    return (-total if text[0] == "-" else total) / 1e9


def _split(text: str, chars: str, *, inside: bool = True) -> tuple[str, str]:
    """The beginning of a text that has these characters alone (or none of them), and the rest."""
    end = next((place for place, char in enumerate(text) if (char in chars) != inside), len(text))
    return text[:end], text[end:]


def format_duration(seconds: float) -> str:
    """As Go prints it: ``1h30m0s``, ``1.5s``, ``300ms``, ``0s``."""
    nanoseconds = round(seconds * 1e9)
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest == 0:
        return "0s"
    if rest < 1_000_000_000:
        unit = next(unit for unit in ("ms", "µs", "ns") if rest >= _UNITS[unit])
        return f"{sign}{_decimal(rest, _UNITS[unit])}{unit}"
    minutes, rest = divmod(rest, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, _UNITS['s'])}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else f"{sign}{text}"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}"


def _invalid(text: str) -> ValueError:
    return ValueError(f"time: invalid duration {_quote(text)}")


def _quote(text: str) -> str:
    """Quoted as the time package does it: what is not printable ASCII byte by byte."""
    parts = []
    for byte in text.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        if char in '"\\':
            parts.append("\\" + char)
        else:
            parts.append(char if 0x20 <= byte < 0x80 else f"\\x{byte:02x}")
    return f'"{"".join(parts)}"'
