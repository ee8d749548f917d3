"""A snapshot file changes hands: one of trioserf is read by an agent, one of an agent by trioserf.

The node with the file ends without leaving, and one of the other kind takes its name, its
address and its file.  It must find the cluster by itself, and deliver nothing twice.
"""

from __future__ import annotations

import signal
from pathlib import Path

import trio

import trioserf
from tests.interop.agents import GoAgent, go_agent
from tests.interop.nodes import trioserf_node
from tests.interop.waiting import becomes, limit, stays

NAME = "heir"


async def numbers(agent: GoAgent) -> dict[str, str]:
    """What ``serf info`` counts."""
    lines = (await agent.command("info")).splitlines()
    pairs = [line.strip().partition(" = ") for line in lines]
    return {key: value for key, _, value in pairs}


def written(path: Path, *lines: str) -> bool:
    text = path.read_text().splitlines() if path.exists() else []
    return all(line in text for line in lines)


@limit(60)
async def test_an_agent_rejoins_by_a_file_of_this_library(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    path = tmp_path / "snapshot"
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        async with trioserf_node(nursery, name=NAME, snapshot_path=str(path)) as node:
            await node.serf.join([agent.address])
            for number in range(3):
                await agent.event("beat", str(number))
            await agent.query("question", timeout="100ms")
            await becomes(3, lambda: len(node.user_events("beat")))
            await becomes(1, lambda: len(node.queries("question")))
            address, clocks = node.address, node.serf.statistics()
        assert written(path, f"alive: go-1 {agent.address}", "# incarnation: 1")
        (elsewhere := tmp_path / "elsewhere").mkdir()
        async with go_agent(
            binary,
            elsewhere,
            name=NAME,
            address=address,
            arguments=[f"-snapshot={path}"],
        ) as heir:
            await heir.wait_for_log("Re-joined to previously known node: go-1")
            for each in (agent, heir):
                await becomes({"go-1": "alive", NAME: "alive"}, each.statuses)
            assert (await heir.members())[NAME].addr == address
            restored = await numbers(heir)
            assert clocks.event_time <= int(restored["event_time"])
            assert clocks.query_time <= int(restored["query_time"])
            assert clocks.member_time <= int(restored["member_time"])
            await stays([], lambda: heir.recorded("user", "beat"), seconds=1)
            await agent.event("beat", "new")
            await becomes([b"new"], lambda: [e.payload for e in heir.recorded("user", "beat")])
            assert "Unrecognized snapshot line" not in heir.log


@limit(60)
async def test_a_trioserf_node_rejoins_by_the_file_of_an_agent(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    path = tmp_path / "snapshot"
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        (elsewhere := tmp_path / "elsewhere").mkdir()
        async with go_agent(
            binary, elsewhere, name=NAME, arguments=[f"-snapshot={path}"]
        ) as theirs:
            await theirs.join(agent.address)
            for number in range(3):
                await agent.event("beat", str(number))
            await agent.query("question", timeout="100ms")
            await becomes(3, lambda: len(theirs.recorded("user", "beat")))
            await becomes(1, lambda: len(theirs.recorded("query", "question")))
            clocks = await numbers(theirs)
            # On SIGTERM an agent ends without leaving, and writes what it knows.
            theirs.process.process.send_signal(signal.SIGTERM)
            await becomes(True, lambda: theirs.process.exit_status is not None)
            address = theirs.address
        assert written(path, f"alive: go-1 {agent.address}")
        async with trioserf_node(nursery, name=NAME, bind=address, snapshot_path=str(path)) as node:
            restored = node.serf.statistics()
            assert int(clocks["event_time"]) <= restored.event_time
            assert int(clocks["query_time"]) <= restored.query_time
            assert int(clocks["member_time"]) <= restored.member_time
            for each in (agent, node):
                await becomes({"go-1": "alive", NAME: "alive"}, each.statuses)
            assert node.time_of(trioserf.EventType.MEMBER_JOIN, "go-1") is not None
            await stays([], lambda: node.user_events("beat"), seconds=1)
            await agent.event("beat", "new")
            await becomes([b"new"], lambda: node.user_events("beat"))


@limit(60)
async def test_a_file_that_ends_with_a_leave_leads_no_node_back(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """A file of trioserf read by an agent, then what that made of it read by trioserf."""
    path = tmp_path / "snapshot"
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        async with trioserf_node(
            nursery, name=NAME, snapshot_path=str(path), leave_on_exit=True
        ) as node:
            await node.serf.join([agent.address])
            await becomes("alive", lambda: agent.status_of(NAME))
            address = node.address
        assert written(path, "leave")
        (elsewhere := tmp_path / "elsewhere").mkdir()
        async with go_agent(
            binary, elsewhere, name=NAME, address=address, arguments=[f"-snapshot={path}"]
        ) as heir:
            await stays({NAME: "alive"}, heir.statuses, seconds=2)
            await heir.leave()
            await becomes(True, lambda: heir.process.exit_status is not None)
        async with trioserf_node(nursery, name=NAME, bind=address, snapshot_path=str(path)) as node:
            await stays({NAME: "alive"}, node.statuses, seconds=2)
        assert "left" == await agent.status_of(NAME)
