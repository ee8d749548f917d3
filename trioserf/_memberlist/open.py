"""`open_memberlist`: the membership half alone, for those who build on it.

Serf has its own tree of tasks and does not come through here.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Unpack

import trio

from .._config import MemberlistConfig
from .._net.udp_tcp import NetTransport
from ..abc import Transport
from .apply import Handlers
from .end_cause import end_of_block
from .memberlist import READY_FIRST, Memberlist


@asynccontextmanager
async def open_memberlist(
    config: MemberlistConfig,
    *,
    transport: Transport | None = None,
    rng: random.Random | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
    **handlers: Unpack[Handlers],
) -> AsyncIterator[Memberlist]:
    """A membership half whose tasks run inside the block.

    The end of the block stops it at once; call `Memberlist.leave` before for others to know.

    Args:
      config: settings.
      transport: carries packets and streams; ``config.transport`` if not given, and if that
        is None, UDP and TCP on ``config.bind_addr`` and ``config.bind_port``.
      rng: source of every random choice; a fresh one if not given.
      random_bytes, delegate, events, conflict, merge, alive, ping: as for `Memberlist`.

    Raises:
      ConfigError: bad settings.
      OSError: the address cannot be bound.
      SerfInternalError: one of the tasks crashed, which is a bug.
    """
    if transport is None:
        transport = config.transport or NetTransport(config.bind_addr, config.bind_port)
    memberlist = Memberlist(
        config,
        transport=transport,
        rng=rng or random.Random(),
        random_bytes=random_bytes,
        **handlers,
    )
    raised: BaseException | None = None
    try:
        await memberlist.bind()
        memberlist.announce()
        async with trio.open_nursery() as nursery:
            for name, task in memberlist.tasks():
                full_name = f"trioserf.{config.name}.{name}"
                if name in READY_FIRST:
                    await nursery.start(task, name=full_name)
                else:
                    nursery.start_soon(task, name=full_name)
            await trio.lowlevel.checkpoint()  # until each has come to its first wait
            try:
                yield memberlist
            except trio.Cancelled:
                raise
            except BaseException as error:
                raised = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raised = end_of_block(raised, group, f"a task of {config.name!r}")
    finally:
        memberlist.close()
    try:
        if raised is not None:
            # Raised here, outside of the nursery, the user's exception is in no group.
            raise raised
    finally:
        del raised  # its traceback holds this frame: no reference cycle
