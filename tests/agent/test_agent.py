"""A whole agent as a process: start, signals, reload, files, health, service manager."""

from __future__ import annotations

import json
import os
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
from trioserf._rpc.blocking import connect

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
        with connect(self.rpc) as agent:
            return agent.call(command, fields or None)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


def _environment(changes: dict[str, str]) -> dict[str, str]:
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
            "                      Node name: 'alpha'\n"
        )
        assert 0 == agent.end(signal.SIGINT)
        assert "==> Caught signal: interrupt\n==> Gracefully shutting down agent..." in agent.text


def test_a_termination_stops_it_and_a_setting_lets_it_leave(tmp_path: Path) -> None:
    path = tmp_path / "serf.json"
    path.write_text('{"leave_on_terminate":false}')
    with running(tmp_path, f"-config-file={path}") as agent:
        agent.wait_text("Log data")
        assert 1 == agent.end(signal.SIGTERM)
        assert "Gracefully" not in agent.text
    with running(tmp_path, f"-config-file={path}") as agent:
        agent.wait_text("Log data")
        path.write_text('{"leave_on_terminate":true}')
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_text("Reloading configuration...")
        time.sleep(0.2)
        assert 0 == agent.end(signal.SIGTERM)


def test_a_second_signal_ends_the_leaving(tmp_path: Path) -> None:
    with running(tmp_path, "-node=a") as peer:
        peer.wait_text("Log data")
        with running(tmp_path, f"-join={peer.bind}") as agent:
            agent.wait_text("Log data")
            agent.process.send_signal(signal.SIGINT)
            agent.wait_text("Gracefully")
            assert 1 == agent.end(signal.SIGINT)


def test_a_reload_that_waits_for_the_start_holds_up_no_other_signal(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as silent:  # it accepts, and never answers
        where = f"-join={HOST}:{silent.getsockname()[1]}"
        with running(tmp_path, where, "-profile=wan") as agent:
            agent.wait_text("Joining cluster")
            agent.process.send_signal(signal.SIGHUP)
            agent.wait_text("Caught signal: hangup")
            assert 1 == agent.end(signal.SIGTERM)
            assert "Reloading" not in agent.text


def test_a_leave_of_a_client_ends_it(tmp_path: Path) -> None:
    with running(tmp_path) as agent:
        agent.wait_text("Log data")
        agent.ask("leave")
        assert 0 == agent.process.wait(10)


def test_a_start_join_that_fails_is_said_last_and_shows_the_log(tmp_path: Path) -> None:
    nobody = f"{HOST}:{free_port(HOST)}"
    with running(tmp_path, f"-join={nobody}", "-syslog=false") as agent:
        assert 1 == agent.process.wait(20)
        assert "==> Joining cluster...(replay: false)\n" in agent.text
        assert (
            f"Failed to join {HOST}: dial tcp {nobody}: connect: connection refused" in agent.text
        )
        assert "[INFO] agent: joining: " in agent.text


def test_bad_files_change_nothing_on_reload(tmp_path: Path) -> None:
    path = tmp_path / "serf.json"
    path.write_text('{"tags":{"v":"1"}}')
    with running(tmp_path, f"-config-file={path}") as agent:
        agent.wait_text("Log data")
        for bad in ("{ broken", '{"event_handlers":["no=x"],"tags":{}}', '{"tags":{"a":"%s"}}'):
            path.write_text(bad % ("x" * 600) if "%" in bad else bad)
            before = agent.text.count("Failed to reload configs")
            agent.process.send_signal(signal.SIGHUP)
            until(lambda before=before: agent.text.count("Failed to reload") > before)
            assert {"v": "1"} == _tags(agent)
        path.write_text('{"tags":{"v":"2"},"log_level":"loud"}')
        agent.process.send_signal(signal.SIGHUP)
        until(lambda: _tags(agent) == {"v": "2"})
        assert "==> Invalid log level: LOUD." in agent.text


def _tags(agent: Agent) -> dict[str, str]:
    (member,) = agent.ask("members")["Members"]
    tags: dict[str, str] = member["Tags"]
    return tags


def test_reloading_leaves_the_tags_of_a_tags_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "tags.json"
    with running(tmp_path, f"-tags-file={path}") as agent:
        agent.wait_text("Log data")
        agent.ask("tags", Tags={"role": "web"}, DeleteTags=[])
        assert '{\n  "role": "web"\n}' == path.read_text()
        assert 0o600 == path.stat().st_mode & 0o777
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_text("Reloading")
        time.sleep(0.3)
        assert {"role": "web"} == _tags(agent)
        assert '{\n  "role": "web"\n}' == path.read_text()


def test_the_service_manager_is_notified(tmp_path: Path) -> None:
    manager = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(manager))
        sock.settimeout(10)
        with running(tmp_path, NOTIFY_SOCKET=str(manager), WATCHDOG_USEC="200000") as agent:
            messages = _messages(sock, until=b"READY=1")
            with connect(agent.rpc):  # it is ready when it serves
                pass
            messages += _messages(sock, until=b"WATCHDOG=1")
            agent.wait_text("Log data")
            agent.process.send_signal(signal.SIGHUP)
            _messages(sock, until=b"RELOADING=1\nMONOTONIC_USEC=")
            _messages(sock, until=b"READY=1")
            agent.process.send_signal(signal.SIGINT)
            _messages(sock, until=b"STOPPING=1")


