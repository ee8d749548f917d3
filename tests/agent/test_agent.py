"""A whole agent as a process: start, signals, reload, files, health, service manager."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.addresses import free_port
from trioserf._rpc.blocking import open_agent

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"


def until(look: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What ``look`` gives, once it is true."""
    end = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
    return value


class Agent:
    """A running agent, and what it has printed."""

    def __init__(self, folder: Path, words: tuple[str, ...], environment: dict[str, str]) -> None:
        self.rpc = f"{HOST}:{free_port(HOST)}"
        self.bind = f"{HOST}:{free_port(HOST)}"
        self._out = folder / f"out-{free_port(HOST)}"
        command = [sys.executable, "-m", "trioserf", "agent", "-profile=local"]
        command += [f"-bind={self.bind}", f"-rpc-addr={self.rpc}", *words]
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=_environment(environment)
            )

    @property
    def text(self) -> str:
        return self._out.read_text()

    def wait_text(self, part: str) -> None:
        until(lambda: part in self.text or self.process.poll() is not None)
        assert part in self.text

    def ask(self, command: str, **fields: object) -> Any:
        with open_agent(self.rpc) as agent:
            return agent.call(command, fields)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


def _environment(changes: dict[str, str]) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONUNBUFFERED": "1", **changes}


@contextmanager
def running(folder: Path, *words: str, **environment: str) -> Iterator[Agent]:
    agent = Agent(folder, words, environment)
    try:
        yield agent
    finally:
        agent.process.kill()
        agent.process.wait()


def test_it_starts_prints_and_leaves_on_an_interrupt(tmp_path: Path) -> None:
    with running(tmp_path, "-node=alpha") as agent:
        agent.wait_text("Log data will now stream in")
        assert agent.text.startswith(
            "==> Starting Serf agent...\n==> Starting Serf agent RPC...\n==> Serf agent running!\n"
            f"                      Node name: 'alpha'\n"
        )
        assert 0 == agent.end(signal.SIGINT)
        assert "==> Caught signal: interrupt\n==> Gracefully shutting down agent..." in agent.text
