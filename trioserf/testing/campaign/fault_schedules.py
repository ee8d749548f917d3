"""What is done to a cluster and when, drawn from a seed.  Pure.

A fault begins, lasts, and ends, all by itself; so any of them can be left out and the rest is
still a schedule, which is what makes shrinking possible.  All have ended when the schedule ends,
except for crashes and leaves for good.
"""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Collection, Iterable
from typing import Final, final

from ... import _attrs as attrs
from ..links import Constant, Latency, LinkChanges, LongTail, Normal, Uniform
from ..topology import Reject


@final
class FaultKind(enum.Enum):
    """What may happen."""

    PARTITION = "partition"
    """Some nodes are cut off from all others."""
    CUT = "one-way cut"
    """The first node does not reach the others named."""
    LOSS = "loss"
    """A share of packets is lost."""
    LATENCY = "latency"
    """Journeys take long: always, at random, or with a long tail."""
    DUPLICATES = "duplicates"
    REORDERING = "reordering"
    CORRUPTION = "corruption"
    """A share of packets arrives with a bit flipped."""
    BANDWIDTH = "narrow band"
    """Few bytes per second pass, and few wait for it."""
    REJECT = "reject"
    """A firewall refuses what goes from the nodes named to the first, or from all to it."""
    CRASH = "crash"
    """Its host refuses its ports from then on."""
    POWER_OFF = "power off"
    """A crash of the machine: nothing is refused, nothing is answered."""
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
    FaultKind.LATENCY: 2,
    FaultKind.DUPLICATES: 1,
    FaultKind.REORDERING: 1,
    FaultKind.CORRUPTION: 1,
    FaultKind.BANDWIDTH: 1,
    FaultKind.REJECT: 3,
    FaultKind.CRASH: 4,
    FaultKind.POWER_OFF: 1,
    FaultKind.LEAVE: 2,
    FaultKind.MOVE: 1,
    FaultKind.STOP: 3,
    FaultKind.TAGS: 2,
    FaultKind.EVENT: 4,
    FaultKind.QUERY: 2,
}
_PER_MINUTE: Final = 6
_SHORTEST, _LONGEST = 0.3, 90.0
_TO_THE_END: Final = 0.25
"""Share of faults that last as long as the schedule: what they did is not yet repaired there."""
_FOR_GOOD: Final = 0.2
"""Share of crashes and leaves without a return."""
OF_LINKS: Final = frozenset(
    {
        FaultKind.LOSS,
        FaultKind.LATENCY,
        FaultKind.DUPLICATES,
        FaultKind.REORDERING,
        FaultKind.CORRUPTION,
        FaultKind.BANDWIDTH,
    }
)
"""Kinds that change what links do to packets."""
_PARTING: Final = OF_LINKS | {
    FaultKind.PARTITION,
    FaultKind.CUT,
    FaultKind.REJECT,
    FaultKind.STOP,
}
_SLOWEST: Final = 2.0
"""Seconds: what was sent in a fault has arrived so soon after it, or never will."""
_MOST_DRIFT: Final = 0.02


@final
@attrs.frozen(kw_only=True)
class Fault:
    """One fault.

    Args:
      number: its place in the schedule as it was drawn.
      at: when it begins (seconds after the cluster had formed).
      kind: what happens.
      nodes: the nodes, by number; for links, whose outgoing ones, where none means all links.
      lasts: how long (seconds); infinity for a node that does not return; 0 for what has
        no end, an event for one.
      changes: what is different about the links.
      reject: what the firewall refuses, and how.
    """

    number: int
    at: float
    kind: FaultKind
    nodes: tuple[int, ...] = ()
    lasts: float = 0.0
    changes: LinkChanges = attrs.field(factory=LinkChanges)
    reject: Reject | None = None

    def __str__(self) -> str:
        whom = f" of {', '.join(f'node-{node + 1}' for node in self.nodes)}" if self.nodes else ""
        changes = "".join(f" {name}={value}" for name, value in self.changes.items())
        if self.reject is not None:
            how = self.reject
            changes = f" packets={how.packets} streams={how.streams} by={how.by}"
        lasts = f" for {self.lasts:.1f} s" if self.lasts else ""
        lasts = " for good" if self.lasts == math.inf else lasts
        return f"{self.number:3d}  at {self.at:6.1f} s  {self.kind.value}{changes}{whom}{lasts}"


@final
@attrs.frozen(kw_only=True)
class Setup:
    """What the nodes and their network are like, before anything happens to them.

    Args:
      disks: whether nodes have snapshots.
      encrypted, compressed: what they send.
      coalescing: whether events wait to be coalesced.
      refusals: whether nodes whose hosts refuse are declared dead at once.
      latency: of all links.
      drifts: what the clock of each node gains (seconds in each second).
    """

    disks: bool = False
    encrypted: bool = False
    compressed: bool = False
    coalescing: bool = False
    refusals: bool = False
    latency: Latency
    drifts: tuple[float, ...]

    def __str__(self) -> str:
        flags = ("disks", "encrypted", "compressed", "coalescing", "refusals")
        words = [name for name in flags if getattr(self, name)]
        if any(self.drifts):
            words.append("drifts " + " ".join(f"{drift:+.3f}" for drift in self.drifts))
        return ", ".join([*words, str(self.latency)])


