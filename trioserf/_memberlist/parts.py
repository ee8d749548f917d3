"""The parts of the membership half, and who knows whom.

Everything is made here, once, from the settings, the transport and the user's handlers.
Each part is given what it needs and nothing else; the few circles (effects may begin a
challenge, which ends in effects) are closed by functions that look the part up late.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import MergeRefused
from .._swim.awareness import Awareness
from .._swim.broadcasts import TransmitLimitedQueue
from .._swim.effects import ProbeAddress
from .._swim.probing import ProbeSchedule
from .._swim.table import NodeTable
from ..abc import (
    AliveHandler,
    ConflictHandler,
    Delegate,
    EventHandler,
    MergeHandler,
    PingHandler,
    Transport,
)
from .address_prober import AddressProber
from .alarm import Alarm, RunClock
from .announce import Announcer
from .apply import Applier, SuspicionTimer
from .drop_log import DropLog, Log, node_log
from .gossiper import Gossiper, QueueGauge
from .handoff import Handoff
from .healer import Healer
from .indirect_pings import IndirectPings
from .joiner import Joiner
from .metrics import Metrics
from .packet_sender import PacketSender
from .pending_acks import PendingAcks, Pinger, SequenceNumbers
from .prober import Prober
from .push_puller import PushPuller
from .receiver import Receiver
from .seeds import Seeds
from .state_exchange import StateExchange
from .stream_client import StreamClient
from .stream_server import StreamServer
from .wire_format import WireFormat, configured_keyring

T = TypeVar("T")
Task: TypeAlias = Callable[..., Awaitable[None]]


@attrs.frozen(kw_only=True)
class Handlers:
    """What the user plugged in; None for nothing."""

    delegate: Delegate | None
    events: EventHandler | None
    conflict: ConflictHandler | None
    merge: MergeHandler | None
    alive: AliveHandler | None
    ping: PingHandler | None


class Parts:
    """All parts of one node."""

    def __init__(
        self,
        config: MemberlistConfig,
        transport: Transport,
        rng: random.Random,
        random_bytes: Callable[[int], bytes],
        handlers: Handlers,
    ) -> None:
        self.config = config
        self.transport = transport
        self.rng = rng
        self.handlers = handlers
        self.log: Log = node_log("memberlist", config.name)
        self.metrics = Metrics(config.tap, config.metric_labels, self.log)
        self.drop_log = DropLog(self.log)
        self.wire = WireFormat(config, random_bytes, configured_keyring(config))
        self._make_rules()
        self._make_packet_parts()
        self._make_stream_parts()
        self._make_tasks()

    def default_port(self) -> int:
        """What stands in for a port that is not given."""
        return self.config.bind_port or self.transport.local_address.port

    def _make_rules(self) -> None:
        config, alive, merge = self.config, self.handlers.alive, self.handlers.merge
        self.table = NodeTable(
            name=config.name,
            config=config,
            rng=self.rng,
            alive_check=None if alive is None else self._checked(alive.notify_alive),
            merge_check=None if merge is None else self._checked(merge.notify_merge),
        )
        self.awareness = Awareness(config.awareness_max_multiplier)
        self.queue = TransmitLimitedQueue(
            config.retransmit_mult, lambda: self.table.num_nodes, RunClock()
        )

    def _checked(self, hook: Callable[[T], object]) -> Callable[[T], None]:
        """A hook that can do nothing but refuse: a crash of it is noted, and refuses."""

        def check(subject: T) -> None:
            try:
                hook(subject)
            except MergeRefused:
                raise
            except Exception as error:
                self.drop_log.crash("handler", hook, error)
                raise MergeRefused(f"the handler raised {error!r}") from error

        return check

    def _make_packet_parts(self) -> None:
        config, handlers = self.config, self.handlers
        self.pending = PendingAcks()
        self.numbers = SequenceNumbers()
        self.seeds = Seeds(config.seed_memory)
        self.sender = PacketSender(
            config=config,
            transport=self.transport,
            wire=self.wire,
            queue=self.queue,
            delegate=handlers.delegate,
            find_node=self.table.nodes.get,
            drop_log=self.drop_log,
            metrics=self.metrics,
        )
        self.pinger = Pinger(sender=self.sender, pending=self.pending, numbers=self.numbers)
        self.indirect_pings = IndirectPings(config.max_relays, config.probe_timeout, self.sender)
        self.gossiper = Gossiper(
            config=config,
            table=self.table,
            sender=self.sender,
            rng=self.rng,
            metrics=self.metrics,
        )
        self.suspicion_alarm = Alarm()
        self.apply = Applier(
            table=self.table,
            queue=self.queue,
            sender=self.sender,
            awareness=self.awareness,
            suspicion_alarm=self.suspicion_alarm,
            wake_gossip=self.gossiper.wake,
            challenge=self._challenge,
            seeds=self.seeds,
            events=handlers.events,
            conflict=handlers.conflict,
            drop_log=self.drop_log,
            metrics=self.metrics,
            log=self.log,
        )
        self.handoff = Handoff(
            depth=config.handoff_queue_depth,
            table=self.table,
            apply=self.apply,
            delegate=handlers.delegate,
            drop_log=self.drop_log,
        )
        self.announcer = Announcer(self.table, self.apply, handlers.delegate)

    def _challenge(self, challenge: ProbeAddress) -> None:
        self.address_prober.put(challenge)

    def _make_stream_parts(self) -> None:
        config, handlers = self.config, self.handlers
        self.exchange = StateExchange(
            table=self.table,
            apply=self.apply,
            delegate=handlers.delegate,
            wire=self.wire,
            drop_log=self.drop_log,
            metrics=self.metrics,
        )
        self.client = StreamClient(
            config=config,
            transport=self.transport,
            wire=self.wire,
            table=self.table,
            exchange=self.exchange,
            metrics=self.metrics,
        )
        self.joiner = Joiner(
            client=self.client,
            resolve=self.transport.resolve,
            seeds=self.seeds,
            default_port=self.default_port,
        )

    def _make_tasks(self) -> None:
        config, handlers = self.config, self.handlers
        self.receiver = Receiver(
            config=config,
            transport=self.transport,
            wire=self.wire,
            table=self.table,
            sender=self.sender,
            handoff=self.handoff,
            pending=self.pending,
            indirect_pings=self.indirect_pings,
            numbers=self.numbers,
            ping=handlers.ping,
            default_port=self.default_port,
            drop_log=self.drop_log,
            metrics=self.metrics,
        )
        self.stream_server = StreamServer(
            config=config,
            transport=self.transport,
            wire=self.wire,
            exchange=self.exchange,
            handoff=self.handoff,
            drop_log=self.drop_log,
            metrics=self.metrics,
            log=self.log,
        )
        self.address_prober = AddressProber(
            config=config, table=self.table, pinger=self.pinger, apply=self.apply
        )
        self.suspicion_timer = SuspicionTimer(self.table, self.suspicion_alarm, self.apply)
        self.prober = Prober(
            config=config,
            table=self.table,
            schedule=ProbeSchedule(self.table, self.rng),
            sender=self.sender,
            client=self.client,
            pending=self.pending,
            numbers=self.numbers,
            awareness=self.awareness,
            apply=self.apply,
            ping=handlers.ping,
            rng=self.rng,
            metrics=self.metrics,
            log=self.log,
        )
        self.push_puller = PushPuller(
            config=config, table=self.table, client=self.client, rng=self.rng, log=self.log
        )
        self.client.on_learned = self.push_puller.learned
        self.healer = Healer(
            config=config,
            table=self.table,
            seeds=self.seeds,
            client=self.client,
            join_one=self.joiner.join_one,
            rng=self.rng,
            log=self.log,
        )
        self.queue_gauge = QueueGauge(self.queue, self.metrics, config.queue_check_interval)

    def tasks(self) -> Sequence[tuple[str, Task]]:
        """The tasks, in the order in which to start them."""
        return (
            ("receiver", self.receiver.run),
            ("stream_server", self.stream_server.run),
            ("handoff", self.handoff.run),
            ("indirect_pings", self.indirect_pings.run),
            ("address_prober", self.address_prober.run),
            ("suspicion_timer", self.suspicion_timer.run),
            ("prober", self.prober.run),
            ("gossiper", self.gossiper.run),
            ("push_puller", self.push_puller.run),
            ("healer", self.healer.run),
            ("queue_gauge", self.queue_gauge.run),
        )
