"""Every size limit of the wire, and the magic numbers of its layers.

Limits guard against what a peer may send; none is negotiated.  Sizes are bytes.

Source: hashicorp/memberlist v0.2.2, net.go, util.go, security.go; the limits that v0.2.2
does not have are those of hashicorp/memberlist v0.6.0, net.go, unless said otherwise.
"""

from __future__ import annotations

from typing import Final

# --- msgpack ------------------------------------------------------------------------------

MAX_NESTING: Final = 16
"""Containers inside containers.  The messages need 5; ours."""
MAX_VALUES: Final = 2_000_000
"""Values in one large or odd msgpack value, counted before it is decoded; ours."""
MAX_CLAIMS: Final = 2_000_000
"""Elements that the headers of a value may claim together before it is walked; ours."""
SMALL_INPUT: Final = 512
"""Input up to this length can claim too little to matter (under 100,000 elements); ours."""

# --- compression --------------------------------------------------------------------------

LZW_CLEARS: Final = 1024
"""Clears of the table that any LZW stream may have; ours."""
LZW_BYTES_PER_CLEAR: Final = 64
"""A long LZW stream may have one more for so many of its bytes; ours."""
