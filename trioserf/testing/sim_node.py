"""One node of a simulated cluster, from its first start to its last end, and its settings.

A run has one clock.  A node whose own clock is fast by a thousandth waits a thousandth less
each time, so its durations are made that much shorter.  What the node measures, round-trip
times for one, is not changed; neither are the few waits that are no settings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, final

import trio

from .. import MemberStatus, Serf
from .. import _attrs as attrs
from .._config import Config
from .._memberlist_config import MemberlistConfig
from .._serf.open import open_with_nonces
from .._settings import POSITIVE, SECONDS, key_bytes
from .sim_network import SimNetwork
from .sim_transport import SimTransport
from .timeline import Timeline

_MEMBERLIST_FIELDS = {field.name for field in attrs.fields(MemberlistConfig)} - {
    field.name for field in attrs.fields(Config)
}


@final
@attrs.define(eq=False)
class SimNode:
    """A process on a host of its own that a `SimCluster` starts, crashes and restarts.

    Args:
      name: its name.
      host: the address of its host.
      config: the settings that it starts with each time.
      lives: how often it was started.
    """

    name: str
    host: str
    config: Config = attrs.field(repr=False)
    lives: int = 0
    _serf: Serf | None = attrs.field(default=None, init=False)
    _network: SimNetwork | None = attrs.field(default=None, init=False, repr=False)
    _transport: SimTransport | None = attrs.field(default=None, init=False, repr=False)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False, repr=False)
    _tasks: trio.Nursery | None = attrs.field(default=None, init=False, repr=False)
    _ended: trio.Event = attrs.field(factory=trio.Event, init=False, repr=False)

    @property
    def running(self) -> bool:
        """Whether its process exists; a stopped process does."""
        return self._serf is not None

    @property
    def serf(self) -> Serf:
        """The running node.

        Raises:
          RuntimeError: it is not running.
        """
        if self._serf is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._serf

    @property
    def address(self) -> str:
        """Where others join it."""
        return f"{self.host}:{self.config.memberlist.bind_port}"

    @property
    def disk(self) -> Path | None:
        """Its snapshot file, if it has one."""
        path = self.config.snapshot_path
        return None if path is None else Path(path)

    def view(self) -> Mapping[str, MemberStatus]:
        """The status of every member that this node knows."""
        return MappingProxyType({member.name: member.status for member in self.serf.members()})

    def start_soon(self, fn: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run ``fn(*args)`` in the node's process: it is stopped and crashes with the node.

        Raises:
          RuntimeError: the node is not running.
        """
        if self._tasks is None or self._network is None:
            raise RuntimeError(f"{self.name} is not running")
        self._tasks.start_soon(self._run_inside, self._network, fn, args, name=f"{fn!r}")

    async def _run_inside(
        self,
        network: SimNetwork,
        fn: Callable[..., Awaitable[object]],
        args: tuple[object, ...],
    ) -> None:
        # A task begins with the context of the task that started it, which is of another process.
        network.run_on(self.host)
        await fn(*args)

    async def live(
        self,
        network: SimNetwork,
        config: Config,
        timeline: Timeline | None,
        on_failure: Callable[[BaseException], object],
        random_bytes: Callable[[int], bytes],
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Run it once, from its start to its end; for the cluster alone.

        Args:
          network: where it runs.
          config: settings but for the transport.
          timeline: where its events are noted.
          on_failure: is given the exception that ended it, if the cluster did not end it.
          random_bytes: source of nonces.
        """
        self._network = network
        network.run_on(self.host)
        self._ended, self._scope = trio.Event(), trio.CancelScope()
        self._transport = network.transport(self.host, config.memberlist.bind_port)
        memberlist = attrs.evolve(config.memberlist, transport=self._transport, bind_addr=self.host)
        started = False
        try:
            with self._scope:
                async with (
                    open_with_nonces(
                        attrs.evolve(config, memberlist=memberlist), random_bytes
                    ) as serf,
                    trio.open_nursery() as self._tasks,
                ):
                    self._serf = serf
                    if timeline is not None:
                        await self._tasks.start(self._record, serf, timeline)
                    task_status.started()
                    started = True
                    await serf.wait_closed()
                    self._tasks.cancel_scope.cancel()
        except Exception as error:
            if not started:
                raise
            on_failure(error)
        finally:
            self._serf = self._tasks = None
            self._ended.set()

    async def _record(
        self, serf: Serf, timeline: Timeline, *, task_status: trio.TaskStatus[None]
    ) -> None:
        async with serf.subscribe() as events:
            task_status.started()
            async for event in events:
                timeline.note(trio.current_time(), self.name, event)

    async def end(self) -> None:
        """End its process at once; for the cluster alone.

        Raises:
          RuntimeError: the node is not running.
        """
        if self._transport is None or self._serf is None:
            raise RuntimeError(f"{self.name} is not running")
        self._transport.close()  # from here on, nothing that it sends arrives
        self._scope.cancel()
        await self._ended.wait()


def node_settings(
    base: Config, name: str, disk: str | None, drift: float, fields: Mapping[str, Any]
) -> Config:
    """The settings of one node.

    Args:
      base: what all nodes have in common.
      name: of the node.
      disk: path of its snapshot; None for none.
      drift: see `with_drift`.
      fields: settings of either half that are its own, and ``encrypt_key``; they go before all
        others.

    Raises:
      ConfigError: a bad value.
      TypeError: no such setting.
    """
    own = dict(fields)
    if "encrypt_key" in own:  # as `Config.lan` names it, in text or in bytes
        own["secret_key"] = key_bytes(own.pop("encrypt_key"))
    below = {key: value for key, value in own.items() if key in _MEMBERLIST_FIELDS}
    above = {key: value for key, value in own.items() if key not in below}
    usual: dict[str, Any] = {
        "node_name": name,
        "leave_on_exit": False,
        "memberlist": attrs.evolve(base.memberlist, **below),
    }
    if disk is not None:
        usual["snapshot_path"] = disk
    config = attrs.evolve(base, **{**usual, **above})
    return with_drift(config, drift) if drift else config


def with_drift(config: Config, drift: float) -> Config:
    """The settings of a node whose clock gains ``drift`` seconds in each second.

    Raises:
      ValueError: a clock that stands still or runs backwards.
    """
    if not drift > -1:
        raise ValueError(f"drift={drift!r}: expected more than -1")
    return _slowed(
        attrs.evolve(config, memberlist=_slowed(config.memberlist, 1 + drift)), 1 + drift
    )


C = TypeVar("C", Config, MemberlistConfig)


def _slowed(config: C, speed: float) -> C:
    durations = [
        field.name
        for field in attrs.fields(type(config))
        if field.validator is POSITIVE or field.validator is SECONDS
    ]
    return attrs.evolve(config, **{name: getattr(config, name) / speed for name in durations})
