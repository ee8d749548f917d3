"""Serf's part of a state exchange: everything that gossip may have missed."""

from __future__ import annotations

from .._events import SerfState
from .effects import Effect
from .members import MemberRegistry
from .queries import QueryLog
from .user_events import UserEventLog


def local_state(members: MemberRegistry, events: UserEventLog, queries: QueryLog) -> bytes:
    """What to tell a peer."""
    ...


def merge_remote_state(
    state: bytes,
    *,
    now: float,
    own_state: SerfState,
    ignore_old: bool,
    members: MemberRegistry,
    events: UserEventLog,
    queries: QueryLog,
) -> list[Effect]:
    """Take in what a peer told; nothing of it is passed on.

    Args:
      ignore_old: the exchange is part of a join that ignores old events.

    Raises:
      RemoteProtocolError: the state is broken; nothing was changed.
    """
    ...
