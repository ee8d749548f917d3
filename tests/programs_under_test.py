"""Programs under test: processes that print lines, get signals, and are killed at the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from tests.source_tree import ROOT


def free_ports(count: int) -> list[str]:
    """Addresses whose ports nobody has, neither for datagrams nor for connections."""
    found, open_ = [], []
    while len(found) < count:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        open_ += [tcp, udp]
        tcp.bind(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        try:
            udp.bind(("127.0.0.1", port))
        except OSError:
            continue
        found.append(f"127.0.0.1:{port}")
    for each in open_:
        each.close()
    return found


def loaded_after(program: str) -> set[str]:
    """Names of the modules that a fresh interpreter has after the program.

    A measurement of coverage loads modules into every process that is started with its
    variables, such as `ipaddress`; this process is started without them.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    return set(done.stdout.splitlines()[-1].split())


class Program:
    """An example that runs: its lines so far, and a way to wait for one."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.changed = trio.Event()

    async def read(self) -> None:
        rest = b""
        assert self.process.stdout is not None
        async for chunk in self.process.stdout:
            *whole, rest = (rest + chunk).split(b"\n")
            self.lines += [line.decode() for line in whole]
            self.changed.set()
            self.changed = trio.Event()

    async def until(self, seen: str | Callable[[list[str]], bool]) -> None:
        """Wait for a line that is this text, or for lines of which this is true."""
        while not (seen in self.lines if isinstance(seen, str) else seen(self.lines)):
            await self.changed.wait()

    async def type(self, line: str) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(line.encode() + b"\n")

    async def ends(self) -> int:
        return await self.process.wait()


@asynccontextmanager
async def programs(folder: Path) -> AsyncIterator[Callable[..., Awaitable[Program]]]:
    """Starts programs of a folder; those that are left at the end are killed."""
    started: list[Program] = []

    async with trio.open_nursery() as nursery:

        async def start(name: str, *args: str, **environ: str) -> Program:
            command = [sys.executable, "-u", "-W", "error", str(folder / name), *args]
            process = await nursery.start(
                partial(
                    trio.run_process,
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    check=False,
                    env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
                    deliver_cancel=kill,
                )
            )
            program = Program(process)
            started.append(program)
            nursery.start_soon(program.read)
            return program

        try:
            with trio.fail_after(60):
                yield start
        except trio.TooSlowError as error:
            for program in started:
                error.add_note(f"{program.process.args[3:]} printed {program.lines[-20:]}")
            raise
        nursery.cancel_scope.cancel()


async def kill(process: trio.Process) -> None:
    process.kill()


async def wait_for_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    while True:
        try:
            stream = await trio.open_tcp_stream(host, int(port))
        except OSError:
            await trio.sleep(0.05)
        else:
            await stream.aclose()
            return
