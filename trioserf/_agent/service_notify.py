"""What systemd wants to know of a service: ``sd_notify``.

Source: systemd, man/sd_notify.xml and man/sd_watchdog_enabled.xml (systemd/systemd).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import trio

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
WATCHDOG: Final = "WATCHDOG=1"


def reloading(now: float) -> str:
    """That the configuration is read again; ``READY=1`` follows.

    Args:
      now: of the monotonic clock (seconds).
    """
    return f"RELOADING=1\nMONOTONIC_USEC={int(now * 1_000_000)}"


def notify_address(environment: Mapping[str, str]) -> str | None:
    """Where the messages go; None without a service manager."""
    path = environment.get("NOTIFY_SOCKET", "")
    if path.startswith("@"):
        return "\0" + path[1:]
    return path if path.startswith("/") else None


def watchdog_interval(environment: Mapping[str, str], pid: int) -> float | None:
    """Time between two signs of life: half of what is allowed (seconds); None if none are wanted.

    Args:
      pid: of this process.
    """
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = environment.get("WATCHDOG_USEC", "")
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        return None
    return int(text) / 2_000_000


class ServiceNotifier:
    """Sends messages to the service manager; does nothing without one.

    Args:
      environment: of this process.
      pid: the same.
    """

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self._address = notify_address(environment)
        self._interval = watchdog_interval(environment, pid)

    def send(self, *messages: str) -> None:
        """One datagram; a manager that does not listen is none of an agent's trouble."""
        if self._address is None:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(messages).encode(), self._address)

    async def feed_watchdog(self) -> None:
        """Task: signs of life of the event loop, if they are wanted."""
        while self._address is not None and self._interval is not None:
            self.send(WATCHDOG)
            await trio.sleep(self._interval)
