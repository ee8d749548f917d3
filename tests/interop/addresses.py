"""Loopback addresses that no other test uses, so that clusters never meet.

On Linux the whole of 127.0.0.0/8 is local: a random host of it plus a free port there keeps
a test apart from other tests, other checkouts, and every outgoing connection, whose source is
127.0.0.1.  Elsewhere 127.0.0.1 has to do.
"""

from __future__ import annotations

import random
import socket
import sys

_random = random.SystemRandom()


def free_host() -> str:
    """A loopback address, most likely used by no other test."""
    if not sys.platform.startswith("linux"):
        return "127.0.0.1"
    return ".".join(["127", *(str(_random.randint(2, 250)) for _ in range(3))])


def free_port(host: str) -> int:
    """A port of ``host`` that is free for UDP and for TCP at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    host = host.strip("[]")
    for _ in range(50):
        with (
            socket.socket(family, socket.SOCK_STREAM) as stream,
            socket.socket(family, socket.SOCK_DGRAM) as datagram,
        ):
            stream.bind((host, 0))
            port: int = stream.getsockname()[1]
            try:
                datagram.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port of {host} is free for both UDP and TCP")


NO_IPV6 = "no IPv6 on the loopback interface"
"""The reason of a skip that is the machine's; `.ci/check_interop.py` knows it."""


def ipv6_works() -> bool:
    """Whether a socket can be bound to ``::1``."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
