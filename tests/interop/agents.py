"""Real Serf agents, started, driven and observed through their own command line.

::

    async with go_agent(binary, tmp_path, name="go-1", tags={"role": "web"}) as agent:
        await agent.join(other.address)
        assert {"go-1": ...} == await agent.members()

The events of an agent are recorded by an event handler, a shell script that writes
one line for each event; what it thinks is in its log.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go, invoke.go.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from tests.interop.addresses import free_host, free_port
from tests.interop.processes import Child, child
from tests.interop.waiting import found

BINARY_VARIABLE = "TRIOSERF_SERF_BINARY"

_RECORDER = """\
#!/bin/sh
# One line for each event: type, name, Lamport time, and what came on stdin in base64.
payload=$(base64 -w0)
printf '%s\\t%s\\t%s\\t%s\\n' "$SERF_EVENT" "$SERF_USER_EVENT$SERF_QUERY_NAME" \\
  "$SERF_USER_LTIME$SERF_QUERY_LTIME" "$payload" >> "$1"
"""


def serf_binary() -> Path | None:
    """The `serf` program to test against: named by the environment, or on PATH."""
    chosen = os.environ.get(BINARY_VARIABLE) or "serf"
    path = shutil.which(chosen)
    return Path(path) if path else None


@attrs.frozen
class Row:
    """One member as one node sees it, in a form that compares across implementations."""

    status: str
    addr: str
    tags: Mapping[str, str]
    versions: tuple[int, int, int]
    """Serf protocol versions: lowest, highest, spoken."""


@attrs.frozen
class Recorded:
    """One event as the agent's handler received it."""

    event: str
    name: str
    ltime: int | None
    stdin: bytes

    @property
    def payload(self) -> bytes:
        """The payload, for payloads that end in no newline: the agent adds one."""
        return self.stdin.removesuffix(b"\n")


@attrs.frozen
class Answers:
    """What `serf query` gathered."""

    acks: frozenset[str]
    responses: Mapping[str, str]


class CommandFailed(Exception):
    """A `serf` command ended with a status other than 0; its text is the message."""


