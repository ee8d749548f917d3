"""Mistakes that type checkers must find: one in each line that ends in ``# wrong``."""

from __future__ import annotations

import trioserf
from trioserf import Config, MemberEvent, MemberlistConfig, Serf, UserEvent

Config.lan(prob_interval=1.0)  # wrong
Config.lan(probe_interval="1s")  # wrong
Config.wan(name="web-1")  # wrong
Config.local(tags={"a": 1})  # wrong
Config(nodename="a")  # wrong
MemberlistConfig.lan(gosip_nodes=3)  # wrong
trioserf.opne()  # wrong


async def events(serf: Serf) -> None:
    serf.subscribe("member-join")  # wrong
    async with serf.subscribe(UserEvent) as messages:
        async for message in messages:
            print(message.payload)  # wrong
    async with serf.subscribe(MemberEvent) as changes:
        async for change in changes:
            print(change.name)  # wrong
    serf.follow(status="alive")  # wrong
    serf.members().select(tags={"role": 1})  # wrong


async def on_asyncio(serf: trioserf.asyncio.Serf) -> None:
    await serf.join("10.0.0.5", ignore=True)  # wrong
    await serf.members()  # wrong
    async with serf.subscribe(UserEvent) as messages:
        async for message in messages:
            print(message.payload)  # wrong
