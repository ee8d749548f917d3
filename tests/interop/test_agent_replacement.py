"""A cluster of Go agents becomes one of trioserf agents, one by one, while events go on."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.interop.agents import GoAgent, go_agent
from tests.interop.waiting import becomes, limit
from tests.source_tree import ROOT

NAMES = ("one", "two", "three")


def our_program(folder: Path) -> Path:
    """A program that takes the place of ``serf``."""
    path = folder / "trioserf"
    path.write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT}${{PYTHONPATH:+:$PYTHONPATH}} exec {sys.executable} "
        '-m trioserf "$@"\n'
    )
    path.chmod(0o755)
    return path


class Cluster:
    """Agents of one key, each with a snapshot and a handler that records."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._key = secrets.token_bytes(32)
        self.agents: dict[str, GoAgent] = {}
        self.sent: list[str] = []

    async def start(self, program: Path, name: str, *, address: str | None = None) -> None:
        folder = self._folder / f"{name}-{program.name}"
        folder.mkdir()
        words: Sequence[str] = (f"-snapshot={self._folder / name}.snap",)
        if self.agents and address is None:
            words = (*words, f"-join={next(iter(self.agents.values())).address}")
        agent = go_agent(
            program, folder, name=name, key=self._key, address=address, arguments=words
        )
        self.agents[name] = await self._stack.enter_async_context(agent)

    async def all_alive(self) -> None:
        for agent in self.agents.values():
            await becomes(dict.fromkeys(NAMES, "alive"), agent.statuses, seconds=30)

    async def snapshot_knows_the_others(self, name: str) -> None:
        """An agent writes what it buffered twice a second, and only when there is more to say."""
        path = self._folder / f"{name}.snap"

        def missing() -> list[str]:
            lines = path.read_text()
            return [n for n in NAMES if n != name and f"alive: {n} " not in lines]

        await becomes([], missing, seconds=15)

    async def send(self, sender: str) -> None:
        self.sent.append(f"event-{len(self.sent)}")
        await self.agents[sender].event(self.sent[-1])

    async def everybody_got(self, events: Sequence[str]) -> None:
        for agent in self.agents.values():

            def missing(agent: GoAgent = agent) -> list[str]:
                return [event for event in events if 1 != len(agent.recorded("user", event))]

            await becomes([], missing, seconds=15)


@limit(120)
async def test_go_agents_are_replaced_one_by_one_while_events_go_on(
    binary: Path, tmp_path: Path
) -> None:
    ours = our_program(tmp_path)
    async with AsyncExitStack() as stack:
        cluster = Cluster(tmp_path, stack)
        for name in NAMES:
            await cluster.start(binary, name)
        await cluster.all_alive()
        for name in NAMES:
            sender = next(other for other in NAMES if other != name)
            await cluster.send(sender)
            await cluster.everybody_got(cluster.sent[-1:])
            await cluster.snapshot_knows_the_others(name)
            old = cluster.agents.pop(name)
            old.kill()  # its snapshot brings its successor back
            await cluster.send(sender)
            await cluster.everybody_got(cluster.sent[-1:])
            await cluster.start(ours, name, address=old.address)
            await cluster.all_alive()
            await cluster.send(name)
            await cluster.everybody_got(cluster.sent[-1:])
        answers = await cluster.agents["one"].query("who")
        assert set(NAMES) == answers.acks
        keys = await cluster.agents["two"].command("keys", "-list")
        assert "3/3" in keys or "[3/3]" in keys


@limit(60)
async def test_our_agent_serves_go_s_commands_beside_go_s_agent(
    binary: Path, tmp_path: Path
) -> None:
    ours = our_program(tmp_path)
    (tmp_path / "g").mkdir()
    (tmp_path / "o").mkdir()
    handlers = ["query:load=echo 0.42"]
    async with (
        go_agent(binary, tmp_path / "g", name="go", handlers=handlers) as go,
        go_agent(ours, tmp_path / "o", name="ours", handlers=handlers) as python,
    ):
        python_by_go = GoAgent(
            binary, "ours", python.address, python.rpc_address, python.process, python.events_path
        )
        await python_by_go.join(go.address)
        both = {"go": "alive", "ours": "alive"}
        for agent in (go, python, python_by_go):
            await becomes(both, agent.statuses)
        await python_by_go.set_tags(set_={"role": "web"})
        await becomes({"role": "web"}, lambda: go.tags_of("ours"))
        answers = await python_by_go.query("load")
        assert {"go": "0.42\n", "ours": "0.42\n"} == answers.responses
        await python_by_go.leave()
        await becomes("left", lambda: go.status_of("ours"))
        await becomes(0, lambda: python.process.exit_status)
