"""The members of the cluster, and what moves each of them from one status to another."""

from __future__ import annotations

from collections.abc import Callable

from .._config import Config
from .._events import Member, SerfState
from .._wire.serf_messages import JoinIntent, LeaveIntent
from ..abc import NodeView
from .clock import LamportClock
from .effects import Effect, Prune
from .intents import RecentIntents


class MemberRegistry:
    """Every known member, whatever its status; owner of the member clock.

    Args:
      own_name: the name of this node.
      config: settings of the node.
      clock: the member clock; a new one that reads 0 if not given.

    Attributes:
      clock: the member clock.
      intents: intents about names that are not members yet.
    """

    clock: LamportClock
    intents: RecentIntents

    def __init__(
        self, own_name: str, config: Config, *, clock: LamportClock | None = None
    ) -> None: ...

    # --- reads

    def members(self) -> tuple[Member, ...]:
        """All members ordered by name: an immutable snapshot, the same object until a change.

        May be called from any thread.
        """
        ...

    def get(self, name: str) -> Member | None:
        """The member of that name."""
        ...

    def status_ltime(self, name: str) -> int:
        """The Lamport time of the newest intent about a member; 0 if unknown."""
        ...

    def status_ltimes(self) -> dict[str, int]:
        """`status_ltime` of every member, for a state exchange."""
        ...

    def failed(self) -> tuple[Member, ...]:
        """Members that failed and are not yet forgotten."""
        ...

    def left(self) -> tuple[Member, ...]:
        """Members that left and are not yet forgotten."""
        ...

    @property
    def num_members(self) -> int:
        """Known members of any status."""
        ...

    @property
    def num_failed(self) -> int: ...

    @property
    def num_left(self) -> int: ...

    @property
    def local_member(self) -> Member:
        """The own record: the last known one, even after it was forgotten or never taken up."""
        ...

    def others_alive(self) -> bool:
        """Whether any member but this node is alive."""
        ...

    # --- the membership half

    def on_node_join(self, node: NodeView, now: float) -> list[Effect]:
        """Memberlist says that a node is alive."""
        ...

    def on_node_leave(self, node: NodeView, now: float) -> list[Effect]:
        """Memberlist says that a node is dead or left; which of them, our intents decide."""
        ...

    def on_node_update(self, node: NodeView, now: float) -> list[Effect]:
        """Memberlist says that a node changed its metadata."""
        ...

    # --- intents

    def on_join_intent(self, msg: JoinIntent, now: float) -> tuple[bool, list[Effect]]:
        """A join intent arrived.  Returns whether to pass it on, and the effects."""
        ...

    def on_leave_intent(
        self, msg: LeaveIntent, now: float, *, own_state: SerfState
    ) -> tuple[bool, list[Effect]]:
        """A leave intent arrived.  Returns whether to pass it on, and the effects.

        One about this node while it is alive is refuted: the effects hold the join intent.
        """
        ...

    def join_intent(self, now: float) -> list[Effect]:
        """Announce this node: after a join, and to refute a leave."""
        ...

    def leave_intent(
        self,
        name: str,
        now: float,
        *,
        own_state: SerfState,
        prune: bool = False,
        on_finished: Callable[[], object] | None = None,
    ) -> tuple[bool, list[Effect]]:
        """Announce that ``name`` leaves: for the own leave, and to remove a failed node.

        Returns whether another member is alive, so that the announcement was queued and
        ``on_finished`` will be called; and the effects.
        """
        ...

    # --- forgetting

    def finish_prune(self, prune: Prune) -> list[Effect]:
        """The wait of a `Prune` is over: forget the record if it is still leaving or left."""
        ...

    def reap(self, now: float) -> list[Effect]:
        """Forget members gone for too long, and old intents.  Every ``reap_interval``."""
        ...

    def erase(self, name: str) -> list[Effect]:
        """Forget a member at once, whatever its status; nothing if it is unknown."""
        ...
