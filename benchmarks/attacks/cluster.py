"""The nodes of a benchmark, each a process: the victim, an honest peer, a Go agent, and others.

Only loopback addresses, on a network drawn at random, so that nothing else is met.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

ROOT = Path(__file__).parents[2]
PORT = 7946


class NodeEnded(Exception):
    """The process of a node is gone; the text is the last thing that it said."""


def bound_to_this(command: list[str]) -> list[str]:
    """The command as a process that ends with this one."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command


@attrs.define(eq=False)
class Node:
    """A process of `benchmarks.attacks.node`."""

    settings: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes] = attrs.field(init=False)
    _commands: trio.lowlevel.FdStream = attrs.field(init=False)
    _answers: dict[int, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _waiting: dict[int, trio.Event] = attrs.field(factory=dict, init=False)
    _number: int = attrs.field(default=0, init=False)
    _ended: bool = attrs.field(default=True, init=False)

    @property
    def name(self) -> str:
        name: str = self.settings["name"]
        return name

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.settings["bind"].rpartition(":")
        return host, int(port)

    @property
    def running(self) -> bool:
        return not self._ended and self.process.poll() is None

    async def start(self, nursery: trio.Nursery, *, seconds: float = 60) -> None:
        """Start it, and wait until it serves."""
        self._spawn()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._commands = trio.lowlevel.FdStream(os.dup(self.process.stdin.fileno()))
        self.process.stdin.close()
        output = trio.lowlevel.FdStream(os.dup(self.process.stdout.fileno()))
        self.process.stdout.close()
        self._ended = False
        self._answers.clear()
        self._waiting = {0: trio.Event()}
        nursery.start_soon(self._read, output)
        with trio.move_on_after(seconds):
            await self._waiting[0].wait()
        if self._ended or 0 not in self._answers:
            raise NodeEnded(f"{self.name} did not start: {self._last_words()}")

    def _spawn(self) -> None:
        # Not trio's way, which starts it from a thread that may end before it.
        command = [sys.executable, "-m", "benchmarks.attacks.node", json.dumps(self.settings)]
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                bound_to_this(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )

    @property
    def _errors(self) -> Path:
        return self.folder / f"{self.name}.errors"

    def _last_words(self) -> str:
        lines = self._errors.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "nothing"

    async def _read(self, output: trio.lowlevel.FdStream) -> None:
        rest = b""
        async for data in output:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                answer = json.loads(line)
                self._answers[answer["id"]] = answer
                self._waiting.setdefault(answer["id"], trio.Event()).set()
        self._ended = True
        for event in self._waiting.values():
            event.set()
        await output.aclose()

    async def ask(self, do: str, *, seconds: float = 30, **fields: Any) -> dict[str, Any]:
        """Let it carry out a command.

        Raises:
          NodeEnded: it is no more.
          trio.TooSlowError: no answer within so many seconds.
        """
        self._number += 1
        number = self._number
        event = self._waiting[number] = trio.Event()
        try:
            await self._commands.send_all(
                json.dumps({"id": number, "do": do, **fields}).encode() + b"\n"
            )
            if not self._ended:
                with trio.fail_after(seconds):
                    await event.wait()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        if number not in self._answers:
            raise NodeEnded(f"{self.name} ended: {self._last_words()}")
        del self._waiting[number]
        return self._answers.pop(number)

    async def kill(self) -> None:
        """End it as a crash does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        await trio.to_thread.run_sync(self.process.wait)
        await self._commands.aclose()


@attrs.define(eq=False)
class GoAgent:
    """A real agent, seen by its log and its commands."""

    binary: str
    name: str
    host: str
    log_path: Path
    process: subprocess.Popen[bytes] = attrs.field(init=False)

    def start(self, key: bytes | None) -> None:
        command = [self.binary, "agent", f"-node={self.name}", f"-bind={self.host}:{PORT}"]
        command += [f"-rpc-addr={self.host}:7373", "-profile=lan", "-log-level=info"]
        if key is not None:
            command.append(f"-encrypt={base64.b64encode(key).decode()}")
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                bound_to_this(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def failures(self, name: str) -> int:
        """How often it declared a node failed."""
        found = re.findall(f"EventMemberFailed: {re.escape(name)} ", self._log())
        return len(found)

    def _log(self) -> str:
        return self.log_path.read_text(errors="replace")

    async def command(self, *arguments: str) -> str:
        name, *rest = arguments
        with trio.move_on_after(10):
            done = await trio.run_process(
                [self.binary, name, f"-rpc-addr={self.host}:7373", *rest],
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
            )
            return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
        return ""

    async def join(self, address: str) -> None:
        for _ in range(100):
            if await self.command("join", address):
                return
            await trio.sleep(0.1)
        raise NodeEnded("the Go agent did not join")

    async def status_of(self, name: str) -> str:
        text = await self.command("members", "-format=json", f"-name=^{re.escape(name)}$")
        members = json.loads(text or "{}").get("members") or []
        return members[0]["status"] if members else "unknown"

    async def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        await trio.to_thread.run_sync(self.process.wait)


@attrs.define(eq=False, kw_only=True)
class Cluster:
    """Who takes part.

    Args:
      victim: the node that is attacked.
      honest: its peer, or None where the victim is alone.
      maker: lets newcomers join.
      control: a node beside, alone, that shows what the machine does to any node.
      go: an agent of the same cluster; None if there is none.
    """

    nursery: trio.Nursery
    folder: Path
    network: str
    victim: Node
    honest: Node | None
    maker: Node
    control: Node
    go: GoAgent | None
    key: bytes | None
    newcomers: int = 0

    @property
    def target(self) -> str:
        return self.victim.settings["bind"]

    @property
    def peer_address(self) -> tuple[str, int] | None:
        """Of another member than the victim: the Go agent, if there is one."""
        if self.go is not None:
            return self.go.host, PORT
        return None if self.honest is None else self.honest.address

    def newcomer_address(self) -> str:
        """An address that no newcomer had before."""
        self.newcomers += 1
        return f"{self.network}.{50 + self.newcomers % 200}:{20000 + self.newcomers // 200}"


def make_anew(folder: Path) -> None:
    """Make an empty folder: a snapshot in it would be read."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


@asynccontextmanager
async def cluster(
    *,
    folder: Path,
    alone: bool = False,
    encrypted: bool = False,
    files: int | None = None,
    agent: str | None = None,
) -> AsyncIterator[Cluster]:
    """The nodes, joined, for the length of a block."""
    make_anew(folder)
    draw = random.SystemRandom().randint
    network = f"127.{draw(2, 99)}.{draw(1, 250)}"
    key = os.urandom(16) if encrypted else None
    text = None if key is None else base64.b64encode(key).decode()

    def node(name: str, last: int, **settings: Any) -> Node:
        common = {"name": name, "bind": f"{network}.{last}:{PORT}", "key": text}
        return Node({**common, "log": str(folder / f"{name}.log"), **settings}, folder)

    snapshot = str(folder / "victim.snapshot")
    victim = node("victim", 1, snapshot=snapshot, files=files, tags={"role": "a" * 60})
    honest = None if alone else node("honest", 2, tags={"role": "a" * 60})
    maker, control = node("maker", 3), node("control", 4)
    go = None
    if agent is not None and not alone:
        go = GoAgent(agent, "go", f"{network}.5", folder / "go.log")
        go.start(key)
    nodes = [each for each in (victim, honest, maker, control) if each is not None]
    async with trio.open_nursery() as nursery:
        try:
            async with trio.open_nursery() as starting:
                for each in nodes:
                    starting.start_soon(each.start, nursery)
            if honest is not None:
                await honest.ask("join", address=victim.settings["bind"])
            if go is not None:
                await go.join(victim.settings["bind"])
            yield Cluster(
                nursery=nursery,
                folder=folder,
                network=network,
                victim=victim,
                honest=honest,
                maker=maker,
                control=control,
                go=go,
                key=key,
            )
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 10):
                for each in nodes:
                    if hasattr(each, "process"):
                        await each.kill()
                if go is not None:
                    await go.kill()
            nursery.cancel_scope.cancel()


def statuses(answer: Mapping[str, Any]) -> dict[str, str | None]:
    found: dict[str, str | None] = answer["members"]
    return found
