"""Names, keys, addresses and ports as text, the same everywhere.

A name in Go is bytes.  Here it is ``str`` with ``surrogateescape``, which is reversible.  A key
is standard base64, as ``serf keygen`` prints it; how long it must be is not known here, since a
key operation carries any key, and each node that is asked replies whether it accepts it.

Source: hashicorp/serf v0.9.4, cmd/serf/command/keygen.go; serf/keymanager.go.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final


def text(raw: bytes) -> str:
    """Bytes from the wire as a string; reversible for any bytes."""
    return raw.decode("utf-8", "surrogateescape")


def raw_text(string: str) -> bytes:
    """A string as the bytes it has on the wire."""
    return string.encode("utf-8", "surrogateescape")


PRINTED: Final = 200
"""Characters of one text of a peer that are printed; no address and few names are longer."""


def printable(string: object, limit: int = PRINTED) -> str:
    """A text that a peer gave, on one line: cut, and without anything that rules a terminal.

    What is not printable is written as an escape: control characters, line ends, marks of
    direction, and the bytes that are not UTF-8.
    """
    shown = str(string)
    if len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    if shown.isprintable():
        return shown
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in shown
    )


def short_repr(value: object, limit: int = PRINTED) -> str:
    """What a caller gave, for the text of an error: its ``repr``, cut."""
    shown = repr(value)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def is_short_ipv4(host: str) -> bool:
    """Whether the C library would take this host for an IPv4 address, though it is none.

    To it ``10.1`` is 10.0.0.1, ``1.2.3`` is 1.2.0.3 and ``0x7f000001`` is loopback.  Go takes
    them for names, which nobody has: a slip of the pen must not lead to somebody else's host.
    """
    parts = host.lower().split(".")
    if len(parts) == 4 and all(part.isdigit() and str(int(part[:4])) == part for part in parts):
        return any(int(part) > 255 for part in parts)
    return len(parts) <= 4 and all(
        part.isascii()
        and (part.isdigit() or (part[:2] == "0x" and not part[2:].strip("0123456789abcdef")))
        for part in parts
    )


def payload_text(payload: bytes) -> str:
    """A payload for the eye: text where it is text, at most 60 characters of it."""
    shown = printable(payload[:240].decode("utf-8", "backslashreplace"), 1000)
    if len(payload) <= 240 and len(shown) <= 60:
        return f'"{shown}"'
    return f'"{shown[:48]}…" ({len(payload)} bytes)'


def tags_text(tags: Mapping[str, str]) -> str:
    """Tags as the command line writes them: ``name=value``, in order, with commas."""
    return ",".join(f"{name}={value}" for name, value in sorted(tags.items()))


def host_and_port(host: object, port: int) -> str:
    """``host:port``, with brackets around an IPv6 address."""
    name = str(host)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def port_from_text(digits: str) -> int:
    """A port number.

    Raises:
      ValueError: not digits, or more than 65535.
    """
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20 or int(digits) > 65535:
        raise ValueError(f"{digits!r}: expected a port from 0 to 65535")
    return int(digits)


def key_from_text(encoded: str) -> bytes:
    """The raw key.

    Raises:
      ValueError: not standard base64.  A caller that reports it must not show the text.
    """
    import base64  # of few programs, and not quick to load

    raw = base64.b64decode(encoded, validate=True)
    if len(key_to_text(raw)) != len(encoded):
        raise ValueError("more padding than belongs there")
    return raw


def key_to_text(key: bytes) -> str:
    """The text of a raw key."""
    import base64

    return base64.b64encode(key).decode("ascii")
