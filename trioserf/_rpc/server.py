"""The RPC server of a node, for ``serf`` commands and all other RPC clients.

::

    serve
    ├── the event feed           events of the node, to all streams
    ├── the turns                wakes those who have records to write, a few at a time
    ├── a connection             one task for each client: reads, carries out, answers
    │   ├── its records          from its first stream, monitor or query on
    │   └── a query              one for each that is under way
    └── ...

What a client sends can end its own connection, with one line in the log, and nothing else.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc.go, NewAgentIPC, listen.
"""

from __future__ import annotations

from functools import partial
from typing import Final, final

import trio

from .. import _attrs as attrs
from .._exceptions import SerfError
from .._memberlist.end_cause import end_cause
from .._serf.serf import Serf
from .._wire.rpc_server_session import ServerSession
from .agent_hooks import AgentHooks
from .commands import Commands
from .connection import Connection, Services
from .error_texts import error_text
from .event_feed import BUFFER_SIZE, EventFeed
from .listening import listening
from .log_feed import AGENT_LOG, IPC_LOG, LogFeed
from .outbox import Turns

MAX_UNFINISHED: Final = 16 * 1024 * 1024
"""Bytes of unfinished requests that all clients together may have here."""
FREE_UNFINISHED: Final = 4 * 1024
"""Bytes of an unfinished request that each client may have in any case; no legal one is longer."""


@final
@attrs.frozen(kw_only=True)
class RPCStatistics:
    """What the server counts.

    Args:
      clients: connected now.
      accepted: connections so far.
      commands: commands carried out so far.
      records_dropped: records that slow clients missed, in streams that have ended.
    """

    clients: int
    accepted: int
    commands: int
    records_dropped: int


@attrs.define(eq=False)
class _Account:
    """Counts, and the bytes that unfinished requests take."""

    hooks: AgentHooks
    clients: int = 0
    accepted: int = 0
    commands: int = 0
    dropped: int = 0
    unfinished: int = 0

    def hold(self, before: int, now: int) -> bool:
        self.unfinished += now - before
        return now <= FREE_UNFINISHED or self.unfinished <= MAX_UNFINISHED

    def command_done(self) -> None:
        self.commands += 1
        self.hooks.count("agent.ipc.command")

    def record_dropped(self, count: int) -> None:
        self.dropped += count


@final
class RPCServer:
    """A running server: what ``nursery.start(serve, ...)`` gives.

    Args:
      address: where it listens, as a client writes it.
    """

    def __init__(self, address: str, account: _Account) -> None:
        self.address = address
        self._account = account

    def __repr__(self) -> str:
        return f"<RPCServer on {self.address}: {self._account.clients} clients>"

    def statistics(self) -> RPCStatistics:
        """The numbers of this moment."""
        account = self._account
        return RPCStatistics(
            clients=account.clients,
            accepted=account.accepted,
            commands=account.commands,
            records_dropped=account.dropped,
        )


@attrs.define(eq=False)
class _Leaving:
    """``leave`` for all clients: one of them leaves, and the agent ends with it.

    Args:
      serf: the node.
      ended: set when the agent shall end.
    """

    serf: Serf
    ended: trio.Event = attrs.field(factory=trio.Event, init=False)
    _under_way: bool = attrs.field(default=False, init=False)

    async def leave(self) -> str:
        """Leave the cluster; the text of the error, or ""."""
        if self._under_way:
            await trio.lowlevel.checkpoint()
            return "Leave already in progress"
        self._under_way = True
        AGENT_LOG.info("requesting graceful leave from Serf")
        try:
            await self.serf.leave()
        except (SerfError, trio.ClosedResourceError) as error:
            return error_text(error)
        return ""


