"""Opening and closing a node: what the user's block sees.

* The block left normally: leave gracefully, within ``leave_timeout``, then stop.
* The block left by an exception or a cancellation: stop at once; peers see a failure.
* What comes out of ``async with`` is the block's own exception, bare, or
  `SerfInternalError` if a task of the node crashed; never a group made here.

The block runs inside the node's nursery, which would wrap what it raises.  Therefore its
exception is taken aside, the nursery ends without it, and then it is raised again.  Only a
``Cancelled`` must pass through the nursery, because it may belong to the nursery's own scope.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import trio

from .._config import Config
from .._events import SerfState
from .._memberlist.end_cause import end_of_block, leaf
from .._memberlist.node_log import node_log
from .._public_names import set_public_module
from .._swim.refutation import SUSPECT_BAND
from .arguments import node_config
from .delegate import SerfDelegate
from .serf import Serf
from .snapshotter import Snapshotter
from .tree import Tree


def open(config: Config | None = None) -> AbstractAsyncContextManager[Serf]:
    """A running node, for the length of the block.

    Args:
      config: settings; None means ``Config()``.

    Raises:
      OSError: the address cannot be bound.
      ConfigError: a setting does not fit the others, or there is no address to advertise.
      TagsTooLarge: the tags do not fit into a message.
      SnapshotError: the snapshot cannot be opened.
      KeyringError: the keyring file cannot be read, or holds no keys.
      SerfInternalError: a task of the node crashed; the group of crashes is its cause.

    A start that fails raises its cause itself, with no error around it, and leaves nothing
    open.
    """
    return open_with_nonces(config, os.urandom)


@asynccontextmanager
async def open_with_nonces(
    config: Config | None, random_bytes: Callable[[int], bytes]
) -> AsyncIterator[Serf]:
    """`open_serf` for simulated nodes alone: nonces that can be predicted protect nothing.

    That is why their source is neither a setting nor an argument of `open_serf`.

    Args:
      config: as of `open_serf`.
      random_bytes: source of nonces.
    """
    _require_trio()
    delegate = await _prepare(node_config(config), random_bytes)
    core, tree = delegate.core, Tree(delegate)
    raised: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(
                    tree.run, nursery.cancel_scope.cancel, name=f"trioserf.{core.name}"
                )
                serf = Serf._create(delegate)
                yield serf
                await _leave_on_exit(serf, delegate)
            except trio.Cancelled:
                raise
            except BaseException as error:
                raised = None if tree.failure else error
            finally:
                core.stop()
    except BaseExceptionGroup as group:
        # The exceptions of the block do not come this way, only those of tasks, and cancellations.
        crashed = group.split(trio.Cancelled)[1]
        if crashed is None:
            raised = raised or leaf(group)
        else:
            tree.failure = tree.failure or crashed
    if tree.failure is not None:
        raised = _crash_report(raised, tree.failure, delegate)
    try:
        if raised is not None:
            raise raised
    finally:
        del raised  # its traceback holds this frame: no reference cycle


open_serf = open
"""The name by which the rest of this library knows it."""


async def serve(
    config: Config | None = None,
    *,
    task_status: trio.TaskStatus[Serf] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a node until it closes: ``serf = await nursery.start(trioserf.serve, config)``.

    Cancelled, it stops at once without leaving; ``await serf.leave()`` before that, or
    ``await serf.aclose()``, as you like.  Raises as `open`.
    """
    async with open_serf(config) as serf:
        task_status.started(serf)
        await serf.wait_closed()


def _require_trio() -> None:
    if trio.lowlevel.in_trio_task():
        return
    where, instead = "outside trio.run()", "in a program, use trio.run()"
    if "asyncio" in sys.modules:
        import asyncio

        with suppress(RuntimeError):
            asyncio.get_running_loop()
            where, instead = "under asyncio", "in a program, use trioserf.asyncio.open()"
    raise RuntimeError(
        f"trioserf.open() was entered {where}, but a node runs on Trio.  In a notebook or "
        f"IPython, run '%load_ext trioserf.notebook' first; {instead}."
    )


async def _prepare(config: Config, random_bytes: Callable[[int], bytes]) -> SerfDelegate:
    """Everything up to, and not including, the first task.  Leaves nothing open if it fails."""
    if config.keyring_file is not None:
        from .keyring_store import KeyringStore  # few nodes have such a file

        store = KeyringStore(config.keyring_file, node_log("keyring", config.node_name))
        config = await store.configure(config)
    snapshotter = None
    if config.snapshot_path is not None:
        snapshotter = await Snapshotter.open(config)
    delegate = SerfDelegate(config, snapshotter, random_bytes)
    try:
        await delegate.memberlist.bind()
        delegate.memberlist.announce(_first_incarnation(delegate))
    except BaseException:
        delegate.memberlist.close()
        raise
    return delegate


def _first_incarnation(delegate: SerfDelegate) -> int:
    """The first incarnation of this node: above that of its last run, if that is known.

    DIFFERS: Go begins with 1, which is stale for peers that know it from its last run, and
    refutes only once it receives a message that declares it dead.
    Test: test_a_restarted_node_begins_above_its_last_incarnation.
    """
    if delegate.snapshotter is None or delegate.core.config.memberlist.faithful_go:
        return 1
    reached = delegate.snapshotter.state.incarnation
    # No node counts that far: the file is damaged.
    return reached + 1 if reached < SUSPECT_BAND else 1


async def _leave_on_exit(serf: Serf, delegate: SerfDelegate) -> None:
    if delegate.core.config.leave_on_exit and delegate.core.state is not SerfState.SHUTDOWN:
        await leave_in_time(serf, delegate)


async def leave_in_time(serf: Serf, delegate: SerfDelegate) -> None:
    """Leave gracefully, within ``leave_timeout``; nothing if the node closes meanwhile."""
    config = delegate.core.config
    with trio.move_on_after(config.leave_timeout) as limit:
        try:
            await serf.leave()
        except trio.ClosedResourceError:
            delegate.log.debug("closed while leaving")
    if limit.cancelled_caught:
        delegate.log.warning("the graceful leave took more than %g s", config.leave_timeout)


def _crash_report(
    raised: BaseException | None, crash: BaseExceptionGroup[BaseException], delegate: SerfDelegate
) -> BaseException:
    """What to raise after tasks crashed."""
    cause = end_of_block(raised, crash, f"a task of node {delegate.core.name!r}")
    if cause is raised:
        delegate.log.error("a task crashed while the node was closing", exc_info=crash)
    return cause


set_public_module(open, serve)
