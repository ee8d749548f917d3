"""A cluster inside a test: a simulated network, and real nodes on it.

::

    async def test_failover(autojump_clock):
        async with SimCluster(seed=1) as cluster:
            await cluster.spawn(5)
            await cluster.converged()
            await cluster.crash("node-3")
            await cluster.converged()

Nodes are the real ones and bytes are real bytes; only the network is simulated, on trio's
clock.  With ``MockClock(autojump_threshold=0)`` minutes pass in moments; under pytest the clock
must be an argument of the test itself.

`watched` checks all through a block what must be true of a cluster at every moment, and
`agreement_bound` computes how long its healthy nodes may take to agree.

`SimNetwork` is the network alone, for any user of `trioserf.abc.Transport`;
`trioserf.testing.determinism` runs a program twice in the same way.

Two modules are imported by themselves: `trioserf.testing.check_transport` has the laws of
transports, and `trioserf.testing.campaign` tests trioserf itself with faults drawn at random.
"""

from __future__ import annotations

from .agreement import AgreementBound as AgreementBound
from .agreement import agreement_bound as agreement_bound
from .bootstrap import JoinVia as JoinVia
from .invariants import Invariant as Invariant
from .invariants import InvariantViolation as InvariantViolation
from .invariants import Watch as Watch
from .invariants import watched as watched
from .links import Constant as Constant
from .links import Latency as Latency
from .links import LatencyLike as LatencyLike
from .links import Link as Link
from .links import LongTail as LongTail
from .links import Normal as Normal
from .links import Uniform as Uniform
from .observation import LinkStatistics as LinkStatistics
from .observation import NetworkStatistics as NetworkStatistics
from .observation import TraceDigest as TraceDigest
from .observation import TraceEntry as TraceEntry
from .sim_cluster import SimCluster as SimCluster
from .sim_cluster import Which as Which
from .sim_network import SimNetwork as SimNetwork
from .sim_node import SimNode as SimNode
from .sim_stream import SimStream as SimStream
from .sim_transport import SimTransport as SimTransport
from .timeline import Timeline as Timeline
from .timeline import TimelineEntry as TimelineEntry
