"""Running event handlers: concurrently, each one's events in their order, nothing held up.

::

    run
    ├── a handler          one task for each: takes its events one after the other
    │   └── its input      what is written to a command while its output is read
    └── an output          of a background job that a command left behind

Order: the handlers of one event start one after the other, as they are configured, each when
the one before has ended; and each takes events in the order in which they came.  A command that
runs for longer than a second is *slow*: from then on no other handler waits for it.

DIFFERS: in Go one command runs at a time, all events and RPC streams wait for it, and it is
waited for until its standard output is closed, by background jobs too.
Test: test_a_slow_handler_holds_up_no_other.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/event_handler.go,
ScriptEventHandler.HandleEvent; invoke.go, invokeEventScript.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

import trio

from .. import _attrs as attrs
from .._events import Event, EventsDropped, Query, UserEvent
from .._exceptions import SerfError
from .._rpc.error_texts import error_text
from .._rpc.log_feed import AGENT_LOG
from .._serf.serf import Serf
from .handler_rules import (
    MAX_OUTPUT,
    HandledEvent,
    Handler,
    environment_bytes,
    exit_text,
    handler_environment,
    handler_input,
)
from .metrics import AgentMetrics

SLOW: Final = 1.0
"""After this time the log says that a command is slow, and nobody waits for it (seconds)."""
MAX_RUNNING: Final = 32
"""Commands that run at the same time; others wait."""
MAX_WAITING: Final = 4096
"""Events that wait for one handler; what comes then is dropped, counted and logged."""
OUTPUT_GRACE: Final = 0.25
"""So long a command that has ended may leave its output open to background jobs (seconds)."""
MAX_BACKGROUND: Final = 64
"""Outputs of background jobs that are still read; that of a further one is closed."""
KILL_DELAY: Final = 2.0
"""Time between asking a command to end and killing it (seconds)."""
_NOT_INHERITED: Final = (b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID")
"""Variables that are for the agent alone."""


@attrs.define(eq=False)
class _Turn:
    """One event for one handler.

    Args:
      event: what has happened.
      before: set when the handler before it need not be waited for any more.
    """

    event: HandledEvent
    before: trio.Event | None
    passed: trio.Event = attrs.field(factory=trio.Event, init=False)


@attrs.define(eq=False)
class _Worker:
    """One handler, and the events that wait for it."""

    handler: Handler
    send: trio.MemorySendChannel[_Turn]
    receive: trio.MemoryReceiveChannel[_Turn]
    waiting: dict[_Turn, None] = attrs.field(factory=dict, init=False)
    slow: bool = attrs.field(default=False, init=False)
    dropped: int = attrs.field(default=0, init=False)

    @classmethod
    def of(cls, handler: Handler) -> _Worker:
        return cls(handler, *trio.open_memory_channel[_Turn](MAX_WAITING))

    def put(self, turn: _Turn) -> None:
        """Let it wait its turn; never waits itself."""
        if self.slow:
            turn.passed.set()
        try:
            self.send.send_nowait(turn)
        except trio.WouldBlock:
            turn.passed.set()
            self.dropped += 1
            if self.dropped == 1:
                AGENT_LOG.warning(
                    "Dropping events for script '%s': %d wait already",
                    self.handler.command,
                    MAX_WAITING,
                )
            return
        self.waiting[turn] = None

    def become_slow(self) -> None:
        """Nobody waits for it any more."""
        AGENT_LOG.warning("Script '%s' slow, execution exceeding 1s", self.handler.command)
        self.slow = True
        for turn in self.waiting:
            turn.passed.set()

    def done(self, turn: _Turn) -> None:
        """An event was handled."""
        self.slow = False
        self.waiting.pop(turn, None)
        turn.passed.set()
        if self.dropped and not self.waiting:
            AGENT_LOG.warning("Script '%s' missed %d events", self.handler.command, self.dropped)
            self.dropped = 0


@attrs.define(eq=False)
class HandlerRunner:
    """Runs the handlers of an agent.

    Args:
      serf: the node.
      handlers: the first ones.
      timeout: longest time that a command may take (seconds); 0 for any.
      metrics: what counts events and times commands.
    """

    serf: Serf
    handlers: tuple[Handler, ...]
    timeout: float = 0.0
    metrics: AgentMetrics = attrs.field(factory=AgentMetrics)
    _workers: list[_Worker] = attrs.field(factory=list, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _running: trio.Semaphore = attrs.field(factory=lambda: trio.Semaphore(MAX_RUNNING), init=False)
    _background: int = attrs.field(default=0, init=False)

    async def run(self, events: trio.MemoryReceiveChannel[Event]) -> None:
        """Task: hands every event to the handlers that want it, until the node ends."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._start(self.handlers)
            async for event in events:
                if isinstance(event, EventsDropped):
                    AGENT_LOG.warning("Event handlers missed %d events", event.count)
                else:
                    self.publish(event)
            nursery.cancel_scope.cancel()

    def replace(self, handlers: Iterable[Handler]) -> None:
        """From the next event on these run; the old ones finish what waits for them."""
        self.handlers = tuple(handlers)
        for worker in self._workers:
            worker.send.close()
        self._start(self.handlers)

    def _start(self, handlers: Iterable[Handler]) -> None:
        assert self._nursery is not None, "run() begins it"
        self._workers = [_Worker.of(handler) for handler in handlers]
        for worker in self._workers:
            self._nursery.start_soon(self._work, worker, name="trioserf.agent.handler")

    def publish(self, event: HandledEvent) -> None:
        """Let every handler that wants an event have it; never waits."""
        if isinstance(event, UserEvent):
            self.metrics.count(f"serf.events.{event.name}")
        elif isinstance(event, Query):
            self.metrics.count(f"serf.queries.{event.name}")
        before = None
        for worker in self._workers:
            if worker.handler.wants(event):
                turn = _Turn(event, before)
                worker.put(turn)
                before = turn.passed

    async def _work(self, worker: _Worker) -> None:
        """Task: one handler."""
        async for turn in worker.receive:
            if turn.before is not None:
                await turn.before.wait()
            async with self._running:
                started = trio.current_time()
                try:
                    await self._invoke(worker, turn.event)
                except OSError as error:  # too many processes, or a too long command
                    AGENT_LOG.error("Error invoking script '%s': %s", worker.handler.command, error)
                finally:
                    worker.done(turn)
                self.metrics.sample(
                    f"agent.invoke.{worker.handler.command}",
                    (trio.current_time() - started) * 1000,
                )

    async def _invoke(self, worker: _Worker, event: HandledEvent) -> None:
        """Run the command for one event."""
        command = worker.handler.command
        process = await self._open(command, event)
        assert process.stdin is not None, "a pipe was asked for"
        assert process.stdout is not None, "a pipe was asked for"
        output = _Output(process.stdout)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, worker, process, name="trioserf.agent.handler.watch")
            nursery.start_soon(
                _write, process.stdin, handler_input(event), name="trioserf.agent.handler.input"
            )
            nursery.start_soon(output.read, name="trioserf.agent.handler.output")
            status = await process.wait()
            with trio.move_on_after(OUTPUT_GRACE):
                await output.ended.wait()
            nursery.cancel_scope.cancel()
        if not output.ended.is_set():
            await self._keep_draining(output)
        await self._report(command, event, status, output)

    async def _open(self, command: str, event: HandledEvent) -> trio.Process:
        variables = handler_environment(event, self.serf.local_member)
        inherited = {k: v for k, v in os.environb.items() if k not in _NOT_INHERITED}
        # A command that is ended after some time is ended with all that it has started.
        group = {"process_group": 0} if self.timeout else {}
        options: dict[str, Any] = {"env": environment_bytes(inherited, variables), **group}
        return await trio.lowlevel.open_process(
            ["/bin/sh", "-c", command.encode("utf-8", "surrogateescape").replace(b"\0", b"")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )

    async def _watch(self, worker: _Worker, process: trio.Process) -> None:
        """Task: says that a command is slow, and ends one that takes too long."""
        left = self.timeout
        if not left or left > SLOW:
            await trio.sleep(SLOW)
            worker.become_slow()
            left -= SLOW
        if not self.timeout:
            return
        await trio.sleep(left)
        AGENT_LOG.warning("Script '%s' is ended after %g s", worker.handler.command, self.timeout)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            await trio.sleep(KILL_DELAY)

    async def _keep_draining(self, output: _Output) -> None:
        """Go on reading what background jobs write, so that writing does not end them."""
        if self._background >= MAX_BACKGROUND:
            AGENT_LOG.warning("too many background jobs of scripts: closed the output of one")
            await output.stream.aclose()
            return
        assert self._nursery is not None, "a handler runs in it"
        self._background += 1
        self._nursery.start_soon(self._drain, output, name="trioserf.agent.handler.rest")

    async def _drain(self, output: _Output) -> None:
        """Task: reads the rest of an output."""
        try:
            await output.read()
        finally:
            self._background -= 1

    async def _report(
        self, command: str, event: HandledEvent, status: int, output: _Output
    ) -> None:
        """Log what the command wrote and how it ended, and answer a query with its output."""
        data, lost = bytes(output.data), output.lost
        if lost:
            AGENT_LOG.warning(
                "Script '%s' generated %d bytes of output, truncated to %d",
                *(command, lost + len(data), len(data)),
            )
        AGENT_LOG.debug("Event '%s' script output: %s", event.type, data.decode("utf-8", "replace"))
        ended = exit_text(status, signal.strsignal(-status) or "" if status < 0 else "")
        if ended:
            AGENT_LOG.error("Error invoking script '%s': %s", command, ended.lower())
        elif data and isinstance(event, Query):
            try:
                await event.respond(data)
            except (SerfError, OSError, trio.ClosedResourceError) as error:
                text = error_text(error)
                AGENT_LOG.warning("Failed to respond to query 'query: %s': %s", event.name, text)


@attrs.define(eq=False)
class _Output:
    """What a command writes: the end of it, and how much went before."""

    stream: trio.abc.ReceiveStream
    data: bytearray = attrs.field(factory=bytearray, init=False)
    lost: int = attrs.field(default=0, init=False)
    ended: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def read(self) -> None:
        """Read to the end."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for chunk in self.stream:
                self.data += chunk
                surplus = len(self.data) - MAX_OUTPUT
                if surplus > 0:
                    self.lost += surplus
                    del self.data[:surplus]
        self.ended.set()
        await self.stream.aclose()


async def _write(stream: trio.abc.SendStream, data: bytes) -> None:
    """Task: writes standard input; a command may end without reading it."""
    async with stream:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.send_all(data)
