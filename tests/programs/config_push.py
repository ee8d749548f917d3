"""A setting that one node pushes to all, those that join later included."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

import trioserf


@attrs.define(eq=False)
class Settings:
    """The newest settings that a node has received."""

    version: int = 0
    text: str = ""


async def keep_up_to_date(
    config: trioserf.Config,
    seeds: Sequence[str],
    settings: Settings,
    *,
    task_status: trio.TaskStatus[trioserf.Serf] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a node that takes over every newer version it receives."""
    async with (
        trioserf.open(config) as serf,
        serf.subscribe(trioserf.EventType.USER, max_buffer_size=64) as events,
    ):
        if seeds:
            await serf.join(seeds)
        task_status.started(serf)
        async for event in events:
            if isinstance(event, trioserf.UserEvent) and event.name == "settings":
                version, _, text = event.payload.decode().partition(" ")
                if int(version) > settings.version:
                    settings.version, settings.text = int(version), text


async def push(serf: trioserf.Serf, version: int, text: str) -> None:
    """Tell everybody.

    Raises:
      trioserf.UserEventTooLarge: the text is too long; nothing was sent.
    """
    await serf.user_event("settings", f"{version} {text}".encode(), coalesce=False)
