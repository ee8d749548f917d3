"""Every setting of the membership half: what it does, its unit, its Go name, when to change it.

Durations are float seconds, sizes are bytes.  A field ``snake_case`` is Go's ``SnakeCase``.
The text below each field has a fixed form, which `trioserf._setting_texts` reads for ``help()``
and for the page of settings; default and bound are in the code above it.

Source: hashicorp/memberlist v0.2.2, config.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

from . import _attrs as attrs
from ._public_names import set_public_module
from ._setting_texts import documented
from ._settings import (
    BOOL,
    CALLABLE,
    COUNT,
    COUNT_1,
    PORT,
    POSITIVE,
    PROFILES,
    SECONDS,
    IPNetwork,
    advertised_host,
    bound,
    bound_host,
    by_profile,
    check_names,
    frozen_mapping,
    is_by_profile,
    is_encodable,
    is_int,
    is_number,
    networks,
    optional_key,
    optional_ring,
    setting,
    without_mark,
)
from ._text import raw_text

if TYPE_CHECKING:
    from typing import Unpack

    from ._config_keywords import MemberlistKeywords
    from .abc import Tap, Transport

DEFAULT_PORT = 7946
"""The port of Serf and memberlist, for UDP and TCP."""


def _is_transport(value: object) -> bool:
    if value is None:
        return True
    from .abc import Transport  # only where one is given: it brings Trio

    return isinstance(value, Transport)


def _is_tap(value: object) -> bool:
    methods = ("count", "gauge", "sample")
    return value is None or all(callable(getattr(value, name, None)) for name in methods)


@final
@documented
@attrs.frozen(kw_only=True)
class MemberlistConfig:
    """Settings of the membership half.  The defaults are Go's for a local network.

    Of Go's fields these are not here: the delegates, which `Memberlist` takes itself;
    ``LogOutput`` and ``Logger``, since logs go to the standard library's ``logging``; and
    ``MsgpackUseNewTimeFormat``, since no message has a time in it.
    Fields that Go does not have: ``dead_on_refusal``, ``refusal_grace``, ``eager_gossip``,
    ``user_share``, ``max_streams``, ``max_relays``, ``max_packet_output``, ``seed_memory``,
    ``accept_v0``, ``faithful_go``, ``tap``.
    """

    # --- who and where

    name: str = setting("", bound(lambda v: isinstance(v, str) and is_encodable(v), "a name"))
    """The unique name of the node.

    Go: Name.
    Change: only without Serf, where it must be set; Serf puts ``Config.node_name`` here.
    """
    bind_addr: str = attrs.field(default=by_profile("0.0.0.0"), converter=bound_host)
    """The IP address to listen on, UDP and TCP; ``0.0.0.0`` and ``::`` mean all of this machine.

    Go: BindAddr.
    Change: on a machine with several networks, of which one is meant; ``::`` for IPv6.
    ``bind="host:port"`` of `Config.lan` is shorter.
    """
    bind_port: int = setting(DEFAULT_PORT, PORT)
    """The port to listen on; 0 takes a free one, the same for UDP and TCP.

    Go: BindPort.
    Change: for several nodes on one machine; 0 in tests.
    """
    advertise_addr: str = attrs.field(default="", converter=advertised_host)
    """The IP address that peers shall use; "" means the bound one, or a private one of this
    machine where that is every address.

    Go: AdvertiseAddr.
    Change: behind address translation, in a container with a mapped port, or if the wrong one of
    several addresses is chosen.
    """
    advertise_port: int = setting(0, PORT)
    """The port that peers shall use; 0 means the bound one.

    Go: AdvertisePort.
    Change: where peers reach this node by another port than the bound one.
    """
    transport: Transport | None = attrs.field(
        default=None, validator=bound(_is_transport, "a trioserf.abc.Transport, or None")
    )
    """Carries packets and streams; None means UDP and TCP on ``bind_addr:bind_port``.

    Go: Transport.
    Change: in tests on a simulated network, or for another carrier.
    """
    dns_config_path: str = setting(
        "/etc/resolv.conf",
        bound(lambda v: v == "/etc/resolv.conf", "names are left to the system's resolver"),
    )
    """Only its default is accepted: the system looks names up.

    Go: DNSConfigPath.
    Change: never.

    DIFFERS: Go asks the DNS server named in the file for all records over TCP.  Here the system
    looks names up, by its configuration, IPv4 and IPv6.
    Test: test_names_are_looked_up_as_the_system_does_and_nothing_else_can_be_asked_for.
    """

    # --- who may take part

    label: str = attrs.field(
        default="",
        validator=bound(
            lambda v: isinstance(v, str) and len(raw_text(v)) <= 255, "at most 255 bytes"
        ),
    )
    """Clear-text prefix of every packet and stream, which keeps clusters apart.

    Go: Label (memberlist 0.3.0 and newer).
    Change: where clusters share a network and might join each other by mistake.  All nodes need
    the same; it is no secret.
    """
    skip_inbound_label_check: bool = setting(False, BOOL)
    """Expect packets and streams without a label, though this node sends its own.

    Go: SkipInboundLabelCheck.
    Change: only where a proxy in front of the node takes the labels off.  It does not help to
    give a running cluster a label: what still has one is refused.
    """
    secret_key: bytes | None = attrs.field(default=None, converter=optional_key, repr=False)
    """The primary encryption key, as bytes or base64 text; None for clear text.

    Unit: 16, 24 or 32 bytes.
    Go: SecretKey.
    Change: wherever others can reach the ports: gossip without a key obeys anybody.
    ``trioserf keygen`` makes one; ``encrypt_key`` of `Config.lan` is the same.
    """
    keyring: tuple[bytes, ...] | None = attrs.field(
        default=None, converter=optional_ring, repr=False
    )
    """All keys, the primary one first.  An empty ring allows keys to be installed later.

    Unit: 16, 24 or 32 bytes each.
    Go: Keyring.
    Change: to accept an old key beside the new one; ``Serf.keys`` changes keys of a running
    cluster.
    """
    gossip_verify_incoming: bool = setting(True, BOOL)
    """Refuse packets and streams in clear text while there is a key.

    Go: GossipVerifyIncoming.
    Change: False for the time in which a running cluster gets its key, node by node.
    """
    gossip_verify_outgoing: bool = setting(True, BOOL)
    """Encrypt what is sent while there is a key.

    Go: GossipVerifyOutgoing.
    Change: False in the first step of giving a running cluster its key.
    """
    accept_v0: bool = setting(True, BOOL)
    """Accept encryption version 0, whose version byte is not authenticated.

    Go: none; Go accepts it.
    Change: False once no node speaks memberlist protocol version 1.
    """
    cidrs_allowed: tuple[IPNetwork, ...] = attrs.field(default=(), converter=networks)
    """Networks that members may come from, such as ``10.0.0.0/8``; empty allows all.

    Go: CIDRsAllowed.
    Change: to keep nodes out that advertise an address of another network.
    """
    require_node_names: bool = setting(False, BOOL)
    """Send pings and streams only to nodes whose name is known.

    Go: RequireNodeNames.
    Change: where addresses are reused quickly, so that an address may be another node by now.
    """

    # --- finding out who failed

    probe_interval: float = setting(by_profile(1.0), SECONDS)
    """Time between two probes, each of one other node; 0 turns failure detection off.

    Unit: seconds.
    Go: ProbeInterval.
    Change: shorter finds a crash sooner, and costs packets and processor time in proportion.
    """
    probe_timeout: float = setting(by_profile(0.5), POSITIVE)
    """How long the direct ping of a probe waits before other nodes are asked to ping.

    Unit: seconds.
    Go: ProbeTimeout.
    Change: above the 99th percentile of the round-trip time; it must fit into
    ``probe_interval`` with room to spare.
    """
    indirect_checks: int = setting(by_profile(3), COUNT)
    """How many other nodes are asked to ping a node that did not answer; 0 asks none.

    Unit: nodes.
    Go: IndirectChecks.
    Change: more where single links fail while the nodes are well.
    """
    disable_tcp_pings: bool = setting(False, BOOL)
    """Leave out the ping over TCP that goes beside the indirect ones.

    Go: DisableTcpPings.
    Change: True where UDP blocked means unusable, so that such a node is declared failed.
    """
    disable_tcp_pings_for_node: Callable[[str], bool] | None = attrs.field(
        default=None, validator=CALLABLE
    )
    """Called with a node's name: whether to leave the TCP ping out for this one.

    Go: DisableTcpPingsForNode.
    Change: where only some nodes are behind a link without TCP.
    """
    suspicion_mult: int = setting(by_profile(4), COUNT_1)
    """Scales how long a suspect node has to refute: times log10(nodes), times
    ``probe_interval``.

    Unit: factor.
    Go: SuspicionMult.
    Change: more where nodes pause (busy machines, garbage collection); less finds crashes
    sooner and declares more living nodes failed.
    """
    suspicion_max_timeout_mult: int = setting(6, COUNT_1)
    """How much longer a suspicion lasts while nobody else confirms it.

    Unit: factor.
    Go: SuspicionMaxTimeoutMult.
    Change: 1 ends Lifeguard's longer wait, and makes every suspicion the shortest one.
    """
    awareness_max_multiplier: int = setting(8, COUNT_1)
    """How much a node that doubts itself stretches its own probes, at most.

    Unit: factor.
    Go: AwarenessMaxMultiplier.
    Change: 1 turns this part of Lifeguard off.
    """
    dead_on_refusal: bool = setting(True, BOOL)
    """Declare a node dead within about a second if its host refuses its ports, to packets and to
    connections, to this node and to another one: its process has ended.

    Go: none; there every failure takes the suspicion timeout.
    Change: False where firewalls may reject both protocols of a whole host for longer than
    ``refusal_grace`` while its process lives.
    """
    refusal_grace: float = setting(0.5, SECONDS)
    """How long a host must refuse the ports of a node before the node is declared dead.

    Unit: seconds.
    Go: none.
    Change: longer than a restart in place takes, where nobody shall notice such a restart.
    """
    max_relays: int = setting(512, COUNT_1)
    """Indirect pings under way for others at once; more are not begun.

    Unit: pings.
    Go: none.
    Change: hardly ever: it bounds memory against a flood.
    """
    dead_node_reclaim_time: float = setting(0.0, SECONDS)
    """After how long a failed node's name may come back at another address without a conflict;
    0 for never.

    Unit: seconds.
    Go: DeadNodeReclaimTime.
    Change: where nodes come back under the same name at a new address, as in Kubernetes; some
    30 seconds.
    """

    # --- gossip

    gossip_interval: float = setting(by_profile(0.2), SECONDS)
    """Time between two rounds of gossip; 0 turns gossip off.

    Unit: seconds.
    Go: GossipInterval.
    Change: shorter spreads what is repeated sooner, for more packets; with ``eager_gossip``
    a first round does not wait for it.  Queries last a multiple of it.
    """
    gossip_nodes: int = setting(by_profile(3), COUNT)
    """How many nodes get each round of gossip.

    Unit: nodes.
    Go: GossipNodes.
    Change: more needs fewer rounds to reach all, for more packets.
    """
    gossip_to_the_dead_time: float = setting(by_profile(30.0), SECONDS)
    """How long a dead node goes on getting gossip, so that it can refute.

    Unit: seconds.
    Go: GossipToTheDeadTime.
    Change: longer where partitions of some minutes are usual.
    """
    retransmit_mult: int = setting(by_profile(4), COUNT_1)
    """How often each broadcast is sent: times log10(nodes), rounded up.

    Unit: factor.
    Go: RetransmitMult.
    Change: more on links that lose packets.
    """
    eager_gossip: bool = setting(True, BOOL)
    """Send a new broadcast at once, within the usual number of transmissions.

    Go: none.
    Change: False to have Go's delay of half a ``gossip_interval`` for each hop, as in
    comparisons.
    """
    user_share: float = setting(
        0.25, bound(lambda v: is_number(v) and 0 <= v <= 0.9, "a share, 0 to 0.9")
    )
    """Part of each packet kept for user messages, and as much for messages about nodes.

    Unit: share of a packet.
    Go: none; there the two may starve each other.
    Change: more if events wait (``statistics()``) while many nodes come and go.
    """
    udp_buffer_size: int = setting(
        1400, bound(lambda v: is_int(v) and 256 <= v <= 65507, "256 to 65507 bytes")
    )
    """How long a packet is at most.

    Unit: bytes.
    Go: UDPBufferSize.
    Change: less where the path has a smaller MTU (tunnels); more only where no link is smaller.
    """
    enable_compression: bool = setting(True, BOOL)
    """Compress packets and streams where that makes them shorter.

    Go: EnableCompression.
    Change: False to save processor time where the network has room.
    """
    max_packet_output: int = setting(1 << 20, COUNT_1)
    """Most bytes that one datagram may decompress to.

    Unit: bytes.
    Go: none.
    Change: hardly ever: it bounds memory against a compressed bomb.
    """
    handoff_queue_depth: int = setting(1024, COUNT_1)
    """Received messages that may wait to be processed, for each of two priorities.

    Unit: messages.
    Go: HandoffQueueDepth.
    Change: more if ``statistics()`` counts dropped messages after bursts.
    """
    queue_check_interval: float = setting(30.0, POSITIVE)
    """Time between two samples of the length of the broadcast queue, for metrics.

    Unit: seconds.
    Go: QueueCheckInterval.
    Change: to the interval of your metrics.
    """

    # --- full states

    push_pull_interval: float = setting(by_profile(30.0), SECONDS)
    """Time between two exchanges of full state with some other node; 0 turns them off.

    Unit: seconds.
    Go: PushPullInterval.
    Change: shorter repairs sooner what gossip has missed; its cost grows with the cluster,
    for which large ones stretch it by themselves.
    """
    tcp_timeout: float = setting(by_profile(10.0), POSITIVE)
    """Limit of dialling, and of each exchange on a stream.

    Unit: seconds.
    Go: TCPTimeout.
    Change: longer for thousands of members over slow links; it also bounds how long a join
    of a silent address takes.
    """
    max_streams: int = setting(128, COUNT_1)
    """Inbound streams served at once; push/pulls among them at most 127.

    Unit: streams.
    Go: none; there 128 push/pulls and any number of others.
    Change: hardly ever: it bounds memory against a flood.
    """
    seed_memory: float = setting(86400.0, SECONDS)
    """How long a lost peer or a seed is remembered for healing partitions, and how long a
    node that was removed may not be brought back by stale messages.

    Unit: seconds.
    Go: none.
    Change: longer than the longest partition that shall heal by itself.
    """

    # --- versions and observation

    protocol_version: int = setting(2, bound(lambda v: is_int(v) and 1 <= v <= 5, "1 to 5"))
    """The memberlist protocol version spoken.

    Unit: version.
    Go: ProtocolVersion.
    Change: only without Serf, which derives it from ``Config.protocol_version``.
    """
    delegate_protocol_version: int = setting(0, COUNT)
    """The version of the delegate's own protocol.

    Unit: version.
    Go: DelegateProtocolVersion.
    Change: only without Serf, which puts its own here.
    """
    delegate_protocol_min: int = setting(0, COUNT)
    """The lowest version of the delegate's protocol that it understands.

    Unit: version.
    Go: DelegateProtocolMin.
    Change: only without Serf, which puts its own here.
    """
    delegate_protocol_max: int = setting(0, COUNT)
    """The highest version of the delegate's protocol that it understands.

    Unit: version.
    Go: DelegateProtocolMax.
    Change: only without Serf, which puts its own here.
    """
    metric_labels: Mapping[str, str] = attrs.field(
        factory=dict, converter=frozen_mapping, hash=False
    )
    """Labels of every metric that a tap gets.

    Go: MetricLabels.
    Change: only without Serf: ``Config.metric_labels`` goes before it.
    """
    tap: Tap | None = attrs.field(
        default=None,
        eq=False,
        validator=bound(_is_tap, "a trioserf.abc.Tap, with count(), gauge() and sample(), or None"),
    )
    """Observes metrics; see `trioserf.abc.Tap`.

    Go: none; there go-metrics is global.
    Change: for ``trioserf.prometheus.PrometheusTap()``, or a tap of your own.
    """
    faithful_go: bool = setting(False, BOOL)
    """Behave as Go does where trioserf closes a hole.

    Go: none.
    Change: in comparisons and tests alone.
    """

    @property
    def encryption_enabled(self) -> bool:
        """Whether there is a key ring, even an empty one."""
        return self.secret_key is not None or self.keyring is not None

    @classmethod
    def lan(cls, **fields: Unpack[MemberlistKeywords]) -> MemberlistConfig:
        """Defaults for a local network, plus any field."""
        return cls._of_profile("lan", fields)

    @classmethod
    def wan(cls, **fields: Unpack[MemberlistKeywords]) -> MemberlistConfig:
        """Defaults for wide-area networks, plus any field."""
        return cls._of_profile("wan", fields)

    @classmethod
    def local(cls, **fields: Unpack[MemberlistKeywords]) -> MemberlistConfig:
        """Defaults for loopback and tests, plus any field."""
        return cls._of_profile("local", fields)

    @classmethod
    def _of_profile(cls, profile: str, fields: Mapping[str, Any]) -> MemberlistConfig:
        names = [field.name for field in attrs.fields(cls)]
        check_names(f"MemberlistConfig.{profile}()", fields, names)
        # Who calls this has chosen: no other profile may replace these values.  The address is
        # none of them: where to listen is a matter of `Config.local`, as in Go's agent.
        chosen = {name: without_mark(value) for name, value in profile_values(profile).items()}
        del chosen["bind_addr"]
        return cls(**{**chosen, **fields})


def profile_values(profile: str) -> dict[str, Any]:
    """What a profile sets, marked so that another one may replace it."""
    lan = {f.name: f.default for f in attrs.fields(MemberlistConfig) if is_by_profile(f.default)}
    return lan | {name: by_profile(value) for name, value in PROFILES[profile].items()}


def with_profile(config: MemberlistConfig, profile: str) -> MemberlistConfig:
    """The settings with those of ``profile`` in the place of all that nobody has given."""
    changes = {
        name: value
        for name, value in profile_values(profile).items()
        if is_by_profile(getattr(config, name)) and getattr(config, name) != value
    }
    return attrs.evolve(config, **changes) if changes else config


set_public_module(MemberlistConfig)
