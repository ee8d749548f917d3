"""A running agent: a node, what operates it, and what it operates.

::

    run
    ├── signals             leave, stop, read the configuration again
    │   ├── a reload        when the start is over
    │   └── a leave         gracefully, for some seconds at most
    ├── watchdog            signs of life for the service manager
    └── the node            a tree of its own: `_serf/tree.py`
        ├── handlers        commands that run on events: `handlers`
        ├── rpc             the server of clients: `_rpc/server.py`
        ├── http            health and metrics, if asked for
        ├── statsd, statsite
        ├── mdns            finds others, if asked for
        ├── retry join      until somebody is reached
        └── closed          ends the agent when its node has ended

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go, Run, startAgent, handleSignals,
handleReload, retryJoin; agent.go.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import trio

from .. import _attrs as attrs
from .._cluster.size_limits import check_tags
from .._events import Event
from .._exceptions import (
    ConfigError,
    JoinError,
    KeyringError,
    SerfError,
    SnapshotError,
    TagsTooLarge,
)
from .._rpc.agent_hooks import AgentHooks
from .._rpc.error_texts import error_text, join_error_text, joined_itself
from .._rpc.listening import Listening, listening
from .._rpc.log_feed import AGENT_LOG
from .._rpc.server import serve_listener
from .._serf.atomic_files import DISK_LIMIT, AtomicFile, within
from .._serf.open import open_serf
from .._serf.serf import Serf
from .._text import host_and_port
from .._wire.tags import encode_tags
from .agent_options import SETTINGS, AgentOptions, OptionsError
from .agent_output import AgentOutput, check_level
from .config_files import go_os_error
from .durations import format_duration
from .handler_rules import parse_handlers
from .handlers import HandlerRunner
from .http_status import HTTPStatus
from .metrics import AgentMetrics
from .node_config import Prepared, prepare, tags_file_text
from .service_notify import READY, STOPPING, ServiceNotifier, reloading

LEAVE_LIMIT: Final = 3.0
"""Longest graceful leave after a signal (seconds), as in Go."""
HANDLER_BUFFER: Final = 4096
"""Events that may wait while the task of the handlers does not run."""
STATSD_PORT: Final = 8125
"""Where statsd and statsite listen if nothing else is said."""
TAGS_FILE_MODE: Final = 0o600
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_ADVERTISE: Final = "Advertise addr"
"""The row of the banner that Go does not align."""
_START: Final = "Failed to start the Serf agent: Error creating Serf: "
_SIGNAL_NAMES: Final = {"SIGINT": "interrupt", "SIGTERM": "terminated", "SIGHUP": "hangup"}
Load = Callable[[], tuple[AgentOptions, tuple[str, ...]]]
"""Reads the settings anew."""


def run(options: AgentOptions, output: AgentOutput, load: Load) -> int:
    """Run an agent to its end; the exit status.

    Args:
      options: completed.
      output: where it prints.
      load: reads the settings again, for SIGHUP.

    Raises:
      OptionsError: it could not be started.
    """
    if options.enable_syslog:
        output.add_syslog(options.syslog_facility)
    metrics = AgentMetrics(os.uname().nodename if hasattr(os, "uname") else "")

    def begin(notes: Sequence[str]) -> None:
        for note in notes:
            output.say(note)
        output.say("Starting Serf agent...")

    try:
        prepared = prepare(options, metrics, begin)
    except ConfigError as error:
        raise OptionsError(f"{_START}{error_text(error)}") from None
    log = logging.getLogger("trioserf")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(output)
    early: list[int] = []
    for number in SIGNALS:
        # What comes before the agent looks for signals waits; what comes after it has ended
        # must not change its exit status.
        signal.signal(number, lambda number, _frame: early.append(number))
    try:
        return trio.run(Agent(options, prepared, output, metrics, load).run, early)
    except OptionsError:
        output.show_held()
        raise
    finally:
        log.removeHandler(output)
        output.close()


@attrs.define(eq=False)
class Agent:
    """One agent.

    Args:
      options: its settings; reloading replaces them.
      prepared: what follows from them.
      output, metrics, load: see `run`.
    """

    options: AgentOptions
    prepared: Prepared
    output: AgentOutput
    metrics: AgentMetrics
    load: Load
    status: int = attrs.field(default=1, init=False)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _notifier: ServiceNotifier = attrs.field(
        factory=lambda: ServiceNotifier(os.environ, os.getpid()), init=False
    )
    _serf: Serf | None = attrs.field(default=None, init=False)
    _handlers: HandlerRunner | None = attrs.field(default=None, init=False)
    _started: trio.Event = attrs.field(factory=trio.Event, init=False)
    _not_ready: str = attrs.field(default="starting", init=False)
    _leaving: bool = attrs.field(default=False, init=False)
    _ending: bool = attrs.field(default=False, init=False)
    _reloads: int = attrs.field(default=0, init=False)
    _failure: OptionsError | None = attrs.field(default=None, init=False)

    async def run(self, early: list[int]) -> int:
        """Run to the end; the exit status.

        Args:
          early: signals that came before this.
        """
        with trio.open_signal_receiver(*SIGNALS) as signals:
            for number in early:
                signal.raise_signal(number)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch_signals, signals, nursery, name="trioserf.signals")
                nursery.start_soon(self._notifier.feed_watchdog, name="trioserf.watchdog")
                with self._scope:
                    try:
                        await self._run_node()
                    except OptionsError as error:
                        self._failure = error
                self._notifier.send(STOPPING)
                nursery.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        return self.status

    def end(self, status: int) -> None:
        """End the agent; the first status counts."""
        if self._ending:
            return
        self._ending = True
        self.status = status
        self._not_ready = "stopping"
        AGENT_LOG.info("requesting serf shutdown")
        self._notifier.send(STOPPING)
        self._scope.cancel()

    # --- the node

    async def _run_node(self) -> None:
        AGENT_LOG.info("Serf agent starting")
        for line in self.prepared.log:
            AGENT_LOG.info(line)
        for line in self.prepared.warnings:
            AGENT_LOG.warning(line)
        try:
            async with open_serf(self.prepared.config) as serf:
                self._serf = serf
                await self._run_parts(serf)
        except (OSError, SerfError) as error:
            if self._serf is not None:
                raise
            raise OptionsError(f"{_START}{self._start_error(error)}") from None
        finally:
            AGENT_LOG.info("shutdown complete")

    def _start_error(self, error: Exception) -> str:
        if isinstance(error, SnapshotError):
            reason = str(error)
            if isinstance(error.__cause__, OSError):
                reason = f"failed to open snapshot: {go_os_error('open', error.__cause__)}"
            return f"Failed to setup snapshot: {reason}"
        if isinstance(error, TagsTooLarge):
            return error_text(error)
        if isinstance(error, KeyringError):
            return f"Failed to create memberlist: {error}"
        if isinstance(error, OSError):
            where = host_and_port(*self.prepared.addresses.bind)
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            return (
                "Failed to create memberlist: Could not set up network transport: failed to "
                f"start TCP listener: listen tcp {where}: bind: {reason}"
            )
        return str(error)

    async def _run_parts(self, serf: Serf) -> None:
        """Everything around the node, until it is cancelled."""
        options = self.options
        async with AsyncExitStack() as stack:
            buffer = serf.subscribe(max_buffer_size=HANDLER_BUFFER)
            events = await stack.enter_async_context(buffer)
            # As in Go, RPC may be open to other hosts without a key; the start warns of it.
            where = await self._listen(stack, "RPC", options.rpc_addr, allow_remote=True)
            self.output.say("Starting Serf agent RPC...")
            http = None
            if options.http_addr:
                http = await self._listen(stack, "HTTP", options.http_addr, allow_remote=False)
            async with trio.open_nursery() as nursery:
                self._start_handlers(serf, events, nursery)
                await self._start_rpc(serf, where, nursery)
                if http is not None:
                    self._start_http(http, nursery)
                self._start_senders(nursery)
                nursery.start_soon(self._watch_closed, serf, name="trioserf.agent.closed")
                self._print_banner(serf)
                await self._begin(serf, nursery)

    async def _listen(
        self, stack: AsyncExitStack, what: str, address: str, *, allow_remote: bool
    ) -> Listening:
        try:
            return await stack.enter_async_context(listening(address, allow_remote=allow_remote))
        except ConfigError as error:
            reason = f"listen tcp: {error.__context__ or error.expected}"
        except socket.gaierror:
            reason = f"listen tcp: lookup {address.rpartition(':')[0]}: no such host"
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            reason = f"listen tcp {address}: bind: {reason}"
        raise OptionsError(f"Error starting {what} listener: {reason}")

    def _start_handlers(
        self, serf: Serf, events: trio.MemoryReceiveChannel[Event], nursery: trio.Nursery
    ) -> None:
        self._handlers = HandlerRunner(
            serf,
            parse_handlers(self.options.event_handlers),
            timeout=self.options.handler_timeout,
            metrics=self.metrics,
        )
        nursery.start_soon(self._handlers.run, events, name="trioserf.agent.handlers")

    async def _start_rpc(self, serf: Serf, where: Listening, nursery: trio.Nursery) -> None:
        handlers = self._handlers
        assert handlers is not None, "they are started before"
        hooks = AgentHooks(
            event_handlers=lambda: {each.key: each.command for each in handlers.handlers},
            set_tags=self.set_tags,
            shut_down=partial(self.end, 0),
            count=self.metrics.count,
        )
        serve = partial(
            serve_listener,
            *(serf, where.listener, where.address),
            auth_key=self.options.rpc_auth or None,
            hooks=hooks,
        )
        await nursery.start(serve, name="trioserf.agent.rpc")

    def _start_http(self, where: Listening, nursery: trio.Nursery) -> None:
        server = HTTPStatus(lambda: self._not_ready, self.metrics.text)
        accept = partial(trio.serve_listeners, handler_nursery=nursery)
        nursery.start_soon(
            accept, server.serve_client, [where.listener], name="trioserf.agent.http"
        )

    def _start_senders(self, nursery: trio.Nursery) -> None:
        for send, text, port in (
            (self.metrics.send_to_statsd, self.options.statsd_addr, STATSD_PORT),
            (self.metrics.send_to_statsite, self.options.statsite_addr, STATSD_PORT),
        ):
            if text:
                host, _, given = text.rpartition(":") if ":" in text else (text, "", "")
                self.metrics.sending = True
                nursery.start_soon(
                    send,
                    host.strip("[]"),
                    int(given) if given.isdecimal() else port,
                    name="trioserf.agent.metrics",
                )

    def _print_banner(self, serf: Serf) -> None:
        options, addresses = self.options, self.prepared.addresses
        rows = [
            ("Node name", f"'{serf.name}'"),
            ("Bind addr", f"'{host_and_port(*addresses.bind)}'"),
        ]
        if addresses.advertise is not None:
            rows.append((_ADVERTISE, f"'{host_and_port(*addresses.advertise)}'"))
        rows += [
            ("RPC addr", f"'{options.rpc_addr}'"),
            ("Encrypted", _go_bool(serf.encryption_enabled)),
            ("Snapshot", _go_bool(bool(options.snapshot_path))),
            ("Profile", options.profile),
            ("Message Compression Enabled", _go_bool(options.enable_compression)),
        ]
        if options.discover:
            rows.append(("mDNS cluster", options.discover))
        self.output.say("Serf agent running!")
        for name, value in rows:
            self.output.detail(f"{name:>27}: {value}" if name != _ADVERTISE else f"{name}: {value}")

    # --- joining

    async def _begin(self, serf: Serf, nursery: trio.Nursery) -> None:
        """Join, show the log, tell the service manager, and go on until cancelled."""
        self._notifier.send(READY, f"STATUS=node {serf.name} serves RPC")
        self._not_ready = "joining"
        options = self.options
        if options.start_join and not await self._join_at_start(serf):
            return
        self._not_ready = ""
        self.output.detail()
        self.output.say("Log data will now stream in as it occurs:")
        self.output.detail()
        self.output.begin_streaming()
        self._started.set()
        _freeze_start()
        if options.discover:
            self._start_discovery(serf, nursery)
        if options.retry_join:
            nursery.start_soon(self._retry_join, serf, name="trioserf.agent.retry_join")
        await trio.sleep_forever()

    async def _join_at_start(self, serf: Serf) -> bool:
        replay = _go_bool(self.options.replay_on_join)
        self.output.say(f"Joining cluster...(replay: {replay})")
        count, error = await self.join(serf, self.options.start_join)
        if error and not count:
            self._failure = OptionsError(error)
            self._scope.cancel()
            return False
        self.output.detail(f"Join completed. Synced with {count} initial agents")
        return True

    async def join(self, serf: Serf, addresses: Sequence[str]) -> tuple[int, str]:
        """How many nodes were reached, and the error text if no other node was."""
        count, replay = 0, self.options.replay_on_join
        AGENT_LOG.info("joining: [%s] replay: %s", " ".join(addresses), _go_bool(replay))
        try:
            count = await serf.join(addresses, ignore_old=not replay)
        except JoinError as failure:
            count = joined_itself(failure)
            error = join_error_text(failure, addresses, serf.local_member.port)
        except (SerfError, OSError, ValueError, trio.ClosedResourceError) as failure:
            error = error_text(failure)
        else:
            AGENT_LOG.info("joined: %d nodes", count)
            return count, ""
        AGENT_LOG.warning("error joining: %s", error.strip())
        return count, error

    async def _retry_join(self, serf: Serf) -> None:
        """Task: joins, again and again, until somebody is reached."""
        options, attempts = self.options, 0
        while True:
            AGENT_LOG.info("Joining cluster...(replay: %s)", _go_bool(options.replay_on_join))
            count, error = await self.join(serf, options.retry_join)
            if not error:
                AGENT_LOG.info("Join completed. Synced with %d initial agents", count)
                return
            attempts += 1
            if 0 < options.retry_max_attempts < attempts:
                AGENT_LOG.error("maximum retry join attempts made, exiting")
                self.end(1)
                return
            interval = format_duration(options.retry_interval)
            AGENT_LOG.warning("Join failed: %s, retrying in %s", error.strip(), interval)
            await trio.sleep(options.retry_interval)

    def _start_discovery(self, serf: Serf, nursery: trio.Nursery) -> None:
        from .mdns import Discovery  # it needs a package that few have

        mdns = {"interface": self.options.interface, **self.options.mdns}
        discovery = Discovery(serf, self.options.discover, mdns, self.join)
        nursery.start_soon(discovery.run, name="trioserf.agent.mdns")

    async def _watch_closed(self, serf: Serf) -> None:
        """Task: the end of the node is the end of the agent."""
        await serf.wait_closed()
        if not self._ending:
            AGENT_LOG.warning("Serf shutdown detected, quitting")
            self.end(0)

    # --- signals

    async def _watch_signals(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        """Task: one signal after the other."""
        async for number in signals:
            if number == signal.SIGUSR1:
                print(self.metrics.text(), file=sys.stderr, flush=True)
                continue
            name = signal.Signals(number).name
            self.output.say(f"Caught signal: {_SIGNAL_NAMES[name]}")
            if self._leaving:
                self.end(1)
            elif number == signal.SIGHUP:
                # While it waits for the start to be over, other signals must end that.
                self._reloads += 1
                if self._reloads == 1:
                    nursery.start_soon(self._reload_as_asked, name="trioserf.agent.reload")
            elif self._leaves_on(number):
                self._leaving = True
                self.output.say("Gracefully shutting down agent...")
                nursery.start_soon(self._leave, name="trioserf.agent.leave")
            else:
                self.end(1)

    def _leaves_on(self, number: int) -> bool:
        if self._serf is None:
            return False
        if number == signal.SIGINT:
            return not self.options.skip_leave_on_interrupt
        return self.options.leave_on_terminate

    async def _leave(self) -> None:
        """Task: leave gracefully, in time."""
        assert self._serf is not None, "only a started node leaves"
        self._not_ready = "leaving"
        self._notifier.send(STOPPING)
        AGENT_LOG.info("requesting graceful leave from Serf")
        status = 1
        with trio.move_on_after(LEAVE_LIMIT) as limit:
            try:
                await self._serf.leave()
                status = 0
            except (SerfError, trio.ClosedResourceError) as error:
                self.output.say(f"Error: {error_text(error)}")
        if limit.cancelled_caught:
            AGENT_LOG.error("the graceful leave took more than %g s", LEAVE_LIMIT)
        self.end(status)

    # --- changes

    async def _reload_as_asked(self) -> None:
        """Task: reloads until nobody has asked for one meanwhile."""
        await self._started.wait()
        while self._reloads:
            self._reloads = 1  # all that came until now are one
            await self.reload()
            self._reloads -= 1

    async def reload(self) -> None:
        """Read the settings again: all of them are checked before one is changed."""
        self._notifier.send(reloading(time.monotonic()))
        self.output.say("Reloading configuration...")
        try:
            await self._reload()
        except (OptionsError, SerfError, OSError, trio.ClosedResourceError) as error:
            self.output.say(str(error))
            self.output.say("Failed to reload configs")
        self._notifier.send(READY)

    async def _reload(self) -> None:
        assert self._serf is not None, "the agent has started"
        assert self._handlers is not None, "the same"
        options, notes = await within(DISK_LIMIT, self.load)
        handlers = parse_handlers(options.event_handlers)
        tags = options.wanted_tags
        if options.tags_file and tags:
            raise OptionsError("Tags config not allowed while using tag files")
        check_tags(encode_tags(tags, self._serf.protocol_version))
        for note in notes:
            self.output.say(note)
        level = options.log_level
        try:
            self.output.set_level(check_level(level))
        except OptionsError as error:
            self.output.say(str(error))
            level = self.options.log_level
        self._handlers.replace(handlers)
        changes = {each.key: getattr(options, each.key) for each in SETTINGS if each.reloads}
        self.options = attrs.evolve(self.options, **(changes | {"log_level": level}))
        # DIFFERS: Go replaces tags even if a file keeps them, and empties that file.
        # Test: test_reloading_leaves_the_tags_of_a_tags_file_alone.
        if not options.tags_file:
            await self._serf.set_tags(tags)

    async def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set all tags, and keep them in the tags file if there is one.

        Raises:
          OSError: the file cannot be written; nothing was changed.
        """
        serf = self._serf
        assert serf is not None, "clients come when there is a node"
        check_tags(encode_tags(tags, serf.protocol_version))
        if self.options.tags_file:
            file = AtomicFile(self.options.tags_file, TAGS_FILE_MODE)
            try:
                await file.write(tags_file_text(dict(tags)))
            except OSError as error:
                text = go_os_error("open", error)
                raise OSError(f"Failed to write tags file: {text}") from None
        await serf.set_tags(tags)


def _freeze_start() -> None:
    """Let no later collection of garbage look at what the start has made.

    A full collection visits every object of the process, 35,000 after the start, and the event
    loop is held meanwhile: 8 ms on a machine that is busy, now less than a hundredth of that.  It
    is for programs to decide, not for the library: it concerns the whole process.
    """
    gc.collect()
    gc.freeze()


def _go_bool(value: bool) -> str:
    return str(value).lower()
