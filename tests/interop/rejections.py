"""Packets with which a firewall rejects others: a RST, or an ICMP message.

Source: RFC 9293, 3.5.2 (what a RST answers, and its numbers); RFC 792 and RFC 4443 (destination
unreachable); RFC 1812, 4.3.2.7 and RFC 4443, 2.4 (what no message may answer).
"""

from __future__ import annotations

import enum
import struct
from ipaddress import ip_address
from typing import NamedTuple

_TCP, _ICMP, _ICMP6 = 6, 1, 58
_HOPS = 64
_QUOTED = {4: 548, 6: 1232}
"""How much of the rejected packet a message contains at most (bytes)."""
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16


class Kind(enum.Enum):
    """What a firewall answers: ICMP type and code of IPv4, and of IPv6; nothing for a RST."""

    RESET = ()
    PORT_UNREACHABLE = ((3, 3), (1, 4))
    HOST_UNREACHABLE = ((3, 1), (1, 3))
    PROHIBITED = ((3, 13), (1, 1))


class Rejection(NamedTuple):
    """The answer to a packet that is not carried.

    Args:
      kind: what is answered.
      sender: the address of a router that answers; "" is the receiver of the packet itself, as
        where its own firewall does.  A RST comes from there always.
      delay: how long the answer takes (seconds).
    """

    kind: Kind
    sender: str = ""
    delay: float = 0.0

    def answer(self, raw: bytes) -> bytes | None:
        """The packet that goes back; None where nothing may be answered."""
        if self.kind is Kind.RESET:
            return _reset(raw)
        return _unreachable(raw, self.kind, self.sender)


def _parts(raw: bytes) -> tuple[int, bytes, bytes, int, bytes]:
    """Version of IP, source, target, protocol, and what the IP packet contains."""
    if raw[0] >> 4 == 4:
        return 4, raw[12:16], raw[16:20], raw[9], raw[4 * (raw[0] & 15) :]
    return 6, raw[8:24], raw[24:40], raw[6], raw[40:]


def _reset(raw: bytes) -> bytes | None:
    version, source, target, protocol, segment = _parts(raw)
    if protocol != _TCP:
        return None
    near, far, number, acknowledged, offset, flags = struct.unpack_from("!HHIIBB", segment)
    if flags & _RST:
        return None
    if flags & _ACK:
        numbers = acknowledged, 0, _RST
    else:
        length = len(segment) - 4 * (offset >> 4) + bool(flags & _SYN) + bool(flags & _FIN)
        numbers = 0, (number + length) % 2**32, _RST | _ACK
    header = struct.pack(
        "!HHIIBBHHH", far, near, numbers[0], numbers[1], 5 << 4, numbers[2], 0, 0, 0
    )
    return _packet(version, target, source, _TCP, header, checksum_at=16)


def _unreachable(raw: bytes, kind: Kind, sender: str) -> bytes | None:
    version, source, target, protocol, content = _parts(raw)
    answers_an_error = (protocol == _ICMP and content[0] in (3, 4, 5, 11, 12)) or (
        protocol == _ICMP6 and content[0] < 128
    )
    if answers_an_error:
        return None
    by = ip_address(sender).packed if sender else target
    message = struct.pack("!BBHI", *kind.value[version == 6], 0, 0) + raw[: _QUOTED[version]]
    protocol = _ICMP if version == 4 else _ICMP6
    return _packet(version, by, source, protocol, message, checksum_at=2)


def _packet(
    version: int, source: bytes, target: bytes, protocol: int, content: bytes, *, checksum_at: int
) -> bytes:
    """An IP packet around ``content``, both with their checksums."""
    pseudo = source + target + struct.pack("!II", len(content), protocol)
    total = _checksum(content if protocol == _ICMP else pseudo + content)
    content = content[:checksum_at] + total + content[checksum_at + 2 :]
    if version == 6:
        header = struct.pack("!IHBB", 6 << 28, len(content), protocol, _HOPS)
        return header + source + target + content
    length = 20 + len(content)
    header = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, _HOPS, protocol, 0) + source + target
    return header[:10] + _checksum(header) + header[12:] + content


def _checksum(data: bytes) -> bytes:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return struct.pack("!H", ~total & 0xFFFF)
