"""What is done to a cluster and when, drawn from a seed.  Pure.

A fault begins, lasts, and is undone, all by itself; so any of them can be left out and the rest
is still a schedule.  That is what shrinking lives on.  All are undone when the schedule ends,
but for crashes and leaves for good.
"""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Collection, Iterable
from typing import Final, final

import attrs


@final
class FaultKind(enum.Enum):
    """What may happen."""

    PARTITION = "partition"
    """Some nodes are parted from all others."""
    CUT = "one-way cut"
    """The first node does not reach the others named."""
    LOSS = "loss"
    """A share of all packets is lost."""
    CRASH = "crash"
    LEAVE = "leave"
    MOVE = "move"
    """A crash, and a return at another address."""
    STOP = "stop"
    """SIGSTOP, and SIGCONT later."""
    TAGS = "tags"
    EVENT = "user event"
    QUERY = "query"


_WEIGHTS: Final = {
    FaultKind.PARTITION: 3,
    FaultKind.CUT: 2,
    FaultKind.LOSS: 2,
    FaultKind.CRASH: 4,
    FaultKind.LEAVE: 2,
    FaultKind.MOVE: 1,
    FaultKind.STOP: 3,
    FaultKind.TAGS: 2,
    FaultKind.EVENT: 4,
    FaultKind.QUERY: 2,
}
_PER_MINUTE: Final = 6
_SHORTEST, _LONGEST = 0.3, 90.0
_FOR_GOOD: Final = 0.2
"""Share of crashes and leaves without a return."""
_PARTING: Final = {FaultKind.PARTITION, FaultKind.CUT, FaultKind.STOP, FaultKind.LOSS}


@final
@attrs.frozen(kw_only=True)
class Fault:
    """One of them.

    Args:
      number: its place in the schedule as it was drawn.
      at: when it begins (seconds after the cluster had formed).
      kind: what happens.
      nodes: to whom, by number.
      lasts: how long (seconds); infinity for a node that does not return; 0 for what has
        no end, an event for one.
      amount: share of packets lost.
    """

    number: int
    at: float
    kind: FaultKind
    nodes: tuple[int, ...] = ()
    lasts: float = 0.0
    amount: float = 0.0

    def __str__(self) -> str:
        whom = f" of {', '.join(f'node-{node + 1}' for node in self.nodes)}" if self.nodes else ""
        share = f" of {self.amount:.0%}" if self.amount else ""
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        lasts = " for good" if self.lasts == math.inf else lasts
        return f"{self.number:3d}  at {self.at:6.1f} s  {self.kind.value}{share}{whom}{lasts}"


@final
@attrs.frozen(kw_only=True)
class Schedule:
    """All that is done to one cluster.

    Args:
      seed: of everything in the run.
      nodes: how many there are.
      length: seconds; every fault that ends has ended by then.
      disks: whether nodes have snapshots.
      faults: in order of their beginning.
    """

    seed: int
    nodes: int
    length: float
    disks: bool
    faults: tuple[Fault, ...]

    @property
    def parting(self) -> bool:
        """Whether living nodes may come to hold each other dead."""
        return any(fault.kind in _PARTING for fault in self.faults)

    def only(self, faults: Iterable[Fault]) -> Schedule:
        """The same with these faults alone."""
        kept = {fault.number for fault in faults}
        return self.only_numbers(kept)

    def only_numbers(self, numbers: Collection[int]) -> Schedule:
        """The same with the faults of these numbers alone."""
        faults = tuple(fault for fault in self.faults if fault.number in numbers)
        return attrs.evolve(self, faults=faults)

    def __str__(self) -> str:
        disks = ", with disks" if self.disks else ""
        head = f"seed {self.seed}: {self.nodes} nodes{disks}, {self.length:g} s"
        return "\n".join([head, *map(str, self.faults)])


def draw_schedule(seed: int, *, nodes: int, minutes: float) -> Schedule:
    """A random schedule, the same for the same arguments.

    Raises:
      ValueError: fewer than two nodes, or no time.
    """
    if nodes < 2 or not minutes > 0:
        raise ValueError(f"{nodes} nodes for {minutes} minutes: expected at least 2, and some time")
    rng = random.Random(f"{seed} faults")
    length = minutes * 60
    times = sorted(rng.uniform(0, length) for _ in range(max(1, round(minutes * _PER_MINUTE))))
    may_go = set(rng.sample(range(nodes), (nodes - 1) // 2))
    moved = False
    faults = []
    for number, at in enumerate(times):
        (kind,) = rng.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()))
        if kind is FaultKind.MOVE and moved:
            kind = FaultKind.CRASH  # two that move while apart would know no address that holds
        moved = moved or kind is FaultKind.MOVE
        faults.append(_draw_fault(rng, number, at, kind, nodes, length - at, may_go))
    return Schedule(
        seed=seed, nodes=nodes, length=length, disks=rng.random() < 0.25, faults=tuple(faults)
    )


def _draw_fault(
    rng: random.Random,
    number: int,
    at: float,
    kind: FaultKind,
    n: int,
    left: float,
    may_go: set[int],
) -> Fault:
    lasts = math.exp(rng.uniform(math.log(_SHORTEST), math.log(_LONGEST)))
    order = rng.sample(range(n), n)
    nodes: tuple[int, ...] = (order[0],)
    amount = 0.0
    match kind:
        case FaultKind.PARTITION:
            nodes = tuple(sorted(order[: rng.randint(1, max(1, n // 2))]))
        case FaultKind.CUT:
            nodes = tuple(order[: rng.randint(2, n)])
        case FaultKind.LOSS:
            nodes, amount = (), rng.uniform(0.05, 0.4)
        case FaultKind.TAGS | FaultKind.EVENT | FaultKind.QUERY:
            lasts = 0.0
        case FaultKind.CRASH | FaultKind.LEAVE:
            if order[0] in may_go and rng.random() < _FOR_GOOD:
                lasts = math.inf
        case FaultKind.MOVE | FaultKind.STOP:
            pass
    if lasts != math.inf:
        lasts = min(lasts, left)
    return Fault(number=number, at=at, kind=kind, nodes=nodes, lasts=lasts, amount=amount)
