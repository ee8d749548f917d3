"""The membership half of a node, as one object.

`Memberlist` makes every part of the membership half, once, from the settings, the transport and
the user's handlers, and gives each what it needs.  Other packages reach the parts through it: a
call hands over in a few lines, and reads give the state of this moment.  It starts no task by
itself.  Its owner binds, announces, runs `tasks` in its own nursery, and closes::

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

Source: hashicorp/memberlist v0.2.2, memberlist.go.
"""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Final, Unpack, final

import trio

from .._config import MemberlistConfig
from .._exceptions import ConfigError, InvalidState, JoinError
from .._public_names import set_public_module
from .._swim.admission import local_versions
from .._swim.awareness import Awareness
from .._swim.broadcasts import TransmitLimitedQueue
from .._swim.nodes import Node, NodeStatus
from .._swim.probing import ProbeSchedule
from .._swim.table import NodeTable
from .._wire.keyring import Keyring
from .._wire.messages import USER_PREFIX
from ..abc import (
    Address,
    BulkDelegate,
    Delegate,
    NodeView,
    PingHandler,
    Transport,
)
from .address_prober import AddressProber
from .alarm import run_clock
from .apply import Applier, Handlers
from .deadlines import Deadlines
from .drop_log import DropLog
from .gossiper import Gossiper
from .healer import Healer
from .healer_memory import Seeds
from .history import History
from .indirect_pings import IndirectPings
from .joiner import Joiner
from .local_node import Announcer, LocalAddress, meta_limit
from .loop_lag import LoopLag
from .metrics import Metrics
from .node_log import node_log
from .packet_sender import USER_OVERHEAD, PacketSender, address_of
from .pending_acks import PendingAcks, Pinger
from .prober import Prober
from .receiver import Handoff, Receiver, requests_in_packet
from .refusal_detector import RefusalDetector
from .short_tasks import ShortTasks
from .state_exchange import PushPuller, StateExchange
from .statistics import MemberlistStatistics
from .stream_client import StreamClient
from .stream_server import StreamServer
from .wire_format import WireFormat, configured_keyring

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
      events: notified of joins, leaves and updates, in order, from the moment of `announce`.
      conflict: notified when a second address claims a known name.
      merge: may refuse the state of a joining peer.
      alive: may refuse single alive messages about other nodes.
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
        **handlers: Unpack[Handlers],
    ) -> None:
        if not config.name:
            raise ConfigError("name", config.name, "a node name that is not empty")
        self._config = config
        self._transport = transport
        self._announced = self._closed = False
        self._calls: set[trio.CancelScope] = set()
        self._log = node_log("memberlist", config.name)
        self._address = LocalAddress(config=config, transport=transport, log=self._log)
        self._metrics = Metrics(config.tap, config.metric_labels, self._log)
        self._drop_log = DropLog(self._log)
        self._wire = WireFormat(config, random_bytes, configured_keyring(config))
        self.user_message_limit: int = self._wire.packet_room - USER_OVERHEAD
        """Longest user message that fits into a packet of gossip now (bytes): ``udp_buffer_size``
        less what label, key, checksum and headers take; it changes with encryption.
        """
        alive, merge = handlers.get("alive"), handlers.get("merge")
        self._table = NodeTable(
            name=config.name,
            config=config,
            rng=rng,
            alive_check=None if alive is None else self._drop_log.checked(alive.notify_alive),
            merge_check=None if merge is None else self._drop_log.checked(merge.notify_merge),
        )
        self.deadlines: Deadlines = Deadlines()
        """Calls at a time, of both halves of the node."""
        self._short_tasks = ShortTasks()
        self._lag = LoopLag(config.probe_timeout / 2, self._log)
        self.history: History = History(self._table.nodes, config.name, run_clock(), self._lag)
        """What this node found out about each node, for ``Serf.explain()``."""
        self._drop_log.record = self.history.dropped
        self._awareness = Awareness(config.awareness_max_multiplier)
        self._seeds = Seeds(config.seed_memory)
        self._make_packet_parts(rng, handlers)
        self._make_stream_parts(rng, handlers.get("delegate"))
        self._make_probe_parts(rng, handlers.get("ping"))

    def _make_packet_parts(self, rng: random.Random, handlers: Handlers) -> None:
        delegate = handlers.get("delegate")
        bulk = delegate if isinstance(delegate, BulkDelegate) else None
        config, table, metrics, wire = self._config, self._table, self._metrics, self._wire
        drop_log, transport, faithful = self._drop_log, self._transport, config.faithful_go
        self._queue = TransmitLimitedQueue(
            config.retransmit_mult, table.sequence.__len__, run_clock()
        )
        self._sender = PacketSender(
            config=config,
            transport=transport,
            wire=wire,
            queue=self._queue,
            delegate=delegate,
            bulk=bulk,
            find_node=table.nodes.get,
            drop_log=drop_log,
            metrics=metrics,
        )
        self._pending_acks = PendingAcks(None if faithful else wire.random_bytes)
        self._pinger = Pinger(self._sender, self._pending_acks, table.other_hosts)
        self._indirect_pings = IndirectPings(
            config.max_relays, config.probe_timeout, self._sender, self.deadlines, faithful
        )
        self._gossiper = Gossiper(
            config=config, table=table, sender=self._sender, rng=rng, metrics=metrics
        )
        self.wake_gossip: Callable[..., None] = self._gossiper.wake
        """Notify the gossiper that the delegate has a new broadcast.  Cheap; never waits."""
        self._address_prober = AddressProber(
            config=config,
            table=table,
            pinger=self._pinger,
            history=self.history,
            tasks=self._short_tasks,
        )
        self._apply = Applier(
            table=table,
            sender=self._sender,
            gossiper=self._gossiper,
            address_prober=self._address_prober,
            awareness=self._awareness,
            node_lost=self._seeds.lose,
            events=handlers.get("events"),
            conflict=handlers.get("conflict"),
            history=self.history,
            drop_log=drop_log,
            metrics=metrics,
            log=self._log,
            deadlines=self.deadlines,
        )
        self._announcer = Announcer(table, self._apply, delegate)
        self._handoff = Handoff(
            depth=config.handoff_queue_depth,
            table=table,
            apply=self._apply,
            delegate=delegate,
            is_duplicate=None if bulk is None else bulk.is_duplicate,
            is_request=None if bulk is None else bulk.is_request,
            check_reached=self._address_prober.check_reached,
            max_requests=requests_in_packet(config.udp_buffer_size),
            reserve=not faithful,
            drop_log=drop_log,
        )

    def _make_stream_parts(self, rng: random.Random, delegate: Delegate | None) -> None:
        config, table, metrics, wire = self._config, self._table, self._metrics, self._wire
        drop_log, transport, log = self._drop_log, self._transport, self._log
        self._exchange = exchange = StateExchange(
            table=table,
            apply=self._apply,
            delegate=delegate,
            wire=wire,
            drop_log=drop_log,
            metrics=metrics,
            faithful=config.faithful_go,
        )
        self._client = StreamClient(
            config=config,
            transport=transport,
            wire=wire,
            table=table,
            metrics=metrics,
        )
        self._stream_server = StreamServer(
            budget=self._client.budget,
            config=config,
            transport=transport,
            wire=wire,
            exchange=exchange,
            handoff=self._handoff,
            drop_log=drop_log,
            metrics=metrics,
            log=log,
        )
        self._push_puller = PushPuller(
            config=config,
            table=table,
            client=self._client,
            exchange=exchange,
            rng=rng,
            history=self.history,
            metrics=metrics,
            log=log,
        )
        self._apply.turned_away = self._push_puller.nodes_turned_away
        self.exchange_soon: Callable[[], None] = self._push_puller.exchange_soon
        """Begin push/pulls with a few nodes: they lack what this one knows.  Never waits."""
        self.joiner: Joiner = Joiner(
            push_puller=self._push_puller,
            transport=transport,
            table=table,
            seeds=self._seeds,
            default_port=self._address.default_port,
            leads_here=self._address.leads_here,
            rng=rng,
            log=log,
            tasks=self._short_tasks,
        )
        self._healer = Healer(
            config=config, table=table, seeds=self._seeds, joiner=self.joiner, rng=rng, log=log
        )

    def _make_probe_parts(self, rng: random.Random, ping: PingHandler | None) -> None:
        config, table, metrics, drop_log = self._config, self._table, self._metrics, self._drop_log
        acks, indirect_pings = self._pending_acks, self._indirect_pings
        self._refusals = RefusalDetector(
            self._client, self._apply, acks, indirect_pings, rng, self._short_tasks
        )
        self._prober = Prober(
            config=config,
            table=table,
            schedule=ProbeSchedule(table, rng, config),
            sender=self._sender,
            client=self._client,
            pending_acks=acks,
            awareness=self._awareness,
            apply=self._apply,
            ping=ping,
            rng=rng,
            history=self.history,
            drop_log=drop_log,
            metrics=metrics,
            log=self._log,
            refusals=self._refusals,
            let_refute=self._push_puller.let_refute,
        )
        self._receiver = Receiver(
            config=config,
            transport=self._transport,
            wire=self._wire,
            table=table,
            sender=self._sender,
            handoff=self._handoff,
            pending_acks=acks,
            indirect_pings=indirect_pings,
            ping=ping,
            default_port=self._address.default_port,
            check_reached=self._address_prober.check_reached,
            refusals=self._refusals,
            history=self.history,
            drop_log=drop_log,
            metrics=metrics,
        )

    # --- life ---------------------------------------------------------------------------

    async def bind(self) -> None:
        """Open the transport and settle the advertised address.

        Raises:
          OSError: the address cannot be bound.
          ConfigError: there is no address to advertise.
        """
        await self._transport.open()
        self._address.settle(encrypted=bool(self.keyring))

    def announce(self, incarnation: int = 1) -> None:
        """Enter this node into the table: ``events.notify_join`` is called with it.

        Called once, after `bind` and before the tasks.

        Args:
          incarnation: what to begin with; more than 1 for a node that remembers its last.

        Raises:
          InvalidState: before `bind`, or a second time.
          LocalProtocolError: the delegate's metadata is too long.
        """
        address = self.advertise_address
        if self._announced:
            raise InvalidState("the node was announced already")
        effects = self._table.start(
            trio.current_time(),
            addr=address.to_bytes(),
            port=address.port,
            meta=self._announcer.meta(),
            versions=local_versions(self._config),
            incarnation=incarnation,
        )
        self._announced = True
        self._apply(effects)

    def tasks(self) -> Sequence[tuple[str, Callable[..., Awaitable[None]]]]:
        """The tasks to run, in the order in which to start them.

        Those named in `READY_FIRST` take ``task_status``; the others take nothing.  All run
        until cancelled; `close` alone also ends the first two.
        """
        return (
            ("receiver", self._receiver.run),
            ("stream_server", self._stream_server.run),
            ("handoff", self._handoff.run),
            ("short_tasks", self._short_tasks.run),
            ("deadlines", self.deadlines.run),
            ("prober", self._prober.run),
            ("refusal_detector", self._refusals.run),
            ("gossiper", self._gossiper.run),
            ("push_puller", self._push_puller.run),
            (
                "address_watcher",
                partial(self._address.watch, self._table, self._apply, self._prober.wakes_at),
            ),
            ("healer", self._healer.run),
            ("queue_gauge", self._gossiper.sample_queue),
        )

    def close(self) -> None:
        """Close the transport.  Idempotent, never waits, sends nothing."""
        self._closed = True
        self._transport.close()
        for call in self._calls:
            call.cancel()

    # --- reads --------------------------------------------------------------------------

    @property
    def config(self) -> MemberlistConfig:
        return self._config

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def announced(self) -> bool:
        """Whether `announce` entered this node into the table."""
        return self._announced

    @property
    def local_node(self) -> Node:
        """The record of this node.  Raises `InvalidState` before `announce`."""
        return self._table.local_node

    @property
    def advertise_address(self) -> Address:
        """The address that peers use.  Raises `InvalidState` before `bind`."""
        return self._address.advertised

    @property
    def protocol_version(self) -> int:
        """The memberlist protocol version spoken."""
        return self._config.protocol_version

    @property
    def health_score(self) -> int:
        """Lifeguard's local health: 0 is well; higher stretches the probe interval."""
        return self._awareness.score

    @property
    def num_nodes(self) -> int:
        """All records: self, suspect, dead and left ones included."""
        return self._table.num_nodes

    @property
    def meta_limit(self) -> int:
        """Longest metadata whose alive message fits into a packet (bytes); negative for none."""
        return meta_limit(self._config, self._wire)

    @property
    def num_alive(self) -> int:
        """Records neither dead nor left, self included."""
        return self._table.live_count()

    def members(self) -> tuple[Node, ...]:
        """Records neither dead nor left, self included, ordered by name."""
        return tuple(node for node in self.nodes() if not node.is_gone)

    def nodes(self) -> tuple[Node, ...]:
        """All records, ordered by name."""
        nodes = self._table.nodes
        return tuple(nodes[name] for name in sorted(nodes))

    def node(self, name: str) -> Node | None:
        """The record of this name, whatever its status."""
        return self._table.nodes.get(name)

    @property
    def keyring(self) -> Keyring | None:
        """The key ring in force; None or an empty one means no encryption.

        Rings are immutable: assign another one to change keys, or to start encryption.
        """
        return self._wire.keyring

    @keyring.setter
    def keyring(self, ring: Keyring | None) -> None:
        self._wire.set_keyring(ring)
        self.user_message_limit = self._wire.packet_room - USER_OVERHEAD

    def statistics(self) -> MemberlistStatistics:
        """Counters and sizes of this moment."""
        table, metrics = self._table, self._metrics
        local, status = table.nodes.get(self.name), table.counts()
        sent, transport = metrics.sent.statistics(), self._transport.statistics()
        return MemberlistStatistics(
            alive=status.get(NodeStatus.ALIVE, 0),
            suspect=status.get(NodeStatus.SUSPECT, 0),
            dead=status.get(NodeStatus.DEAD, 0),
            left=status.get(NodeStatus.LEFT, 0),
            incarnation=0 if local is None else local.incarnation,
            health_score=self._awareness.score,
            loop_lag=self._lag.statistics(),
            queued_broadcasts=len(self._queue),
            queue=self._queue.statistics(),
            pending_acks=len(self._pending_acks),
            relays=len(self._indirect_pings),
            handoff=len(self._handoff),
            seeds=len(self._seeds.joined),
            lost=len(self._seeds.lost),
            heals=self._healer.attempts,
            streams=len(self._stream_server),
            packets_sent=sum(sent.packets.values()),
            packets_received=self._receiver.packets,
            bytes_sent=sum(sent.packet_bytes.values()),
            bytes_received=self._receiver.bytes_received,
            packets_lost=None if transport is None else transport.packets_lost,
            packets_dropped=None if transport is None else transport.packets_dropped,
            sent=sent,
            received=metrics.received.statistics(),
            probes=self._prober.probes,
            probes_indirect=self._prober.indirect,
            probes_failed=self._prober.failed,
            refusals=self._refusals.refusals,
            refusals_declared=self._refusals.declared,
            suspicions=table.suspicions.begun,
            suspicions_refuted=table.suspicions.refuted,
            gossip_ticks=self._gossiper.regular_rounds,
            gossip_eager=self._gossiper.eager_rounds,
            push_pulls=self._push_puller.push_pulls,
            push_pulls_failed=self._push_puller.push_pulls_failed,
            refuted=self._apply.refuted,
            conflicts=self._apply.conflicts,
            bad_input=MappingProxyType(dict(self._drop_log.counts)),
            counts=MappingProxyType(dict(metrics.counts)),
        )

    # --- sending ------------------------------------------------------------------------

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
        self._sender.send_together([USER_PREFIX + message], address, name)

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
            await self._client.send_user_message(address_of(node), node.name, message)
        except OSError:
            self._check_open()
            raise

    async def ping(self, name: str, address: Address) -> float:
        """Ping a node and return the round-trip time (seconds).  No effect on its status.

        Raises:
          NoAckError: no answer within ``probe_timeout``.
        """
        with self._until_closed():
            limit = self._config.probe_timeout
            return await self._pinger.ping(self.local_node, name, address, limit)

    # --- membership ---------------------------------------------------------------------

    async def join(self, addresses: Sequence[str]) -> int:
        """Exchange full state with these addresses, all at once.  The tasks must run.

        Args:
          addresses: ``host``, ``host:port`` or ``name/host:port``, with the name of a node.
            Without a port it is the one that this node is bound to, as in Go.  All addresses of
            a host name are joined; the call waits for the first node that answers.

        Returns:
          How many of the strings were reached.  This node itself does not count.

        Raises:
          JoinError: none; one exception for each string, with a note naming it.
        """
        self._check_open()
        try:
            return await self.joiner.join(addresses)
        except JoinError:
            self._check_open()
            raise

    async def leave(self, timeout: float) -> None:
        """Broadcast that this node leaves, and wait until that is sent out.

        The node goes on serving until its tasks are stopped.  A second call does nothing.

        Args:
          timeout: longest wait (seconds); 0 waits for ever.

        Raises:
          BroadcastTimeout: the node has left, but perhaps not all peers know.
        """
        with self._until_closed():
            await self._announcer.leave(timeout)

    def forget(self, name: str) -> None:
        """A node that is gone was removed on purpose: do not look for it any more.

        For ``seed_memory`` seconds only a life newer than its last brings it back, not what
        some peer has kept of it.
        """
        self._seeds.lost.pop(name, None)
        self._table.mark_removed(name)

    async def update_node(self, timeout: float) -> None:
        """Ask the delegate for new metadata, broadcast it, wait until that is sent out.

        Args:
          timeout: longest wait (seconds); 0 waits for ever.

        Raises:
          BroadcastTimeout: the change is in force, but perhaps not all peers know.
          InvalidState: after leaving.
          LocalProtocolError: metadata of more than 512 bytes; nothing changed.
        """
        with self._until_closed():
            await self._announcer.update(timeout)

    @contextmanager
    def _until_closed(self) -> Iterator[None]:
        """Around a call that waits: the end of the node ends the call, too."""
        self._check_open()
        with trio.CancelScope() as call:
            self._calls.add(call)
            try:
                yield
            finally:
                self._calls.discard(call)
        if call.cancelled_caught:
            self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("this node is closed")


set_public_module(Memberlist)
