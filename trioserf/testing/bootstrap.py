"""How new nodes of a simulated cluster come to know the others.

Mostly as in earnest: each joins one node, and gossip does the rest.  That costs the square of
the number of nodes, twenty-five times over: each node hears of each other from many.

``"everybody"`` is for what is to be watched after the start.  One node is told of each of the
others, and then each of the others what that one knows: real state in real bytes, merged by
the rules of a push/pull, one after the other and at one moment of simulated time.  Only the
network is left out, and what the nodes would pass on is dropped, for it is news to nobody.
The cluster stands as one does that has been at rest for long, but that nobody has announced
its join: Lamport times begin at zero.
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
"""Whom a new node joins: the first node, the one before it, any earlier one, or nobody.

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
      via: whom each joins.
      present: gives all that can be joined now, oldest first; the new ones are among them.
      rng: chooses where chance is asked for.

    Raises:
      JoinError: a node could not join.
    """
    if via is None:
        return
    if via == "everybody":
        await _acquaint(present())
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


async def _acquaint(nodes: Sequence[SimNode]) -> None:
    """Let each of these nodes know all of them, without the traffic.  No time passes."""
    # Doors for this would be of no use to anybody but a simulation, so it goes behind them.
    parts = [node.serf._delegate for node in nodes]
    first, *others = [part.memberlist for part in parts]
    for other in others:
        await _tell(first, await other._exchange.local_frame(join=False), {})
    everything = await first._exchange.local_frame(join=False)
    read: dict[StreamCodec, PushPullState] = {}
    for other in others:
        await _tell(other, everything, read)
    for part in parts:
        part.memberlist._queue.clear()
        for queue in part.core.broadcasts.queues.values():
            queue.clear()


async def _tell(node: Memberlist, frame: bytes, read: dict[StreamCodec, PushPullState]) -> None:
    """What becomes of the reply to a push/pull that ``node`` asked for.

    Args:
      node: who is told.
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
