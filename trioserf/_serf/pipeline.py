"""The event pipeline: which stages there are between the rules and the readers.

::

    rules -> snapshot (*) -> internal queries -> user coalescer (*) -> member coalescer (*)
          -> fanout -> every reader's own buffer

    (*) only if configured

Source: hashicorp/serf v0.9.4, serf/serf.go, Create.
"""

from __future__ import annotations

from .._cluster.coalescing import MemberCoalescer, UserCoalescer
from .._config import Config
from .coalescer import CoalescingStage
from .deadlines import Deadlines
from .fanout import Fanout
from .stage import Sink


def coalescing_stages(config: Config, fanout: Fanout, deadlines: Deadlines) -> Sink:
    """The stages that merge events, as configured, in front of ``fanout``."""
    sink: Sink = fanout
    if config.coalesce_period > 0 and config.quiescent_period > 0:
        members = MemberCoalescer(period=config.coalesce_period, quiescent=config.quiescent_period)
        sink = CoalescingStage(members, sink, deadlines)
    if config.user_coalesce_period > 0 and config.user_quiescent_period > 0:
        users = UserCoalescer(
            period=config.user_coalesce_period, quiescent=config.user_quiescent_period
        )
        sink = CoalescingStage(users, sink, deadlines)
    return sink
