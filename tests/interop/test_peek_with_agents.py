"""Looking at the members of real agents, which do not notice."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import trio

import trioserf
from tests.interop.agents import GoAgent, go_agent
from tests.interop.nodes import describe, trioserf_node
from tests.interop.waiting import becomes, limit


@pytest.mark.parametrize("key_size", [None, 32])
@limit(60)
async def test_the_members_of_agents_are_seen_without_a_trace(
    binary: Path, tmp_path: Path, nursery: trio.Nursery, key_size: int | None
) -> None:
    key = None if key_size is None else secrets.token_bytes(key_size)
    async with (
        go_agent(binary, tmp_path, name="go-1", key=key, tags={"role": "db"}) as first,
        go_agent(binary, tmp_path, name="go-2", key=key) as second,
        trioserf_node(nursery, name="py-1", key=key, tags={"role": "web"}) as node,
    ):
        await second.join(first.address)
        await node.serf.join([first.address])
        members = await first.members()
        await becomes(sorted(members), lambda: sorted(node.members()))
        await becomes(members, second.members)
        numbers = [await _numbers(agent) for agent in (first, second)]
        for agent in (first, second, first):
            seen = await trioserf.peek(agent.address, encrypt_key=key)
            assert members == describe(seen)
        await trio.sleep(4)  # agents hand events to their handlers after a while
        assert members == await first.members() == await second.members()
        assert numbers == [await _numbers(agent) for agent in (first, second)]
        for agent in (first, second):
            assert not agent.recorded("member-update") + agent.recorded("member-failed")
            joined = b"".join(event.stdin for event in agent.recorded("member-join"))
            assert {line.split()[0].decode() for line in joined.splitlines()} <= members.keys()
        assert "[ERR]" not in first.log
        assert "[WARN]" not in first.log


@limit(60)
async def test_the_statuses_that_agents_give_are_seen(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1", profile="local") as first,
        go_agent(binary, tmp_path, name="go-2", profile="local") as second,
        go_agent(binary, tmp_path, name="go-3", profile="local") as third,
    ):
        await second.join(first.address)
        await third.join(first.address)
        await becomes("alive", lambda: first.status_of("go-2"))
        await becomes("alive", lambda: first.status_of("go-3"))
        await second.leave()
        third.kill()
        await becomes("failed", lambda: first.status_of("go-3"), seconds=30)
        seen = {m.name: str(m.status) for m in await trioserf.peek(first.address)}
        assert await first.statuses() == seen


@limit(30)
async def test_what_is_wrong_is_said_for_agents_too(binary: Path, tmp_path: Path) -> None:
    key = secrets.token_bytes(32)
    async with (
        go_agent(binary, tmp_path, name="go-1") as plain,
        go_agent(binary, tmp_path, name="go-2", key=key) as encrypted,
    ):
        with pytest.raises(trioserf.RemoteProtocolError, match="no encrypt_key was given"):
            await trioserf.peek(encrypted.address)
        with pytest.raises(trioserf.RemoteProtocolError, match="another key than encrypt_key"):
            await trioserf.peek(encrypted.address, encrypt_key=secrets.token_bytes(32))
        with pytest.raises(trioserf.RemoteProtocolError, match="does not encrypt"):
            await trioserf.peek(plain.address, encrypt_key=key)
        with pytest.raises(trioserf.RemoteProtocolError, match="another label than 'blue'"):
            await trioserf.peek(plain.address, label="blue")
        with pytest.raises(trioserf.RemoteProtocolError, match="7373 is the port of commands"):
            await trioserf.peek(plain.rpc_address)


async def _numbers(agent: GoAgent) -> list[str]:
    """Members and clocks, as ``serf info`` prints them."""
    kept = ("members", "failed", "left", "member_time", "event_time", "query_time")
    lines = (line.strip() for line in (await agent.command("info")).splitlines())
    return sorted(line for line in lines if line.partition(" ")[0] in kept)
