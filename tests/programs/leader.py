"""Who leads?  The member whose name comes first, of those that are alive.

No election, no vote: good enough for work that may for a moment be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trioserf


async def follow_the_leader(
    config: trioserf.Config, seeds: Sequence[str], on_leader: Callable[[str], object]
) -> None:
    """Run a node, and say who leads whenever that changes."""
    async with trioserf.open(config) as serf:
        if seeds:
            await serf.join(seeds)
        leader = ""
        async for event in serf.events:
            match event:
                case trioserf.MemberEvent() | trioserf.EventsDropped():
                    alive = [
                        member.name
                        for member in serf.members()
                        if member.status is trioserf.MemberStatus.ALIVE
                    ]
                    if alive and alive[0] != leader:
                        leader = alive[0]
                        on_leader(leader)
