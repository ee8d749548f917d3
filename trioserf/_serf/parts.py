"""The parts of one node, and who knows whom.  Made here, once; nothing runs yet.

Memberlist wants its handlers when it is made, and the handlers act upon memberlist; so the
delegate is made first and completed last, before anything is announced.

Source: hashicorp/serf v0.9.4, serf/serf.go, Create.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import _attrs as attrs
from .._cluster.size_limits import check_tags
from .._config import (
    PROTOCOL_VERSION_MAP,
    PROTOCOL_VERSION_MAX,
    PROTOCOL_VERSION_MIN,
    Config,
    MemberlistConfig,
)
from .._memberlist.drop_log import DropLog, node_log
from .._memberlist.memberlist import Memberlist
from .._memberlist.metrics import Metrics
from .._net.udp_tcp import NetTransport
from .._swim.incarnations import SUSPECT_BAND
from .._wire.tags import encode_tags
from ..abc import Transport
from .conflict_resolver import ConflictResolver
from .coordinates import Coordinates
from .core import Core
from .deadlines import Deadlines
from .delegate import MergeCheck, Partners, SerfDelegate
from .fanout import Fanout, Log, Subscription
from .internal_queries import InternalQueryStage, QueryAnswers
from .key_manager import KeyManager
from .membership import Membership
from .pipeline import Head, Task, coalescing_stages
from .query_tracker import QueryTracker
from .snapshotter import Snapshotter
from .user_events import UserEventSender


class Parts:
    """All parts of one node.

    Args:
      config: settings.
      snapshotter: the open snapshot, already replayed; None if there is none.
      random_bytes: source of nonces.

    Raises:
      ConfigError, TagsTooLarge: nothing was started.
    """

    def __init__(
        self,
        config: Config,
        snapshotter: Snapshotter | None,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        check_tags(encode_tags(config.tags, config.protocol_version))
        self.snapshotter: Snapshotter | None = snapshotter
        self.log: Log = node_log("serf", config.node_name)
        self.metrics: Metrics = Metrics(config.memberlist.tap, config.metric_labels, self.log)
        self.drop_log: DropLog = DropLog(self.log)
        self.prunes: Deadlines = Deadlines()
        self.core: Core = Core.create(config, None if snapshotter is None else snapshotter.state)
        self.coordinates: Coordinates = Coordinates(
            core=self.core, metrics=self.metrics, drop_log=self.drop_log
        )
        self.delegate: SerfDelegate = SerfDelegate(
            core=self.core,
            coordinates=self.coordinates,
            deadlines=self.prunes,
            metrics=self.metrics,
            drop_log=self.drop_log,
            log=self.log,
        )
        self.memberlist: Memberlist = self._make_memberlist(config, random_bytes)
        self.fanout: Fanout = Fanout(self.log)
        self.events: Subscription = self.fanout.add(config.event_buffer_size)
        self._make_doors()
        self.pipeline: Head = self._make_pipeline()
        self.delegate.connect(
            Partners(
                memberlist=self.memberlist,
                pipeline=self.pipeline,
                tracker=self.tracker,
                sender=self.user_events,
                resolve_conflict=self.resolver.request,
            )
        )

    def _make_memberlist(self, config: Config, random_bytes: Callable[[int], bytes]) -> Memberlist:
        settings = memberlist_config(config)
        check = None
        if config.merge is not None:
            check = MergeCheck(
                merge=config.merge, validate_names=config.validate_node_names, log=self.log
            )
        return Memberlist(
            settings,
            transport=_transport(settings),
            rng=self.core.rng,
            random_bytes=random_bytes,
            delegate=self.delegate,
            events=self.delegate,
            conflict=self.delegate,
            merge=check,
            alive=check,
            ping=self.coordinates if self.coordinates.enabled else None,
        )

    def _make_doors(self) -> None:
        """The parts behind the methods of `Serf`."""
        apply = self.delegate.apply_effects
        self.tracker: QueryTracker = QueryTracker(
            core=self.core,
            memberlist=self.memberlist,
            apply=apply,
            log=self.log,
        )
        self.user_events: UserEventSender = UserEventSender(core=self.core, apply=apply)
        self.membership: Membership = Membership(
            core=self.core,
            memberlist=self.memberlist,
            apply=apply,
            record_leave=self._record_leave,
            log=self.log,
        )
        self.keys: KeyManager = KeyManager(self.core, self.tracker)
        self.resolver: ConflictResolver = ConflictResolver(
            core=self.core,
            memberlist=self.memberlist,
            tracker=self.tracker,
            apply=apply,
            stop=self.core.stop,
            log=self.log,
        )

    def _make_pipeline(self) -> Head:
        readers, coalescers = coalescing_stages(self.core.config, self.fanout)
        self.coalescers: dict[str, Task] = coalescers
        self.internal: InternalQueryStage = InternalQueryStage(
            core=self.core,
            memberlist=self.memberlist,
            answers=QueryAnswers(core=self.core, send=self.delegate.send, log=self.log),
            apply=self.delegate.apply_effects,
            log=self.log,
            then=readers,
        )
        if self.snapshotter is None:
            return self.internal
        return self.snapshotter.stage(self.core, self.internal, self._incarnation)

    def first_incarnation(self) -> int:
        """What the own node begins with: above its former life, if that is known.

        DIFFERS: Go begins with 1, and takes its place again only when it was told that it is
        held dead, by a peer that happens to do so.
        Test: test_a_restarted_node_begins_above_its_former_life.
        """
        if self.snapshotter is None or self.core.config.memberlist.faithful_go:
            return 1
        reached = self.snapshotter.state.incarnation
        # No node counts that far: the file is damaged.
        return reached + 1 if reached < SUSPECT_BAND else 1

    def _incarnation(self) -> int:
        return self.memberlist.local_node.incarnation if self.memberlist.announced else 0

    def _record_leave(self) -> None:
        if self.snapshotter is not None:
            self.snapshotter.leave()


def memberlist_config(config: Config) -> MemberlistConfig:
    """The settings of the membership half, with those that Serf decides.

    Source: hashicorp/serf v0.9.4, serf/serf.go, Create; main for the labels.
    """
    given = config.memberlist
    return attrs.evolve(
        given,
        name=config.node_name,
        protocol_version=PROTOCOL_VERSION_MAP[config.protocol_version],
        delegate_protocol_version=config.protocol_version,
        delegate_protocol_min=PROTOCOL_VERSION_MIN,
        delegate_protocol_max=PROTOCOL_VERSION_MAX,
        metric_labels=config.metric_labels or given.metric_labels,
    )


def _transport(settings: MemberlistConfig) -> Transport:
    return settings.transport or NetTransport(settings.bind_addr, settings.bind_port)
