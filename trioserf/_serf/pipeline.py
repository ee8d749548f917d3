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
from .fanout import Fanout
from .stage import Sink, Task


def coalescing_stages(config: Config, fanout: Fanout) -> tuple[Sink, dict[str, Task]]:
    """The stages that merge events, as configured, in front of ``fanout``.

    Returns:
      The first stage, and the task of each one by its name.
    """
    sink: Sink = fanout
    tasks: dict[str, Task] = {}
    if config.coalesce_period > 0 and config.quiescent_period > 0:
        members = MemberCoalescer(period=config.coalesce_period, quiescent=config.quiescent_period)
        sink = held = CoalescingStage(members, sink)
        tasks["member_coalescer"] = held.run
    if config.user_coalesce_period > 0 and config.user_quiescent_period > 0:
        users = UserCoalescer(
            period=config.user_coalesce_period, quiescent=config.user_quiescent_period
        )
        sink = merged = CoalescingStage(users, sink)
        tasks["user_coalescer"] = merged.run
    return sink, tasks
