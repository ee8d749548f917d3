"""Programs as one writes them in the first hour; type checkers must say nothing about them.

`tests/typing/test_checkers.py` runs mypy over this file, and pyright where there is one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import assert_never, assert_type

import trio

import trioserf
from trioserf import (
    Config,
    Event,
    EventsDropped,
    EventType,
    Member,
    MemberEvent,
    Members,
    MemberStatus,
    Query,
    Serf,
    UserEvent,
)


def settings() -> list[Config]:
    return [
        Config.lan(node_name="web-1", bind="0.0.0.0:7946", tags={"role": "web"}),
        Config.wan(encrypt_key="x", probe_interval=2.0, snapshot_path=Path("snapshot")),
        Config.local(label="blue", cidrs_allowed=["10.0.0.0/8"], keyring=[b"0" * 16]),
        Config.lan(memberlist=trioserf.MemberlistConfig.wan(gossip_nodes=5)),
    ]


async def everything(serf: Serf) -> None:
    async for event in serf.events:
        assert_type(event, Event)
        match event:
            case MemberEvent(type=EventType.MEMBER_FAILED, members=members):
                print([member.name for member in members])
            case MemberEvent():
                print(event)
            case UserEvent(name="deploy", payload=payload):
                print(payload.decode())
            case UserEvent():
                pass
            case Query(name="load"):
                await event.respond(b"0.42")
            case Query():
                pass
            case EventsDropped(count=count):
                print(count)
            case _:
                assert_never(event)
    async with serf.subscribe(max_buffer_size=9) as events:
        async for event in events:
            assert_type(event, Event)


async def one_kind(serf: Serf) -> None:
    async with serf.subscribe(MemberEvent) as changes:
        async for change in changes:
            assert_type(change, MemberEvent | EventsDropped)
            if isinstance(change, EventsDropped):
                continue
            for member in change.members:
                assert_type(member, Member)
    async with serf.subscribe(EventType.MEMBER_FAILED, EventType.MEMBER_LEAVE) as gone:
        async for departure in gone:
            assert_type(departure, MemberEvent | EventsDropped)
    async with serf.subscribe(UserEvent) as messages:
        async for message in messages:
            match message:
                case UserEvent():
                    print(message.name, message.payload)
                case EventsDropped():
                    print(message.count)
                case _:
                    assert_never(message)
    async with serf.subscribe(EventType.USER, max_buffer_size=9) as users:
        assert_type(await users.receive(), UserEvent | EventsDropped)
    async with serf.subscribe(Query, EventsDropped) as queries:
        async for query in queries:
            if isinstance(query, Query):
                await query.respond(query.payload)
    async with serf.subscribe(EventType.QUERY) as asked:
        assert_type(await asked.receive(), Query | EventsDropped)


async def several_kinds(serf: Serf, gone: tuple[EventType, ...]) -> None:
    async with serf.subscribe(MemberEvent, UserEvent) as both:
        assert_type(await both.receive(), MemberEvent | UserEvent | EventsDropped)
    async with serf.subscribe(UserEvent, Query, max_buffer_size=3) as two:
        assert_type(await two.receive(), UserEvent | Query | EventsDropped)
    async with serf.subscribe(MemberEvent, EventType.USER) as mixed:
        assert_type(await mixed.receive(), Event)
    async with serf.subscribe(*gone) as later:
        assert_type(await later.receive(), Event)


async def following(serf: Serf) -> None:
    async with serf.follow() as states:
        async for members in states:
            assert_type(members, Members)
            print(members.alive.names)
    async with serf.follow(
        status=MemberStatus.ALIVE, tags={"role": "web", "version": re.compile("v[0-9]+")}
    ) as web:
        first = await anext(web)
        assert_type(first, Members)
    chosen = serf.members().select(
        status=(MemberStatus.ALIVE, MemberStatus.LEAVING), tags={"role": "web"}
    )
    assert_type(chosen, Members)


async def main() -> None:
    async with trioserf.open(settings()[0]) as serf, trio.open_nursery() as nursery:
        nursery.start_soon(everything, serf)
        nursery.start_soon(following, serf)


if __name__ == "__main__":
    trio.run(main)


async def on_asyncio(config: Config) -> None:
    async with trioserf.asyncio.open(config) as serf, serf.subscribe(UserEvent) as messages:
        assert_type(await serf.join(["10.0.0.5"], ignore_old=True), int)
        assert_type(serf.members(), Members)
        await serf.keys.rotate(b"0" * 16, remove_old=False)
        async for message in messages:
            assert_type(message, UserEvent | EventsDropped)
        async for event in serf.events:
            assert_type(event, Event)
        async with serf.follow(status=MemberStatus.ALIVE) as states:
            async for members in states:
                assert_type(members, Members)
        async with serf.query("load", timeout=1.0) as query:
            async for response in query:
                print(response.payload)
        assert_type((await serf.ask("load")).complete, bool)
    async with trioserf.asyncio.open_client(auth_key="x") as agent:
        assert_type(await agent.members(status="alive"), Members)
