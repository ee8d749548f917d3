"""A node as a program of its own, which takes commands and says what it measured.

    python -m benchmarks.attacks.node '{"name": ..., "bind": ..., ...}'

Each line that it reads is a command and each line that it writes an answer, both JSON objects;
an answer has the ``id`` of its command.

How long the event loop is held is the time from one wait for input or timers to the next, less
the time in which another process had the processor: a busy machine shall not be blamed on it.
Where a thread of the node computes the loop may wait for the interpreter, which that thread keeps
while it waits for the processor itself.  Such a turn counts no more than the processor time that
the whole process used in it.

Of the longest turn the report also says how much of it was a collection of garbage, whose length is
that of the program's heap, and which tasks ran in it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import trio

import trioserf
from trioserf._memberlist import stream_io

WORTH_A_LOOK = 0.003
"""Shorter turns of the loop are not asked how long they waited for the processor (seconds)."""
EVENT_INTERVAL = 0.2
"""Seconds between two honest events of a node that sends them."""
PAGE = os.sysconf("SC_PAGE_SIZE")


class Collections:
    """Counts collections of garbage by generation, and adds up how long they took."""

    def __init__(self) -> None:
        self.counts = [0, 0, 0]
        self.seconds = 0.0
        self._start = 0.0
        gc.callbacks.append(self._on_phase)

    def _on_phase(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._start = time.thread_time()
        else:
            self.seconds += time.thread_time() - self._start
            self.counts[info["generation"]] += 1


class HoldMeter(trio.abc.Instrument):
    """The longest turn of the event loop since `reset` (seconds)."""

    def __init__(self) -> None:
        self.collections = Collections()
        self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._start = time.perf_counter()
        self._waited = self._wait()
        self._used = time.process_time()
        self._shared = False
        self._steps: dict[str, float] = {}
        self._step_start = self._collecting = 0.0
        self.reset()

    def _wait(self) -> float:
        """How long this thread could have run and did not, since its start (seconds)."""
        return int(os.pread(self._file, 64, 0).split()[1]) / 1e9

    def after_io_wait(self, timeout: float) -> None:
        self._start, self._waited = time.perf_counter(), self._wait()
        self._used, self._shared = time.process_time(), _a_thread_computes()
        self._steps.clear()
        self._collecting = self.collections.seconds

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._step_start = time.perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        took = time.perf_counter() - self._step_start
        if took > WORTH_A_LOOK / 10:
            name = task.name.rpartition(".")[2]
            self._steps[name] = self._steps.get(name, 0.0) + took

    def before_io_wait(self, timeout: float) -> None:
        wall = time.perf_counter() - self._start
        if wall > WORTH_A_LOOK:
            self.longest_wall = max(self.longest_wall, wall)
            held = wall - (self._wait() - self._waited)
            if self._shared or _a_thread_computes():
                held = min(held, time.process_time() - self._used)
            if held > self.longest:
                self.longest = held
                self.collecting = self.collections.seconds - self._collecting
                self.tasks = sorted(self._steps.items(), key=lambda item: -item[1])[:3]

    def reset(self) -> None:
        self.longest = self.longest_wall = self.collecting = 0.0
        self.tasks: list[tuple[str, float]] = []
        self.collections.counts = [0, 0, 0]
        self._start, self._waited = time.perf_counter(), self._wait()


def _a_thread_computes() -> bool:
    limiter = stream_io._limiter.get(None)
    return limiter is not None and limiter.borrowed_tokens > 0


class LogCount(logging.Handler):
    """Counts the bytes of the log, and its lines with characters that no terminal should get."""

    def __init__(self, path: str | None) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(name)s: %(message)s"))
        self._file = Path(path).open("ab") if path else None  # noqa: SIM115
        self.size = self.unprintable = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if record.exc_info is None and not line.isprintable():
            self.unprintable += 1
        data = (line + "\n").encode(errors="backslashreplace")
        self.size += len(data)
        if self._file is not None and self._file.tell() < 10_000_000:
            self._file.write(data[:1000] + (b"...\n" if len(data) > 1000 else b""))
            self._file.flush()


def peak_memory(*, reset: bool = False) -> int:
    """The most resident memory since the last reset (bytes)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) * 1024