@final
@attrs.frozen(kw_only=True)
class Schedule:
    """All that is done to one cluster.

    Args:
      seed: of everything in the run.
      nodes: how many there are.
      length: seconds; every fault that ends has ended by then.
      setup: what they are like.
      faults: in order of their beginning.
    """

    seed: int
    nodes: int
    length: float
    setup: Setup
    faults: tuple[Fault, ...]

    @property
    def parting(self) -> bool:
        """Whether running nodes may come to declare each other dead."""
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
        head = f"seed {self.seed}: {self.nodes} nodes, {self.length:g} s, {self.setup}"
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
            kind = FaultKind.CRASH  # two that move while apart would know no valid address
        moved = moved or kind is FaultKind.MOVE
        faults.append(_draw_fault(rng, number, at, kind, nodes, length - at, may_go))
    return Schedule(
        seed=seed, nodes=nodes, length=length, setup=_draw_setup(rng, nodes), faults=tuple(faults)
    )


def _draw_setup(rng: random.Random, nodes: int) -> Setup:
    disks, encrypted, compressed, coalescing, far, drifting, refusals = (
        rng.random() < share for share in (0.25, 0.25, 0.1, 0.2, 0.25, 0.25, 0.6)
    )
    drifts = [round(rng.uniform(-_MOST_DRIFT, _MOST_DRIFT), 3) for _ in range(nodes)]
    return Setup(
        disks=disks,
        encrypted=encrypted,
        compressed=compressed,
        coalescing=coalescing,
        refusals=refusals,
        latency=_draw_latency(rng, rng.uniform(0.001, 0.05)) if far else Constant(0.0005),
        drifts=tuple(drifts) if drifting else (0.0,) * nodes,
    )


def _draw_latency(rng: random.Random, middle: float) -> Latency:
    middle = round(middle, 4)
    return rng.choice(
        (
            Constant(middle),
            Uniform(0.0, 2 * middle),
            Normal(middle, middle / 2),
            LongTail(middle, 1.0, _SLOWEST),
        )
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
    if rng.random() < _TO_THE_END:
        lasts = left
    order = rng.sample(range(n), n)
    nodes: tuple[int, ...] = (order[0],)
    changes, reject = LinkChanges(), None
    match kind:
        case FaultKind.PARTITION:
            nodes = tuple(sorted(order[: rng.randint(1, max(1, n // 2))]))
        case FaultKind.CUT:
            nodes = tuple(order[: rng.randint(2, n)])
        case FaultKind.TAGS | FaultKind.EVENT | FaultKind.QUERY:
            lasts = 0.0
        case FaultKind.REJECT:
            nodes = tuple(order[: rng.choice((1, 2, rng.randint(2, n)))])
            reject = Reject(
                packets=rng.random() < 0.8,
                streams=rng.choice(("rst", "rst", "icmp", None)),
                by=rng.choice(("host", "router")),
            )
        case FaultKind.CRASH | FaultKind.POWER_OFF | FaultKind.LEAVE:
            if order[0] in may_go and rng.random() < _FOR_GOOD:
                lasts = math.inf
        case FaultKind.MOVE | FaultKind.STOP:
            pass
        case _:
            nodes = rng.choice(((), tuple(sorted(order[: rng.randint(1, max(1, n // 2))]))))
            changes = _draw_changes(rng, kind)
    if lasts != math.inf:
        lasts = min(lasts, left)
    return Fault(
        number=number, at=at, kind=kind, nodes=nodes, lasts=lasts, changes=changes, reject=reject
    )


def _draw_changes(rng: random.Random, kind: FaultKind) -> LinkChanges:
    share = round(rng.uniform(0.05, 0.4), 2)
    match kind:
        case FaultKind.LOSS:
            return {"loss": share}
        case FaultKind.LATENCY:
            middle = math.exp(rng.uniform(math.log(0.01), math.log(_SLOWEST / 2)))
            return {"latency": _draw_latency(rng, middle)}
        case FaultKind.DUPLICATES:
            return {"duplicate": share}
        case FaultKind.REORDERING:
            return {"reorder": share, "reorder_by": round(rng.uniform(0.01, _SLOWEST), 2)}
        case FaultKind.CORRUPTION:
            return {"corrupt": share}
        case _:
            assert kind is FaultKind.BANDWIDTH, "the last kind that is one of links"
            bandwidth = round(math.exp(rng.uniform(math.log(500), math.log(50_000))))
            return {"bandwidth": bandwidth, "queue": round(bandwidth * rng.uniform(0.1, _SLOWEST))}
