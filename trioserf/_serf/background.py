"""In the background: reap members, check the queues, reconnect to failed members, and rejoin.

Which members are reaped or tried again is decided by `_cluster/member_record.py`.  `reconnect` and
`rejoin` exchange state only; no join intent is sent, because this node has not newly joined.

Source: hashicorp/serf v0.9.4, serf/serf.go, handleReap, checkQueueDepth, reconnect,
handleRejoin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import trio

from .._cluster.effects import Effect
from .._cluster.member_record import choose_reconnect, member_address
from .._cluster.snapshot_replay import PreviousNode
from .._memberlist.deadlines import Deadlines
from .._memberlist.memberlist import Memberlist
from .._memberlist.node_log import Log
from .._memberlist.state_exchange import EXCHANGE_ERRORS
from .._net.addresses import parse_address
from ..abc import Address
from .core import Core


def reap_and_check(
    core: Core, apply: Callable[[Iterable[Effect]], object], deadlines: Deadlines
) -> None:
    """From now on forget members that have been gone for too long, and old intents; prune
    broadcast queues that are too long, and report their depth.
    """
    config, reap, check = core.config, core.members.reap, core.broadcasts.check
    deadlines.call_every(config.reap_interval, lambda: apply(reap(trio.current_time())))
    deadlines.call_every(config.queue_check_interval, lambda: apply(check()))


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
            reached=() if members.faithful else members.failed_and_reached(),
        )
        if chosen is None:
            continue
        address = member_address(chosen)
        log.info("attempting reconnect to %s at %s", chosen.name, address)
        await _try(memberlist, chosen.name, address, log)


async def rejoin(
    memberlist: Memberlist,
    previous: Sequence[PreviousNode],
    log: Log,
    failed: Sequence[PreviousNode] = (),
) -> None:
    """Try the nodes of the last run until one is reached; the healer looks for the others.

    The network may come later than this node, so all are worth more than one try.

    A snapshot of a node that had another name then shows that names change here.  So any node
    is taken that has one of the addresses by now.

    Args:
      failed: nodes that had failed in the last run, which are tried if no other one is reached:
        perhaps it was the network of this node that had failed.
    """
    if not await _rejoin_any(memberlist, previous, log):
        await _rejoin_any(memberlist, failed, log)


async def _rejoin_any(memberlist: Memberlist, previous: Sequence[PreviousNode], log: Log) -> bool:
    """Try these nodes, in turn; whether one was reached."""
    places = [(node, _address(node.addr, log)) for node in previous if node.name != memberlist.name]
    known = [(node, address) for node, address in places if address is not None]
    others = [
        (node, address) for node, address in known if not memberlist.joiner.leads_here(address)
    ]
    renamed = len(others) < len(known)
    for node, address in others:
        memberlist.joiner.remember_lost("" if renamed else node.name, address)
    for node, address in others:
        log.info("attempting re-join to previously known node %s", node)
        if await _try(memberlist, node.name, address, log, renamed=renamed):
            log.info("Re-joined to previously known node: %s", node)
            return True
    if others:
        log.warning("failed to re-join any previously known node; still looking for them")
    return False


def _address(text: str, log: Log) -> Address | None:
    """The address in a line of a snapshot; None if it is none."""
    try:
        _, host, port = parse_address(text, 0)
        return Address.from_bytes(Address(host, port).to_bytes(), port) if port else None
    except ValueError as error:
        log.debug("no address in the snapshot: %s", error)
        return None


async def _try(
    memberlist: Memberlist, name: str, address: Address, log: Log, *, renamed: bool = False
) -> bool:
    try:
        await memberlist.joiner.reconnect(name, address, renamed=renamed)
    except EXCHANGE_ERRORS as error:
        log.debug("cannot reach %s at %s: %s", name, address, error)
        return False
    return True