@attrs.define(eq=False)
class Driver:
    """Carries out commands on one node."""

    serf: trioserf.Serf
    nursery: trio.Nursery
    settings: Mapping[str, Any]
    meter: HoldMeter
    log: LogCount
    sending: bool = False
    sent: int = 0
    received: dict[str, dict[str, float]] = attrs.Factory(dict)
    """Sender to number of its event, with how late it was (seconds)."""
    seen: dict[str, trio.Event] = attrs.Factory(dict)
    failures: list[str] = attrs.Factory(list)
    forged: int = 0
    gaps: int = 0
    newcomers: int = 0
    cpu: float = 0.0

    async def read_events(self) -> None:
        async with self.serf.subscribe(max_buffer_size=50_000) as events:
            async for event in events:
                self.on_event(event)
                if isinstance(event, trioserf.Query) and event.name == "alive?":
                    with contextlib.suppress(trioserf.SerfError, OSError):
                        await event.respond(b"yes")

    async def drain(self) -> None:
        async for _ in self.serf.events:
            pass

    def on_event(self, event: trioserf.Event) -> None:
        if isinstance(event, trioserf.EventsDropped):
            self.gaps += event.count
        elif isinstance(event, trioserf.MemberEvent):
            if event.type is trioserf.EventType.MEMBER_FAILED:
                self.failures += [member.name for member in event.members][:1000]
        elif isinstance(event, trioserf.UserEvent):
            if not str(event).isprintable():
                self.forged += 1
            if event.name == "probe":
                self.seen.setdefault(event.payload.decode(errors="replace"), trio.Event()).set()
            elif event.name.startswith("honest "):
                late = time.monotonic() - float(event.payload)
                _, sender, number = event.name.split(" ")
                self.received.setdefault(sender, {}).setdefault(number, late)
        elif not str(event).isprintable():
            self.forged += 1

    async def send_events(self) -> None:
        while True:
            await trio.sleep(EVENT_INTERVAL)
            if self.sending:
                payload = str(time.monotonic()).encode()
                self.sent += 1
                name = f"honest {self.serf.name} {self.sent}"
                await self.serf.user_event(name, payload, coalesce=False)

    # --- commands -----------------------------------------------------------------------------

    async def do_mark(self) -> dict[str, Any]:
        """Forget what was measured."""
        rest = peak_memory(reset=True)
        self.sent, self.sending = 0, False
        self.received.clear()
        self.failures.clear()
        self.forged = self.gaps = 0
        self.log.size = self.log.unprintable = 0
        self.cpu = time.process_time()
        self.meter.reset()
        return {"memory": rest}

    async def do_send(self) -> dict[str, Any]:
        """Send events from now on."""
        self.sending = True
        return {}

    async def do_quiet(self) -> dict[str, Any]:
        """Send no more events."""
        self.sending = False
        return {"sent": self.sent}

    async def do_report(self) -> dict[str, Any]:
        """What was measured since the mark."""
        statistics = self.serf.statistics()
        return {
            "hold": self.meter.longest,
            "wall": self.meter.longest_wall,
            "collecting": self.meter.collecting,
            "collections": self.meter.collections.counts,
            "tasks": self.meter.tasks,
            "memory": peak_memory(),
            "log": self.log.size,
            "unprintable": self.log.unprintable,
            "forged": self.forged,
            "gaps": self.gaps,
            "sent": self.sent,
            "received": self.received,
            "failures": self.failures,
            "bytes_sent": statistics.memberlist.bytes_sent,
            "cpu": time.process_time() - self.cpu,
            "bad_input": {**statistics.bad_input, **statistics.memberlist.bad_input},
            "state": str(self.serf.state),
        }

    async def do_members(self, names: list[str]) -> dict[str, Any]:
        """The status of members."""
        found = {member.name: str(member.status) for member in self.serf.members()}
        return {"count": len(found), "members": {name: found.get(name) for name in names}}

    async def do_join(self, address: str) -> dict[str, Any]:
        start = trio.current_time()
        await self.serf.join([address])
        return {"seconds": trio.current_time() - start}

    async def do_probe(self, word: str) -> dict[str, Any]:
        """Send an event that others wait for."""
        with trio.fail_after(5):
            await self.serf.user_event("probe", word.encode(), coalesce=False)
        return {}

    async def do_seen(self, word: str, limit: float) -> dict[str, Any]:
        """Whether the event was received, or is within so many seconds."""
        event = self.seen.setdefault(word, trio.Event())
        with trio.move_on_after(limit):
            await event.wait()
        return {"seen": event.is_set()}

    async def do_ask(self, limit: float, names: list[str]) -> dict[str, Any]:
        """Who acknowledges a query, and who answers it."""
        acks: set[str] = set()
        result = await self.serf.ask("alive?", request_ack=True, timeout=limit, filter_nodes=names)
        acks.update(result.acks)
        return {"acks": sorted(acks), "answers": sorted(r.node for r in result.responses)}

    async def do_newcomer(self, bind: str, address: str) -> dict[str, Any]:
        """Let a new node join an address: how long that took.  It leaves afterwards."""
        return await self.nursery.start(self._newcomer, bind, address)  # type: ignore[no-any-return]

    async def _newcomer(
        self, bind: str, address: str, *, task_status: trio.TaskStatus[dict[str, Any]]
    ) -> None:
        self.newcomers += 1
        fields = {"name": f"{self.serf.name}-{self.newcomers}", "bind": bind, "snapshot": None}
        async with trioserf.open(make_config({**self.settings, **fields})) as serf:
            start = trio.current_time()
            try:
                await serf.join([address])
            except trioserf.JoinError as error:
                task_status.started({"error": first_of(error)})
                return
            took = trio.current_time() - start
            task_status.started({"seconds": took, "count": serf.num_nodes})
            with trio.move_on_after(5):
                await serf.leave()

    async def do_keys(self) -> dict[str, Any]:
        """How many answers a list of keys gets."""
        response = await self.serf.keys.list()
        return {"nodes": response.num_nodes, "responses": response.num_resp}


