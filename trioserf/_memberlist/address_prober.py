"""Pings addresses outside of the failure detector, for two reasons.

*A node moved.*  A container, for example, that was started anew sends alive messages with another
address while the old record of its node is still alive.  Go refuses these messages until the old
record is dead.  Here the old address is pinged: if no node of that name answers, the message is
applied at once.

*A node that was never reached seems to be there*: a stream came from its host, or a ping from the
node.  Alive messages may come from anybody.  Where they make up hundreds of nodes, it would take
minutes until the failure detector has probed the real one, and until then gossip goes to real and
made-up nodes alike (see `_swim/gossip_order.py`, `_swim/admission.py`).  So the node is pinged at
once, with a packet that takes no broadcasts along, and at a bounded rate.  An ack shows that the
node is there; a missing ack shows nothing.

DIFFERS (unless ``faithful_go``): Go does neither.
Test: test_a_node_that_opens_a_stream_is_known_as_reached_at_once.

Source: hashicorp/memberlist v0.2.2, state.go: aliveNode, the case of conflicting addresses, for
what Go does instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import trio

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import LocalProtocolError, NoAckError
from .._swim.effects import Effect, ProbeAddress
from .._swim.nodes import Node
from .._swim.table import NodeTable
from .._swim.token_bucket import TokenBucket
from .history import History
from .pending_acks import Pinger
from .short_tasks import ShortTasks

Apply: TypeAlias = Callable[[Sequence[Effect]], object]

MAX_PROBES: Final = 16
"""Most addresses probed at once; a message that would need one more is refused."""
ATTEMPTS: Final = 2
"""Pings to the old address, so that one lost packet does not decide."""
CHECK_BURST: Final = 64
"""Nodes that were never reached and may be pinged before `CHECK_RATE` applies."""
CHECK_RATE: Final = 16.0
"""Further such nodes that may be pinged in a second: strangers can make this node send so many
pings."""


@attrs.define(eq=False, kw_only=True)
class AddressProber:
    """Finds out which address of a conflict is right, and who is there."""

    config: MemberlistConfig
    table: NodeTable
    pinger: Pinger
    history: History
    tasks: ShortTasks
    _active: int = attrs.field(default=0, init=False)
    _checked: set[str] = attrs.field(factory=set, init=False)
    _checks: TokenBucket = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._checks = TokenBucket(CHECK_BURST, CHECK_RATE)

    def start(self, effect: ProbeAddress, apply: Apply) -> bool:
        """Begin a probe, and apply what follows from it; False if there are too many."""
        if self._active >= MAX_PROBES or not self.tasks.start(self._probe, effect, apply):
            return False
        self._active += 1
        return True

    def check_reached(self, node: Node) -> None:
        """Ping a node that was never reached, unless there are too many.  Never waits."""
        config, now = self.config, trio.current_time()
        if node.reached or config.faithful_go or config.probe_interval <= 0:
            return
        if node.name in self._checked or self._checks.ready_at > now:
            return
        if self.tasks.start(self._check, node):
            self._checks.spend(now)
            self._checked.add(node.name)

    async def _check(self, node: Node) -> None:
        local, timeout = self.table.local_node, self.config.probe_timeout
        try:
            rtt = await self.pinger.ping(local, node.name, node.address, timeout, alone=True)
        except (NoAckError, trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
            return
        finally:
            self._checked.discard(node.name)
        node.answered(trio.current_time())
        node.rtt = rtt if node.rtt is None else node.rtt

    async def _probe(self, effect: ProbeAddress, apply: Apply) -> None:
        try:
            answered = await self._answers(effect)
            self.history.address_probed(effect, answered)
            apply(self.table.address_probed(effect, answered, trio.current_time()))
        finally:
            self._active -= 1

    async def _answers(self, effect: ProbeAddress) -> bool:
        timeout = self.config.probe_timeout / ATTEMPTS
        for _ in range(ATTEMPTS):
            deadline = trio.current_time() + timeout
            try:
                local, name = self.table.local_node, effect.existing.name
                await self.pinger.ping(local, name, effect.address, timeout)
            except NoAckError:
                continue
            except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
                await trio.sleep_until(deadline)
            else:
                return True
        return False
