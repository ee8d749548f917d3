"""Every public call, cut off at each of its checkpoints: the calls, and what must be true after.

A `Cut` counts the steps of the task that calls, and of the tasks below it, and strikes at the
n-th: with a cancellation, or with the signal of Ctrl-C.  `cut_everywhere` does that for
n = 1, 2 and so on until the call ends before the strike, and also at some of the steps that
other tasks of the nodes do meanwhile.  After each strike the same node has
to do the same call again and everything else besides; then it is closed, and no task, no
descriptor and no file may be left of it.  The next one binds the same address.

The same table runs over the simulated network and over real sockets; see `Ground`.
"""

from __future__ import annotations

import abc
import enum
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import trio

import trioserf
from tests.interop.addresses import free_host, free_port
from tests.rpc.served_node import MemoryListener
from tests.serf.clusters import answer_queries
from trioserf import Config, MemberEvent, Query, QueryResponse, Serf, ipc
from trioserf._rpc.client import client_on, open_client
from trioserf._rpc.server import RPCServer, serve_listener
from trioserf._serf.peek import _codec, look
from trioserf.client import RPCClient
from trioserf.lowlevel import open_memberlist
from trioserf.testing import SimNetwork

KEY: Final = bytes(range(16))
NEW_KEY: Final = bytes(range(16, 32))
NEVER: Final = 10**9
"""A step that no call reaches."""
NAME: Final = "subject"
FILES: Final = {"snapshot", "keyring"}
"""What the node may leave in its directory: the files of its settings."""


# --- striking


class Manner(enum.Enum):
    """At which moment of the n-th step a cut strikes, and whose steps count."""

    WAITING = "waiting"
    """When the calling task, or one below it, has just begun to wait."""
    WOKEN = "woken"
    """When it is about to go on: what it waited for comes together with the strike."""
    ANYWHERE = "anywhere"
    """While the call waits for other tasks: after a step of any of them."""