def make_config(settings: Mapping[str, Any]) -> trioserf.Config:
    key = settings.get("key")
    return trioserf.Config.lan(
        node_name=settings["name"],
        bind=settings["bind"],
        tags=settings.get("tags") or {},
        encrypt_key=key or None,
        snapshot_path=settings.get("snapshot"),
        keyring_file=settings.get("keyring_file"),
        leave_on_exit=False,
        user_event_size_limit=512,
    )


def first_of(error: Exception) -> str:
    """The text of an error, or of the first one in a group."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {str(error)[:300]}"


def say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def obey(driver: Driver, command: dict[str, Any]) -> None:
    number = command.pop("id")
    method: Callable[..., Awaitable[dict[str, Any]]] = getattr(driver, f"do_{command.pop('do')}")
    try:
        answer = await method(**command)
    except Exception as error:
        answer = {"error": first_of(error)}
    say({"id": number, **answer})


async def main(settings: Mapping[str, Any]) -> None:
    log = LogCount(settings.get("log"))
    logging.getLogger("trioserf").addHandler(log)
    logging.getLogger("trioserf").setLevel(logging.INFO)
    if settings.get("files"):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (settings["files"], hard))
    meter = HoldMeter()
    commands = trio.lowlevel.FdStream(os.dup(0))
    async with trioserf.open(make_config(settings)) as serf, trio.open_nursery() as nursery:
        driver = Driver(serf, nursery, settings, meter, log)
        for task in (driver.read_events, driver.drain, driver.send_events):
            nursery.start_soon(task)
        trio.lowlevel.add_instrument(meter)
        say({"id": 0, "ready": True})
        rest = b""
        async for data in commands:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                nursery.start_soon(obey, driver, json.loads(line))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
