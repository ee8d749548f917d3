"""A cluster inside a test: simulated network, and laws for transports.

Nodes are the real ones and bytes are real bytes; only the network is simulated, on trio's
clock.  With ``MockClock(autojump_threshold=0)`` minutes pass in moments.
"""

from __future__ import annotations

from .links import Constant as Constant
from .links import Latency as Latency
from .links import LatencyLike as LatencyLike
from .links import Link as Link
from .links import LongTail as LongTail
from .links import Normal as Normal
from .links import Uniform as Uniform
from .network_statistics import LinkStatistics as LinkStatistics
from .network_statistics import NetworkStatistics as NetworkStatistics
from .sim_network import SimNetwork as SimNetwork
from .sim_stream import SimStream as SimStream
from .sim_transport import SimTransport as SimTransport
from .tracing import TraceDigest as TraceDigest
from .tracing import TraceEntry as TraceEntry
