"""Ctrl-C at moments that a timer chooses, in programs of their own and in the agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tests.interop.addresses import free_host, free_port

MOMENTS = 24


@asynccontextmanager
async def agent(*options: str) -> AsyncIterator[tuple[trio.Process, str, str]]:
    """Our agent as a program: the process, its address, and that of its commands."""
    host = free_host()
    bind, rpc = f"{host}:{free_port(host)}", f"{host}:{free_port(host)}"
    command = [sys.executable, "-m", "trioserf", "agent", "-node=peer", *options]
    async with trio.open_nursery() as nursery:
        command += [f"-bind={bind}", f"-rpc-addr={rpc}", "-profile=local"]
        process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            yield process, bind, rpc
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            nursery.cancel_scope.cancel()


async def serves(process: trio.Process) -> bytes:
    """Read until the agent says that it runs."""
    said, stdout = b"", process.stdout
    assert stdout is not None
    with trio.fail_after(30):
        while b"agent running" not in said:
            data = await stdout.receive_some()
            assert data, said
            said += data
    return said


@pytest.mark.slow
async def test_ctrl_c_ends_a_program_cleanly_at_any_moment() -> None:
    host = free_host()
    async with agent() as (process, address, _):
        await serves(process)
        start = trio.current_time()
        with trio.fail_after(60):
            done = await trio.run_process(
                [
                    *(sys.executable, "-m", "tests.net.interrupted"),
                    *(address, f"{host}:{free_port(host)}", str(MOMENTS)),
                ],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        assert (0, b"") == (done.returncode, done.stderr)
        assert f"interrupted {MOMENTS}".encode() in done.stdout
        assert trio.current_time() - start < 60


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.003, 0.03])
@pytest.mark.parametrize("times", [1, 2])
async def test_ctrl_c_ends_the_agent_without_a_traceback(delay: float, times: int) -> None:
    async with agent() as (process, _, _):
        said = await serves(process)
        for _ in range(times):
            await trio.sleep(delay)
            os.kill(process.pid, signal.SIGINT)
        stdout = process.stdout
        assert stdout is not None
        with trio.fail_after(20):
            while data := await stdout.receive_some():
                said += data
            status = await process.wait()
        assert b"Traceback" not in said, said.decode()
        # The second may come when all is done, and Python itself ends.
        assert status in (0, 1, *([-signal.SIGINT] if times > 1 else [])), said.decode()