def _messages(sock: socket.socket, *, until: bytes) -> list[bytes]:
    messages = [sock.recv(1000)]
    while not messages[-1].startswith(until):
        messages.append(sock.recv(1000))
    return messages


def test_health_and_metrics_are_served_on_loopback_alone(tmp_path: Path) -> None:
    http = f"{HOST}:{free_port(HOST)}"
    with running(tmp_path, f"-http-addr={http}") as agent:
        agent.wait_text("Log data")
        for path in ("healthz", "readyz", "metrics"):
            with urllib.request.urlopen(f"http://{http}/{path}", timeout=5) as answer:
                assert 200 == answer.status
    with running(tmp_path, f"-http-addr=0.0.0.0:{free_port(HOST)}") as agent:
        assert 1 == agent.process.wait(10)
        assert "==> Error starting HTTP listener: listen tcp: a loopback address" in agent.text


def test_rpc_that_is_open_to_everybody_is_served_and_warned_of(tmp_path: Path) -> None:
    with running(tmp_path, f"-rpc-addr=0.0.0.0:{free_port(HOST)}") as agent:
        agent.wait_text("Log data")
        agent.wait_text("[WARN] agent: RPC is open to everybody who reaches 0.0.0.0:")


def test_secrets_are_in_nothing_that_it_prints(tmp_path: Path) -> None:
    key = "czNjcmV0LXMzY3JldC1zM2NyZXQtczNjcmV0LTEyMzQ="
    path = tmp_path / "serf.json"
    path.write_text(json.dumps({"rpc_auth": "s3cret", "encrypt_key": key, "log_level": "trace"}))
    with running(tmp_path, f"-config-file={path}") as agent:
        agent.wait_text("Log data")
        agent.process.send_signal(signal.SIGUSR1)
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_text("Reloading")
        assert 0 == agent.end(signal.SIGINT)
        assert "Encrypted: true" in agent.text
        assert "s3cret" not in agent.text
        assert key not in agent.text


FROZEN = """
import gc, os, runpy, signal, threading, time
freeze, counts = gc.freeze, []
def watch():
    freeze()
    counts.append((gc.get_freeze_count(), len(gc.get_objects())))
    os.kill(os.getpid(), signal.SIGTERM)
gc.freeze = watch
try:
    runpy.run_module("trioserf", run_name="__main__")
finally:
    print(counts, flush=True)
"""


def test_what_the_start_has_made_is_set_apart_from_the_collection_of_garbage() -> None:
    """A full collection holds the event loop for as long as there are objects."""
    place = [f"-bind={HOST}:{free_port(HOST)}", f"-rpc-addr={HOST}:{free_port(HOST)}"]
    done = subprocess.run(
        [sys.executable, "-c", FROZEN, "agent", "-profile=local", *place],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    counts = done.stdout.splitlines()[-1]
    (frozen, left), *more = json.loads(counts.replace("(", "[").replace(")", "]"))
    assert [] == more
    assert frozen > 10_000
    assert left < 1_000
