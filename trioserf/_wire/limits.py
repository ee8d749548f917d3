"""Every size limit of the wire, and the magic numbers of its layers.

Limits guard against what a peer may send; none is negotiated.  Sizes are bytes.

Source: hashicorp/memberlist v0.2.2, net.go, util.go, security.go; the limits that v0.2.2
does not have are those of hashicorp/memberlist v0.6.0, net.go, unless said otherwise.
"""

from __future__ import annotations

from typing import Final

# --- msgpack ------------------------------------------------------------------------------

SMALL_INPUT: Final = 128
"""Input up to this length (bytes) can claim too little to matter: 5,400 elements; ours."""
WIDE_HEADERS: Final = 8
"""Bytes that look like a 16-bit or 32-bit container header, before a value is walked; ours."""
MAX_CLAIMS: Final = 2_000_000
"""Elements that such headers may claim together before a value is walked; ours."""
MAX_NESTING: Final = 16
"""Containers inside containers in a walked value; the messages need 5; ours."""
FEW_VALUES: Final = 4096
"""Values in one walked message that holds no long list; the messages need 50; ours."""
MANY_VALUES: Final = 2_000_000
"""Values in one walked message that may hold long lists; ours."""

# --- compression --------------------------------------------------------------------------

LZW_CLEARS: Final = 1024
"""Clears of the table that any LZW stream may have; ours."""
LZW_BYTES_PER_CLEAR: Final = 64
"""A long LZW stream may have one more for so many of its bytes; ours."""
