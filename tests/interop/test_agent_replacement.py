"""A cluster of Go agents becomes one of trioserf agents, one by one, while it is in use."""

from __future__ import annotations

import base64
import json
import secrets
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from tests.interop.agents import GoAgent, go_agent
from tests.interop.waiting import becomes, limit
from tests.source_tree import ROOT

NAMES = ("one", "two", "three", "four", "five")
NEW_KEY = base64.b64encode(b"n" * 32).decode()
ANSWER = "query:whoami=echo $SERF_SELF_NAME"
STATE_EXCHANGE = 45.0
"""Longest time between two of a node (seconds), with some to spare."""
QUERY_TIMEOUT = "2s"
"""Of a query: long enough for a machine that is busy starting an agent."""


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
    """Agents of one key, each with a keyring file, a snapshot, and handlers."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.agents: dict[str, GoAgent] = {}
        self.sent: list[str] = []
        self.asked = 0

    async def start(self, program: Path, name: str, *, address: str | None = None) -> None:
        folder = self._folder / f"{name}-{program.name}"
        folder.mkdir()
        words = [f"-snapshot={self._folder / name}.snap"]
        words.append(f"-keyring-file={self.keyring(name)}")
        if address is None:
            self.keyring(name).write_text(json.dumps([self._key]))
            words += [f"-join={agent.address}" for agent in list(self.agents.values())[:1]]
        agent = go_agent(
            program, folder, name=name, address=address, handlers=[ANSWER], arguments=words
        )
        self.agents[name] = await self._stack.enter_async_context(agent)

    def keyring(self, name: str) -> Path:
        return self._folder / f"{name}.keys"

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

    async def everybody_got(self, events: Sequence[str], *, but: str = "") -> None:
        """Once, and not twice; what gossip missed comes by a state exchange."""

        def wrong() -> dict[str, dict[str, int]]:
            counts = {
                name: {event: len(agent.recorded("user", event)) for event in events}
                for name, agent in self.agents.items()
                if name != but
            }
            return {
                name: {event: count for event, count in found.items() if count != 1}
                for name, found in counts.items()
                if set(found.values()) != {1}
            }

        await becomes({}, wrong, seconds=STATE_EXCHANGE)

    async def ask(self, asker: str) -> None:
        """A query, which everybody who is there answers, from a handler."""
        everybody = set(self.agents)
        answers = await self.agents[asker].query("whoami", timeout=QUERY_TIMEOUT)
        self.asked += 1
        assert everybody == answers.acks
        assert {name: f"{name}\n" for name in everybody} == answers.responses

    async def replace(self, name: str, program: Path) -> None:
        """End an agent, and start the other program on its address, files and ports."""
        others = [other for other in NAMES if other != name]
        await self.send(others[0])
        await self.everybody_got(self.sent[-1:])
        await self.snapshot_knows_the_others(name)
        old = self.agents.pop(name)
        old.kill()  # its snapshot brings its successor back
        handled = [event for event in self.sent if old.recorded("user", event)]
        await self.send(others[1])
        missed = self.sent[-1]
        await self.everybody_got([missed])
        await self.ask(others[2])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._go_on, others)
            await self.start(program, name, address=old.address)
        await self.all_alive()
        successor = self.agents[name]
        await becomes(1, lambda: len(successor.recorded("user", missed)), seconds=15)
        assert [] == [event for event in handled if successor.recorded("user", event)]
        await self.send(name)
        await self.everybody_got(self.sent[-1:])
        await self.ask(name)
        await self.ask(others[3])

    async def _go_on(self, senders: Sequence[str]) -> None:
        """Events while the successor starts: those that were there must get them all."""
        for sender in senders:
            await self.send(sender)


@pytest.mark.slow
@limit(240)
async def test_go_agents_are_replaced_one_by_one_while_events_and_queries_go_on(
    binary: Path, tmp_path: Path
) -> None:
    ours = our_program(tmp_path)
    async with AsyncExitStack() as stack:
        cluster = Cluster(tmp_path, stack)
        for name in NAMES:
            await cluster.start(binary, name)
        await cluster.all_alive()
        await cluster.ask("one")
        for name in NAMES:
            before = len(cluster.sent)
            await cluster.replace(name, ours)
            await cluster.everybody_got(cluster.sent[before:], but=name)
        keys = await cluster.agents["two"].command("keys", "-list")
        assert "[5/5]" in keys
        await cluster.agents["three"].command("keys", "-install", NEW_KEY)
        await cluster.agents["four"].command("keys", "-use", NEW_KEY)
        for name in NAMES:
            assert NEW_KEY == json.loads(cluster.keyring(name).read_text())[0]
        await cluster.ask("five")


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
