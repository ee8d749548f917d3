"""A node in a process of its own, driven by lines of JSON.

The part of `test_upgrades` that runs with an older version of the library, too: it uses only what
every version has.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trio

import trioserf
from trioserf import MemberEvent, Query, UserEvent


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def report(serf: trioserf.Serf) -> None:
    """Say what happens, and answer queries with the version."""
    async for event in serf.events:
        match event:
            case Query(name="who"):
                await event.respond(serf.name.encode())
            case UserEvent(name=name, payload=payload):
                say(event=name, payload=payload.decode())
            case MemberEvent(type=kind, members=members):
                for member in members:
                    say(event=str(kind), member=member.name)
            case _:
                say(event=str(event))


async def obey(serf: trioserf.Serf, command: str, *words: str) -> object:
    match command, words:
        case "join", [address]:
            return await serf.join([address])
        case "event", [name, payload]:
            return await serf.user_event(name, payload.encode())
        case "ask", [name]:
            result = await serf.ask(name, timeout=3)
            return sorted(response.node for response in result.responses)
        case "install", [key]:
            return (await serf.keys.install(key)).num_resp
        case "use", [key]:
            return (await serf.keys.use(key)).num_resp
        case "remove", [key]:
            return (await serf.keys.remove(key)).num_resp
        case "tags", [value]:
            return await serf.set_tags({"version": value})
        case "members", []:
            return {m.name: [str(m.status), dict(m.tags)] for m in serf.members()}
        case _:
            raise AssertionError(f"{command} {words}: unknown")


async def main(name: str, bind: str, key: str, snapshot: str) -> None:
    config = trioserf.Config.local(
        node_name=name, bind=bind, encrypt_key=key, snapshot_path=snapshot or None
    )
    async with trioserf.open(config) as serf, trio.open_nursery() as nursery:
        nursery.start_soon(report, serf)
        say(address=str(serf.memberlist.advertise_address), version=trioserf.__file__)
        lines = trio.wrap_file(sys.stdin)
        while line := await lines.readline():
            words = json.loads(line)
            if words == ["leave"]:
                break
            say(reply=await obey(serf, *words))
        nursery.cancel_scope.cancel()
    say(event="ended")


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