@attrs.define(eq=False)
class GoAgent:
    """A running agent; see `go_agent`."""

    binary: Path
    name: str
    address: str
    rpc_address: str
    process: Child
    events_path: Path
    inside: Sequence[str] = ()
    """What a command begins with that shall run where the agent does."""

    async def command(self, *arguments: str) -> str:
        """Run ``serf ARGUMENTS...`` against this agent and return what it prints.

        The first argument is the command's name, flags come before other arguments.

        Raises:
          CommandFailed: the command failed.
        """
        name, *rest = arguments
        done = await trio.run_process(
            [*self.inside, str(self.binary), name, f"-rpc-addr={self.rpc_address}", *rest],
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
        if done.returncode != 0:
            raise CommandFailed(f"serf {' '.join(arguments)!r}: {text.strip()}")
        return text

    async def members(self) -> dict[str, Row]:
        """Every member this agent knows, of any status."""
        rows = json.loads(await self.command("members", "-format=json"))["members"] or []
        return {
            row["name"]: Row(
                row["status"],
                row["addr"],
                row["tags"] or {},
                (row["protocol"]["min"], row["protocol"]["max"], row["protocol"]["version"]),
            )
            for row in rows
        }

    async def statuses(self) -> dict[str, str]:
        """Name to status, of every member this agent knows."""
        return {name: row.status for name, row in (await self.members()).items()}

    async def status_of(self, name: str) -> str | None:
        return (await self.statuses()).get(name)

    async def tags_of(self, name: str) -> Mapping[str, str] | None:
        row = (await self.members()).get(name)
        return None if row is None else row.tags

    async def join(self, *addresses: str) -> None:
        await self.command("join", *addresses)

    async def leave(self) -> None:
        """Leave gracefully; the agent ends by itself."""
        await self.command("leave")

    async def set_tags(self, *, set_: Mapping[str, str], delete: Sequence[str] = ()) -> None:
        """Add or change some tags, and delete others, as ``serf tags`` does."""
        flags = [f"-set={key}={value}" for key, value in set_.items()]
        await self.command("tags", *flags, *(f"-delete={key}" for key in delete))

    async def event(self, name: str, payload: str = "", *, coalesce: bool = False) -> None:
        await self.command("event", f"-coalesce={str(coalesce).lower()}", name, payload)

    async def query(
        self,
        name: str,
        payload: str = "",
        *,
        nodes: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        timeout: str = "1s",
        ack: bool = True,
        relay_factor: int = 0,
    ) -> Answers:
        """Ask the cluster; always takes as long as ``timeout``, a Go duration."""
        flags = [f"-timeout={timeout}", f"-relay-factor={relay_factor}", "-format=json"]
        flags += [f"-node={node}" for node in nodes]
        flags += [f"-tag={key}={value}" for key, value in (tags or {}).items()]
        flags += [] if ack else ["-no-ack"]
        got = json.loads(await self.command("query", *flags, name, payload))
        return Answers(frozenset(got["Acks"] or ()), dict(got["Responses"] or {}))

    def recorded(self, event: str, name: str = "") -> list[Recorded]:
        """Events of one type, and one name if it has names, that the handler received."""
        text = self.events_path.read_text() if self.events_path.exists() else ""
        lines = [line.split("\t") for line in text.splitlines()]
        return [
            Recorded(kind, title, int(ltime) if ltime else None, base64.b64decode(stdin))
            for kind, title, ltime, stdin in lines
            if kind == event and title == name
        ]

    @property
    def log(self) -> str:
        """Everything the agent printed so far."""
        return self.process.output

    async def wait_for_log(self, text: str, *, seconds: float = 10.0) -> float:
        """Wait until the log contains ``text``; the time (trio clock) it was seen."""

        def look() -> float | None:
            return trio.current_time() if text in self.log else None

        return await found(look, seconds=seconds)

    def kill(self) -> None:
        """End the agent abruptly: the cluster sees a failure."""
        self.process.kill()


@attrs.frozen(kw_only=True)
class _Settings:
    name: str
    profile: str
    tags: Mapping[str, str]
    key: bytes | None
    handlers: Sequence[str]
    options: Mapping[str, object]
    arguments: Sequence[str]

    def command(self, binary: Path, address: str, rpc: str, folder: Path) -> list[str]:
        command = [
            *(str(binary), "agent", "-log-level=debug", f"-node={self.name}"),
            *(f"-bind={address}", f"-rpc-addr={rpc}", f"-profile={self.profile}"),
            *(f"-tag={key}={value}" for key, value in self.tags.items()),
            f"-event-handler=*=sh {folder / 'record.sh'} {folder / 'events'}",
            *(f"-event-handler={handler}" for handler in self.handlers),
            *self.arguments,
        ]
        if self.key is not None:
            command.append(f"-encrypt={base64.b64encode(self.key).decode()}")
        if self.options:
            path = folder / "options.json"
            path.write_text(json.dumps(dict(self.options)))
            command.append(f"-config-file={path}")
        return command


@asynccontextmanager
async def go_agent(
    binary: Path,
    tmp_path: Path,
    *,
    name: str,
    address: str | None = None,
    profile: str = "lan",
    tags: Mapping[str, str] | None = None,
    key: bytes | None = None,
    handlers: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    arguments: Sequence[str] = (),
    inside: Sequence[str] = (),
) -> AsyncIterator[GoAgent]:
    """Run an agent for the length of the block; it is killed at the end, if it still runs.

    Args:
      address: ``host:port`` for gossip; None takes a free one.
      profile: timing.  ``local`` sends each message only twice in a cluster of up to nine, so
        one of four nodes misses one message in nine until the next push/pull, 15 s later: a
        test that counts on gossip wants ``lan``, which sends four times.
      key: raw encryption key of 16, 24 or 32 bytes.
      handlers: further event handlers, such as ``query:load=echo 0.42``.
      options: keys of a configuration file.
      arguments: further flags of ``serf agent``.
      inside: what a command begins with that shall run on another host of
        `tests.interop.namespaces`; needs ``address``, too.
    """
    settings = _Settings(
        name=name,
        profile=profile,
        tags=tags or {},
        key=key,
        handlers=handlers,
        options=options or {},
        arguments=arguments,
    )
    for attempt in range(5):
        folder = tmp_path / f"{name}-{attempt}"
        folder.mkdir()
        (folder / "record.sh").write_text(_RECORDER)
        host = address.rpartition(":")[0] if address else free_host()
        gossip = address or f"{host}:{free_port(host)}"
        rpc = "127.0.0.1:7373" if inside else f"{host}:{free_port(host)}"
        command = [*inside, *settings.command(binary, gossip, rpc, folder)]
        with child(command, output_path=folder / "log", cwd=folder) as process:
            agent = GoAgent(binary, name, gossip, rpc, process, folder / "events", inside)
            if await _is_ready(agent):
                yield agent
                return
    raise AssertionError(f"agent {name!r} found no free port in 5 attempts:\n{agent.log}")


async def _is_ready(agent: GoAgent) -> bool:
    """Wait until the agent answers; False when another process took its port meanwhile."""

    async def look() -> bool | None:
        if agent.process.exit_status is not None:
            assert "address already in use" in agent.log, f"agent did not start:\n{agent.log}"
            return False
        try:
            return "alive" == await agent.status_of(agent.name) or None
        except CommandFailed:
            return None

    return await found(look, seconds=15)
