"""Size limits of what decoders read.  How much and how often is with the task that enforces it.

Limits guard against what a peer may send; none is negotiated.  Sizes are bytes.

Source: hashicorp/memberlist v0.2.2, net.go, util.go, security.go; the limits that v0.2.2
does not have are those of hashicorp/memberlist v0.6.0, net.go, where that is named.  A limit
without a source is not Go's.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# --- integers -----------------------------------------------------------------------------

MAX_U8: Final = (1 << 8) - 1
MAX_U16: Final = (1 << 16) - 1
MAX_U32: Final = (1 << 32) - 1
MAX_U64: Final = (1 << 64) - 1
MAX_I64: Final = (1 << 63) - 1
MIN_I64: Final = -(1 << 63)

# --- msgpack ------------------------------------------------------------------------------

SMALL_INPUT: Final = 128
"""Input up to this length (bytes) can claim too little to matter: 5,400 elements."""
WIDE_HEADERS: Final = 8
"""Bytes that look like a 16-bit or 32-bit container header, before a value is walked."""
MAX_CLAIMS: Final = 2_000_000
"""Elements that such headers may claim together before a value is walked."""
MAX_NESTING: Final = 16
"""Containers inside containers in a walked value; the messages need 5."""
FEW_VALUES: Final = 1024
"""Values in one walked message that holds no long list; the messages need 50."""
FEW_CONTAINERS: Final = 64
"""Bytes that look like a container header, before a value without long lists is walked."""
LARGE_VALUE: Final = 1 << 15
"""A value without long lists in more input than this (bytes) is walked in any case."""
MANY_VALUES: Final = 400_000
"""Values in one walked message that may hold long lists: 100,000 members need half."""
MANY_CONTAINERS: Final = 1 << 15
"""Bytes that look like a container header, before such a message is walked."""
MAX_FILTER_NAMES: Final = 1 << 14
"""Names in the filter of a query that is walked; a query has 1024 bytes by default."""
MAX_ARRAY: Final = 1024
"""Elements of an array that arrives piece by piece; the messages need 512."""
MAX_MAP: Final = 256
"""Pairs of a map that arrives piece by piece; the messages need 7."""

# --- compression --------------------------------------------------------------------------

LZW_CLEARS: Final = 16
"""Clears of the table that any LZW stream may have."""
LZW_BYTES_PER_CLEAR: Final = 1024
"""A long LZW stream may have one more for so many of its bytes; Go writes one in 5,405."""

# --- packets ------------------------------------------------------------------------------

MAX_PACKET_OUTPUT: Final = 1 << 20
"""Bytes that one datagram may decompress to, unless configured."""
MAX_DEPTH: Final = 4
"""Compounds and compressed messages inside each other; Go nests two."""
MAX_PIECES: Final = 512
"""Messages, compounds and compressed messages in one datagram; Go packs 255."""
MAX_COMPRESSED: Final = 4
"""Compressed messages in one datagram: each takes as long as ten others; Go packs one."""
MAX_PARTS_SIZE: Final = 1 << 16
"""Bytes of all messages of compounds in one datagram; Go packs ``UDPBufferSize``."""
FREE_PARTS_SIZE: Final = 1 << 14
"""Bytes of them that may be of any form; beyond, only flat messages are read."""
FLAT_CONTAINERS: Final = 8
"""Bytes that look like a container header in a flat message; a ping has one."""

# --- streams ------------------------------------------------------------------------------

MAX_FRAME: Final = 20 * 1024 * 1024
"""Encrypted frame (bytes).  Source: memberlist v0.2.2, net.go: maxPushStateBytes."""
MAX_USER_STATE: Final = 20 * 1024 * 1024
"""User state of a push/pull (bytes).  Source: memberlist v0.6.0, net.go."""
MAX_NODES: Final = 1024 * 1024
"""Node records of a push/pull.  Source: memberlist v0.6.0, net.go: maxPushPullNodes."""
MAX_USER_MESSAGE: Final = 20 * 1024 * 1024
"""User message on a stream (bytes).  Source: memberlist main (1b4c746), net.go."""
MAX_STREAM_OUTPUT: Final = 40 * 1024 * 1024
"""Bytes that one stream may decompress to.  Source: memberlist main (1b4c746), util.go."""
MAX_STREAM_COMPRESSED: Final = 40 * 1024 * 1024
"""Compressed message that is not in an encrypted frame (bytes)."""
MAX_RECORDS: Final = 40 * 1024 * 1024
"""All node records of a push/pull (bytes)."""
MAX_STREAM_VALUE: Final = 1 << 20
"""One header or one node record on a stream (bytes)."""
FREE_RECORDS: Final = 1000
"""Node records of a state that may be of any length; of more, see `LEAST_RECORD`."""
LEAST_RECORD: Final = 16
"""Least mean length of more than `FREE_RECORDS` node records (bytes).  Go's have 60 and more."""
THREAD_THRESHOLD: Final = 40_000
"""Plain bytes that are worth a thread: parsing or compressing them takes 4 to 8 ms."""
RECORD_SIZE: Final = 500
"""Memory of one node record beside its bytes on the wire: objects and their pointers (bytes)."""
COMPRESSED_WEIGHT: Final = 6
"""Decompressing a byte takes as long as parsing so many plain ones."""
ENCRYPTED_PER_PLAIN: Final = 20
"""Decrypting so many bytes takes as long as parsing one."""
SLICE: Final = 1 << 16
"""Bytes that are parsed in one go."""
