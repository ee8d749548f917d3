"""A trioserf node as a program of its own: joins one address, tries again until that is done,
then prints its events.

Its one argument is a JSON object; each line of its output is one, too.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trio

import trioserf
from trioserf.abc import Address

AGAIN = 0.5
"""Seconds between two tries to join."""


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def main(settings: dict[str, Any]) -> None:
    config = getattr(trioserf.Config, settings["profile"])(
        node_name=settings["name"],
        bind=settings["bind"],
        tags=settings["tags"],
        encrypt_key=settings["key"],
        **settings["options"],
    )
    async with trioserf.open(config) as serf, trio.open_nursery() as nursery:
        nursery.start_soon(join, serf, settings["join"])
        async for event in serf.events:
            if isinstance(event, trioserf.MemberEvent):
                hosts = [str(member.addr) for member in event.members]
                names = [member.name for member in event.members]
                say(event=str(event.type), names=names, hosts=hosts)


async def join(serf: trioserf.Serf, address: str) -> None:
    while True:
        try:
            await serf.join([address])
        except trioserf.JoinError as error:
            say(error=str(error.exceptions[0]))
            await trio.sleep(AGAIN)
        else:
            local = serf.local_member
            say(joined=str(Address(str(local.addr), local.port)))
            return


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
