"""What must be true of a simulated cluster at every moment, checked again and again.

::

    async with SimCluster(seed=1) as cluster, watched(cluster, step=0.1) as watch:
        await cluster.spawn(30)
        cluster.partition(range(10))
        await trio.sleep(60)
        cluster.heal()
        await cluster.converged(within=agreement_bound(...))
        print(watch.steps)

Every ``step`` seconds of the run's clock each invariant looks at the cluster as it is in that
moment, with no task in between; at the end of the block once more.  What is wrong ends the
block with an `InvariantViolation`.  The invariants are those of `membership_invariants` and
`event_invariants`, bounded memory only where it is asked for; more of them are any objects with
the method of `Invariant`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, final

import trio

from .. import _attrs as attrs
from .event_invariants import DeliveredOnce, EventsMatchMembers
from .membership_invariants import Incarnations, LocalNodeAlive, Sizes

if TYPE_CHECKING:
    from .sim_cluster import SimCluster

_SHOWN = 5
"""Complaints that an error lists in full."""


class Invariant(Protocol):
    """Something that is true at every moment.  May remember what it saw before."""

    def complaints(self, cluster: SimCluster, now: float) -> Iterable[str]:
        """What is wrong now, in words.

        Args:
          cluster: as it is.
          now: trio clock (seconds).
        """


class InvariantViolation(AssertionError):
    """An invariant of a simulated cluster is broken; the text says which, when and where."""


def membership_invariants(*, forged: bool = False) -> tuple[Invariant, ...]:
    """Fresh invariants of membership: incarnations, the local node, sizes.

    Args:
      forged: the test injects messages that no node of the cluster sent; then incarnations are
        not compared with those that the nodes themselves had.
    """
    return (Incarnations(forged=forged), LocalNodeAlive(), Sizes())


def all_invariants(*, forged: bool = False) -> tuple[Invariant, ...]:
    """The same, and those of the events that nodes report to their applications."""
    return (*membership_invariants(forged=forged), EventsMatchMembers(), DeliveredOnce())


@final
@attrs.define(eq=False)
class Watch:
    """Invariants of one cluster, and how often they were looked at.

    Args:
      cluster: what is watched.
      invariants: what must be true.
    """

    cluster: SimCluster
    invariants: Sequence[Invariant]
    steps: int = attrs.field(default=0, init=False)
    """How often all of them were true."""

    def check(self) -> None:
        """Check now.

        Raises:
          InvariantViolation: one of them is broken.
        """
        now = trio.current_time()
        wrong = [
            f"{type(invariant).__name__}: {text}"
            for invariant in self.invariants
            for text in invariant.complaints(self.cluster, now)
        ]
        if wrong:
            more = f"\nand {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise InvariantViolation(f"at {now:.3f} s: " + "\n".join(wrong[:_SHOWN]) + more)
        self.steps += 1


@asynccontextmanager
async def watched(
    cluster: SimCluster, *, step: float = 0.1, invariants: Sequence[Invariant] | None = None
) -> AsyncIterator[Watch]:
    """Check invariants all through a block.

    Args:
      cluster: entered before.
      step: time between two looks (seconds); each takes time with the square of the number
        of nodes.
      invariants: fresh ones; None takes `all_invariants`.

    Raises:
      InvariantViolation: one was broken, or is at the end; the block is
        cancelled.
    """
    watch = Watch(cluster, all_invariants() if invariants is None else invariants)
    violation: InvariantViolation | None = None
    raised: BaseException | None = None

    async def look_again_and_again() -> None:
        nonlocal violation
        try:
            while True:
                watch.check()
                await trio.sleep(step)
        except InvariantViolation as error:
            violation = error
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look_again_and_again)
        try:
            yield watch
            if violation is None:
                watch.check()
        except trio.Cancelled:
            raise
        except BaseException as error:
            raised = error  # kept out of the nursery, so that it leaves this block bare
        nursery.cancel_scope.cancel()
    if violation is not None:
        raise violation
    if raised is not None:
        raise raised
