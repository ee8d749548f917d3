"""Background tasks: reap members, check the queues, reconnect to failed members, and rejoin.

`reconnect` and `rejoin` exchange state only; no join intent is sent, because this node has not
newly joined.

Source: hashicorp/serf v0.9.4, serf/serf.go, handleReap, checkQueueDepth, reconnect,
handleRejoin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import trio

from .._cluster.effects import Effect
from .._cluster.member_record import choose_reconnect, member_address
from .._cluster.snapshot_replay import PreviousNode
from .._exceptions import JoinError
from .._memberlist.drop_log import Log
from .._memberlist.memberlist import Memberlist
from .core import Core


async def reap(core: Core, apply: Callable[[Iterable[Effect]], object]) -> None:
    """Forget members that have been gone for too long, and old intents; until cancelled."""
    while True:
        await trio.sleep(core.config.reap_interval)
        apply(core.members.reap(trio.current_time()))


async def check_queues(core: Core, apply: Callable[[Iterable[Effect]], object]) -> None:
    """Prune broadcast queues that are too long, and report their depth; until cancelled."""
    while True:
        await trio.sleep(core.config.queue_check_interval)
        apply(core.broadcasts.check())


async def reconnect(core: Core, memberlist: Memberlist, log: Log) -> None:
    """Every ``reconnect_interval`` perhaps try one failed member, until cancelled."""
    while True:
        await trio.sleep(core.config.reconnect_interval)
        members = core.members
        chosen = choose_reconnect(
            core.rng,
            num_members=members.num_members,
            failed=members.failed(),
            num_left=members.num_left,
        )
        if chosen is None:
            continue
        address = str(member_address(chosen))
        log.info("attempting reconnect to %s at %s", chosen.name, address)
        await _try(memberlist, f"{chosen.name}/{address}" if chosen.name else address, log)


async def rejoin(memberlist: Memberlist, previous: Sequence[PreviousNode], log: Log) -> None:
    """Try the nodes of the last run until one is reached."""
    for node in previous:
        if node.name == memberlist.name:
            continue
        log.info("attempting re-join to previously known node %s", node)
        if await _try(memberlist, f"{node.name}/{node.addr}", log):
            log.info("re-joined to previously known node %s", node.name)
            return
    log.warning("failed to re-join any previously known node")


async def _try(memberlist: Memberlist, address: str, log: Log) -> bool:
    try:
        await memberlist.join([address])
    except JoinError as error:
        log.debug("cannot reach %s: %s", address, error.exceptions[0])
        return False
    return True
