"""The membership half of a node, as one object.

`Memberlist` wires the rules (`trioserf._swim`), the transport and the tasks together, and
is a door: every call hands over in a few lines.  It starts no task by itself.  Its owner
binds, announces, runs `tasks` in its own nursery, and closes::

    memberlist = Memberlist(config, transport=transport, rng=random.Random())
    await memberlist.bind()
    memberlist.announce()
    async with trio.open_nursery() as nursery:
        for name, task in memberlist.tasks():
            if name in READY_FIRST:
                await nursery.start(task, name=name)
            else:
                nursery.start_soon(task, name=name)
        ...
        nursery.cancel_scope.cancel()
    memberlist.close()

Reads are plain functions and give the state of this moment.

Source: hashicorp/memberlist v0.2.2, memberlist.go.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Final, final

import trio

from .._config import MemberlistConfig
from .._exceptions import ConfigError, InvalidState, JoinError
from .._net.addresses import advertised_address, is_public
from .._swim.nodes import Node
from .._wire.keyring import Keyring
from ..abc import (
    Address,
    AliveHandler,
    ConflictHandler,
    Delegate,
    EventHandler,
    MergeHandler,
    NodeView,
    PingHandler,
    Transport,
)
from .packet_sender import address_of
from .parts import Handlers, Parts, Task
from .statistics import MemberlistStatistics, collect

READY_FIRST: Final = ("receiver", "stream_server")
"""Tasks of `Memberlist.tasks` that take ``task_status`` and must be ready before others."""


PROTOCOL_MIN: Final = 1
PROTOCOL_MAX: Final = 5
"""Versions of the memberlist protocol that are understood."""


@final
class Memberlist:
    """One node's view of the cluster, and what keeps it true.

    Args:
      config: settings; ``config.name`` is the node's unique name.
      transport: carries packets and streams; opened by `bind`, closed by `close`.
      rng: source of every random choice.
      random_bytes: source of nonces.
      delegate: metadata, user messages, broadcasts and user state.
      events: told of joins, leaves and updates, in order, from the moment of `announce`.
      conflict: told when a second address claims a known name.
      merge: may refuse the state of a joining peer.
      alive: may refuse single alive messages, the own ones included.
      ping: gives the payload of acks and learns round-trip times.

    Raises:
      ConfigError: no name, or keys that make no ring.
    """

    def __init__(
        self,
        config: MemberlistConfig,
        *,
        transport: Transport,
        rng: random.Random,
        random_bytes: Callable[[int], bytes] = os.urandom,
        delegate: Delegate | None = None,
        events: EventHandler | None = None,
        conflict: ConflictHandler | None = None,
        merge: MergeHandler | None = None,
        alive: AliveHandler | None = None,
        ping: PingHandler | None = None,
    ) -> None:
        if not config.name:
            raise ConfigError("name", config.name, "a node name that is not empty")
        self._config = config
        self._address: Address | None = None
        self._announced = False
        self._closed = False
        handlers = Handlers(
            delegate=delegate,
            events=events,
            conflict=conflict,
            merge=merge,
            alive=alive,
            ping=ping,
        )
        self._parts = Parts(config, transport, rng, random_bytes, handlers)

    # --- life ---------------------------------------------------------------------------

    async def bind(self) -> None:
        """Open the transport and settle the advertised address.

        Raises:
          OSError: the address cannot be bound.
          ConfigError: there is no address to advertise.
        """
        await self._parts.transport.open()
        self._address = advertised_address(self._config, self._parts.transport.local_address)
        if not self.keyring and is_public(self._address):
            self._parts.log.warning("%s is public, and nothing is encrypted", self._address)

    def announce(self, incarnation: int = 1) -> None:
        """Enter the own node into the table: ``events.notify_join`` is called with it.

        Called once, after `bind` and before the tasks.

        Args:
          incarnation: what to begin with; more than 1 for a node that remembers its last.

        Raises:
          InvalidState: before `bind`, or a second time.
          LocalProtocolError: the delegate's metadata is too long.
          MergeRefused: the alive handler refuses the own node.
        """
        address = self.advertise_address
        if self._announced:
            raise InvalidState("the node was announced already")
        config, parts = self._config, self._parts
        effects = parts.table.start(
            trio.current_time(),
            addr=address.to_bytes(),
            port=address.port,
            meta=parts.announcer.meta(),
            versions=bytes(
                (
                    PROTOCOL_MIN,
                    PROTOCOL_MAX,
                    config.protocol_version,
                    config.delegate_protocol_min,
                    config.delegate_protocol_max,
                    config.delegate_protocol_version,
                )
            ),
            incarnation=incarnation,
        )
        self._announced = True
        parts.apply(effects)

    def tasks(self) -> Sequence[tuple[str, Task]]:
        """The tasks to run, in the order in which to start them.

        Those named in `READY_FIRST` take ``task_status``; the others take nothing.  All run
        until cancelled; `close` alone also ends the first two.
        """
        return self._parts.tasks()

    def close(self) -> None:
        """Close the transport.  Idempotent, never waits, tells nobody."""
        self._closed = True
        self._parts.transport.close()

    # --- reads --------------------------------------------------------------------------

    @property
    def config(self) -> MemberlistConfig:
        return self._config

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def announced(self) -> bool:
        """Whether `announce` entered the own node into the table."""
        return self._announced

    @property
    def local_node(self) -> Node:
        """The own record.  Raises `InvalidState` before `announce`."""
        return self._parts.table.local_node

    @property
    def advertise_address(self) -> Address:
        """What others are told.  Raises `InvalidState` before `bind`."""
        if self._address is None:
            raise InvalidState("the node has no address before it is bound")
        return self._address

    @property
    def protocol_version(self) -> int:
        """The memberlist protocol version spoken."""
        return self._config.protocol_version

    @property
    def health_score(self) -> int:
        """Lifeguard's local health: 0 is well; higher stretches the probe interval."""
        return self._parts.awareness.score

    @property
    def num_nodes(self) -> int:
        """All records: self, suspect, dead and left ones included."""
        return self._parts.table.num_nodes

    @property
    def num_alive(self) -> int:
        """Records neither dead nor left, self included."""
        return self._parts.table.live_count()

    def members(self) -> tuple[Node, ...]:
        """Records neither dead nor left, self included, ordered by name."""
        return tuple(node for node in self.nodes() if not node.is_gone)

    def nodes(self) -> tuple[Node, ...]:
        """All records, ordered by name."""
        nodes = self._parts.table.nodes
        return tuple(nodes[name] for name in sorted(nodes))

    def node(self, name: str) -> Node | None:
        """The record of this name, whatever its status."""
        return self._parts.table.nodes.get(name)

    @property
    def keyring(self) -> Keyring | None:
        """The key ring in force; None or an empty one means no encryption.

        Rings are immutable: assign another one to change keys, or to start encryption.
        """
        return self._parts.wire.keyring

    @keyring.setter
    def keyring(self, ring: Keyring | None) -> None:
        self._parts.wire.set_keyring(ring)

    def statistics(self) -> MemberlistStatistics:
        """Counters and sizes of this moment."""
        return collect(self._parts)

    # --- sending ------------------------------------------------------------------------

    def wake_gossip(self) -> None:
        """Tell the gossiper that the delegate has a new broadcast.  Cheap; never waits."""
        self._parts.gossiper.wake()

    def send_to_address(self, address: Address, name: str, message: bytes) -> None:
        """Send one user message in one packet, at once, without any guarantee.

        Args:
          address: where to.
          name: the receiver's node name, "" if unknown.
          message: the bytes for the receiver's ``notify_message``.

        Raises:
          LocalProtocolError: node names are required and there is none.
          trio.BrokenResourceError: the system refused the packet.
          trio.ClosedResourceError: closed.
        """
        self._parts.sender.send_together([b"\x08" + message], address, name)

    def send_best_effort(self, node: NodeView, message: bytes) -> None:
        """As `send_to_address`, to a known node."""
        self.send_to_address(address_of(node), node.name, message)

    async def send_reliable(self, node: NodeView, message: bytes) -> None:
        """Send one user message over a stream.

        *Checkpoint*: always.

        Raises:
          OSError: no connection within ``tcp_timeout``, or it broke.
          LocalProtocolError: longer than a stream may carry; nothing was sent.
        """
        self._check_open()
        try:
            await self._parts.client.send_user_message(address_of(node), node.name, message)
        except OSError:
            self._check_open()
            raise

    async def ping(self, name: str, address: Address) -> float:
        """Ping a node and return the round-trip time (seconds).  No effect on its status.

        Raises:
          NoAckError: no answer within ``probe_timeout``.
        """
        self._check_open()
        parts = self._parts
        timeout = self._config.probe_timeout
        return await parts.pinger.ping(parts.table.local_node, name, address, timeout)

    # --- membership ---------------------------------------------------------------------

    async def join(self, addresses: Sequence[str]) -> int:
        """Exchange full state with these addresses, all at once.

        Args:
          addresses: ``host``, ``host:port`` or ``name/host:port``; of a name with several
            addresses the first that answers counts.

        Returns:
          How many of the strings were reached.

        Raises:
          JoinError: none; one exception for each string, with a note naming it.
        """
        self._check_open()
        try:
            return await self._parts.joiner.join(addresses)
        except JoinError:
            self._check_open()
            raise

    async def leave(self, timeout: float) -> None:
        """Tell the others that this node leaves, and wait until that is sent out.

        The node goes on serving until its tasks are stopped.  A second call does nothing.

        Args:
          timeout: longest wait (seconds); 0 waits for ever.

        Raises:
          BroadcastTimeout: the node has left, but perhaps not all others know.
        """
        self._check_open()
        await self._parts.announcer.leave(timeout)

    def forget(self, name: str) -> None:
        """A node that is gone was removed on purpose: do not look for it any more.

        For ``seed_memory`` seconds only a life newer than its last brings it back, not what
        some peer has kept of it.
        """
        self._parts.seeds.forget(name)
        self._parts.table.remove(name)

    async def update_node(self, timeout: float) -> None:
        """Ask the delegate for new metadata, tell the others, wait until that is sent out.

        Args:
          timeout: longest wait (seconds); 0 waits for ever.

        Raises:
          BroadcastTimeout: the change is in force, but perhaps not all others know.
          InvalidState: after leaving.
          LocalProtocolError: metadata of more than 512 bytes; nothing changed.
        """
        self._check_open()
        await self._parts.announcer.update(timeout)

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this node is closed")
