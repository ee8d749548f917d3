"""Task and calls: joining, that is, full state exchanged with many addresses at once.

If a name resolves to several addresses all of them are joined, because nothing says that the nodes
there know each other: with the nearest alone, two zones that start at one time would stay two
clusters.  The caller of a join waits for the first node that answers; exchanges with the others go
on in the background.  Of more than `MAX_ADDRESSES` addresses that many are chosen at random; the
healer (`_memberlist/healer.py`), which resolves the name again and again, joins the missing ones.
Which addresses this node joined is remembered for the healer (`_memberlist/healer_memory.py`).

This node itself, which may well be among the addresses of a name, is never dialled, and never
counts as reached; neither does an address that turns out to lead back here.

A node that was a member is contacted again by `Joiner.reconnect`.  Its address may belong to
another cluster by then, so the peer is first asked for its state without being sent any.

DIFFERS: Go tries one address after another, counts each address of a name, and counts this node,
too.  Tests: ``test_a_name_with_many_addresses_counts_once``,
``test_this_node_itself_is_never_reached``.

Source: hashicorp/memberlist v0.2.2, memberlist.go: Join, resolveAddr.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

import trio

from .. import _attrs as attrs
from .._exceptions import JoinError, LocalProtocolError, MergeRefused
from .._net.addresses import parse_address
from .._swim.nodes import Node, NodeStatus
from .._swim.same_cluster import is_same_cluster, name_at
from .._swim.table import NodeTable
from .._text import short_repr
from ..abc import Address, Transport
from .healer_memory import Seeds
from .node_log import Log
from .short_tasks import ShortTasks
from .state_exchange import EXCHANGE_ERRORS, LeadsHere, PushPuller

MAX_AT_ONCE: Final = 64
"""Most exchanges at the same time, of all joins together: each may hold a whole state."""
MAX_ADDRESSES: Final = 16
"""Most addresses of one name that are joined at once."""
MAX_WARNED: Final = 256
"""Addresses of other clusters for which the warning is not repeated."""
_FAILURES: Final = (*EXCHANGE_ERRORS, trio.ClosedResourceError)
"""How an exchange may fail; with the last if the local transport is closed meanwhile."""


@attrs.define(eq=False)
class _Contact:
    """One address string that is being joined.

    Args:
      text: the string.

    Attributes:
      decided: set when a node was reached, or it is certain that none will be.
      ended: whether none will be because the tasks of this node have ended.
    """

    text: str
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    decided: trio.Event = attrs.field(factory=trio.Event, init=False)
    reached: bool = attrs.field(default=False, init=False)
    ended: bool = attrs.field(default=False, init=False)
    errors: list[Exception] = attrs.field(factory=list, init=False)

    def error(self) -> Exception:
        """The error to raise if no node was reached: the first one, with the others as notes."""
        first, *others = self.errors
        for other in others:
            first.add_note(f"and: {other}")
        first.add_note(f"while joining {short_repr(self.text)}")
        return first


@attrs.define(eq=False, kw_only=True)
class Joiner:
    """Joins; and finishes exchanges that the caller of a join need not wait for.

    Args:
      default_port: gives the port for strings without one.
      leads_here: whether an address is one of this node.
    """

    push_puller: PushPuller
    transport: Transport
    table: NodeTable
    seeds: Seeds
    default_port: Callable[[], int]
    leads_here: Callable[[Address], bool]
    rng: random.Random
    log: Log
    tasks: ShortTasks
    _exchange_limit: trio.Semaphore = attrs.field(
        factory=lambda: trio.Semaphore(MAX_AT_ONCE), init=False
    )
    _warned: set[tuple[str, Address]] = attrs.field(factory=set, init=False)

    # --- address strings ------------------------------------------------------------------

    async def join(self, addresses: Sequence[str]) -> int:
        """Join these address strings; return at how many of them a node was reached.

        If a node was reached at some strings, the healer goes on with the others.
        *Cancellation*: ends every exchange of this join, those in the background as well.

        Raises:
          JoinError: at least one string was given, and no node was reached.
          trio.ClosedResourceError: the tasks of this node have ended, before or meanwhile.
        """
        contacts = [_Contact(text) for text in addresses]
        # The exchanges run elsewhere, so that no nursery is around this wait: what ends it, a
        # KeyboardInterrupt for example, comes out bare.
        try:
            if self.tasks.nursery is None or not contacts:
                await self.tasks.begun.wait()
            if self.tasks.nursery is None:
                raise trio.ClosedResourceError("this node is closed")
            for contact in contacts:
                self.tasks.nursery.start_soon(self._join_one, contact)
            for contact in contacts:
                await contact.decided.wait()
        except BaseException:
            for contact in contacts:
                contact.scope.cancel()
            raise
        missed = [(contact, contact.error()) for contact in contacts if not contact.reached]
        if missed and len(missed) == len(contacts):
            if any(contact.ended for contact in contacts):
                raise trio.ClosedResourceError("this node was closed while it joined")
            errors = [error for _, error in missed]
            raise JoinError(f"none of {len(errors)} addresses could be joined", errors)
        for contact, error in missed:
            if isinstance(error, OSError) and contact.text not in self.seeds.joined:
                self.seeds.remember(contact.text, None, trio.current_time())
        return len(contacts) - len(missed)

    async def resolve(self, text: str) -> tuple[str, list[Address]]:
        """The node name in an address string, "" for none, and all addresses but this node's.

        Raises:
          OSError: there is no such host.
          LocalProtocolError: no address string.
          trio.ClosedResourceError: the local transport is closed.
        """
        try:
            name, host, port = parse_address(text, self.default_port())
        except ValueError as error:
            raise LocalProtocolError(str(error)) from error
        found = await self.transport.resolve(host, port)
        if not found:
            raise OSError(f"{host!r} has no address")
        return name, [address for address in found if not self.leads_here(address)]

    async def join_missing(self, text: str) -> bool:
        """Join those addresses of a string at which no node of the table is alive.

        Returns:
          whether a node was reached; False if no address is without a live node.

        Raises:
          As `resolve`; and what the first exchange raised, if all failed.
        """
        name, found = await self.resolve(text)
        self.seeds.update(text, found)
        contact = _Contact(text)
        await self._exchange_with_all(contact, name, self.seeds.absent(found, self.table))
        if contact.errors and not contact.reached:
            raise contact.error()
        return contact.reached

    async def _join_one(self, contact: _Contact) -> None:
        try:
            with contact.scope:
                name, found = await self.resolve(contact.text)
                if not found:
                    raise LeadsHere(f"{contact.text!r} is this node itself, and no other")
                await self._exchange_with_all(contact, name, found)
        except _FAILURES as error:
            contact.errors.append(error)
        finally:
            if not (contact.reached or contact.errors):
                contact.ended = True
                contact.errors.append(trio.ClosedResourceError("this node was closed"))
            contact.decided.set()

    async def _exchange_with_all(
        self, contact: _Contact, name: str, found: Sequence[Address]
    ) -> None:
        chosen = found
        if len(found) > MAX_ADDRESSES:
            chosen = self.rng.sample(found, MAX_ADDRESSES)

        async def exchange(address: Address) -> None:
            async with self._exchange_limit:
                try:
                    await self.push_puller.push_pull(address, name, join=True)
                except _FAILURES as error:
                    contact.errors.append(error)
                    self.log.debug("joining %r: %s", contact.text, error)
                else:
                    contact.reached = True
                    self.seeds.remember(contact.text, found, trio.current_time())
                    contact.decided.set()

        async with trio.open_nursery() as nursery:
            for address in chosen:
                nursery.start_soon(exchange, address)

    # --- nodes that were members ----------------------------------------------------------

    async def reconnect(self, name: str, address: Address, *, renamed: bool = False) -> None:
        """Exchange full state with a node that was a member.

        DIFFERS: Go merges with any node that has the address by now.  Where addresses are given
        out again, as to containers, that merges two clusters for good.  Test:
        test_an_address_that_another_cluster_has_by_now_merges_nothing.

        Args:
          name, address: of the node.
          renamed: whether nodes there are known to change their names: then any answer counts.

        Raises:
          OSError, RemoteProtocolError, LocalProtocolError: no exchange.
          MergeRefused: another cluster is at the address by now, and no state was sent to it; or
            the local merge handler refused the peer's state.
        """
        if self.leads_here(address):
            await trio.lowlevel.checkpoint()
            raise OSError(f"{address} is this node itself")
        if not (renamed or self.push_puller.config.faithful_go):
            state = await self.push_puller.peek(address, name)
            known = {**self.seeds.lost_nodes(), **self.table.nodes}
            if not is_same_cluster(state.records, name, address, known, self.table.name):
                raise self._other_cluster(name, address, name_at(state.records, address))
        await self.push_puller.push_pull(address, name, join=True)

    def remember_lost(self, name: str, address: Address) -> None:
        """Remember a node that was a member as lost, so that the healer tries to contact it.

        Args:
          name, address: of the node; a name of "" stands for any node there.
        """
        now = trio.current_time()
        if name:
            node = Node(name=name, addr=address.to_bytes(), port=address.port)
            node.update(status=NodeStatus.DEAD)
            self.seeds.lose(node, now)
        else:
            self.seeds.remember(str(address), None, now)

    def _other_cluster(self, name: str, address: Address, other: str) -> MergeRefused:
        text = (
            f"{address} was that of {name!r}, and is that of {other!r} now, whose cluster has no"
            " member in common with this one: not merged"
        )
        if (name, address) not in self._warned:
            if len(self._warned) >= MAX_WARNED:
                self._warned.clear()
            self._warned.add((name, address))
            self.log.warning("%s; a `label` of its own for each cluster keeps them apart", text)
        return MergeRefused(text)
