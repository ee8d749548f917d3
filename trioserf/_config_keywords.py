"""The keywords of `Config.lan` and `MemberlistConfig.lan`, for editors and type checkers alone.

Nothing loads this module at run time, but for a program that hands them on:
``def open_mine(**settings: Unpack[trioserf.ConfigKeywords])``.  A test holds names and types
together with the fields.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from ._events import Member
from ._public_names import set_public_module
from ._settings import IPNetwork
from .abc import Tap, Transport


class MembershipKeywords(TypedDict, total=False):
    """Settings of membership that both take."""

    bind_addr: str
    bind_port: int
    advertise_addr: str
    advertise_port: int
    transport: Transport | None
    dns_config_path: str
    label: str
    skip_inbound_label_check: bool
    secret_key: str | bytes | None
    keyring: Sequence[str | bytes] | None
    gossip_verify_incoming: bool
    gossip_verify_outgoing: bool
    accept_v0: bool
    cidrs_allowed: Sequence[str | IPNetwork] | None
    require_node_names: bool
    probe_interval: float
    probe_timeout: float
    indirect_checks: int
    disable_tcp_pings: bool
    disable_tcp_pings_for_node: Callable[[str], bool] | None
    suspicion_mult: int
    suspicion_max_timeout_mult: int
    awareness_max_multiplier: int
    dead_on_refusal: bool
    refusal_grace: float
    max_relays: int
    dead_node_reclaim_time: float
    gossip_interval: float
    gossip_nodes: int
    gossip_to_the_dead_time: float
    retransmit_mult: int
    eager_gossip: bool
    user_share: float
    udp_buffer_size: int
    enable_compression: bool
    max_packet_output: int
    handoff_queue_depth: int
    push_pull_interval: float
    tcp_timeout: float
    max_streams: int
    seed_memory: float
    tap: Tap | None
    faithful_go: bool


class MemberlistKeywords(MembershipKeywords, total=False):
    """Those that Serf decides for itself, or has under the same name."""

    name: str
    queue_check_interval: float
    protocol_version: int
    delegate_protocol_version: int
    delegate_protocol_min: int
    delegate_protocol_max: int
    metric_labels: Mapping[str, str]


class ConfigKeywords(MembershipKeywords, total=False):
    """Settings of Serf."""

    node_name: str
    tags: Mapping[str, str]
    validate_node_names: bool
    protocol_version: int
    retry_join: Sequence[str] | str
    retry_join_interval: float
    retry_join_max_attempts: int
    broadcast_timeout: float
    leave_propagate_delay: float
    leave_on_exit: bool
    leave_timeout: float
    reconnect_interval: float
    reconnect_timeout: float
    reconnect_timeout_override: Callable[[Member, float], float] | None
    tombstone_timeout: float
    reap_interval: float
    flap_timeout: float
    recent_intent_timeout: float
    merge: Callable[[Sequence[Member]], object] | None
    enable_name_conflict_resolution: bool
    event_buffer_size: int
    user_event_size_limit: int
    query_size_limit: int
    query_response_size_limit: int
    query_timeout_mult: int
    coalesce_period: float
    quiescent_period: float
    user_coalesce_period: float
    user_quiescent_period: float
    event_buffer: int
    query_buffer: int
    queue_check_interval: float
    queue_depth_warning: int
    max_queue_depth: int
    min_queue_depth: int
    snapshot_path: str | os.PathLike[str] | None
    min_compact_size: int
    rejoin_after_leave: bool
    keyring_file: str | os.PathLike[str] | None
    disable_coordinates: bool
    metric_labels: Mapping[str, str]
    rng: random.Random | None


set_public_module(ConfigKeywords, MemberlistKeywords)
