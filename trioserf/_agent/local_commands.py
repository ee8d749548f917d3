"""Commands that ask no agent: ``version`` and ``keygen``.

Source: hashicorp/serf v0.9.4, cmd/serf/command/version.go, keygen.go.
"""

from __future__ import annotations

from .._version import __version__
from .usage import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .call import Call

NEWEST_PROTOCOL: Final = 5
"""As `PROTOCOL_VERSION_MAX`, which is in a module that takes long to load."""
OLDEST_PROTOCOL: Final = 2
"""As `PROTOCOL_VERSION_MIN`."""
_KEY_SIZE: Final = 32
"""Bytes of a new key, as Go's."""


def run_version(call: Call) -> int:
    """Print the version of the program, and the protocol versions that it knows."""
    call.check_format()
    call.print(
        f"{PROGRAM} {__version__}\n"
        f"Agent Protocol: {NEWEST_PROTOCOL} (Understands back to: {OLDEST_PROTOCOL})",
        {"version": __version__, "protocol": {"max": NEWEST_PROTOCOL, "min": OLDEST_PROTOCOL}},
    )
    return 0


def run_keygen(call: Call) -> int:
    """Print a new random key."""
    import os

    from .._text import key_to_text

    call.check_format()
    key = key_to_text(os.urandom(_KEY_SIZE))
    call.print(key, {"key": key})
    return 0
