"""What this node says of itself: its address, its metadata, and that it leaves.

Each changes the local record at once and queues a broadcast.  Metadata and leaving wait until that
was sent its full number of times; with no other live node there is nothing to wait for.

Which address it has, where the user gave none, is decided in `_net/addresses.py`
(`advertised_address`).  An address of a machine may go: its lease ends, an interface is replaced.
A node whose address is gone sends as before, receives acks of its pings by another address perhaps,
and sees all well; but its peers cannot reach it, suspect it, receive its refutation, and so on
without end.  An address that was chosen here is chosen anew then; what the user gave is the user's
to change, so that is a warning.

Source: hashicorp/memberlist v0.2.2, memberlist.go: Leave, UpdateNode, anyAlive, setAlive; Go does
not look at its address again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Final

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import BroadcastTimeout, ConfigError, InvalidState
from .._net.addresses import advertised_address, is_public
from .._swim.effects import Effect
from .._swim.nodes import META_LIMIT
from .._swim.table import NodeTable
from .._wire.limits import MAX_U16, MAX_U32
from .._wire.messages import Alive, encode_message
from ..abc import Address, Delegate, Transport
from .apply import Applier
from .node_log import Log
from .wire_format import PART_OVERHEAD, WireFormat

CHECK_PERIOD: Final = 5.0
"""Seconds between two checks whether the address is there: well within a suspicion timeout."""
ABSENT_CHECKS: Final = 2
"""So many checks in turn must miss it: an interface that is set up anew lacks it for a moment."""


def meta_limit(config: MemberlistConfig, wire: WireFormat) -> int:
    """Longest metadata whose alive message fits into a packet (bytes); negative for none.

    DIFFERS (unless ``faithful_go``): Go queues an alive message that fits into no packet
    (test_tags_that_fit_no_packet_change_nothing).
    """
    if config.faithful_go:
        return META_LIMIT
    longest = Alive(MAX_U32, config.name, bytes(16), MAX_U16, bytes(META_LIMIT), bytes(6))
    room = wire.packet_room - PART_OVERHEAD - len(encode_message(longest))
    return min(META_LIMIT, META_LIMIT + room)


@attrs.define(eq=False)
class Announcer:
    """Announces changes of this node."""

    table: NodeTable
    apply: Applier
    delegate: Delegate | None

    def meta(self) -> bytes:
        """The delegate's metadata of the moment."""
        return b"" if self.delegate is None else self.delegate.node_meta(META_LIMIT)

    async def leave(self, timeout: float) -> None:
        """See `Memberlist.leave`."""
        if self.table.leaving:
            await trio.lowlevel.checkpoint()
            return
        sent = trio.Event()
        effects = self.table.leave(trio.current_time(), sent.set)
        await self._announce(effects, sent, "leave", timeout)

    async def update(self, timeout: float) -> None:
        """Announce the metadata; see `Memberlist.update_node` for what it raises."""
        if self.table.leaving:
            raise InvalidState("the node has left: its metadata is no longer announced")
        meta = self.meta()
        sent = trio.Event()
        effects = self.table.update_local(trio.current_time(), meta, sent.set)
        await self._announce(effects, sent, "update", timeout)

    async def _announce(
        self, effects: list[Effect], sent: trio.Event, what: str, timeout: float
    ) -> None:
        self.apply(effects)
        with trio.move_on_after(timeout or math.inf) as limit:
            with while_needed(self._others_live, self.apply.watchers):
                await sent.wait()
        if limit.cancelled_caught:
            raise BroadcastTimeout(f"the {what} was not sent out within {timeout} s")

    def _others_live(self) -> bool:
        return self.table.live_count() > (0 if self.table.local_node.is_gone else 1)


@contextmanager
def while_needed(
    needed: Callable[[], bool], watchers: list[Callable[[], object]]
) -> Iterator[None]:
    """Around a wait that is for the sake of others: cancelled once none of them is left.

    Args:
      needed: whether there is one.
      watchers: all of them are called whenever that may have changed.
    """
    with trio.CancelScope() as scope:

        def look() -> None:
            if not needed():
                scope.cancel()

        look()
        watchers.append(look)
        try:
            yield
        finally:
            watchers.remove(look)


# --- the address --------------------------------------------------------------------------


@attrs.define(eq=False, kw_only=True)
class LocalAddress:
    """The address that peers use, from the moment when the transport is bound.

    Args:
      choose: gives the address to advertise, or raises `ConfigError`.
    """

    config: MemberlistConfig
    transport: Transport
    log: Log
    choose: Callable[[MemberlistConfig, Address], Address] = advertised_address
    _advertised: Address | None = attrs.field(default=None, init=False)

    def settle(self, *, encrypted: bool) -> None:
        """Find out what to advertise.  Raises `ConfigError` if there is nothing."""
        self._advertised = self.choose(self.config, self.transport.local_address)
        if not encrypted and is_public(self._advertised):
            self.log.warning("%s is public, and nothing is encrypted", self._advertised)

    @property
    def advertised(self) -> Address:
        """The address that peers use.  Raises `InvalidState` before `settle`."""
        if self._advertised is None:
            raise InvalidState("the node has no address before it is bound")
        return self._advertised

    def default_port(self) -> int:
        """What stands for a port that is not given."""
        return self.config.bind_port or self.transport.local_address.port

    def leads_here(self, address: Address) -> bool:
        """Whether an address is one of this node."""
        return address == self._advertised or self.transport.leads_here(address)

    async def watch(
        self, table: NodeTable, apply: Applier, wakes_at: Callable[[float], float]
    ) -> None:
        """Replace the address when it is gone, or warn, until cancelled.

        Args:
          wakes_at: gives the first time, not before its argument, when this node wakes anyway.

        Returns at once if it never was one of this machine, as behind a gateway, or if addresses
        stay as long as the transport, as those of a simulated host.
        """
        stays = type(self.transport).has_address is Transport.has_address
        if stays or self.config.faithful_go or not self.transport.has_address(self.advertised.host):
            await trio.lowlevel.checkpoint()
            return
        absent = 0
        while True:
            await trio.sleep_until(wakes_at(trio.current_time() + CHECK_PERIOD))
            if self.transport.has_address(self.advertised.host):
                absent = 0
                continue
            absent += 1
            if absent >= ABSENT_CHECKS:
                new = self._another(warn=absent == ABSENT_CHECKS)
                if new is not None:
                    self._advertised = new
                    now = trio.current_time()
                    apply(table.move_local(new.to_bytes(), new.port, now))
                    absent = 0

    def _another(self, *, warn: bool) -> Address | None:
        """What to advertise now that the address is gone; None if that is not known here."""
        old, bound = self.advertised, self.transport.local_address
        reason = "it was not chosen here: start this node anew with another one"
        if not self.config.advertise_addr and ip_address(bound.host).is_unspecified:
            try:
                new = self.choose(self.config, bound)
            except ConfigError as error:
                reason = str(error)
            else:
                self.log.warning(
                    "%s is no longer an address of this machine: this node is at %s now", old, new
                )
                return new
        if warn:
            self.log.warning(
                "%s is no longer an address of this machine, so peers cannot reach this node; %s",
                old,
                reason,
            )
        return None
