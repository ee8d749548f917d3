"""A trioserf node as a program of its own: joins one address, then prints its events.

Its one argument is a JSON object; each line of its output is one, too.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trio

import trioserf


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def main(settings: dict[str, Any]) -> None:
    config = getattr(trioserf.Config, settings["profile"])(
        node_name=settings["name"],
        bind=settings["bind"],
        tags=settings["tags"],
        encrypt_key=settings["key"],
    )
    async with trioserf.open(config) as serf:
        await serf.join([settings["join"]])
        say(joined=f"{serf.local_member.addr}:{serf.local_member.port}")
        async for event in serf.events:
            if isinstance(event, trioserf.MemberEvent):
                say(event=str(event.type), names=[member.name for member in event.members])


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
