"""When a kernel or a terminal ends, its kept nodes leave: a real agent sees it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
import trio

from tests.interop.agents import go_agent
from tests.interop.conftest import binary  # noqa: F401  # a fixture
from tests.interop.waiting import becomes, limit

from .kernels import KERNEL_PYTHON, Kernel, KernelThread

pytestmark = [pytest.mark.interop, pytest.mark.slow]

JOIN = """
serf = await keep(trioserf.open(trioserf.Config.lan(node_name="nb", bind="127.0.0.1:0")))
print("joined", await serf.join(["{address}"]))
"""


def join(running: Kernel, address: str) -> None:
    running.run("%load_ext trioserf.notebook\nimport trio, trioserf, time")
    assert "joined 1" in running.run(JOIN.format(address=address)).text


@limit(60)
@pytest.mark.parametrize("how", ["shutdown", "restart", "exit"])
async def test_a_kernel_that_ends_leaves_its_cluster(
    binary: Path,  # noqa: F811
    tmp_path: Path,
    how: str,
) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        with KernelThread.run() as thread:
            await thread.do(lambda kernel: join(kernel, agent.address))
            await becomes("alive", lambda: agent.status_of("nb"))
            if how == "exit":
                await thread.do(lambda kernel: kernel.start("exit()"))
            else:
                await thread.do(lambda kernel: kernel.end(restart=how == "restart"))
            await becomes("left", lambda: agent.status_of("nb"), seconds=20)


@limit(60)
async def test_a_kernel_that_ends_during_a_cell_leaves_its_cluster(
    binary: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        with KernelThread.run() as thread:
            await thread.do(lambda kernel: join(kernel, agent.address))
            await becomes("alive", lambda: agent.status_of("nb"))
            await thread.do(lambda kernel: kernel.start("await trio.sleep(60)"))
            await trio.sleep(0.5)
            await thread.do(lambda kernel: kernel.end(restart=False))
            await becomes("left", lambda: agent.status_of("nb"), seconds=20)


class Terminal:
    """IPython in a pseudo-terminal."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [KERNEL_PYTHON, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "dumb"},
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def type(self, line: str) -> None:
        os.write(self._master, line.encode() + b"\n")

    def read_until(self, text: str, seconds: float = 30.0) -> None:
        """Read on until ``text`` is seen in what is new."""
        start, deadline = len(self.seen), time.monotonic() + seconds
        while text not in self.seen[start:]:
            ready = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]
            assert ready, f"no {text!r} in {self.seen[start:]!r}"
            self.seen += os.read(self._master, 65536).decode(errors="replace")

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def close(self, seconds: float = 15.0) -> int:
        """Wait for the end, read what is left; kill it if it takes too long."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._master, 65536).decode(errors="replace")
                except OSError:
                    break
        if self._process.poll() is None:
            try:
                return self._process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._process.kill()
        os.close(self._master)
        return self._process.wait(5)


def session(address: str) -> Terminal:
    terminal = Terminal()
    terminal.read_until("In [1]")
    terminal.type("%load_ext trioserf.notebook")
    terminal.type("import trio, trioserf")
    terminal.type(
        'serf = await keep(trioserf.open(trioserf.Config.lan(node_name="nb", bind="127.0.0.1:0")))'
    )
    terminal.type(f'print("joined", await serf.join(["{address}"]))')
    terminal.read_until("joined 1")
    return terminal


@limit(60)
async def test_the_terminal_keeps_a_node_stops_a_cell_and_leaves_on_exit(
    binary: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        terminal = await trio.to_thread.run_sync(session, agent.address)
        try:
            await becomes("alive", lambda: agent.status_of("nb"))
            terminal.type("await trio.sleep(60)")
            await trio.sleep(1)
            terminal.interrupt()
            await trio.to_thread.run_sync(terminal.read_until, "the cell was stopped")
            terminal.type("serf.members()")
            await trio.to_thread.run_sync(terminal.read_until, "status  protocol")
            terminal.type("print('state', serf.state)")
            await trio.to_thread.run_sync(terminal.read_until, "state alive")
            terminal.type("exit()")
            await becomes("left", lambda: agent.status_of("nb"), seconds=20)
        finally:
            status = await trio.to_thread.run_sync(terminal.close)
    assert 0 == status, terminal.seen
