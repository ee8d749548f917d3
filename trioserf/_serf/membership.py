"""What a user does with the membership: join, leave, remove a failed node, change tags.

Source: hashicorp/serf v0.9.4, serf/serf.go, Join, Leave, SetTags, forceLeave; main, Leave
(which goes on after a timeout).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import trio

from .. import _attrs as attrs
from .._cluster.effects import Effect
from .._cluster.size_limits import check_intent, check_tags
from .._events import SerfState
from .._exceptions import BroadcastTimeout, ConfigError, InvalidState, LocalProtocolError
from .._memberlist.local_node import while_needed
from .._memberlist.memberlist import Memberlist
from .._memberlist.node_log import Log
from .._wire.tags import encode_tags
from .core import Core, ignore_old_events
from .snapshotter import Snapshotter


@attrs.define(eq=False, kw_only=True)
class Membership:
    """The operations that change who is in the cluster, and as what.

    Args:
      core: the rules.
      memberlist: the membership layer below.
      apply: applies effects.
      snapshotter: notes a leave; None if there is no snapshot.
      log: where it is noted that a leave may not have been sent.
    """

    core: Core
    memberlist: Memberlist
    apply: Callable[[Iterable[Effect]], object]
    snapshotter: Snapshotter | None
    log: Log
    _joining: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _leaving: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    # --- join

    async def join(self, addresses: Sequence[str], *, ignore_old: bool) -> int:
        """Join by these addresses, one call at a time; see `Serf.join`."""
        core, reached = self.core, 0
        with self.core.until_closed():
            async with self._joining:
                if core.state is not SerfState.ALIVE:
                    raise InvalidState(f"Serf can't Join after Leave: node {core.name!r}")
                ignoring = ignore_old_events.set(ignore_old)
                try:
                    reached = await self.memberlist.joiner.join(addresses)
                finally:
                    ignore_old_events.reset(ignoring)
                if reached:
                    self.apply(core.members.join_intent(trio.current_time()))
        return reached

    # --- leave

    async def leave(self) -> None:
        """Leave gracefully; see `Serf.leave`.

        Each step may be repeated, so a call that was cancelled leaves the next one free to
        begin anew, and a call during another waits for it.
        """
        with self.core.until_closed():
            async with self._leaving:
                if self.core.state is not SerfState.LEFT:
                    await self._leave()

    async def _leave(self) -> None:
        core = self.core
        core.state = SerfState.LEAVING
        if self.snapshotter is not None:
            self.snapshotter.leave()
        stays = core.members.others_alive  # a member that leaves, too, need not know
        if not await self._announce_leave(core.name, stays, prune=False):
            self.log.warning("timeout while waiting for graceful leave")
        with while_needed(stays, core.members.watchers):
            try:
                await self.memberlist.leave(core.config.broadcast_timeout)
            except BroadcastTimeout as error:
                self.log.warning("timeout while leaving: %s", error)
            # The intent spreads while this node still acknowledges probes.
            await trio.sleep(core.config.leave_propagate_delay)
        if core.state is SerfState.LEAVING:
            core.state = SerfState.LEFT
            self.log.info("left the cluster")

    async def _announce_leave(self, name: str, needed: Callable[[], bool], *, prune: bool) -> bool:
        """Broadcast a leave intent and wait until it is sent; False if that took too long.

        Args:
          needed: whether there is a node yet that must know.
        """
        core, sent = self.core, trio.Event()
        queued, effects = core.members.leave_intent(
            name,
            trio.current_time(),
            serf_state=core.state,
            prune=prune,
            on_finished=sent.set,
        )
        self.apply(effects)
        if not queued:
            await trio.lowlevel.checkpoint()
            return True
        with trio.move_on_after(core.config.broadcast_timeout) as limit:
            with while_needed(needed, core.members.watchers):
                await sent.wait()
        return not limit.cancelled_caught

    # --- others

    async def remove_failed_node(self, name: str, *, prune: bool) -> None:
        """Make a failed node a left one; see `Serf.remove_failed_node`."""
        with self.core.until_closed():
            check_intent(name, self.core.message_limit())
            memberlist = self.memberlist
            if not await self._announce_leave(name, lambda: memberlist.num_alive > 1, prune=prune):
                limit = self.core.config.broadcast_timeout
                raise BroadcastTimeout(
                    f"timed out broadcasting node removal of {name!r} after {limit} s"
                )

    async def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace all tags; see `Serf.set_tags`."""
        core = self.core
        if not isinstance(tags, Mapping):  # None is a slip, and no wish to have no tags
            raise ConfigError("tags", tags, "a mapping of strings to strings")
        with self.core.until_closed():
            fresh = attrs.evolve(core.config, tags=tags).tags
            encoded = encode_tags(fresh, core.config.protocol_version)
            check_tags(encoded, self.memberlist.meta_limit)
            before, core.tags = core.tags, fresh
            try:
                await self.memberlist.update_node(core.config.broadcast_timeout)
            except InvalidState:
                core.tags = before
                raise InvalidState(
                    f"node {core.name!r} has left: its tags can no longer be changed"
                ) from None
            except LocalProtocolError:  # nothing was announced
                core.tags = before
                raise
