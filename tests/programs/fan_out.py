"""Work that is asked of all workers at once, and summed up."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

import trioserf


async def work(
    config: trioserf.Config,
    seeds: Sequence[str],
    words: Sequence[str],
    *,
    task_status: trio.TaskStatus[trioserf.Serf] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a node that counts how often it has a word."""
    async with trioserf.open(config) as serf:
        if seeds:
            await serf.join(seeds)
        task_status.started(serf)
        async for event in serf.events:
            match event:
                case trioserf.Query(name="count", payload=payload):
                    number = list(words).count(payload.decode())
                    try:
                        await event.respond(str(number).encode())
                    except trioserf.DeadlineExceeded:
                        continue  # nobody waits for it any more


@attrs.frozen
class Count:
    """How often the workers have a word, and who did not say."""

    total: int
    silent: frozenset[str]


async def count(serf: trioserf.Serf, word: str) -> Count:
    """Ask all workers; returns when the last has answered."""
    result = await serf.ask("count", word.encode(), filter_tags={"role": "worker"})
    return Count(
        sum(int(response.payload) for response in result.responses), frozenset(result.missing)
    )


async def first_to_have(serf: trioserf.Serf, word: str) -> str | None:
    """The name of the first worker that says it has the word."""
    async with serf.query(
        "count", word.encode(), filter_tags={"role": "worker"}, timeout=5
    ) as responses:
        async for response in responses:
            if int(response.payload) > 0:
                return response.node
    return None
