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
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, final

from .._config import MemberlistConfig
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

if TYPE_CHECKING:
    from .._swim.nodes import Node
    from .._wire.keyring import Keyring
    from .statistics import MemberlistStatistics

Task: TypeAlias = Callable[..., Awaitable[None]]

READY_FIRST: Final = ("receiver", "stream_server")
"""Tasks of `Memberlist.tasks` that take ``task_status`` and must be ready before others."""


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
    ) -> None: ...

    # --- life ---------------------------------------------------------------------------

    async def bind(self) -> None:
        """Open the transport and settle the advertised address.

        Raises:
          OSError: the address cannot be bound.
          ConfigError: there is no address to advertise.
        """

    def announce(self) -> None:
        """Enter the own node into the table: ``events.notify_join`` is called with it.

        Called once, after `bind` and before the tasks.
        """

    def tasks(self) -> Sequence[tuple[str, Task]]:
        """The tasks to run, in the order in which to start them.

        Those named in `READY_FIRST` take ``task_status``; the others take nothing.  All run
        until cancelled; `close` alone also ends the first two.
        """

    def close(self) -> None:
        """Close the transport.  Idempotent, never waits, tells nobody."""

    # --- reads --------------------------------------------------------------------------

    @property
    def config(self) -> MemberlistConfig: ...

    @property
    def name(self) -> str: ...

    @property
    def local_node(self) -> Node:
        """The own record.  Raises `InvalidState` before `announce`."""

    @property
    def advertise_address(self) -> Address:
        """What others are told.  Raises `InvalidState` before `bind`."""

    @property
    def protocol_version(self) -> int:
        """The memberlist protocol version spoken."""

    @property
    def health_score(self) -> int:
        """Lifeguard's local health: 0 is well; higher stretches the probe interval."""

    @property
    def num_nodes(self) -> int:
        """All records: self, suspect, dead and left ones included."""

    @property
    def num_alive(self) -> int:
        """Records neither dead nor left, self included."""

    def members(self) -> tuple[Node, ...]:
        """Records neither dead nor left, self included, ordered by name."""

    def nodes(self) -> tuple[Node, ...]:
        """All records, ordered by name."""

    def node(self, name: str) -> Node | None:
        """The record of this name, whatever its status."""

    @property
    def keyring(self) -> Keyring | None:
        """The key ring in force; None or an empty one means no encryption.

        Rings are immutable: assign another one to change keys, or to start encryption.
        """

    @keyring.setter
    def keyring(self, ring: Keyring | None) -> None: ...

    def statistics(self) -> MemberlistStatistics:
        """Counters and sizes of this moment."""

    # --- sending ------------------------------------------------------------------------

    def wake_gossip(self) -> None:
        """Tell the gossiper that the delegate has a new broadcast.  Cheap; never waits."""

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

    def send_best_effort(self, node: NodeView, message: bytes) -> None:
        """As `send_to_address`, to a known node."""

    async def send_reliable(self, node: NodeView, message: bytes) -> None:
        """Send one user message over a stream.

        *Checkpoint*: always.

        Raises:
          OSError: no connection within ``tcp_timeout``, or it broke.
          LocalProtocolError: longer than a stream may carry; nothing was sent.
        """

    async def ping(self, name: str, address: Address) -> float:
        """Ping a node and return the round-trip time (seconds).  No effect on its status.

        Raises:
          NoAckError: no answer within ``probe_timeout``.
        """

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

    async def leave(self, timeout: float) -> None:
        """Tell the others that this node leaves, and wait until that is sent out.

        The node goes on serving until its tasks are stopped.  A second call does nothing.

        Args:
          timeout: longest wait (seconds); 0 waits for ever.

        Raises:
          BroadcastTimeout: the node has left, but perhaps not all others know.
        """

    async def update_node(self, timeout: float) -> None:
        """Ask the delegate for new metadata, tell the others, wait until that is sent out.

        Args:
          timeout: longest wait (seconds); 0 waits for ever.

        Raises:
          BroadcastTimeout: the change is in force, but perhaps not all others know.
          InvalidState: after leaving.
          LocalProtocolError: metadata of more than 512 bytes; nothing changed.
        """
