"""Disks that hang, and files that vanish: each trial is a process that says how it went.

    python -m benchmarks.attacks.disks TRIAL FOLDER

A disk hangs where a thread waits for ever as it opens a file.  The last line of output is a JSON
object with ``took`` (seconds), and ``problem`` if it went wrong.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import trio

import trioserf

KEY = bytes(range(16))
_hung: list[str] = []
"""Files that begin so are on a disk that hangs."""


def _on_audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.rename", "os.remove", "os.truncate") and _hung:
        path = arguments[0]
        if isinstance(path, (str, bytes)) and any(os.fsdecode(path).startswith(h) for h in _hung):
            threading.Event().wait()


def config(folder: Path, name: str, host: str, **fields: Any) -> trioserf.Config:
    fields = {"snapshot_path": str(folder / f"{name}.snapshot"), **fields}
    return trioserf.Config.lan(node_name=name, bind=f"{host}:0", leave_on_exit=False, **fields)


def _host() -> str:
    rng = os.urandom(3)
    return f"127.{rng[0] % 99 + 100}.{rng[1] % 250 + 1}.{rng[2] % 250 + 1}"


async def cancelled_open(folder: Path) -> None:
    """Opening a node on a disk that hangs is cancelled."""
    _hung.append(str(folder))
    with trio.move_on_after(0.5):
        async with trioserf.open(config(folder, "a", _host())):
            raise AssertionError("it opened")


async def cancelled_open_of_keys(folder: Path) -> None:
    """The same, and the key ring is on that disk."""
    path = folder / "keyring"
    path.write_text('["AAECAwQFBgcICQoLDA0ODw=="]')
    path.chmod(0o600)
    _hung.append(str(path))
    with trio.move_on_after(0.5):
        fields: dict[str, Any] = {"keyring_file": str(path), "encrypt_key": KEY}
        async with trioserf.open(config(folder, "a", _host(), **fields)):
            pass


async def interrupted_open(folder: Path) -> None:
    """Opening a node on a disk that hangs is ended by Ctrl-C."""
    _hung.append(str(folder))
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        async with trioserf.open(config(folder, "a", _host())):
            raise AssertionError("it opened")
    except KeyboardInterrupt:
        pass


async def closing(folder: Path) -> None:
    """A node closes while its disk hangs."""
    async with trioserf.open(config(folder, "a", _host())) as serf:
        await serf.user_event("before")
        _hung.append(str(folder))
        await serf.user_event("after")
        await trio.sleep(1)


async def warning(folder: Path) -> None:
    """A disk hangs while the node runs: the log says so."""
    warned = trio.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING and "snapshot" in record.name:
                warned.set()

    logging.getLogger("trioserf").addHandler(Handler())
    async with trioserf.open(config(folder, "a", _host())) as serf:
        _hung.append(str(folder))
        await serf.user_event("after")
        await warned.wait()


async def deleted_snapshot(folder: Path) -> None:
    """Somebody deletes the file: what is written then has the members, too."""
    path = folder / "a.snapshot"

    def complete() -> bool:
        return path.exists() and b"alive: b " in path.read_bytes()

    async with (
        trioserf.open(config(folder, "a", _host())) as serf,
        trioserf.open(config(folder, "b", _host())) as other,
    ):
        host = other.local_member
        await serf.join([f"{host.addr}:{host.port}"])
        for turn in range(2):
            while not complete():  # noqa: ASYNC110  # no event tells of a file
                await trio.sleep(0.1)
            if turn == 0:
                path.unlink()
            await serf.user_event("more")


@attrs.frozen
class Trial:
    """One of the above; ``most`` is the longest that it may take (seconds)."""

    run: Callable[[Path], Awaitable[None]]
    most: float

    @property
    def name(self) -> str:
        return self.run.__name__.replace("_", "-")

    @property
    def title(self) -> str:
        return (self.run.__doc__ or "").split("\n")[0]


TRIALS = (
    Trial(cancelled_open, 3.0),
    Trial(cancelled_open_of_keys, 3.0),
    Trial(interrupted_open, 3.0),
    Trial(closing, 5.0),
    Trial(warning, 10.0),
    Trial(deleted_snapshot, 10.0),
)


def main(name: str, folder: Path) -> None:
    trial = next(trial for trial in TRIALS if trial.name == name)
    sys.addaudithook(_on_audit)
    # Ignored where all of this runs in the background of a shell, and then Ctrl-C would do nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def limited() -> None:
        with trio.fail_after(trial.most):
            await trial.run(folder)

    start, problem = time.monotonic(), ""
    try:
        trio.run(limited)
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        problem = f"{type(error).__name__}: {error}"
    _hung.clear()
    print(json.dumps({"took": time.monotonic() - start, "problem": problem}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
