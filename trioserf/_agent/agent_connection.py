"""Connections of commands to an agent, and Go's words for what goes wrong with them.

Nothing here imports trio or attrs: a command that asks once starts at once.

Source: hashicorp/serf v0.9.4, cmd/serf/command/rpc.go, client/rpc_client.go;
golang/go, net/dial.go.
"""

from __future__ import annotations

import os
import time

from .._exceptions import RemoteProtocolError, RPCError
from .._rpc.blocking import CONNECT_TIMEOUT, BlockingClient
from .._rpc.blocking import connect as connect_client
from .._text import host_and_port
from .._wire.rpc_address import UnixAddress, parse_rpc_address
from .call import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .call import Call

_PREFIX = "Error connecting to Serf agent: "
GONE = "client closed"
"""What Go's client says where the connection ends instead of an answer."""


class NoAgentError(CommandError):
    """Nobody listens there, or the agent has gone: it may come, or come back."""


def connect(call: Call) -> BlockingClient:
    """Connect to the agent that the flags name, and authenticate.

    Raises:
      NoAgentError: in Go's words, as all of them.
      CommandError: anything else.
    """
    address = call["rpc-addr"]
    timeout = CONNECT_TIMEOUT
    if call.deadline is not None:
        timeout = max(0.001, min(timeout, call.deadline - time.monotonic()))
    try:
        client = connect_client(address, call["rpc-auth"], timeout=timeout)
    except (ConnectionRefusedError, FileNotFoundError) as error:
        raise NoAgentError(_PREFIX + _dial_error(address, error)) from None
    except ConnectionError as error:
        raise NoAgentError(_PREFIX + call_error(error)) from None
    except (RPCError, RemoteProtocolError) as error:
        raise CommandError(_PREFIX + call_error(error)) from None
    except (ValueError, OSError) as error:
        raise CommandError(_PREFIX + _dial_error(address, error)) from None
    client.deadline = call.deadline
    return client


class GoErrors:
    """Turn what a call raises into the line that Go's command prints behind this prefix.

    A class, because ``contextlib`` would take longer to load than this to write.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, RPCError | RemoteProtocolError | OSError):
            kind = NoAgentError if isinstance(error, ConnectionError) else CommandError
            raise kind(self._prefix + call_error(error)) from None


def take_interrupts() -> None:
    """Let SIGINT raise ``KeyboardInterrupt``, as Go's commands that wait install a handler.

    A shell starts its background jobs with the signal ignored, and Python leaves it so.
    """
    import signal  # which loads enums; few commands wait

    signal.signal(signal.SIGINT, signal.default_int_handler)


def call_error(error: Exception) -> str:
    """Go's words for what a call on a connection raises."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError):
        return GONE
    return str(error)


def _dial_error(address: str, error: Exception) -> str:
    """What Go's ``net.Dial`` says."""
    if isinstance(error, ValueError):
        return f"dial tcp: {error}"
    parsed = parse_rpc_address(address)
    reason = _reason(error)
    if isinstance(parsed, UnixAddress):
        return f"dial unix {parsed.path}: {reason}"
    if type(error).__name__ == "gaierror":
        return f"dial tcp: lookup {parsed.host}: no such host"
    return f"dial tcp {host_and_port(_resolved(parsed.host), parsed.port)}: {reason}"


def _resolved(host: str) -> str:
    """The address that Go tries first, and names in its error: one of IPv4 if there is one."""
    import socket  # for errors alone: a command that is answered does without it

    if not host:
        return ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return host
    addresses = [str(entry[4][0]) for entry in found]
    return next((address for address in addresses if ":" not in address), addresses[0])


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, OSError) and error.errno:
        return f"connect: {os.strerror(error.errno).lower()}"
    return str(error)
