"""The parts, for programs that build on them: membership alone, codec, queue, clock, key ring.

`trioserf.open` needs none of this.  ``open_memberlist`` runs the membership half without
Serf: who is alive, with metadata and user messages of your own (`trioserf.abc.Delegate`).
The rules below it are plain classes that neither wait nor read a clock.

Names here follow the code and may change with it; changes are in ``CHANGELOG.md``.
"""

from __future__ import annotations

from ._cluster.internal_queries import INTERNAL_PREFIX as INTERNAL_PREFIX
from ._cluster.key_rotation import KeyRotation as KeyRotation
from ._cluster.lamport import LamportClock as LamportClock
from ._cluster.queries import QueryParams as QueryParams
from ._cluster.snapshot_log import SnapshotLog as SnapshotLog
from ._cluster.snapshot_replay import PreviousNode as PreviousNode
from ._cluster.snapshot_replay import SnapshotState as SnapshotState
from ._cluster.snapshot_replay import replay as replay
from ._config import MAX_NODE_NAME_LENGTH as MAX_NODE_NAME_LENGTH
from ._memberlist.apply import Handlers as Handlers
from ._memberlist.loop_lag import LoopLagStatistics as LoopLagStatistics
from ._memberlist.memberlist import Memberlist as Memberlist
from ._memberlist.metrics import TrafficStatistics as TrafficStatistics
from ._memberlist.open import open_memberlist as open_memberlist
from ._memberlist.statistics import MemberlistStatistics as MemberlistStatistics
from ._net.udp_tcp import NetTransport as NetTransport
from ._public_names import set_public_modules
from ._serf.explanation import InputProblem as InputProblem
from ._serf.explanation import TimelineEntry as TimelineEntry
from ._serf.snapshotter import SnapshotStatistics as SnapshotStatistics
from ._serf.snapshotter import Snapshotter as Snapshotter
from ._swim.broadcasts import QueueStatistics as QueueStatistics
from ._swim.broadcasts import TransmitLimitedQueue as TransmitLimitedQueue
from ._swim.nodes import Node as Node
from ._swim.nodes import NodeStatus as NodeStatus
from ._swim.probing import ProbeReport as ProbeReport
from ._vivaldi.client import CoordinateStats as CoordinateStats
from ._vivaldi.client import VivaldiClient as VivaldiClient
from ._vivaldi.coordinate import Coordinate as Coordinate
from ._vivaldi.coordinate import CoordinateConfig as CoordinateConfig
from ._wire.keyring import Keyring as Keyring
from ._wire.messages import decode_message as decode_message
from ._wire.messages import encode_message as encode_message
from ._wire.packets import DecodedPacket as DecodedPacket
from ._wire.packets import PacketCodec as PacketCodec
from ._wire.packets import decode_packet as decode_packet
from ._wire.packets import encode_packet as encode_packet
from ._wire.serf_messages import PING_VERSION as PING_VERSION
from ._wire.serf_messages import decode_serf as decode_serf
from ._wire.serf_messages import encode_serf as encode_serf
from .abc import Address as Address
from .abc import Delegate as Delegate
from .abc import EventHandler as EventHandler
from .abc import NodeView as NodeView
from .abc import Packet as Packet
from .abc import Tap as Tap
from .abc import Transport as Transport

set_public_modules(list(globals().values()), __name__)
