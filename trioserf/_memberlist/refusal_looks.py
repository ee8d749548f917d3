"""A look at the ports of a node: does its host refuse both, a packet and a stream?

A look sends a ping, opens a stream, and ends as soon as it knows: after a round trip, mostly.
What was lost is sent again, sooner than TCP would.  Linux says only six times in a row to one
host, and then once a second, that a port is unreachable: so no packet is sent that is not needed,
and a refusal that came by itself since the last look counts.
"""

from __future__ import annotations

from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError
from .._swim.nodes import Node
from .._swim.probing import ping_message
from .._swim.refusal import Look
from .._swim.table import NodeTable
from .._wire.messages import Ack, Suspect, encode_message
from ..abc import Address, DialRefused, Transport
from .node_log import Log
from .packet_sender import PacketSender
from .pending_acks import PendingAcks

LIMIT: Final = 0.5
"""Seconds that a look may take at least; a ``probe_timeout``, if that is longer."""
AGAIN: Final = 0.15
"""Seconds until the ping or the SYN is sent again, if nothing came back."""


@attrs.define(eq=False)
class _Looking:
    """One look under way."""

    packet_refused: bool
    stream_refused: bool = False
    answered: bool = False
    over: trio.Event = attrs.field(factory=trio.Event)
    ended: trio.Event = attrs.field(factory=trio.Event)

    def note(self) -> None:
        """Something was set: it may be all that the look waits for."""
        if self.answered or (self.packet_refused and self.stream_refused):
            self.over.set()

    @property
    def result(self) -> Look:
        if self.answered:
            return Look.ANSWERED
        both = self.packet_refused and self.stream_refused
        return Look.REFUSED if both else Look.UNCLEAR


@attrs.define(eq=False, kw_only=True)
class Looker:
    """Looks at nodes."""

    config: MemberlistConfig
    transport: Transport
    table: NodeTable
    sender: PacketSender
    pending_acks: PendingAcks
    log: Log
    _under_way: dict[Address, _Looking] = attrs.field(factory=dict, init=False)

    def is_looking_at(self, address: Address) -> bool:
        """Whether a look at this address is under way."""
        return address in self._under_way

    def packet_refused(self, address: Address) -> bool:
        """An address refused a packet; whether a look at it is under way."""
        looking = self._under_way.get(address)
        if looking is None:
            return False
        looking.packet_refused = True
        looking.note()
        return True

    async def look(self, node: Node, *, suspected: bool, packet_refused: bool) -> Look:
        """Look at a node; the result of a look that is under way does as well.

        Args:
          suspected: send it the suspicion with the ping, so that it can refute.  Such a look is
            always a new one, since it decides.
          packet_refused: whether its address has refused a packet already.
        """
        while (under_way := self._under_way.get(node.address)) is not None:
            await under_way.ended.wait()
            if not suspected:
                return under_way.result
        looking = self._under_way[node.address] = _Looking(packet_refused)

        def on_ack(_ack: Ack, _at: float, _source: Address | None) -> None:
            looking.answered = True
            looking.note()

        seq_no, hosts = self.pending_acks.next_seq_no(), {*node.hosts}
        limit = max(LIMIT, self.config.probe_timeout)
        try:
            with (
                self.pending_acks.expect(seq_no, on_ack, hosts=hosts, always=True),
                trio.move_on_after(limit),
            ):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._dial, node.address, looking)
                    await self._ping(node, seq_no, suspected, looking)
                    nursery.cancel_scope.cancel()
        finally:
            del self._under_way[node.address]
            looking.ended.set()
        return looking.result

    async def _ping(self, node: Node, seq_no: int, suspected: bool, looking: _Looking) -> None:
        parts = [ping_message(seq_no, node.name, self.table.local_node)]
        if suspected:
            suspect = Suspect(node.incarnation, node.name, self.table.name)
            parts.append(encode_message(suspect))
        wait = AGAIN
        while not looking.over.is_set():
            if suspected or not looking.packet_refused:
                try:
                    self.sender.send_together(parts, node.address, node.name)
                except trio.BrokenResourceError:
                    pass  # refused by the system: the next one may pass
                except (LocalProtocolError, trio.ClosedResourceError) as error:
                    self.log.debug("cannot look at %s: %s", node.name, error)
                    return
            with trio.move_on_after(wait):
                await looking.over.wait()
            wait *= 2

    async def _dial(self, address: Address, looking: _Looking) -> None:
        wait = AGAIN
        while True:
            try:
                with trio.move_on_after(wait):
                    stream = await self.transport.connect_stream(address)
                    looking.answered = True
                    await trio.aclose_forcefully(stream)
                    break
            except DialRefused as error:
                if error.source == "rst":
                    looking.stream_refused = True
                else:
                    looking.over.set()
                break
            except (OSError, trio.ClosedResourceError):
                looking.over.set()
                break
            wait *= 2
        looking.note()
