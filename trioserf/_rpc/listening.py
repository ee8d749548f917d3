"""Where a server listens: one TCP address, or a socket in the file system.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go, startAgent (TCP only).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address

import trio

from .. import _attrs as attrs
from .._exceptions import ConfigError
from .._wire.rpc_address import TCPAddress, UnixAddress, parse_rpc_address

SOCKET_MODE = 0o600
"""Only the user of the agent may connect to its socket in the file system."""
_NONE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What the system says when no descriptor is left, or no memory for one."""


@attrs.frozen
class Listening:
    """An open listener.

    Args:
      listener: accepts.
      address: as a client writes it; port 0 is replaced by the real one.
    """

    listener: trio.SocketListener
    address: str


_RETRY = 0.1
"""Pause after the system refused a connection (seconds)."""


class PatientListener(trio.abc.Listener[trio.abc.Stream]):
    """A listener that waits when the system has no descriptor left, and says so once.

    Trio would log ten tracebacks a second until there are some again.
    """

    def __init__(self, listener: trio.abc.Listener[trio.abc.Stream], log: logging.Logger) -> None:
        self._listener = listener
        self._log = log
        self._refused = False

    async def accept(self) -> trio.abc.Stream:
        """The next connection."""
        while True:
            try:
                stream = await self._listener.accept()
            except OSError as error:
                if error.errno not in _NONE_LEFT:
                    raise
                if not self._refused:
                    self._log.error("cannot accept clients, and tries again: %s", error)
                self._refused = True
                await trio.sleep(_RETRY)
            else:
                self._refused = False
                return stream

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()


@asynccontextmanager
async def listening(address: str, *, allow_remote: bool) -> AsyncIterator[Listening]:
    """Listen for the length of a block.

    Args:
      address: ``host:port``, ``[::1]:port`` or ``unix:/path``.
      allow_remote: whether other hosts may connect, too; else the address must be of loopback.

    Raises:
      ConfigError: no such address, or one that is open to other hosts without protection.
      OSError: it cannot be bound.
    """
    try:
        parsed = parse_rpc_address(address)
    except ValueError as error:
        raise ConfigError("addr", address, f"host:port or unix:/path ({error})") from None
    if isinstance(parsed, UnixAddress):
        async with _on_path(parsed.path) as listener:
            yield Listening(listener, f"unix:{parsed.path}")
        return
    listener = await _on_tcp(address, parsed, allow_remote)
    async with listener:
        host, port = listener.socket.getsockname()[:2]
        yield Listening(listener, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


async def _on_tcp(address: str, parsed: TCPAddress, allow_remote: bool) -> trio.SocketListener:
    host = parsed.host
    if host:
        found = await trio.socket.getaddrinfo(host, parsed.port, type=socket.SOCK_STREAM)
        found.sort(key=lambda each: each[0] != socket.AF_INET)  # IPv4 first, as Go does
        host = str(found[0][4][0])
    if not allow_remote and not (host and ip_address(host).is_loopback):
        raise ConfigError(
            "addr",
            address,
            "a loopback address, or an auth_key, or allow_unauthenticated=True: anybody who "
            "reaches this port can change the cluster",
        )
    if not host:
        return _on_all_addresses(parsed.port)
    (listener,) = await trio.open_tcp_listeners(parsed.port, host=host)
    return listener


def _on_all_addresses(port: int) -> trio.SocketListener:
    """One socket for IPv4 and IPv6, where the system has such."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    sock = socket.create_server(("", port), family=family, backlog=1024, dualstack_ipv6=both)
    sock.setblocking(False)
    return trio.SocketListener(trio.socket.from_stdlib_socket(sock))


@asynccontextmanager
async def _on_path(path: str) -> AsyncIterator[trio.SocketListener]:
    """A socket in the file system; it is gone afterwards."""
    await trio.lowlevel.checkpoint()
    sock = socket.socket(socket.AF_UNIX)
    try:
        _bind(sock, path)
        # Nobody can connect before the next call, so nobody is let in by other rights.
        os.chmod(path, SOCKET_MODE)
        sock.listen(1024)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    mine = os.stat(path)
    async with trio.SocketListener(trio.socket.from_stdlib_socket(sock)) as listener:
        try:
            yield listener
        finally:
            with suppress(OSError):
                now = os.stat(path)
                if (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino):
                    os.unlink(path)


def _bind(sock: socket.socket, path: str) -> None:
    """Bind, in the place of a socket that nobody listens at any more."""
    try:
        sock.bind(path)
    except OSError:
        if not _is_abandoned(path):
            raise
        os.unlink(path)
        sock.bind(path)


def _is_abandoned(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0.1)
            probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
