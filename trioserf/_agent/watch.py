"""``trioserf demo --join``: a member of an existing cluster that prints what it sees.

The first Ctrl-C (or SIGTERM) leaves the cluster gracefully; a second one does not wait for that.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator

import trio

from .. import _attrs as attrs
from .._config import DEFAULT_PORT, Config
from .._exceptions import ConfigError, JoinError
from .._net.addresses import parse_address
from .._serf.open import open_serf
from .._serf.serf import Serf
from ..abc import Address, resolve
from .screen import Screen


@attrs.frozen(kw_only=True)
class WatchSettings:
    """What to join, and as whom.

    Args:
      join: address of a member, ``host[:port]``.
      name: of this node; None for one that is most likely unique.
      bind: ``ip:port`` of this node; None for a free port of the address that faces ``join``.
      key: encryption key in base64; None for clear text.
      profile: ``lan``, ``wan`` or ``local``.
    """

    join: str
    name: str | None
    bind: str | None
    key: str | None
    profile: str


async def watch(settings: WatchSettings, screen: Screen) -> int:
    """Join, and print until interrupted.  Returns the exit status."""
    try:
        config = await _config(settings)
    except (ConfigError, ValueError, OSError) as error:
        screen.line("", f"cannot start: {error}")
        return 1
    status = 1
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            watching = trio.CancelScope()
            stop = nursery.cancel_scope
            nursery.start_soon(_on_signals, signals, watching, stop, screen)
            status = await _take_part(config, settings.join, watching, screen)
            stop.cancel()
    return status


async def _on_signals(
    signals: AsyncIterator[int],
    watching: trio.CancelScope,
    everything: trio.CancelScope,
    screen: Screen,
) -> None:
    async for _ in signals:
        if watching.cancel_called:
            screen.line("", "stopping without leaving", "notice")
            everything.cancel()
        watching.cancel()


async def _take_part(
    config: Config, address: str, watching: trio.CancelScope, screen: Screen
) -> int:
    try:
        async with open_serf(config) as serf:
            me = serf.local_member
            screen.heading(f"{config.node_name} on {Address(str(me.addr), me.port)}: Ctrl-C leaves")
            with watching:
                await serf.join([address])
                screen.line(serf.name, f"joined through {address}", "good")
                screen.block(f"{serf.members()}\n")
                await _print_events(serf, screen)
            screen.line(serf.name, "leaving")
    except JoinError as error:
        for cause in error.exceptions:
            screen.line("", f"cannot join {address}: {cause}")
        return 1
    except OSError as error:
        screen.line("", f"cannot start: {error}")
        return 1
    screen.line(config.node_name, "left the cluster", "good")
    return 0


async def _print_events(serf: Serf, screen: Screen) -> None:
    async for event in serf.events:
        screen.line(serf.name, str(event), "notice")


async def _config(settings: WatchSettings) -> Config:
    bind = settings.bind
    if bind is None:
        target = parse_address(settings.join, DEFAULT_PORT)
        addresses = await resolve(target.host, target.port)
        bind = str(Address(_facing(addresses[0]), 0))
    profile = {"lan": Config.lan, "wan": Config.wan, "local": Config.local}[settings.profile]
    return profile(
        node_name=settings.name or f"{socket.gethostname()}-watch-{os.getpid()}",
        bind=bind,
        encrypt_key=settings.key,
        tags={"role": "watcher"},
    )


def _facing(target: Address) -> str:
    """The local address from which packets to ``target`` would go; sends nothing."""
    family = socket.AF_INET6 if ":" in target.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((target.host, target.port))
        host: str = probe.getsockname()[0]
        return host
