"""The harness itself, on agents alone: what it reports about two Go agents is true."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio

from tests.interop.agents import Answers, CommandFailed, GoAgent, go_agent
from tests.interop.waiting import becomes, limit


@limit(30)
async def test_two_agents_join_and_the_harness_sees_both(binary: Path, tmp_path: Path) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1", tags={"role": "web"}) as one,
        go_agent(binary, tmp_path, name="go-2", handlers=["query:load=echo 0.42"]) as two,
    ):
        await two.join(one.address)
        await becomes({"go-1": "alive", "go-2": "alive"}, one.statuses)
        assert {"role": "web"} == await two.tags_of("go-1")

        await one.event("deploy", "v42")
        await becomes([b"v42"], lambda: [e.payload for e in two.recorded("user", "deploy")])
        answers = await one.query("load")
        assert Answers(frozenset({"go-1", "go-2"}), {"go-2": "0.42\n"}) == answers

        two.kill()
        await becomes({"go-1": "alive", "go-2": "failed"}, one.statuses, seconds=25)


@limit(15)
async def test_an_agent_ends_with_its_block_even_when_the_test_fails(
    binary: Path, tmp_path: Path
) -> None:
    started: list[GoAgent] = []

    async def failing() -> None:
        async with go_agent(binary, tmp_path, name="go-1") as agent:
            started.append(agent)
            agent.process.stop()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    assert [-signal.SIGKILL] == [agent.process.exit_status for agent in started]


@limit(15)
async def test_an_agent_that_leaves_ends_by_itself(binary: Path, tmp_path: Path) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        await agent.leave()
        await becomes(0, lambda: agent.process.exit_status)


@limit(15)
async def test_a_failing_command_raises_with_what_it_printed(binary: Path, tmp_path: Path) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        with pytest.raises(CommandFailed, match="connection refused"):
            await agent.join("127.0.0.1:1")


@limit(15)
async def test_a_limit_ends_a_test_that_waits_for_ever() -> None:
    @limit(0.05)
    async def endless() -> None:
        await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError):
        await endless()