@attrs.define(eq=False)
class _Acceptor:
    """Lets clients in, and keeps what they do wrong to themselves."""

    services: Services
    account: _Account
    auth_key: str | None = attrs.field(repr=False)

    async def serve_client(self, stream: trio.abc.Stream) -> None:
        """Task: one client."""
        address = _peer(stream)
        account = self.account
        account.accepted += 1
        account.clients += 1
        self.services.hooks.count("agent.ipc.accept")
        IPC_LOG.info("Accepted client: %s", address)
        try:
            await Connection(stream, address, ServerSession(self.auth_key), self.services).run()
        except Exception:
            # A mistake in one command must not end the node and all other clients.
            IPC_LOG.exception("the connection of client %s crashed", address)
        finally:
            account.clients -= 1


def _peer(stream: trio.abc.Stream) -> str:
    if not isinstance(stream, trio.SocketStream):
        return "memory"
    try:
        name = stream.socket.getpeername()
    except OSError:
        return "(gone)"
    if not isinstance(name, tuple):
        return "unix"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def serve(
    serf: Serf,
    addr: str,
    *,
    auth_key: str | None = None,
    allow_unauthenticated: bool = False,
    hooks: AgentHooks | None = None,
    task_status: trio.TaskStatus[RPCServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Let the ``serf`` command line, and any RPC client, operate this node.

    ::

        server = await nursery.start(partial(ipc.serve, serf, "127.0.0.1:7373"))

    Returns when the node is closed, or when a client had it leave, which closes it.

    Args:
      serf: the node.
      addr: ``host:port``, ``[::1]:port``, or ``unix:/path`` for a socket that only this user
        may use.  Port 0 takes a free one.
      auth_key: what clients must know; None lets everyone in who can connect.
      allow_unauthenticated: listen on an address that other hosts reach, without a key.
      hooks: what the program around the node adds.

    Raises:
      ConfigError: the address is none, or open to other hosts without a key.
      OSError: the address cannot be bound.
      trio.ClosedResourceError: the node is closed.
    """
    async with listening(addr, allow_remote=bool(auth_key) or allow_unauthenticated) as where:
        await serve_listener(
            serf,
            where.listener,
            where.address,
            auth_key=auth_key,
            hooks=hooks,
            task_status=task_status,
        )


async def serve_listener(
    serf: Serf,
    listener: trio.abc.Listener[trio.abc.Stream],
    address: str,
    *,
    auth_key: str | None = None,
    hooks: AgentHooks | None = None,
    task_status: trio.TaskStatus[RPCServer] = trio.TASK_STATUS_IGNORED,
) -> None:
    """As `serve`, on a listener that is open already; it is closed at the end.

    Args:
      address: of the listener, as a client writes it.
    """
    hooks = hooks or AgentHooks()
    account, logs, feed, leaving = _Account(hooks), LogFeed(), EventFeed(), _Leaving(serf)
    turns = Turns()
    services = Services(
        serf=serf,
        hooks=hooks,
        commands=Commands(serf, hooks),
        events=feed,
        logs=logs,
        account=account,
        turns=turns,
        leave=leaving.leave,
        end=leaving.ended.set,
    )
    acceptor = _Acceptor(services, account, auth_key or None)
    try:
        async with (
            serf.subscribe(max_buffer_size=BUFFER_SIZE) as events,
            trio.open_nursery() as nursery,
        ):
            with logs.attached():
                nursery.start_soon(feed.run, events, name="trioserf.rpc.events")
                nursery.start_soon(turns.run, name="trioserf.rpc.turns")
                nursery.start_soon(_end_with, serf, leaving.ended, name="trioserf.rpc.end")
                nursery.start_soon(
                    partial(trio.serve_listeners, handler_nursery=nursery),
                    acceptor.serve_client,
                    [listener],
                    name="trioserf.rpc.accept",
                )
                task_status.started(RPCServer(address, account))
                await leaving.ended.wait()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise end_cause(group, f"a task of the RPC server of {serf.name!r}") from group
    if hooks.shut_down is not None:
        hooks.shut_down()
    else:
        await serf.aclose()


async def _end_with(serf: Serf, ended: trio.Event) -> None:
    """Task: the end of the node is the end of its server."""
    await serf.wait_closed()
    ended.set()
