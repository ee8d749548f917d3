"""Opening a stream in a simulated network: a SYN, its answer, and the stream is there.

The SYN and its answer are single packets that links may lose and partitions stop, so connecting
to a host that is down hangs, to a host without a listener is refused, and over a one-way cut
hangs too, as with TCP.  The kernel of a stopped process still runs: it answers.  A firewall looks
at the SYN and at its answer, each on its way.
"""

from __future__ import annotations

import errno
from typing import Literal

import trio

from .. import _attrs as attrs
from ..abc import Address, DialRefused
from .network_state import Host, NetworkState
from .sim_stream import SimStream, connect_pair

SYN_TIMEOUTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Seconds to wait for an answer after each SYN; Linux gives up after as many."""


@attrs.define(eq=False)
class ConnectAttempt:
    """One attempt to open a stream."""

    network: NetworkState
    host: Host
    near: Address
    far: Address
    outcome: Literal["waiting", "open", "rst", "icmp", "abandoned"] = "waiting"
    answered: trio.Event = attrs.field(factory=trio.Event, init=False)
    stream: SimStream | None = attrs.field(default=None, init=False)
    _far_host: Host | None = attrs.field(default=None, init=False)

    def send_syn(self) -> None:
        """Send the first packet of the handshake."""
        self.network.post(self.near.host, self.far.host, self._syn_arrived)

    def _syn_arrived(self) -> None:
        network, near, far = self.network, self.near.host, self.far.host
        host = network.hosts.get(far)
        reject = network.topology.reject(near, far)
        if reject is not None and reject.streams is not None:
            network.post(far, near, self._answer, reject.streams)
            return
        if host is None or host.down:
            return
        socket = host.sockets.get(self.far.port)
        if socket is None:
            network.post(far, near, self._answer, "rst")
        elif socket.has_backlog_room() and not host.backlog_full:
            self._far_host = host
            network.post(far, near, self._answer, "open")

    def _answer(self, outcome: Literal["open", "rst", "icmp"]) -> None:
        if self.outcome != "waiting":
            return
        reject = self.network.topology.reject(self.far.host, self.near.host)
        if outcome == "open" and reject is not None and reject.streams is not None:
            return
        self.outcome = outcome
        if outcome == "open":
            assert self._far_host is not None, "only a host that was found accepts"
            self.stream, _ = connect_pair(
                self.network, self.host, self.near, self._far_host, self.far
            )
            self.stream.announce()
        self.answered.set()

    def abandon(self) -> None:
        """Close the stream that may still come: no task waits for it any more."""
        self.outcome = "abandoned"
        if self.stream is not None:
            self.stream.reset()
        self.answered.set()


async def open_stream(attempt: ConnectAttempt) -> SimStream:
    """Send SYNs until one is answered.

    Raises:
      DialRefused: refused, by the host or by a firewall.
      OSError: no answer for two minutes.
      trio.ClosedResourceError: the transport was closed.
    """
    try:
        for timeout in SYN_TIMEOUTS:
            attempt.send_syn()
            with trio.move_on_after(timeout):
                await attempt.answered.wait()
            if attempt.answered.is_set():
                break
    except BaseException:
        attempt.abandon()
        raise
    if attempt.outcome == "waiting":
        attempt.outcome = "abandoned"
        raise OSError(errno.ETIMEDOUT, f"{attempt.far} does not answer")
    if attempt.outcome == "rst" or attempt.outcome == "icmp":
        raise DialRefused(attempt.far, attempt.outcome)
    if attempt.stream is None or attempt.outcome == "abandoned":
        raise trio.ClosedResourceError("this transport was closed")
    return attempt.stream
