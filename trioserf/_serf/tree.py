"""The nursery of a node: what runs, in which order it starts, and in which order it stops.

::

    open_serf ── nursery of the user's block
     └─ "trioserf.<node>"      this tree; a nursery of its own, so that closing the node
         │                     leaves the user's block running
         ├─ receiver           start(): reading before anything else happens
         ├─ stream_server      start(): accepting
         ├─ ...                the other tasks of the membership half, see `Memberlist.tasks`
         ├─ conflict_resolver  sleeps until another node uses this node's name
         ├─ reconnector        tries failed members now and then
         ├─ snapshotter        only with a snapshot file; writes in a thread
         ├─ keyring_writer     only with a keyring file; writes in a thread
         ├─ rejoiner           once, if the snapshot knew peers
         └─ retry_join         with such addresses, until another node was reached

Events pass from stage to stage by plain calls (`trioserf._serf.pipeline`); a stage has a task
only for what it must wait for.  The snapshot is replayed, and the sockets are bound, before the
tree starts.  The user's block begins when every task has come to its first wait.

It stops in this order: cancel the tasks and wait for them, end the users' calls, close the
sockets, let the pipeline give up what it holds and close every reader's channel, end what follows
the members and the open queries, and write the last lines of the snapshot (shielded, bounded).

Tasks are named ``trioserf.<node>.<task>``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import trio

from .._events import SerfState
from .._memberlist.memberlist import READY_FIRST
from .background import reap_and_check, reconnect, rejoin
from .delegate import SerfDelegate
from .pipeline import Task
from .snapshotter import CLOSE_LIMIT


class Tree:
    """The tasks of one node.

    Args:
      delegate: what they work on; memberlist is bound and announced.

    Attributes:
      failure: what ended the tree, if it was not `Core.stop`: the group of crashes, or what stands
        above them, like ``KeyboardInterrupt``.
    """

    def __init__(self, delegate: SerfDelegate) -> None:
        self.failure: BaseExceptionGroup[BaseException] | None = None
        self._delegate = delegate

    async def run(
        self,
        on_failure: Callable[[], object],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run all tasks until the node is stopped, then clean up.

        A crash is kept in `failure`, and ``on_failure`` is called.
        """
        try:
            with self._delegate.core.scope:
                async with trio.open_nursery() as nursery:
                    await self._start_all(nursery)
                    task_status.started()
        except BaseExceptionGroup as group:
            self.failure = group.split(trio.Cancelled)[1]
            if self.failure is None:
                raise
            on_failure()
        finally:
            try:
                self._end()
            finally:
                # Shielded because the last lines are wanted most when all is being cancelled;
                # bounded because a dead disk must not keep the program from ending.  The call
                # has its own, shorter limit in real time; this one is of the tasks' clock.
                with trio.move_on_after(2 * CLOSE_LIMIT, shield=True):
                    if self._delegate.snapshotter is not None:
                        await self._delegate.snapshotter.close()
                self._delegate.core.closed.set()

    async def _start_all(self, nursery: trio.Nursery) -> None:
        delegate = self._delegate
        prefix = f"trioserf.{delegate.core.name}."
        reap_and_check(delegate.core, delegate.apply_effects, delegate.deadlines)
        for name, task in delegate.memberlist.tasks():
            if name in READY_FIRST:
                await nursery.start(task, name=prefix + name)
            else:
                nursery.start_soon(task, name=prefix + name)
        for name, task in self._serf_tasks():
            nursery.start_soon(task, name=prefix + name)
        # The user goes on once every task has come to its first wait: whatever is ready takes
        # its step before anything that becomes ready meanwhile.  The stream checker is last: the
        # refusal detector starts it, when short tasks have their nursery.
        for _ in ("all", "refusal_detector", "stream_checker"):
            await trio.lowlevel.checkpoint()
        self._log_start()

    def _log_start(self) -> None:
        delegate = self._delegate
        memberlist, snapshotter = delegate.memberlist, delegate.snapshotter
        retry = ", ".join(delegate.core.config.retry_join)
        peers = [f"it goes on trying {retry}"] if retry else []
        if snapshotter is not None and snapshotter.state.alive:
            peers.append(f"{len(snapshotter.state.alive)} peers of its last run")
        encrypted = "encrypted" if memberlist.keyring is not None else "not encrypted"
        where = memberlist.advertise_address
        delegate.log.info("started at %s, %s; %s", where, encrypted, "; ".join(peers) or "alone")

    def _serf_tasks(self) -> Iterator[tuple[str, Task]]:
        delegate = self._delegate
        core, memberlist = delegate.core, delegate.memberlist
        log, snapshotter = delegate.log, delegate.snapshotter
        yield "conflict_resolver", delegate.resolver.run
        yield "reconnector", partial(reconnect, core, memberlist, log)
        if core.config.keyring_file is not None:
            yield "keyring_writer", delegate.internal.write_keyring_file
        if snapshotter is not None:
            yield "snapshotter", snapshotter.run
            previous = snapshotter.previous_nodes(core.rng)
            failed = snapshotter.failed_nodes(core.rng)
            if previous or failed:
                yield "rejoiner", partial(rejoin, memberlist, previous, log, failed)
        if core.config.retry_join:
            from .retry_join import RetryJoin  # most nodes are joined by their program

            retry = RetryJoin(config=core.config, membership=delegate.membership, log=log)
            yield "retry_join", retry.run

    def _end(self) -> None:
        delegate = self._delegate
        delegate.core.state = SerfState.SHUTDOWN
        # First the calls of users: they end as cancelled, not by a socket that is gone.
        delegate.core.end_calls()
        delegate.memberlist.close()
        delegate.pipeline.close()
        delegate.followers.close()
        delegate.tracker.close()
