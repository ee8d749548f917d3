"""Opening a stream in a simulated network: knock, be answered, be let in.

The knock and its answer are single packets that links may lose and walls hold, so dialling
a dead host hangs, dialling a living host without a listener is refused, and a one-way wall
hangs too, as with TCP.  A stopped process has a living kernel: it answers.
"""

from __future__ import annotations

import errno
from typing import Literal

import trio

from .. import _attrs as attrs
from ..abc import Address
from .network_state import Host, NetworkState
from .sim_stream import SimStream, connect_pair

KNOCKS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Seconds to wait for an answer after each knock; Linux gives up after as many."""


@attrs.define(eq=False)
class Dial:
    """One attempt to open a stream."""

    network: NetworkState
    host: Host
    near: Address
    far: Address
    outcome: Literal["waiting", "open", "refused", "abandoned"] = "waiting"
    answered: trio.Event = attrs.field(factory=trio.Event, init=False)
    stream: SimStream | None = attrs.field(default=None, init=False)
    _far_host: Host | None = attrs.field(default=None, init=False)

    def knock(self) -> None:
        """Send the first packet of the handshake."""
        self.network.post(self.near.host, self.far.host, self._knocked)

    def _knocked(self) -> None:
        host = self.network.hosts.get(self.far.host)
        if host is None:
            return
        socket = host.sockets.get(self.far.port)
        if socket is None:
            self.network.post(self.far.host, self.near.host, self._answer, "refused")
        elif socket.has_backlog_room():
            self._far_host = host
            self.network.post(self.far.host, self.near.host, self._answer, "open")

    def _answer(self, outcome: Literal["open", "refused"]) -> None:
        if self.outcome != "waiting":
            return
        self.outcome = outcome
        if outcome == "open":
            assert self._far_host is not None, "only a host that was found lets in"
            self.stream, _ = connect_pair(
                self.network, self.host, self.near, self._far_host, self.far
            )
            self.stream.announce()
        self.answered.set()

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self.outcome = "abandoned"
        if self.stream is not None:
            self.stream.reset()
        self.answered.set()


async def open_stream(dial: Dial) -> SimStream:
    """Knock until answered.

    Raises:
      OSError: refused, or no answer for two minutes.
      trio.ClosedResourceError: the dial was abandoned by its transport.
    """
    try:
        for patience in KNOCKS:
            dial.knock()
            with trio.move_on_after(patience):
                await dial.answered.wait()
            if dial.answered.is_set():
                break
    except BaseException:
        dial.abandon()
        raise
    if dial.outcome == "waiting":
        dial.outcome = "abandoned"
        raise OSError(errno.ETIMEDOUT, f"{dial.far} does not answer")
    if dial.outcome == "refused":
        raise OSError(errno.ECONNREFUSED, f"{dial.far} refuses: no process listens there")
    if dial.stream is None or dial.outcome == "abandoned":
        raise trio.ClosedResourceError("this transport was closed")
    return dial.stream
