"""RPC both ways: `trioserf.client` with a real agent, and Go's `serf` commands with `ipc.serve`."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trioserf
from tests.interop.addresses import free_host, free_port
from tests.interop.agents import go_agent
from tests.interop.nodes import TrioserfNode, trioserf_node
from tests.interop.processes import child
from tests.interop.waiting import becomes, found, limit
from trioserf import client, ipc
from trioserf._rpc.blocking import connect

KEY, NEW = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))


# --- trioserf.client with a real agent ----------------------------------------------------


@limit(30)
async def test_every_command_with_a_real_agent(binary: Path, tmp_path: Path) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1", profile="local", tags={"role": "web"}) as first,
        go_agent(binary, tmp_path, name="go-2", profile="local") as second,
        client.open_client(first.rpc_address) as agent,
    ):
        assert 1 == await agent.join([second.address])
        await becomes(("go-1", "go-2"), lambda: _alive(agent))
        (web,) = await agent.members(tags={"role": "w.b"})
        assert ("go-1", {"role": "web"}, 5) == (web.name, web.tags, web.delegate_cur)
        assert first.address == f"{web.addr}:{web.port}"
        with pytest.raises(client.RPCError, match="1 error occurred"):
            await agent.join(["127.0.0.1:1"])
        await agent.update_tags({"x": "1"}, delete=["role"])
        await becomes({"x": "1"}, lambda: second.tags_of("go-1"))
        stats = await agent.stats()
        assert ("go-1", "2") == (stats["agent"]["name"], stats["serf"]["members"])
        assert await agent.coordinate("nobody") is None
        rtt = await found(partial(agent.rtt, "go-2"), seconds=10)
        assert 0 < rtt < 1
        with pytest.raises(client.RPCError, match="2/2 nodes reported failure") as caught:
            await agent.list_keys()
        report = caught.value.response
        assert isinstance(report, trioserf.KeyResponse)
        assert {"go-1", "go-2"} == set(report.messages)
        second.kill()
        await becomes("failed", lambda: first.status_of("go-2"), seconds=15)
        await agent.force_leave("go-2", prune=True)
        await becomes(None, lambda: first.status_of("go-2"))
        await agent.leave()
        await found(partial(_has_gone, agent), seconds=10)


async def _has_gone(agent: client.RPCClient) -> bool | None:
    try:
        await agent.members()
    except trio.BrokenResourceError:
        return True
    return None


async def _alive(agent: client.RPCClient) -> tuple[str, ...]:
    return (await agent.members(status="alive")).names


@limit(30)
async def test_streams_of_a_real_agent(binary: Path, tmp_path: Path) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1", profile="local", handlers=[]) as go,
        client.open_client(go.rpc_address) as agent,
        agent.stream("user", "query:load") as events,
        agent.monitor("DEBUG") as lines,
    ):
        await agent.stats()  # a Go agent registers a stream after it has answered
        await agent.user_event("deploy", b"\xff\x00", coalesce=False)
        event = await anext(events)
        assert isinstance(event, trioserf.UserEvent)
        assert ("deploy", b"\xff\x00") == (event.name, event.payload)
        async for line in lines:
            if "Requesting user event send: deploy" in line:
                break
        async with agent.query("load", b"?", request_ack=True, timeout=1) as answers:
            query = await anext(events)
            assert isinstance(query, trioserf.Query)
            await query.respond(b"0.42")
            with pytest.raises(client.RPCError, match="response already sent"):
                await query.respond(b"again")
            got = [answer async for answer in answers]
        assert {client.NodeAck("go-1"), client.NodeResponse("go-1", b"0.42")} == set(got)
        with trio.move_on_after(0.05):
            async with agent.query("slow", timeout=5) as slow:
                await anext(slow)
        assert ("go-1",) == (await agent.members()).names


@limit(20)
async def test_keys_and_authentication_of_a_real_agent(binary: Path, tmp_path: Path) -> None:
    options = {"rpc_auth": "s3cret", "encrypt_key": KEY}
    async with go_agent_with_auth(binary, tmp_path, options) as address:
        with pytest.raises(client.RPCError, match="Invalid authentication token"):
            async with client.open_client(address, "wrong"):
                raise AssertionError("it must not open")
        async with client.open_client(address, "s3cret") as agent:
            await agent.install_key(NEW)
            await agent.use_key(NEW)
            await agent.remove_key(KEY)
            assert {NEW: 1} == (await agent.list_keys()).keys
            with pytest.raises(client.RPCError, match="illegal base64 data at input byte 0"):
                await agent.install_key("???")
        async with client.open_client(address) as agent:
            for call in (agent.members, agent.list_keys, partial(agent.user_event, "x")):
                with pytest.raises(client.RPCError, match="Authentication required"):
                    await call()

        def ask() -> int:
            with connect(address, "s3cret") as blocking:
                return len(blocking.call("members")["Members"])

        assert 1 == await trio.to_thread.run_sync(ask)


@asynccontextmanager
async def go_agent_with_auth(
    binary: Path, tmp_path: Path, options: dict[str, Any]
) -> AsyncIterator[str]:
    """An agent that `go_agent` cannot start, for that asks it without a key; its RPC address."""
    host = free_host()
    rpc = f"{host}:{free_port(host)}"
    path = tmp_path / "options.json"
    path.write_text(json.dumps(options))
    command = [str(binary), "agent", f"-bind={host}:{free_port(host)}", f"-rpc-addr={rpc}"]
    with child([*command, f"-config-file={path}"], output_path=tmp_path / "log", cwd=tmp_path) as p:
        await found(lambda: "Serf agent running" in p.output or None, seconds=10)
        yield rpc


# --- Go's commands with a node that is served ---------------------------------------------


@attrs.frozen
class Served:
    """A node of trioserf behind the RPC protocol, and Go's command line for it."""

    node: TrioserfNode
    address: str
    binary: Path

    async def serf(self, name: str, *arguments: str, status: int = 0) -> str:
        """Run a command; what it prints."""
        done = await trio.run_process(
            [str(self.binary), name, f"-rpc-addr={self.address}", *arguments],
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = done.stdout.decode()
        assert status == done.returncode, text
        return text

    async def json(self, name: str, *arguments: str) -> Any:
        return json.loads(await self.serf(name, "-format=json", *arguments))


@asynccontextmanager
async def served(
    binary: Path,
    nursery: trio.Nursery,
    *,
    auth_key: str | None = None,
    hooks: ipc.AgentHooks | None = None,
    **fields: Any,
) -> AsyncIterator[Served]:
    async with (
        trioserf_node(nursery, name="py-1", profile="local", **fields) as node,
        trio.open_nursery() as inner,
    ):
        serve = partial(ipc.serve, node.serf, "127.0.0.1:0", auth_key=auth_key, hooks=hooks)
        server = await inner.start(serve)
        yield Served(node, server.address, binary)
        inner.cancel_scope.cancel()


@limit(30)
async def test_reads_of_the_command_line(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    hooks = ipc.AgentHooks(event_handlers=lambda: {"query:load": "uptime"})
    async with (
        served(binary, nursery, tags={"role": "web"}, hooks=hooks) as py,
        go_agent(binary, tmp_path, name="go-1", profile="local") as go,
    ):
        text = await py.serf("join", go.address)
        assert "Successfully joined cluster by contacting 1 nodes.\n" == text
        await becomes({"py-1": "alive", "go-1": "alive"}, go.statuses)
        assert await go.members() == py.node.members()
        got = await py.json("members", "-tag", "role=w.b", "-status", "alive")
        assert ["py-1"] == [member["name"] for member in got["members"]]
        assert "\n" == await py.serf("members", "-name", "nobody")
        info = await py.json("info")
        assert ({"name": "py-1"}, {"role": "web"}) == (info["agent"], info["tags"])
        assert {"query:load": "uptime"} == info["event_handlers"]
        assert py.node.serf.stats()["members"] == info["serf"]["members"]
        await found(lambda: py.node.serf.cached_coordinate("go-1"), seconds=10)
        text = await py.serf("rtt", "go-1")
        assert text.startswith("Estimated go-1 <-> py-1 rtt: ")
        text = await py.serf("reachability", "-verbose")
        assert "Successfully contacted all live nodes\n" in text
        assert "Ack from 'go-1'" in text


@limit(30)
async def test_events_queries_and_tags_of_the_command_line(
    binary: Path, nursery: trio.Nursery
) -> None:
    answers: dict[str, Callable[[bytes], bytes]] = {"load": lambda payload: payload + b"!\n"}
    async with served(binary, nursery, answers=answers) as py:
        text = await py.serf("event", "-coalesce=false", "deploy", "v42")
        assert "Event 'deploy' dispatched! Coalescing enabled: false\n" == text
        await becomes([b"v42"], lambda: py.node.user_events("deploy"))
        text = await py.serf("event", "deploy", "x" * 600, status=1)
        assert "user event exceeds configured limit of 512 bytes before encoding" in text
        got = await py.json("query", "-timeout=500ms", "load", "0.42")
        assert {"Acks": ["py-1"], "Responses": {"py-1": "0.42!\n"}} == got
        text = await py.serf("query", "-timeout=200ms", "-no-ack", "-node", "nobody", "load")
        assert "Query 'load' dispatched\nTotal Responses: 0\n" == text
        text = await py.serf("tags", "-set", "a=1", "-set", "b=2")
        assert "Successfully updated agent tags\n" == text
        await py.serf("tags", "-delete", "a")
        assert {"b": "2"} == py.node.serf.local_member.tags


@limit(30)
async def test_keys_of_the_command_line(binary: Path, nursery: trio.Nursery) -> None:
    async with served(binary, nursery, key=base64.b64decode(KEY)) as py:
        assert "Successfully installed key!" in await py.serf("keys", "-install", NEW)
        assert "Successfully changed primary key!" in await py.serf("keys", "-use", NEW)
        assert "Successfully removed key!" in await py.serf("keys", "-remove", KEY)
        assert f"{NEW}  [1/1]" in await py.serf("keys", "-list")
        text = await py.serf("keys", "-remove", NEW, status=1)
        assert "Removing the primary key is not allowed" in text


@limit(40)
async def test_leaving_by_the_command_line(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        served(binary, nursery) as py,
        go_agent(binary, tmp_path, name="go-1", profile="local") as go,
    ):
        await py.serf("join", go.address)
        await becomes("alive", lambda: go.status_of("py-1"))
        go.kill()
        await becomes("failed", lambda: py.node.status_of("go-1"), seconds=15)
        assert "" == await py.serf("force-leave", "go-1")
        await becomes("left", lambda: py.node.status_of("go-1"))
        assert "" == await py.serf("force-leave", "-prune", "go-1")
        await becomes(None, lambda: py.node.status_of("go-1"))
        assert "Graceful leave complete\n" == await py.serf("leave")
        await py.node.serf.wait_closed()


@limit(20)
async def test_the_monitor_command(binary: Path, tmp_path: Path, nursery: trio.Nursery) -> None:
    async with served(binary, nursery) as py:
        command = [str(binary), "monitor", f"-rpc-addr={py.address}", "-log-level=warn"]
        with child(command, output_path=tmp_path / "monitor", cwd=tmp_path) as monitor:

            async def event_is_seen() -> bool | None:
                await py.node.serf.user_event("deploy", b"hi")
                return 'Event: "user"' in monitor.output or None

            await found(event_is_seen, seconds=10)
            assert 'Name: "deploy"' in monitor.output
            await py.node.serf.aclose()
            await becomes(1, lambda: monitor.exit_status)
            assert "Remote side ended the monitor!" in monitor.output


@limit(20)
async def test_an_authenticated_command_line(binary: Path, nursery: trio.Nursery) -> None:
    async with served(binary, nursery, auth_key="s3cret") as py:
        assert "py-1" in await py.serf("members", "-rpc-auth=s3cret")
        text = await py.serf("members", "-rpc-auth=wrong", status=1)
        assert "Error connecting to Serf agent: Invalid authentication token" in text
        text = await py.serf("members", status=1)
        assert "Error retrieving members: Authentication required" in text


@limit(30)
async def test_an_agent_that_cannot_explain_says_so(binary: Path, tmp_path: Path) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as first,
        client.open_client(first.rpc_address) as agent,
    ):
        with pytest.raises(client.RPCError, match="Unsupported command"):
            await agent.explain()
