"""Every setting of a node: what it does, its unit, its Go name, when to change it.

Durations are float seconds, sizes are bytes.  A field ``snake_case`` is Go's ``SnakeCase``;
fields that Go does not have are named below.  Bad values raise `ConfigError` when the object
is made, so a running node never meets one.  Objects are frozen: ``attrs.evolve`` makes a changed
copy.  The text below each field has a fixed form, which `trioserf._setting_texts` reads for
``help()`` and for the page of settings; default and bound are in the code above it.

Source: hashicorp/memberlist v0.2.2, config.go; hashicorp/serf v0.9.4, serf/config.go.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

from . import _attrs as attrs
from ._events import Member
from ._exceptions import ConfigError, InvalidNodeName
from ._memberlist_config import DEFAULT_PORT as DEFAULT_PORT
from ._memberlist_config import MemberlistConfig as MemberlistConfig
from ._memberlist_config import with_profile
from ._public_names import set_public_module
from ._setting_texts import documented
from ._settings import (
    BOOL,
    CALLABLE,
    COUNT,
    COUNT_1,
    POSITIVE,
    SECONDS,
    addresses_to_join,
    advertised_host,
    bound,
    bound_host,
    check_names,
    frozen_mapping,
    frozen_tags,
    host_and_port_of,
    is_encodable,
    is_int,
    key_bytes,
    path_of_keyring,
    path_of_snapshot,
    setting,
)

if TYPE_CHECKING:
    from typing import Unpack

    from ._config_keywords import ConfigKeywords

PROTOCOL_VERSION_MIN = 2
"""Lowest Serf protocol version that can be used."""
PROTOCOL_VERSION_MAX = 5
"""Highest Serf protocol version that can be used."""
PROTOCOL_VERSION_MAP: Mapping[int, int] = MappingProxyType({2: 2, 3: 2, 4: 2, 5: 2})
"""Serf protocol version to memberlist protocol version."""
USER_EVENT_SIZE_LIMIT = 9216
"""Most bytes that ``user_event_size_limit`` may allow."""
MAX_NODE_NAME_LENGTH = 128
"""Longest name that ``validate_node_names`` accepts."""
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")


def check_node_name(name: str) -> None:
    """Raise `InvalidNodeName` unless ``name`` has only ``A-Za-z0-9-.``, at most 128 bytes.

    Source: hashicorp/serf main, serf/serf.go, ValidateNodeName.
    """
    if not set(name) <= _NAME_CHARACTERS:
        raise InvalidNodeName("node_name", name, "only letters, digits, '-' and '.'")
    if len(name) > MAX_NODE_NAME_LENGTH:
        raise InvalidNodeName("node_name", name, "at most 128 characters")


@final
@documented
@attrs.frozen(kw_only=True)
class Config:
    """Settings of a node.  The defaults are those of Go's library on a local network.

    Fields that Go does not have: ``profile``, ``event_buffer_size``, ``leave_on_exit``,
    ``leave_timeout``, ``retry_join``, ``retry_join_interval``, ``retry_join_max_attempts``,
    ``rng``.
    """

    # --- who

    node_name: str = attrs.field(
        factory=socket.gethostname,
        validator=bound(
            lambda v: isinstance(v, str) and v != "" and is_encodable(v),
            "a name that is not empty and can be written in UTF-8",
        ),
    )
    """The unique name of this node in its cluster; the name of the host by default.

    Go: NodeName.
    Change: for several nodes on one host, and where hosts do not have names of their own.
    """
    tags: Mapping[str, str] = attrs.field(factory=dict, converter=frozen_tags, hash=False)
    """What the others shall know of this node, such as its role; 512 bytes in all when encoded.

    Go: Tags.
    Change: to let others select by it, ``Serf.follow(tags=...)`` or ``filter_tags``;
    ``Serf.set_tags()`` changes them later.
    """
    profile: str = setting(
        "lan", bound(lambda v: v in ("lan", "wan", "local"), "'lan', 'wan' or 'local'")
    )
    """Where the settings of membership come from that nobody has given.

    Go: none; there are three functions.
    Change: by `Config.lan`, `Config.wan` and `Config.local`.
    """
    memberlist: MemberlistConfig = attrs.field(
        factory=MemberlistConfig,
        validator=bound(lambda v: isinstance(v, MemberlistConfig), "a MemberlistConfig"),
    )
    """The settings of the membership half.

    Go: MemberlistConfig.
    Change: by keywords of `Config.lan`, which takes those of both halves.  A
    ``MemberlistConfig(...)`` keeps what it was given, and the profile gives the rest.
    """
    validate_node_names: bool = setting(False, BOOL)
    """Refuse names, of this node and of others, that are not ``A-Za-z0-9-.`` or are over 128
    bytes long.

    Go: ValidateNodeNames (serf 0.9.5 and newer).
    Change: True where names go into DNS or file names.
    """
    protocol_version: int = setting(
        4,
        bound(lambda v: is_int(v) and PROTOCOL_VERSION_MIN <= v <= PROTOCOL_VERSION_MAX, "2 to 5"),
    )
    """The Serf protocol version spoken.

    Unit: version.
    Go: ProtocolVersion.
    Change: lower, while agents older than Serf 0.5 are in the cluster.
    """

    # --- joining

    retry_join: Sequence[str] = attrs.field(default=(), converter=addresses_to_join)
    """Addresses that the node goes on trying from its start, until one other node was reached;
    names are looked up anew each time.  As for ``Serf.join()``, which stays one attempt.

    Go: none; the agent has RetryJoin.
    Change: wherever a node may be up before its peers, or before their names are known.
    """
    retry_join_interval: float = setting(30.0, POSITIVE)
    """Time between the end of an attempt of ``retry_join`` and the next one.

    Unit: seconds.
    Go: none; the agent has RetryInterval.
    Change: shorter where nodes start together and shall find each other at once.
    """
    retry_join_max_attempts: int = setting(0, COUNT)
    """After how many attempts of ``retry_join`` the node stays alone, with a warning in the log;
    0 for no limit.

    Unit: attempts.
    Go: none; the agent has RetryMaxAttempts, and exits.
    Change: hardly ever: an attempt costs little.
    """

    # --- leaving, failing, and being forgotten

    broadcast_timeout: float = setting(5.0, POSITIVE)
    """How long a call waits until its message has been sent out: each of the two steps of a
    leave, new tags, a removed member.

    Unit: seconds.
    Go: BroadcastTimeout.
    Change: longer in clusters of thousands, where queues are long; some 25 at 3,000 nodes.
    """
    leave_propagate_delay: float = setting(1.0, SECONDS)
    """How long a node goes on after its leave was sent, so that gossip carries it further.

    Unit: seconds.
    Go: LeavePropagateDelay.
    Change: longer if members that left show as failed; 0 in tests.
    """
    leave_on_exit: bool = setting(True, BOOL)
    """Whether leaving the block of ``open`` normally leaves the cluster gracefully.

    Go: none; there `Leave` is always a call.
    Change: False if the end of the program shall look like a failure, to be back soon.
    """
    leave_timeout: float = setting(15.0, POSITIVE)
    """Limit of that graceful leave.

    Unit: seconds.
    Go: none.
    Change: below the time that your supervisor grants between SIGTERM and SIGKILL.
    """
    reconnect_interval: float = setting(30.0, POSITIVE)
    """Time between two attempts to reach some failed member again.

    Unit: seconds.
    Go: ReconnectInterval.
    Change: shorter to heal partitions sooner.
    """
    reconnect_timeout: float = setting(86400.0, SECONDS)
    """How long a failed member stays in the list, and is tried again.

    Unit: seconds.
    Go: ReconnectTimeout.
    Change: shorter where nodes never return under their name, as in autoscaling groups.
    """
    reconnect_timeout_override: Callable[[Member, float], float] | None = attrs.field(
        default=None, eq=False, validator=CALLABLE
    )
    """Called with a member and the timeout: after how long this member is forgotten (seconds).

    Go: ReconnectTimeoutOverride (serf 0.9.5 and newer).
    Change: to keep some members longer than others, by their tags.
    """
    tombstone_timeout: float = setting(86400.0, SECONDS)
    """How long a member that left stays in the list.

    Unit: seconds.
    Go: TombstoneTimeout.
    Change: shorter where many short-lived nodes leave; longer than any partition.
    """
    reap_interval: float = setting(15.0, POSITIVE)
    """Time between two looks for members that are to be forgotten.

    Unit: seconds.
    Go: ReapInterval.
    Change: hardly ever.
    """
    flap_timeout: float = setting(60.0, SECONDS)
    """A member that is back sooner than this after its failure counts as flapping, in metrics.

    Unit: seconds.
    Go: FlapTimeout.
    Change: to what you call flapping.
    """
    recent_intent_timeout: float = setting(300.0, SECONDS)
    """How long a join or leave is remembered of a name that is no member yet.

    Unit: seconds.
    Go: RecentIntentTimeout.
    Change: hardly ever; longer than a message is under way.
    """
    merge: Callable[[Sequence[Member]], object] | None = attrs.field(
        default=None, eq=False, validator=CALLABLE
    )
    """Called with the members of a joining peer, and with each other node that is said to be
    alive; raise `MergeRefused` to refuse.  It is not asked about this node alone.

    Go: Merge.
    Change: to keep clusters apart by their tags.  It must not wait.
    """
    enable_name_conflict_resolution: bool = setting(True, BOOL)
    """Let the majority decide which of two nodes keeps a name; the other one stops.

    Go: EnableNameConflictResolution.
    Change: False if a wrong name shall not end a running node.
    """

    # --- events and queries

    event_buffer_size: int = setting(2048, COUNT_1)
    """Events kept for a slow reader of ``Serf.events`` before they are dropped.

    Unit: events.
    Go: none; there the application makes the channel.
    Change: more for bursts; who only wants the newest state takes ``Serf.follow()``.
    """
    user_event_size_limit: int = attrs.field(
        default=512,
        validator=bound(lambda v: is_int(v) and 0 < v <= USER_EVENT_SIZE_LIMIT, "1 to 9216 bytes"),
    )
    """Longest user event, name and payload, when encoded.

    Unit: bytes.
    Go: UserEventSizeLimit.
    Change: more only if every node has the same; what fits into no packet is refused anyway.
    """
    query_size_limit: int = setting(1024, COUNT_1)
    """Longest query when encoded.

    Unit: bytes.
    Go: QuerySizeLimit.
    Change: as ``user_event_size_limit``.
    """
    query_response_size_limit: int = setting(1024, COUNT_1)
    """Longest response to a query when encoded.

    Unit: bytes.
    Go: QueryResponseSizeLimit.
    Change: more for long responses, up to what ``udp_buffer_size`` carries.
    """
    query_timeout_mult: int = setting(16, COUNT_1)
    """Scales how long a query is open by default: times ``gossip_interval`` and log10(members).

    Unit: factor.
    Go: QueryTimeoutMult.
    Change: more on slow or lossy networks; one query alone has ``timeout=``.
    """
    coalesce_period: float = setting(0.0, SECONDS)
    """Longest time that member events wait to be merged; 0 turns merging off.

    Unit: seconds.
    Go: CoalescePeriod.
    Change: some seconds where a thousand nodes come and go at once and one event will do.
    """
    quiescent_period: float = setting(0.0, SECONDS)
    """Member events are merged until there is none for this long; 0 turns merging off.

    Unit: seconds.
    Go: QuiescentPeriod.
    Change: together with ``coalesce_period``, and shorter.
    """
    user_coalesce_period: float = setting(0.0, SECONDS)
    """Longest time that user events wait to be merged; 0 turns merging off.

    Unit: seconds.
    Go: UserCoalescePeriod.
    Change: where only the newest event of a name matters.
    """
    user_quiescent_period: float = setting(0.0, SECONDS)
    """User events are merged until there is none for this long; 0 turns merging off.

    Unit: seconds.
    Go: UserQuiescentPeriod.
    Change: together with ``user_coalesce_period``, and shorter.
    """
    event_buffer: int = setting(
        512, bound(lambda v: is_int(v) and 1 <= v <= 1_000_000, "1 to 1000000 Lamport times")
    )
    """Lamport times of user events in a state exchange; of four times as many is remembered what
    was delivered.

    Unit: Lamport times.
    Go: EventBuffer.
    Change: more where more events than this are sent within some seconds.
    """
    query_buffer: int = setting(512, COUNT_1)
    """Lamport times of queries remembered, to tell what is new.

    Unit: Lamport times.
    Go: QueryBuffer.
    Change: more where more queries than this are sent within some seconds.
    """

    # --- queues

    queue_check_interval: float = setting(30.0, POSITIVE)
    """Time between two looks at the broadcast queues: metrics, warning, and the cut.

    Unit: seconds.
    Go: QueueCheckInterval.
    Change: to the interval of your metrics.  `Config.lan` sets that of membership, too.
    """
    queue_depth_warning: int = setting(128, COUNT_1)
    """Broadcasts in one queue above which the log warns, and ``user_event()`` waits.

    Unit: broadcasts.
    Go: QueueDepthWarning.
    Change: more in large clusters, where long queues are usual.
    """
    max_queue_depth: int = setting(4096, COUNT_1)
    """Broadcasts that a queue keeps; the oldest beyond that are dropped.

    Unit: broadcasts.
    Go: MaxQueueDepth.
    Change: with ``min_queue_depth``, if drops are counted.
    """
    min_queue_depth: int = setting(0, COUNT)
    """0 keeps ``max_queue_depth``; more means the larger one of this and twice the members.

    Unit: broadcasts.
    Go: MinQueueDepth.
    Change: to 4096 in clusters of thousands.
    """

    # --- files

    snapshot_path: str | None = attrs.field(default=None, converter=path_of_snapshot)
    """File that remembers members and clocks over restarts; None for none.

    Go: SnapshotPath.
    Change: wherever a restarted node shall find its cluster by itself, and not see old events
    again.
    """
    min_compact_size: int = setting(128 * 1024, COUNT)
    """Up to this size the snapshot is left alone; above, it is written anew when it is due.

    Unit: bytes.
    Go: MinCompactSize.
    Change: smaller on tiny disks.
    """
    rejoin_after_leave: bool = setting(False, BOOL)
    """Rejoin the members of the snapshot even after a graceful leave.

    Go: RejoinAfterLeave.
    Change: True where a leave is only a restart.
    """
    keyring_file: str | None = attrs.field(default=None, converter=path_of_keyring)
    """File of keys, which counts if it exists, and is written at the start else and after changes.

    Go: KeyringFile.
    Change: wherever keys are rotated by ``Serf.keys``, or a restarted node has the old ones.
    """

    # --- coordinates, metrics, randomness

    disable_coordinates: bool = setting(False, BOOL)
    """Do without network coordinates.

    Go: DisableCoordinates.
    Change: True to save some bytes of each probe, where ``Serf.rtt()`` is not needed.
    """
    metric_labels: Mapping[str, str] = attrs.field(
        factory=dict, converter=frozen_mapping, hash=False
    )
    """Labels of every metric that a tap gets.

    Go: MetricLabels.
    Change: to tell the nodes of one process apart.
    """
    rng: random.Random | None = attrs.field(
        default=None,
        eq=False,
        repr=False,
        validator=bound(lambda v: v is None or isinstance(v, random.Random), "a random.Random"),
    )
    """Source of every random choice; None for a fresh one seeded by the system.

    Go: none.
    Change: in tests, to repeat a run.
    """

    def __attrs_post_init__(self) -> None:
        if self.validate_node_names:
            check_node_name(self.node_name)
        # Here, and not in `lan` and its sisters alone: so a changed copy keeps the profile, too.
        object.__setattr__(self, "memberlist", with_profile(self.memberlist, self.profile))

    @classmethod
    def lan(
        cls,
        *,
        bind: str | int | None = None,
        advertise: str | int | None = None,
        encrypt_key: str | bytes | None = None,
        memberlist: MemberlistConfig | None = None,
        **settings: Unpack[ConfigKeywords],
    ) -> Config:
        """Defaults for a local network, plus any setting of both halves.

        Args:
          bind: ``host:port`` to listen on (UDP and TCP).  The host is an IP address, or
            ``localhost`` for 127.0.0.1; none (``":7946"``, ``7946``) means all addresses of this
            machine.  No port means 7946, and port 0 takes a free one.
          advertise: ``host:port`` that other nodes shall use.  No port, or port 0, means the
            bound one; no host means the bound address, or one chosen here.
          encrypt_key: base64 text or raw bytes; turns encryption on.
          memberlist: settings of membership from elsewhere; the profile gives what they leave
            open, and keywords go before both.
          settings: any field of `Config` and of `MemberlistConfig`: ``help(trioserf.Config)``
            and ``help(trioserf.MemberlistConfig)`` tell of each, and so does
            ``docs/reference/settings.md``.

        Raises:
          ConfigError: a value is outside its bounds.
          TypeError: there is no such setting.
        """
        return cls._of_profile("lan", bind, advertise, encrypt_key, memberlist, settings)

    @classmethod
    def wan(
        cls,
        *,
        bind: str | int | None = None,
        advertise: str | int | None = None,
        encrypt_key: str | bytes | None = None,
        memberlist: MemberlistConfig | None = None,
        **settings: Unpack[ConfigKeywords],
    ) -> Config:
        """Defaults for wide-area networks; arguments as `lan`."""
        return cls._of_profile("wan", bind, advertise, encrypt_key, memberlist, settings)

    @classmethod
    def local(
        cls,
        *,
        bind: str | int | None = None,
        advertise: str | int | None = None,
        encrypt_key: str | bytes | None = None,
        memberlist: MemberlistConfig | None = None,
        **settings: Unpack[ConfigKeywords],
    ) -> Config:
        """Defaults for loopback; binds 127.0.0.1 by default; arguments as `lan`."""
        return cls._of_profile("local", bind, advertise, encrypt_key, memberlist, settings)

    @classmethod
    def _of_profile(
        cls,
        profile: str,
        bind: str | int | None,
        advertise: str | int | None,
        encrypt_key: str | bytes | None,
        memberlist: MemberlistConfig | None,
        settings: Mapping[str, Any],
    ) -> Config:
        fields, below = _halves(f"Config.{profile}()", settings)
        if bind is not None:
            host, port = host_and_port_of("bind", bind)
            _once("bind", bind, below, "bind_addr", bound_host(host, "bind", bind))
            _once("bind", bind, below, "bind_port", DEFAULT_PORT if port is None else port)
        if advertise is not None:
            host, port = host_and_port_of("advertise", advertise)
            host = advertised_host(host, "advertise", advertise)
            _once("advertise", advertise, below, "advertise_addr", host)
            _once("advertise", advertise, below, "advertise_port", port or 0)
        if encrypt_key is not None:
            key = key_bytes(encrypt_key)
            _once("encrypt_key", "<secret>", below, "secret_key", key)
        if memberlist is None:
            memberlist = MemberlistConfig(**below)
        elif below and isinstance(memberlist, MemberlistConfig):
            memberlist = attrs.evolve(memberlist, **below)
        return cls(profile=profile, memberlist=memberlist, **fields)


_DECIDED_HERE: Mapping[str, str] = {
    "name": "node_name",
    "delegate_protocol_version": "protocol_version",
    "delegate_protocol_min": "protocol_version",
    "delegate_protocol_max": "protocol_version",
}
"""Settings of membership that Serf overwrites, and the one that it takes them from."""


def _halves(call: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of Serf, and those of membership.

    Raises:
      TypeError: there is no such setting, or it is not for the user of Serf.
    """
    upper = {field.name for field in attrs.fields(Config)} - {"profile", "memberlist"}
    lower = {field.name: field.default for field in attrs.fields(MemberlistConfig)}
    known = {
        *upper,
        *lower,
        "bind",
        "advertise",
        "encrypt_key",
        "memberlist",
    } - _DECIDED_HERE.keys()
    fields: dict[str, Any] = {}
    below: dict[str, Any] = {}
    for name, value in settings.items():
        if name in _DECIDED_HERE:
            if value != lower[name]:
                raise TypeError(f"{call} has no setting {name!r}: give {_DECIDED_HERE[name]!r}")
            continue
        check_names(call, [name], known - _DECIDED_HERE.keys())
        if name in upper:
            fields[name] = value
        if name not in upper or name == "queue_check_interval":
            below[name] = value
    return fields, below


def _once(short: str, given: object, below: dict[str, Any], name: str, value: object) -> None:
    """Set what the shortcut ``short`` stands for."""
    if name in below:
        raise ConfigError(short, given, f"either {short} or {name}, not both")
    below[name] = value


set_public_module(Config)
