"""A running cluster moves from plain text to encryption, one node after another."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

import trioserf
from tests.interop.addresses import free_host, free_port
from tests.interop.agents import GoAgent, go_agent
from tests.interop.waiting import becomes, limit

NAMES = ("py-1", "py-2")


class Rolling:
    """Two trioserf nodes that are restarted one after another, each at its own address."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.binds = {}
        for name in NAMES:
            host = free_host()
            self.binds[name] = f"{host}:{free_port(host)}"
        self.nodes: dict[str, trioserf.Serf] = {}
        self.scopes: dict[str, trio.CancelScope] = {}
        self.ended: dict[str, trio.Event] = {}

    async def restart(self, name: str, *join: str, **fields: Any) -> None:
        if name in self.nodes:
            del self.nodes[name]
            self.scopes[name].cancel()
            await self.ended[name].wait()
        host, _, port = self.binds[name].rpartition(":")
        memberlist = trioserf.MemberlistConfig.lan(bind_addr=host, bind_port=int(port), **fields)
        config = trioserf.Config(node_name=name, memberlist=memberlist, leave_on_exit=False)
        self.nodes[name] = await self.nursery.start(self._run, config)
        others = [self.binds[other] for other in self.nodes if other != name]
        await self.nodes[name].join([*join, *others])

    async def _run(
        self, config: trioserf.Config, *, task_status: trio.TaskStatus[trioserf.Serf]
    ) -> None:
        ended = self.ended[config.node_name] = trio.Event()
        with trio.CancelScope() as self.scopes[config.node_name]:
            async with trioserf.open(config) as serf:
                task_status.started(serf)
                await trio.sleep_forever()
        ended.set()

    def statistics(self, name: str) -> trioserf.SerfStatistics:
        return self.nodes[name].statistics()

    def statuses(self, name: str) -> Mapping[str, str]:
        return {member.name: str(member.status) for member in self.nodes[name].members()}


@limit(90)
async def test_a_plain_cluster_becomes_an_encrypted_one_while_it_runs(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    key, rolling = secrets.token_bytes(32), Rolling(nursery)
    host = free_host()
    address = f"{host}:{free_port(host)}"
    everybody = dict.fromkeys(("go-1", *NAMES), "alive")

    async def all_see_all(agent: GoAgent) -> None:
        for name in NAMES:
            await becomes(everybody, lambda name=name: rolling.statuses(name))
        await becomes(everybody, agent.statuses)
        await agent.event("still", "here")
        for name in NAMES:
            before = events[name]
            await becomes(True, lambda n=name, t=before: rolling.statistics(n).event_time > t)
            events[name] = rolling.statistics(name).event_time
            assert {} == dict(rolling.statistics(name).memberlist.bad_input)

    events = dict.fromkeys(NAMES, 0)
    async with go_agent(binary, tmp_path, name="go-1", address=address) as agent:
        for name in NAMES:
            await rolling.restart(name, address)
        await all_see_all(agent)
        # 1. Every trioserf node gets the key, writes plain text and reads both.
        for name in NAMES:
            await rolling.restart(
                name,
                address,
                secret_key=key,
                gossip_verify_incoming=False,
                gossip_verify_outgoing=False,
            )
            await all_see_all(agent)
        await agent.leave()
    # 2. Write encrypted, still read both; the agent knows only all or nothing.
    for name in NAMES:
        await rolling.restart(name, secret_key=key, gossip_verify_incoming=False)
    (tmp_path / "2").mkdir()
    async with go_agent(binary, tmp_path / "2", name="go-1", address=address, key=key) as agent:
        await agent.join(rolling.binds["py-1"])
        await all_see_all(agent)
        # 3. Read nothing but encrypted.
        for name in NAMES:
            await rolling.restart(name, address, secret_key=key)
            await all_see_all(agent)
        with pytest.raises(trioserf.JoinError):
            await plain_node_joins(address, *rolling.binds.values())


async def plain_node_joins(*addresses: str) -> None:
    config = trioserf.Config.lan(node_name="plain", bind=f"{free_host()}:0", leave_on_exit=False)
    async with trioserf.open(config) as serf:
        await serf.join(addresses)
