"""Hostile input, drawn from a grammar: packets and streams that are nearly right.

Bytes without sense are refused at the first look.  So inputs are built as a peer would build
them, from the very classes of the messages: every field gets a value that it might have, a
value at its edge, or one of another kind; then fields go missing, layers are put around (labels,
encryption, checksums, compression, compounds), and at any level bytes are changed.

All is drawn from one source of chance, so one seed gives one series of inputs.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from ... import _attrs as attrs
from ..._wire import messages, serf_messages
from ..._wire.codec import _METADATA, Kind, encode, pack_value
from ..._wire.compression import compress_message
from ..._wire.encryption import encrypt
from ..._wire.labels import add_label, label_header
from ..._wire.query_filters import TagFilter

VICTIM: Final = "victim"
PEER: Final = "honest"
KEY: Final = bytes(range(16))
LABEL: Final = b"blue"

_NAMES: Final = (
    *(
        VICTIM,
        PEER,
        "ghost",
        "ghost/2",
        "",
        " ",
        "x" * 128,
        "x" * 5000,
        "a\nb",
        "\x1b[2J",
        "ü\u202e",
    ),
    *("_serf_ping", "_serf_conflict", "_serf_install-key", "_serf_list-keys", "_serf_else"),
    *("alive?", "deploy", "\udcff\udc80"),
)
_EDGES: Final = (
    *(0, 1, 2, 3, 5, 127, 128, 255, 256, 511, 512, 513, 65535, 65536),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1),
)
_ADDRESSES: Final = (
    *(b"\x0a\x00\x00\x01", b"\x0a\x00\x00\x02", b"\x0a\x00\x00\x63", bytes(4), b"\xff" * 4),
    *(bytes(16), b"", b"\x7f\x00\x00", b"\xfe\x80" + bytes(14), b"x" * 40, None),
)
_VERSIONS: Final = (
    *(b"\x01\x05\x02\x02\x05\x04", b"\x01\x05\x05\x02\x05\x05", bytes(6), b"\xff" * 6),
    *(b"", b"\x01\x05", b"\x05\x01\x09\x05\x02\x09", b"\x01\x05\x02\x02\x05\x04\x00", None),
)
_EXPRESSIONS: Final = (
    *("web", "^w.b$", "(?i)((0|[a-z]*){20}){20}", "([", "a{1000}", r"\pL+", "", "(" * 500),
    *("(a|b|c)*", "(?P<n>x)", r"[\x00-\x{10FFFF}]{50}", "\\", "a**", "." * 900),
)
_ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    1.5,
    b"",
    "x",
    [],
    {},
    [1, 2],
    {"a": 1},
    [[[]]],
    2**64 - 1,
    b"\xff",
)


@final
@attrs.frozen
class Input:
    """One packet, or one stream.

    Args:
      stream: whether it is a stream.
      data: the bytes.
      source: number of the address that it comes from.
      end: how a stream ends: ``close``, ``half`` (no more is sent, but read), ``stall`` or
        ``reset``.
    """

    stream: bool
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    source: int = 0
    end: str = "close"

    def to_text(self) -> str:
        """As a line of a file."""
        kind = f"stream-{self.end}" if self.stream else "packet"
        return f"{kind} {self.source} {self.data.hex()}"

    @classmethod
    def from_text(cls, line: str) -> Input:
        """What `to_text` wrote.  Raises ``ValueError``."""
        kind, source, *data = line.split()
        kind, _, end = kind.partition("-")
        if kind not in ("packet", "stream"):
            raise ValueError(f"{line[:40]!r}: expected packet or stream")
        return cls(kind == "stream", bytes.fromhex("".join(data)), int(source), end or "close")


@final
@attrs.frozen
class Setup:
    """What the cluster of a block is like.

    Args:
      encrypted: it has a key, which is `KEY`.
      labelled: its label is `LABEL`.
      compressed: its nodes compress what they send, which takes most of the time of a run.
    """

    encrypted: bool = False
    labelled: bool = False
    compressed: bool = False


def draw_setup(seed: int, block: int) -> Setup:
    """The cluster for a block of inputs: each second one is plain."""
    rng = random.Random(f"{seed} {block} setup")
    number = rng.randrange(8)
    compressed = rng.randrange(8) == 0
    return Setup(encrypted=number in (0, 1, 2), labelled=number in (2, 3), compressed=compressed)


def draw_inputs(seed: int, block: int, count: int) -> list[Input]:
    """The inputs of a block."""
    drawer = _Drawer(random.Random(f"{seed} {block} inputs"), draw_setup(seed, block))
    found: list[Input] = []
    while len(found) < count:
        found += drawer.some()
    return found[:count]


_PACKET_CLASSES: Final = (
    *(messages.Ping, messages.IndirectPing, messages.Ack, messages.Nack),
    *(messages.Suspect, messages.Alive, messages.Dead, messages.ErrorReply),
)
_TYPE_OF: Final = {cls: int(kind) for kind, cls in messages.BODY_TYPES.items()}
_SERF_CLASSES: Final = {
    0: serf_messages.LeaveIntent,
    1: serf_messages.JoinIntent,
    2: serf_messages.PushPull,
    3: serf_messages.UserEventMessage,
    4: serf_messages.QueryMessage,
    5: serf_messages.QueryResponseMessage,
    6: serf_messages.MemberRecord,
    7: serf_messages.KeyRequest,
    8: serf_messages.KeyAnswer,
}


class _Drawer:
    """Draws inputs for one cluster."""

    def __init__(self, rng: random.Random, setup: Setup) -> None:
        self.rng = rng
        self.setup = setup
        self._time = 1
        self._fields: dict[type, tuple[tuple[str, Callable[[], Any]], ...]] = {}

    def some(self) -> list[Input]:
        """An input, and some that differ from it by a few bytes."""
        rng = self.rng
        source = rng.randrange(6)
        if rng.random() < 0.03:
            data = self.stream()
            end = rng.choice(("close", "half", "stall", "reset"))
            return [
                Input(True, each, source, end)
                for each in (data, *(self.changed(data) for _ in range(rng.randrange(2))))
            ]
        data = self.packet()
        found = [Input(False, data, source)]
        found += [Input(False, self.changed(data), source) for _ in range(rng.randrange(4))]
        return found

    # --- values -------------------------------------------------------------------------------

    def number(self, most: int) -> int:
        rng = self.rng
        chance = rng.random()
        if chance < 0.6:
            return rng.randrange(16) % (most + 1)
        if chance < 0.95:
            return rng.choice(_EDGES) % (most + 1)
        return rng.choice(_EDGES)

    def time(self) -> int:
        """A Lamport time: mostly near those that are used."""
        rng = self.rng
        if rng.random() < 0.85:
            self._time += rng.random() < 0.2
            return max(0, self._time + rng.randrange(-3, 20))
        return rng.choice(_EDGES)

    def name(self) -> str:
        rng = self.rng
        if rng.random() < 0.5:
            return rng.choice((VICTIM, PEER, "ghost"))
        return rng.choice(_NAMES)

    def payload(self) -> Any:
        rng = self.rng
        match rng.randrange(8):
            case 0:
                return None
            case 1:
                return rng.choice((VICTIM, PEER, "ghost", "")).encode()
            case 2:
                key = rng.choice((KEY, b"short", rng.randbytes(16), None))
                return b"\x07" + self.struct(serf_messages.KeyRequest, Key=key)
            case 3:
                return bytes((rng.choice((6, 8)),)) + self.struct(
                    rng.choice((serf_messages.MemberRecord, serf_messages.KeyAnswer))
                )
            case 4:
                return b"\x01" + self.struct(serf_messages.CoordinateRecord)
            case 5:
                return rng.randbytes(rng.choice((1, 100, 1024, 9000)))
            case _:
                return b"x" * rng.choice((0, 1, 10))

    def meta(self) -> Any:
        rng = self.rng
        if rng.random() < 0.6:
            return b"\xff" + pack_value({"role": rng.choice(("web", "", "ü", "x" * 600))})
        return rng.choice((None, b"", b"web", b"\xff", b"\xff\xc1", b"\xff\x81\xa1", b"x" * 513))

    def filters(self) -> Any:
        rng = self.rng
        if rng.random() < 0.5:
            return None
        return [self.filter() for _ in range(rng.choice((1, 1, 2, 30)))]

    def filter(self) -> Any:
        rng = self.rng
        match rng.randrange(5):
            case 0:
                return b"\x00" + pack_value(
                    [self.name() for _ in range(rng.choice((0, 1, 3, 100)))]
                )
            case 1:
                return rng.choice(
                    (None, b"", b"\x07", b"\x00\xc1", b"\x01\xc0", b"\x00\x81\x01\x01")
                )
            case _:
                tag = rng.choice(("role", "", "other"))
                return b"\x01" + self.struct(TagFilter, Tag=tag, Expr=rng.choice(_EXPRESSIONS))

    def _value(self, name: str, kind: Kind, of: type | None) -> Callable[[], Any]:
        """What draws values for a field."""
        rng, number = self.rng, self.number
        by_name: dict[str, Callable[[], Any]] = {
            **dict.fromkeys(("LTime", "EventLTime", "QueryLTime"), self.time),
            **dict.fromkeys(("Addr", "SourceAddr", "Target", "IP"), lambda: rng.choice(_ADDRESSES)),
            "Meta": self.meta,
            "Vsn": lambda: rng.choice(_VERSIONS[:2] if rng.random() < 0.8 else _VERSIONS),
            "Payload": self.payload,
            "Filters": self.filters,
            "Flags": lambda: rng.choice((0, 1, 2, 3, 2**32 - 1)),
            "Timeout": lambda: rng.choice((0, -1, 10**9, 15 * 10**9, 2**63 - 1, -(2**63))),
            "State": lambda: rng.choice((0, 1, 2, 3, 3, 4, -1, 2**40)),
            "Port": lambda: rng.choice((7946, 7946, 0, 1, 65535)),
        }
        by_kind: dict[Kind, Callable[[], Any]] = {
            Kind.U8: lambda: number(255),
            Kind.U16: lambda: number(65535),
            Kind.U32: lambda: number(2**32 - 1),
            Kind.U64: lambda: number(2**64 - 1),
            Kind.INT: lambda: number(2**40),
            Kind.BOOL: lambda: rng.random() < 0.5,
            Kind.FLOAT: lambda: rng.choice((0.0, 1.0, -1.5, 1e308, float("inf"), float("nan"))),
            Kind.STR: self.name,
            Kind.BYTES: self.payload,
            Kind.STR_LIST: lambda: [self.name() for _ in range(rng.choice((0, 1, 5)))],
            Kind.BYTES_LIST: lambda: [self.payload() for _ in range(rng.choice((0, 1, 5)))],
            Kind.FLOAT_LIST: lambda: [rng.gauss(0, 1) for _ in range(rng.choice((0, 8, 8, 9)))],
            Kind.STR_MAP: lambda: {self.name(): self.name() for _ in range(rng.randrange(3))},
            Kind.U64_MAP: lambda: {self.name(): self.time() for _ in range(rng.randrange(4))},
            Kind.STRUCT: lambda: self.fields(of),
            Kind.STRUCT_LIST: lambda: [
                self.fields(of) if rng.random() < 0.9 else None
                for _ in range(rng.choice((0, 1, 9)))
            ],
        }
        return by_name.get(name) or by_kind[kind]

    def fields(self, cls: Any, **fixed: Any) -> Any:
        """The value of a struct: a map, or now and then the array of its fields."""
        table = self._fields.get(cls)
        if table is None:
            specs = [field.metadata[_METADATA] for field in attrs.fields(cls)]
            table = tuple((s.name, self._value(s.name, s.kind, s.of)) for s in specs)
            self._fields[cls] = table
        value = {name: fixed[name] if name in fixed else draw() for name, draw in table}
        rng = self.rng
        chance = rng.random()
        if chance < 0.8:
            return value
        if chance < 0.9:
            value[rng.choice(table)[0]] = rng.choice(_ODD)
        elif chance < 0.94:
            del value[rng.choice(table)[0]]
        elif chance < 0.97:
            return list(value.values())
        else:
            value[rng.choice(("More", "node", ""))] = rng.choice(_ODD)
        return value

    def struct(self, cls: Any, **fixed: Any) -> bytes:
        return pack_value(self.fields(cls, **fixed))

    # --- messages -----------------------------------------------------------------------------

    def message(self) -> bytes:
        """One message of a packet, type byte first."""
        rng = self.rng
        chance = rng.random()
        if chance < 0.55:
            return b"\x08" + self.serf_message()
        if chance < 0.98:
            cls = rng.choice(_PACKET_CLASSES)
            return bytes((_TYPE_OF[cls],)) + self.struct(cls)
        return bytes((rng.randrange(256),)) + rng.randbytes(rng.choice((0, 1, 30)))

    def serf_message(self, depth: int = 0) -> bytes:
        rng = self.rng
        kind = rng.choice((0, 1, 3, 3, 3, 4, 4, 4, 5, 5, 9, rng.randrange(12)))
        if kind == 9 and depth < 3:
            header = self.struct(serf_messages.RelayHeader)
            return b"\x09" + header + self.serf_message(depth + 1)
        cls = _SERF_CLASSES.get(kind)
        return bytes((kind,)) + (rng.randbytes(9) if cls is None else self.struct(cls))

    def packet(self) -> bytes:
        """A whole datagram."""
        rng = self.rng
        data = self.message()
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            if rng.random() < 0.8:
                data = self.compound([data, *(self.message() for _ in range(rng.randrange(4)))])
            elif len(data) < 3000:
                data = compress_message(data)
        if rng.random() < 0.15:
            crc = zlib.crc32(data) ^ (rng.random() < 0.2)
            data = b"\x0c" + crc.to_bytes(4, "big") + data
        label = LABEL if self.setup.labelled and rng.random() < 0.95 else b""
        if self.setup.encrypted and rng.random() < 0.95:
            key = KEY if rng.random() < 0.97 else bytes(16)
            version = rng.choice((0, 1, 1))
            data = encrypt(data, key=key, nonce=rng.randbytes(12), version=version, aad=label)
        return add_label(data, label) if label else data

    def compound(self, parts: Sequence[bytes]) -> bytes:
        rng = self.rng
        count = len(parts) if rng.random() < 0.95 else rng.randrange(256)
        lengths = [min(len(part), 65535) for part in parts]
        if rng.random() < 0.05:
            lengths[rng.randrange(len(lengths))] = rng.choice((0, 1, 65535))
        sizes = b"".join(length.to_bytes(2, "big") for length in lengths)
        return bytes((7, count)) + sizes + b"".join(parts)

    # --- streams ------------------------------------------------------------------------------

    def stream(self) -> bytes:
        """All that the side that dials sends."""
        rng = self.rng
        data = self.request()
        if rng.random() < 0.3 and len(data) < 20_000:
            data = compress_message(data)
        if rng.random() < 0.05:
            data = self.changed(data)
        label = LABEL if self.setup.labelled else b""
        if self.setup.encrypted and rng.random() < 0.95:
            length = len(data) + 29 if rng.random() < 0.95 else rng.choice(_EDGES) % 2**32
            header = b"\x0a" + length.to_bytes(4, "big")
            nonce = rng.randbytes(12)
            data = header + encrypt(data, key=KEY, nonce=nonce, version=1, aad=header + label)
        return label_header(label) + data

    def request(self) -> bytes:
        rng = self.rng
        match rng.randrange(8):
            case 0:
                return b"\x00" + self.struct(messages.Ping)
            case 1 | 2:
                body = self.serf_message()
                size = len(body) if rng.random() < 0.9 else rng.choice(_EDGES)
                return b"\x08" + pack_value({"UserMsgLen": size}) + body
            case 3:
                kind, cls = rng.choice(((2, messages.Ack), (13, messages.ErrorReply)))
                return bytes((kind,)) + self.struct(cls)
            case 4:
                return rng.choice(
                    (b"", b"GET / HTTP/1.1\r\n\r\n", rng.randbytes(60), b"\x06\xdf" + b"\xff" * 9)
                )
        records = [self.struct(messages.NodeRecord) for _ in range(rng.choice((0, 1, 2, 20)))]
        state = b"\x02" + self.struct(serf_messages.PushPull)
        if rng.random() < 0.2:
            state = rng.choice((b"", b"\x02", state[1:], self.changed(state)))
        honest = rng.random() < 0.9
        header = messages.PushPullHeader(
            len(records) if honest else rng.choice(_EDGES) % 2**62,
            len(state) if honest else rng.choice(_EDGES) % 2**62,
            rng.random() < 0.5,
        )
        return b"\x06" + encode(header) + b"".join(records) + state

    # --- bytes --------------------------------------------------------------------------------

    def changed(self, data: bytes) -> bytes:
        """The bytes with a few that are others, are missing, or come twice."""
        rng = self.rng
        if not data:
            return rng.randbytes(3)
        place = int(rng.random() * len(data))
        match int(rng.random() * 7):
            case 0:
                return data[:place]
            case 1:
                return (
                    data[:place]
                    + bytes((data[place] ^ 1 << int(rng.random() * 8),))
                    + data[place + 1 :]
                )
            case 2:
                return data[:place] + rng.randbytes(1) + data[place:]
            case 3:
                return data[:place] + data[place + 1 + int(rng.random() * 4) :]
            case 4:
                odd = rng.choice(
                    (b"\xff", b"\x00", b"\xdd\xff\xff\xff\xff", b"\xdf", b"\x90", b"\xc0")
                )
                return data[:place] + odd + data[place + len(odd) :]
            case 5:
                end = place + 1 + int(rng.random() * 40)
                return data[:end] + data[place:end] * (1 + int(rng.random() * 3)) + data[end:]
            case _:
                return data + data[place:]
