"""Where an agent listens for RPC: ``host:port``, ``[::1]:port`` or ``unix:/path``.

Source: golang/go, net.SplitHostPort (the texts of the errors).
"""

from __future__ import annotations

from .._text import port_from_text
from .._tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, TypeAlias

DEFAULT_ADDRESS: Final = "127.0.0.1:7373"
ADDRESS_VARIABLE: Final = "SERF_RPC_ADDR"
"""The environment variable that commands take the address from."""
AUTH_VARIABLE: Final = "SERF_RPC_AUTH"
"""The environment variable that commands take the key from."""


class TCPAddress(NamedTuple):
    """A host (name or address, without brackets; "" for all addresses) and a port."""

    host: str
    port: int


class UnixAddress(NamedTuple):
    """The path of a socket in the file system."""

    path: str


RPCAddress: TypeAlias = TCPAddress | UnixAddress


def parse_rpc_address(text: str) -> RPCAddress:
    """Take an address apart.

    Raises:
      ValueError: it has no port, or is none.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if path.startswith("//"):
            path = path.removeprefix("//")
        if not path:
            raise ValueError(f"address {text}: missing path of the socket")
        return UnixAddress(path)
    host, port = _split(text)
    try:
        return TCPAddress(host, port_from_text(port))
    except ValueError:
        number = port.removeprefix("-").isdigit()
        complaint = f"{port}: invalid port" if number else f"tcp/{port}: unknown port"
        raise ValueError(f"address {complaint}") from None


def _split(text: str) -> tuple[str, str]:
    host, colon, port = text.rpartition(":")
    if not text:
        raise ValueError("missing address")
    if not port or not colon or port.endswith("]"):
        raise ValueError(f"address {text}: missing port in address")
    if host.startswith("["):
        if not host.endswith("]"):
            complaint = "missing port" if "]" in host else "missing ']'"
            raise ValueError(f"address {text}: {complaint} in address")
        return host[1:-1], port
    if ":" in host:
        raise ValueError(f"address {text}: too many colons in address")
    return host, port
