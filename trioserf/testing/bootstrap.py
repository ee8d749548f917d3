"""How new nodes of a simulated cluster come to know the others.

Mostly as in production: each joins one node, and gossip does the rest.  That costs the square of
the number of nodes, twenty-five times over: each node receives the alive message of each other
from many.

``"everybody"`` is for what is to be watched after the start.  One node merges the state of each
of the others, and then each of the others merges the state of that one: real state in real bytes,
by the rules of a push/pull, one after the other and at one moment of simulated time.  Only the
network is left out, and what the nodes would broadcast is dropped, because all of them know it.
The cluster is then like one that has been at rest for long, except that no node has broadcast a
join intent: Lamport times begin at zero.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Literal, TypeAlias

import trio

from .._memberlist.memberlist import Memberlist
from .._wire.streams import PushPullState, StreamCodec, StreamParser, decode_frame
from .sim_node import SimNode

JoinVia: TypeAlias = Literal["first", "previous", "random", "everybody"] | None
"""Which node a new node joins: the first, the one before it, any earlier one, or none.

``"everybody"`` begins with a cluster in which all know each other; see `SimCluster.spawn`.
"""

_AT_ONCE = 16


async def join_all(
    nodes: Sequence[SimNode],
    via: JoinVia,
    present: Callable[[], Sequence[SimNode]],
    rng: random.Random,
) -> None:
    """Let ``nodes`` join.

    Args:
      nodes: the new ones.
      via: which node each joins.
      present: gives all that can be joined now, oldest first; the new ones are among them.
      rng: the random source, for "random".

    Raises:
      JoinError: a node could not join.
    """
    if via is None:
        return
    if via == "everybody":
        await _exchange_all_state(present())
        return
    if via == "previous":
        for node in nodes:
            await _join(node, via, present(), rng)
        return
    limit = trio.Semaphore(_AT_ONCE)

    async def join_one(node: SimNode) -> None:
        async with limit:
            await _join(node, via, present(), rng)

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(join_one, node)


async def _join(
    node: SimNode,
    via: Literal["first", "previous", "random"],
    present: Sequence[SimNode],
    rng: random.Random,
) -> None:
    earlier = list(takewhile(lambda each: each is not node, present))
    if earlier:
        places = {"first": 0, "previous": -1, "random": rng.randrange(len(earlier))}
        await node.serf.join([earlier[places[via]].address])


async def _exchange_all_state(nodes: Sequence[SimNode]) -> None:
    """Merge the state of every node into every other, without a network.  No time passes."""
    # Only a simulation has a use for this, so there is no public way to do it.
    parts = [node.serf._delegate for node in nodes]
    first, *others = [part.memberlist for part in parts]
    for other in others:
        await _merge(first, await other._exchange.local_frame(join=False), {})
    everything = await first._exchange.local_frame(join=False)
    read: dict[StreamCodec, PushPullState] = {}
    for other in others:
        await _merge(other, everything, read)
    for part in parts:
        part.memberlist._queue.clear()
        for queue in part.core.broadcasts.queues.values():
            queue.clear()


async def _merge(node: Memberlist, frame: bytes, read: dict[StreamCodec, PushPullState]) -> None:
    """Merge a reply to a push/pull, as if ``node`` had asked for it.

    Args:
      node: which one merges it.
      frame: the reply.
      read: what was in it, for each way to read it.

    Raises:
      RemoteProtocolError: the nodes have different keys, or versions that cannot live together.
    """
    codec = node._wire.stream
    request = read.get(codec)
    if request is None:
        result = StreamParser(codec, accept_side=False).receive(frame)
        assert result is not None, "one frame, as a whole"
        decoded = decode_frame(result, codec)
        assert isinstance(decoded, PushPullState), "one frame of full state"
        request = read[codec] = decoded
    await node._exchange.merge(request, join=False, source=None)
