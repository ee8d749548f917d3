"""A check of the ports of a node: does its host refuse both, a packet and a stream?

A check sends a ping, opens a stream, and ends as soon as it knows: after a round trip, mostly.
What was lost is sent again, sooner than TCP would.  Linux says only six times in a row to one
host, and then once a second, that a port is unreachable: so no packet is sent that is not needed,
and a refusal that came by itself since the last check counts.
"""

from __future__ import annotations

from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError
from .._swim.nodes import Node
from .._swim.probing import ping_message
from .._swim.refusal import PortCheck
from .._swim.table import NodeTable
from .._wire.messages import Ack, Suspect, encode_message
from ..abc import Address, DialRefused, Transport
from .node_log import Log
from .packet_sender import PacketSender
from .pending_acks import PendingAcks

CHECK_LIMIT: Final = 0.5
"""Seconds that a check may take at least; a ``probe_timeout``, if that is longer."""
RESEND_AFTER: Final = 0.15
"""Seconds until the ping or the SYN is sent again, if nothing came back."""


@attrs.define(eq=False)
class _Check:
    """One check under way."""

    packet_refused: bool
    stream_refused: bool = False
    answered: bool = False
    over: trio.Event = attrs.field(factory=trio.Event)
    ended: trio.Event = attrs.field(factory=trio.Event)

    def note(self) -> None:
        """Something was set: it may be all that the check waits for."""
        if self.answered or (self.packet_refused and self.stream_refused):
            self.over.set()

    @property
    def result(self) -> PortCheck:
        if self.answered:
            return PortCheck.ANSWERED
        both = self.packet_refused and self.stream_refused
        return PortCheck.REFUSED if both else PortCheck.UNCLEAR


@attrs.define(eq=False, kw_only=True)
class PortChecker:
    """Checks the ports of nodes."""

    config: MemberlistConfig
    transport: Transport
    table: NodeTable
    sender: PacketSender
    pending_acks: PendingAcks
    log: Log
    _under_way: dict[Address, _Check] = attrs.field(factory=dict, init=False)

    def is_checking(self, address: Address) -> bool:
        """Whether a check of this address is under way."""
        return address in self._under_way

    def packet_refused(self, address: Address) -> bool:
        """An address refused a packet; whether a check of it is under way."""
        check = self._under_way.get(address)
        if check is None:
            return False
        check.packet_refused = True
        check.note()
        return True

    async def check(self, node: Node, *, suspected: bool, packet_refused: bool) -> PortCheck:
        """Check the ports of a node; the result of a check that is under way does as well.

        Args:
          suspected: send it the suspicion with the ping, so that it can refute.  Such a check is
            always a new one, since it decides.
          packet_refused: whether its address has refused a packet already.
        """
        while (under_way := self._under_way.get(node.address)) is not None:
            await under_way.ended.wait()
            if not suspected:
                return under_way.result
        check = self._under_way[node.address] = _Check(packet_refused)

        def on_ack(_ack: Ack, _at: float, _source: Address | None) -> None:
            check.answered = True
            check.note()

        seq_no, hosts = self.pending_acks.next_seq_no(), {*node.hosts}
        limit = max(CHECK_LIMIT, self.config.probe_timeout)
        try:
            with (
                self.pending_acks.expect(seq_no, on_ack, hosts=hosts, always=True),
                trio.move_on_after(limit),
            ):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._dial, node.address, check)
                    await self._ping(node, seq_no, suspected, check)
                    nursery.cancel_scope.cancel()
        finally:
            del self._under_way[node.address]
            check.ended.set()
        return check.result

    async def _ping(self, node: Node, seq_no: int, suspected: bool, check: _Check) -> None:
        parts = [ping_message(seq_no, node.name, self.table.local_node)]
        if suspected:
            suspect = Suspect(node.incarnation, node.name, self.table.name)
            parts.append(encode_message(suspect))
        wait = RESEND_AFTER
        while not check.over.is_set():
            if suspected or not check.packet_refused:
                try:
                    self.sender.send_together(parts, node.address, node.name)
                except trio.BrokenResourceError:
                    pass  # refused by the system: the next one may pass
                except (LocalProtocolError, trio.ClosedResourceError) as error:
                    self.log.debug("cannot check the ports of %s: %s", node.name, error)
                    return
            with trio.move_on_after(wait):
                await check.over.wait()
            wait *= 2

    async def _dial(self, address: Address, check: _Check) -> None:
        wait = RESEND_AFTER
        while True:
            try:
                with trio.move_on_after(wait):
                    stream = await self.transport.connect_stream(address)
                    check.answered = True
                    await trio.aclose_forcefully(stream)
                    break
            except DialRefused as error:
                if error.source == "rst":
                    check.stream_refused = True
                else:
                    check.over.set()
                break
            except (OSError, trio.ClosedResourceError):
                check.over.set()
                break
            wait *= 2
        check.note()