@attrs.define(eq=False)
class Cut(trio.abc.Instrument):
    """Strikes once, at the n-th step.

    Args:
      task: the one that calls.
      number: n, from 1; 0 for none: it was struck before.
      manner: what counts as a step.
      strike: what to do.
    """

    task: trio.lowlevel.Task
    number: int
    manner: Manner
    strike: Callable[[], object]
    steps: int = attrs.field(default=0, init=False)
    _before: frozenset[trio.Nursery] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Nodes that run already may have been opened by this task.  They are not below the call.
        self._before = frozenset(self.task.child_nurseries)

    @property
    def struck(self) -> bool:
        return self.steps >= self.number

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.manner is Manner.WOKEN:
            self._count(task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.manner is not Manner.WOKEN:
            self._count(task)

    def _count(self, task: trio.lowlevel.Task) -> None:
        if not self.struck and (self.manner is Manner.ANYWHERE or self._calls(task)):
            self.steps += 1
            if self.struck:
                self.strike()

    def _calls(self, task: trio.lowlevel.Task | None) -> bool:
        while task is not None and task is not self.task:
            nursery = task.parent_nursery
            task = None if nursery is None or nursery in self._before else nursery.parent_task
        return task is not None


@contextmanager
def cutting(number: int, manner: Manner, strike: Callable[[], object]) -> Iterator[Cut]:
    """Strike at the n-th step inside the block."""
    cut = Cut(trio.lowlevel.current_task(), number, manner, strike)
    trio.lowlevel.add_instrument(cut)
    try:
        yield cut
    finally:
        trio.lowlevel.remove_instrument(cut)


Call = Callable[[], Awaitable[object]]
Striker = Callable[[Call, int, Manner], Awaitable[Cut]]
"""Makes a call and strikes at a step of it; the cut says whether that was reached."""


async def cancelled(call: Call, number: int, manner: Manner) -> Cut:
    """With a cancellation.  Whatever else comes out of the call is a fault."""
    with trio.CancelScope() as scope, cutting(number, manner, scope.cancel) as cut:
        if number == 0:
            scope.cancel()
        await call()
    return cut


async def interrupted(call: Call, number: int, manner: Manner) -> Cut:
    """With Ctrl-C, in the main task.  It must come out bare, here or at the next checkpoint."""
    strike = partial(signal.raise_signal, signal.SIGINT)
    came = False
    try:
        with cutting(number, manner, strike) as cut:
            await call()
    except KeyboardInterrupt:
        came = True
    if cut.struck and not came:
        try:
            await trio.sleep(1)
        except KeyboardInterrupt:
            came = True
    assert cut.struck == came, f"Ctrl-C at step {number} ({manner.value}) was swallowed"
    return cut


# --- where


class Ground(abc.ABC):
    """A network: the simulated one, or that of this machine.

    Attributes:
      pause: how long to wait between operations with keys (seconds): a node answers internal
        queries at a bounded rate.
    """

    pause: float = 1.0

    @abc.abstractmethod
    def config(self, name: str, **fields: Any) -> Config:
        """Settings of a node; one of the same name gets the same address."""

    @abc.abstractmethod
    async def peek(self, address: str) -> object:
        """Look at a cluster from outside."""

    @abc.abstractmethod
    async def serve(self, serf: Serf, *, task_status: trio.TaskStatus[RPCServer]) -> None:
        """`trioserf.ipc.serve` at the node."""

    @abc.abstractmethod
    def client(self, address: str) -> Any:
        """`trioserf.client.open_client` to that server."""


@attrs.define(eq=False)
class Connection(trio.abc.Stream):
    """A connection in memory that closes with one checkpoint, as that of a socket does.

    The two halves of a ``trio.StapledStream`` have one each, and there a cancellation in the
    second covers the Ctrl-C in the first.
    """

    halves: Any

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.halves.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.halves.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = await self.halves.receive_some(max_bytes)
        return data

    async def aclose(self) -> None:
        self.halves.send_stream.close()
        self.halves.receive_stream.close()
        await trio.lowlevel.checkpoint()


@attrs.define(eq=False)
class Simulated(Ground):
    """The simulated network; its nodes do in place what they would do in threads."""

    network: SimNetwork
    hosts: dict[str, str] = attrs.field(factory=dict, init=False)
    listener: MemoryListener = attrs.field(factory=MemoryListener, init=False)

    def config(self, name: str, **fields: Any) -> Config:
        host = self.hosts.setdefault(name, f"10.0.0.{len(self.hosts) + 1}")
        transport = self.network.transport(host)
        return Config.lan(node_name=name, bind=f"{host}:7946", transport=transport, **fields)

    async def peek(self, address: str) -> object:
        transport = self.network.transport("10.0.1.1", 0)
        await transport.open()
        try:
            codec = _codec(KEY, "")
            return await look(address, codec, 10.0, connect=transport.connect_stream)
        finally:
            transport.close()

    async def serve(self, serf: Serf, *, task_status: trio.TaskStatus[RPCServer]) -> None:
        self.listener = MemoryListener()
        await serve_listener(serf, self.listener, "memory", task_status=task_status)

    def client(self, address: str) -> Any:
        stream = Connection(self.listener.connect())
        return client_on(stream, address, None, connect_timeout=10.0)


@attrs.define(eq=False)
class Loopback(Ground):
    """Real sockets, and few operations with keys."""

    pause = 0.0
    host: str = attrs.field(factory=free_host, init=False)
    ports: dict[str, int] = attrs.field(factory=dict, init=False)

    def config(self, name: str, **fields: Any) -> Config:
        bind = f"{self.host}:{self.ports.setdefault(name, free_port(self.host))}"
        quick = {
            "gossip_interval": 0.01,
            "leave_propagate_delay": 0.05,
            # With so short an interval operations with keys would have 0.16 s for all to answer,
            # and write their files, on whatever machine.
            "query_timeout_mult": 300,
        }
        return Config.local(node_name=name, bind=bind, **{**quick, **fields})

    async def peek(self, address: str) -> object:
        return await trioserf.peek(address, encrypt_key=KEY)

    async def serve(self, serf: Serf, *, task_status: trio.TaskStatus[RPCServer]) -> None:
        await ipc.serve(serf, "127.0.0.1:0", task_status=task_status)

    def client(self, address: str) -> Any:
        return open_client(address)


# --- the node that is cut


@attrs.define(eq=False)
class World:
    """The node whose calls are cut, two others, and what a call needs.

    Args:
      ground: the network.
      directory: where the node has its files.
      others: nodes that are there from first to last.
      helpers: tasks that live until the end of a trial.
      stack: what is closed at the end of a trial.
    """

    ground: Ground
    directory: Path
    others: list[Serf]
    helpers: trio.Nursery
    stack: AsyncExitStack = attrs.field(factory=AsyncExitStack)
    _serf: Serf | None = attrs.field(default=None)
    rpc_address: str = attrs.field(default="", init=False)
    _agent: RPCClient | None = attrs.field(default=None, init=False)
    _query: Query | None = attrs.field(default=None, init=False)
    _response: QueryResponse | None = attrs.field(default=None, init=False)

    @property
    def serf(self) -> Serf:
        assert self._serf is not None, "this row begins without a node"
        return self._serf

    @property
    def agent(self) -> RPCClient:
        assert self._agent is not None, "this row has no client"
        return self._agent

    @property
    def query(self) -> Query:
        assert self._query is not None, "this row has no query"
        return self._query

    @property
    def response(self) -> QueryResponse:
        assert self._response is not None, "this row has no response"
        return self._response

    @property
    def addresses(self) -> list[str]:
        return [str(node.memberlist.advertise_address) for node in self.others]

    def config(self, **fields: Any) -> Config:
        """Of the node that is cut: encrypted, with both files."""
        files = {
            "snapshot_path": str(self.directory / "snapshot"),
            "keyring_file": str(self.directory / "keyring"),
        }
        common = {"encrypt_key": KEY, "leave_on_exit": False}
        return self.ground.config(NAME, **{**common, **files, **fields})

    async def start(self) -> None:
        """Start the node, let it join, and wait until all see it."""
        self._serf = await self.stack.enter_async_context(trioserf.open(self.config()))
        await self.serf.join(self.addresses)
        nodes = [self.serf, *self.others]
        await until(lambda: all(len(node.members().alive) == len(nodes) for node in nodes))

    def registrations(self) -> tuple[int, ...]:
        """What of the node may hold entries of a call: readers, who follows, open queries."""
        delegate, now = self.serf._delegate, trio.current_time()
        queries = [each for each in delegate.tracker.open if not each.finished(now)]
        return len(delegate.fanout), len(delegate.followers.lot), len(queries)


async def until(condition: Callable[[], object], *, limit: float = 30.0) -> None:
    with trio.fail_after(limit):
        pause = 0.01
        while not condition():
            await trio.sleep(pause)
            pause = min(2 * pause, 0.25)


# --- the calls

Act = Callable[[World], Awaitable[object]]


async def _nothing(_world: World) -> None: ...


@attrs.frozen(kw_only=True)
class Row:
    """One call.

    Args:
      name: of the public function or method.
      call: makes it.
      before: what must be there; not cut.
      again: makes it once more after it was cut, and checks it; as ``call`` by default.
      after: takes back what it did to the others.
      node: whether there is a running node before.
      ends: whether it ends the node, or lets it leave.
      settles: within how long no entry of it is left (seconds).
      every: at each how many checkpoints it is cut; for what other rows cut at each.
    """

    name: str
    call: Act
    before: Act = _nothing
    again: Act | None = None
    after: Act = _nothing
    node: bool = True
    ends: bool = False
    every: int = 1
    settles: float = 1.0


# Opening and closing


async def _open(w: World) -> None:
    async with trioserf.open(w.config()) as serf:
        assert NAME == serf.name


async def _open_and_leave(w: World) -> None:
    async with trioserf.open(w.config(leave_on_exit=True)) as serf:
        await serf.join(w.addresses)


@attrs.frozen
class _CloseSoon:
    """A ``task_status`` that closes the node that has started."""

    helpers: trio.Nursery

    def started(self, value: Any) -> None:
        self.helpers.start_soon(_close_soon, value)


async def _close_soon(serf: Serf) -> None:
    await trio.sleep(0.05)
    await serf.aclose()


async def _serve(w: World) -> None:
    await trioserf.serve(w.config(), task_status=_CloseSoon(w.helpers))


async def _closes(w: World) -> None:
    w.helpers.start_soon(_close_soon, w.serf)


async def _open_memberlist(w: World) -> None:
    settings = attrs.evolve(w.config().memberlist, name=NAME, secret_key=KEY)
    async with open_memberlist(settings) as memberlist:
        other = w.others[0]
        await memberlist.ping(other.name, other.memberlist.advertise_address)
        await memberlist.leave(5.0)


@contextmanager
def _harmless(number: int) -> Iterator[None]:
    """A signal that comes too late for the block is raised again after it: it kills nobody."""
    before = signal.signal(number, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(number, before)


async def _leave_on_signals(w: World) -> None:
    with _harmless(signal.SIGUSR1):
        async with trioserf.leave_on_signals(w.serf, signals=[signal.SIGUSR1]) as scope:
            signal.raise_signal(signal.SIGUSR1)
            await trio.sleep(5)
    assert scope.cancelled_caught


# Events and queries


async def _subscribe(w: World) -> None:
    async with w.serf.subscribe(trioserf.UserEvent) as events:
        w.helpers.start_soon(_event_soon, w)
        async for _ in events:
            break


async def _event_soon(w: World) -> None:
    await trio.sleep(0.01)
    w.serf.user_event_nowait("x")


async def _follow(w: World) -> None:
    async with w.serf.follow() as states:
        async for members in states:
            assert NAME in members.names
            w.helpers.start_soon(_change_soon, w)
            break
        async for _ in states:
            break


async def _change_soon(w: World) -> None:
    await trio.sleep(0.01)
    role = w.serf.local_member.tags.get("role", "")
    with suppress(trio.ClosedResourceError):
        await w.serf.set_tags({"role": f"{role}x"})


async def _query(w: World) -> None:
    async with w.serf.query("x", request_ack=True, filter_nodes=[w.others[0].name]) as response:
        async for _ in response:
            break


async def _ask(w: World) -> None:
    result = await w.serf.ask("x", filter_nodes=[node.name for node in w.others])
    assert frozenset() == result.missing


async def _is_asked(w: World) -> None:
    async with AsyncExitStack() as stack:
        queries = await stack.enter_async_context(w.serf.subscribe(trioserf.Query))
        asking = w.others[0].query("for you", filter_nodes=[NAME])
        w._response = await w.stack.enter_async_context(asking)
        query = await queries.receive()
        assert isinstance(query, Query)
        w._query = query


async def _respond(w: World) -> None:
    await w.query.respond(b"yes")


async def _respond_again(w: World) -> None:
    with suppress(trioserf.AlreadyResponded):
        await w.query.respond(b"yes")
    with trio.fail_after(10):
        assert b"yes" == (await anext(aiter(w.response))).payload


async def _asks(w: World) -> None:
    names = [node.name for node in w.others]
    w._response = await w.stack.enter_async_context(w.serf.query("x", filter_nodes=names))


async def _next_response(w: World) -> None:
    assert b"" != (await anext(aiter(w.response))).payload


async def _settled(w: World) -> None:
    await w.response.wait_settled()


# Keys


async def _installed(w: World) -> None:
    await w.others[0].keys.install(NEW_KEY)


async def _pause(w: World) -> None:
    await trio.sleep(w.ground.pause)


async def _old_key_alone(w: World) -> None:
    """Whatever the call reached, all nodes have the one key again."""
    await _pause(w)
    await w.others[0].keys.rotate(KEY)
    await _pause(w)


# Membership alone


async def _ping(w: World) -> None:
    other = w.others[0]
    await w.serf.memberlist.ping(other.name, other.memberlist.advertise_address)


async def _send_reliable(w: World) -> None:
    node = w.serf.memberlist.node(w.others[0].name)
    assert node is not None
    await w.serf.memberlist.send_reliable(node, b"\xff unknown to Serf")


# The protocol of agents


async def _ipc_serve(w: World) -> None:
    await w.ground.serve(w.serf, task_status=_CloseServed(w))


@attrs.frozen
class _CloseServed:
    """A ``task_status`` that uses the server that has started, and closes the node."""

    world: World

    def started(self, value: Any) -> None:
        self.world.helpers.start_soon(self._use, value.address)

    async def _use(self, address: str) -> None:
        try:
            async with self.world.ground.client(address) as agent:
                await agent.stats()
        except (OSError, trio.BrokenResourceError):
            pass  # the server was cut off
        await trio.sleep(0.05)
        await self.world.serf.aclose()


async def _ipc_again(w: World) -> None:
    await w.serf.aclose()


async def _serves(w: World) -> None:
    server = await w.helpers.start(w.ground.serve, w.serf)
    w.rpc_address = server.address


async def _has_client(w: World) -> None:
    await _serves(w)
    w._agent = await w.stack.enter_async_context(w.ground.client(w.rpc_address))


async def _open_client(w: World) -> None:
    async with w.ground.client(w.rpc_address) as agent:
        await agent.stats()


async def _stream(w: World) -> None:
    async with w.agent.stream("user:x") as events:
        w.serf.user_event_nowait("x")
        async for _ in events:
            break


async def _monitor(w: World) -> None:
    async with w.agent.monitor("debug"):
        pass


async def _rpc_query(w: World) -> None:
    async with w.agent.query("x", filter_nodes=[w.others[0].name]) as records:
        async for _ in records:
            break


async def _close_client(w: World) -> None:
    await w.agent.aclose()


async def _tolerant(call: Callable[[], Awaitable[object]]) -> None:
    """A call again, that may find what it asks for done or gone."""
    with suppress(trioserf.RPCError, trio.BrokenResourceError, trio.ClosedResourceError):
        await call()


def _rpc(name: str, call: Callable[[RPCClient], Awaitable[object]], **fields: Any) -> Row:
    return Row(name=f"RPCClient.{name}", call=lambda w: call(w.agent), before=_has_client, **fields)


def _both(*acts: Act) -> Act:
    async def act(w: World) -> None:
        for each in acts:
            await each(w)

    return act


ROWS: Final = [
    Row(name="open", call=_open, node=False),
    Row(name="open, join and leave", call=_open_and_leave, node=False, every=5),
    Row(name="serve", call=_serve, node=False),
    Row(name="leave_on_signals", call=_leave_on_signals, ends=True),
    Row(name="peek", call=lambda w: w.ground.peek(w.addresses[0]), node=False),
    Row(name="open_memberlist", call=_open_memberlist, node=False),
    Row(name="Serf.join", call=lambda w: w.serf.join(w.addresses)),
    Row(name="Serf.leave", call=lambda w: w.serf.leave(), ends=True),
    Row(name="Serf.remove_failed_node", call=lambda w: w.serf.remove_failed_node("nobody")),
    Row(name="Serf.set_tags", call=lambda w: w.serf.set_tags({"role": "web"})),
    Row(name="Serf.user_event", call=lambda w: w.serf.user_event("x", b"y")),
    Row(name="Serf.subscribe", call=_subscribe),
    Row(name="Serf.follow", call=_follow),
    Row(name="Serf.query", call=_query),
    Row(name="Serf.ask", call=_ask),
    Row(name="Serf.wait_closed", call=lambda w: w.serf.wait_closed(), before=_closes, ends=True),
    Row(name="Serf.aclose", call=lambda w: w.serf.aclose(), ends=True),
    Row(name="Query.respond", call=_respond, before=_is_asked, again=_respond_again),
    Row(name="QueryResponse.__anext__", call=_next_response, before=_asks),
    Row(name="QueryResponse.wait_settled", call=_settled, before=_asks),
    Row(
        name="KeyManager.install",
        call=lambda w: w.serf.keys.install(NEW_KEY),
        after=_old_key_alone,
    ),
    Row(
        name="KeyManager.use",
        call=lambda w: w.serf.keys.use(NEW_KEY),
        before=_installed,
        after=_old_key_alone,
    ),
    Row(
        name="KeyManager.remove",
        call=lambda w: w.serf.keys.remove(NEW_KEY),
        before=_installed,
        again=lambda w: w.serf.keys.list(),
        after=_old_key_alone,
    ),
    Row(name="KeyManager.list", call=lambda w: w.serf.keys.list(), after=_pause),
    Row(
        name="KeyManager.rotate",
        call=lambda w: w.serf.keys.rotate(NEW_KEY),
        after=_old_key_alone,
    ),
    Row(name="Memberlist.ping", call=_ping),
    Row(name="Memberlist.send_reliable", call=_send_reliable),
    Row(name="Memberlist.join", call=lambda w: w.serf.memberlist.join(w.addresses)),
    Row(name="Memberlist.leave", call=lambda w: w.serf.memberlist.leave(5.0), ends=True),
    Row(name="Memberlist.update_node", call=lambda w: w.serf.memberlist.update_node(5.0)),
    Row(name="ipc.serve", call=_ipc_serve, again=_ipc_again, ends=True),
    Row(name="open_client", call=_open_client, before=_serves),
    _rpc("members", lambda c: c.members(status="alive")),
    _rpc("stats", lambda c: c.stats()),
    _rpc("coordinate", lambda c: c.coordinate(NAME)),
    _rpc("explain", lambda c: c.explain()),
    _rpc("rtt", lambda c: c.rtt(NAME)),
    Row(name="RPCClient.join", call=lambda w: w.agent.join(w.addresses[0]), before=_has_client),
    Row(
        name="RPCClient.leave",
        call=lambda w: w.agent.leave(),
        before=_has_client,
        again=lambda w: _tolerant(w.agent.leave),
        ends=True,
    ),
    _rpc("force_leave", lambda c: c.force_leave("nobody")),
    _rpc("update_tags", lambda c: c.update_tags({"role": "web"})),
    _rpc("user_event", lambda c: c.user_event("x")),
    Row(name="RPCClient.stream", call=_stream, before=_has_client),
    Row(name="RPCClient.monitor", call=_monitor, before=_has_client),
    Row(name="RPCClient.query", call=_rpc_query, before=_has_client, settles=10.0),
    _rpc("ask", lambda c: c.ask("x", filter_nodes=["other-1"]), settles=10.0),
    _rpc("install_key", lambda c: c.install_key(NEW_KEY), after=_old_key_alone),
    Row(
        name="RPCClient.use_key",
        call=lambda w: w.agent.use_key(NEW_KEY),
        before=_both(_installed, _has_client),
        after=_old_key_alone,
    ),
    Row(
        name="RPCClient.remove_key",
        call=lambda w: w.agent.remove_key(NEW_KEY),
        before=_both(_installed, _has_client),
        again=lambda w: w.agent.list_keys(),
        after=_old_key_alone,
    ),
    _rpc("list_keys", lambda c: c.list_keys(), after=_pause),
    Row(name="RPCClient.aclose", call=_close_client, before=_has_client),
]


# --- the trial


@asynccontextmanager
async def standing(ground: Ground) -> AsyncIterator[list[Serf]]:
    """Two nodes that answer every query; at the end neither has seen the other fail."""
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        stack.callback(nursery.cancel_scope.cancel)
        nodes, lost = [], list[str]()
        for name in ("other-1", "other-2"):
            config = ground.config(name, encrypt_key=KEY, leave_on_exit=False)
            node = await stack.enter_async_context(trioserf.open(config))
            nursery.start_soon(answer_queries, node)
            nursery.start_soon(_note_lost, node, lost)
            nodes.append(node)
        await nodes[1].join([str(nodes[0].memberlist.advertise_address)])
        await until(lambda: all(2 == len(node.members().alive) for node in nodes))
        yield nodes
        for node in nodes:
            assert {"other-1", "other-2"} <= set(node.members().alive.names)
        assert [] == lost


async def _note_lost(node: Serf, lost: list[str]) -> None:
    async with node.subscribe(MemberEvent) as events:
        async for event in events:
            if event.type is trioserf.EventType.MEMBER_FAILED:
                lost += [each.name for each in event.members if each.name != NAME]


def tasks() -> Counter[str]:
    """The names of all tasks of this run."""
    counted, todo = Counter[str](), [trio.lowlevel.current_root_task()]
    while todo:
        task = todo.pop()
        assert task is not None
        counted[task.name] += 1
        todo += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return counted


def descriptors() -> set[str]:
    """The open files and sockets of this process."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that the list itself was read by
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return found


async def trial(row: Row, number: int, manner: Manner, striker: Striker, world: World) -> Cut:
    """One call, cut once."""
    async with AsyncExitStack() as stack:
        world.stack = stack
        if row.node:
            await world.start()
        await row.before(world)
        before = world.registrations() if row.node else ()
        cut = await striker(partial(row.call, world), number, manner)
        if row.node and not row.ends:
            await until(lambda: before == world.registrations(), limit=row.settles)
        with trio.fail_after(60):
            await (row.again or row.call)(world)
        if row.node and not row.ends:
            await until(lambda: before == world.registrations(), limit=row.settles)
            await until(lambda: not len(world.serf._delegate.memberlist._pending_acks))
            await _ask(world)
            assert {NAME, "other-1", "other-2"} == set(world.serf.members().alive.names)
        await row.after(world)
    return cut


async def cut_everywhere(
    row: Row,
    striker: Striker,
    ground: Ground,
    directory: Path,
    *,
    samples: int = 8,
    first: int = 0,
    manners: Sequence[Manner] = (Manner.WAITING, Manner.WOKEN),
) -> dict[Manner, int]:
    """Cut a call at each of its checkpoints, in every manner; how many there were.

    Args:
      samples: at so many of the steps that other tasks do meanwhile.
      first: the checkpoint to begin with; 0 is before the call.
      manners: how each checkpoint is cut.
    """
    counts = {}
    async with trials(row, striker, ground, directory) as once:
        for manner in manners:
            number = first
            while (await once(number, manner)).struck:
                number += row.every
            counts[manner] = number
        all_steps = (await once(NEVER, Manner.ANYWHERE)).steps
        counts[Manner.ANYWHERE] = all_steps
        for number in sorted({1 + all_steps * n // samples for n in range(samples)}):
            await once(number, Manner.ANYWHERE)
    return counts


@asynccontextmanager
async def trials(
    row: Row, striker: Striker, ground: Ground, directory: Path
) -> AsyncIterator[Callable[[int, Manner], Awaitable[Cut]]]:
    """Two other nodes, and what makes one trial beside them after which nothing may be left."""
    async with standing(ground) as others:
        base, files = tasks(), descriptors()

        async def once(number: int, manner: Manner) -> Cut:
            async with trio.open_nursery() as helpers:
                world = World(ground, directory, others, helpers)
                cut = await trial(row, number, manner, striker, world)
                helpers.cancel_scope.cancel()
            await _nothing_is_left(base, files, directory)
            return cut

        yield once


async def cut_at_some(row: Row, striker: Striker, ground: Ground, directory: Path) -> list[bool]:
    """Cut a call at its first checkpoint, at one in the middle and at the last: which were reached.

    How many there are differs from time to time on a real network, so the last one may not come.
    """
    async with trials(row, striker, ground, directory) as once:
        steps = (await once(NEVER, Manner.WAITING)).steps
        assert steps > 0, "a call without a checkpoint cannot be cut"
        numbers = sorted({1, (steps + 1) // 2, steps})
        return [(await once(number, Manner.WAITING)).struck for number in numbers]


async def _nothing_is_left(base: Counter[str], files: set[str], directory: Path) -> None:
    with trio.move_on_after(20):
        pause = 0.01
        while not (tasks() <= base and descriptors() <= files):
            await trio.sleep(pause)
            pause = min(2 * pause, 0.25)
    assert Counter() == tasks() - base
    assert set() == descriptors() - files
    assert set(os.listdir(directory)) <= FILES
