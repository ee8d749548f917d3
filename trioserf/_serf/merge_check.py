"""The user's say in who may join: `Config.merge`.

Source: hashicorp/serf v0.9.4, serf/merge_delegate.go; main, validateMemberInfo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from .._cluster.records import check_peer
from .._events import Member
from .._exceptions import MergeRefused
from .._memberlist.metrics import Log
from ..abc import NodeView


@attrs.define(eq=False, kw_only=True)
class MergeCheck:
    """Asks the user's callback; `abc.MergeHandler` and `abc.AliveHandler`.

    Args:
      merge: the callback.
      validate_names: whether names must pass `check_node_name`.
      log: told of a callback that crashes; that refuses, too.
    """

    merge: Callable[[Sequence[Member]], object]
    validate_names: bool
    log: Log

    def notify_merge(self, nodes: Sequence[NodeView]) -> None:
        """A peer joins and brings these nodes.  Raises `MergeRefused` to refuse all."""
        self._ask(tuple(check_peer(node, validate_name=self.validate_names) for node in nodes))

    def notify_alive(self, node: NodeView) -> None:
        """A node says that it is alive.  Raises `MergeRefused` to ignore that."""
        self._ask((check_peer(node, validate_name=self.validate_names),))

    def _ask(self, members: tuple[Member, ...]) -> None:
        try:
            self.merge(members)
        except MergeRefused:
            raise
        except Exception as error:
            self.log.exception("the merge callback crashed, which refuses the merge")
            raise MergeRefused(f"merge callback crashed: {error!r}") from error
