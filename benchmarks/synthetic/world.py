"""A large cluster that does not exist: who is in it when, and what it gossips about that.

`World` is a function of its settings, so several programs share one by making it anew.  Times are
seconds since the world began.
"""

from __future__ import annotations

import bisect
import math
import random
from typing import Final

import attrs

from trioserf._swim.nodes import NodeStatus
from trioserf._swim.scaling import retransmit_limit, suspicion_timeout
from trioserf._wire.messages import (
    USER_PREFIX,
    Alive,
    Dead,
    NodeRecord,
    Suspect,
    encode_message,
)
from trioserf._wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    PushPull,
    UserEventMessage,
    encode_serf,
)
from trioserf._wire.streams import push_pull_bytes
from trioserf._wire.tags import encode_tags

PORT: Final = 7946
VERSIONS: Final = bytes((1, 5, 2, 2, 5, 4))
GOSSIP_INTERVAL: Final = 0.2
GOSSIP_NODES: Final = 3
RETRANSMIT_MULT: Final = 4
SUSPICION_MULT: Final = 4
CONFIRMERS: Final = 4
"""Nodes that suspect one that failed: the first, and as many confirmations as shorten the wait."""
REMEMBERED: Final = 24 * 3600.0
"""For how long Serf lists members that left or failed (seconds)."""


def host(index: int) -> str:
    """The address of a member, one of 127.0.0.0/8."""
    return f"127.{1 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"


def index_of(address: str) -> int:
    """The member at an address."""
    _, high, middle, low = map(int, address.split("."))
    return (high - 1 << 16) + (middle << 8) + low


def name(index: int) -> str:
    return f"node-{index:06}.example.net"


@attrs.frozen(order=True)
class Change:
    """A member comes or goes."""

    at: float
    what: str
    """``join``, ``leave`` or ``fail``."""
    index: int


class World:
    """The truth.

    Args:
      size: members that are always alive, about.
      churn: share of them that goes within an hour and is replaced.
      events: user events a second.
      seconds: how long it lasts.
    """

    def __init__(
        self, size: int, *, churn: float, events: float, seconds: float, seed: int = 1
    ) -> None:
        self.size = size
        rng = random.Random(seed)
        self.timeout: float = suspicion_timeout(SUSPICION_MULT, size, 1.0)
        self.fades: float = retransmit_limit(RETRANSMIT_MULT, size) * GOSSIP_INTERVAL / GOSSIP_NODES
        """How long a node passes on what it got (seconds)."""
        self.changes: list[Change] = self._make_changes(rng, size * churn / 3600, seconds)
        self.gone_at: dict[int, float] = {c.index: c.at for c in self.changes if c.what != "join"}
        self.what_of: dict[int, str] = {c.index: c.what for c in self.changes if c.what != "join"}
        self.born_at: dict[int, float] = {c.index: c.at for c in self.changes if c.what == "join"}
        gone = int(size * churn * REMEMBERED / 3600)
        self.former: list[str] = [f"former-{i:06}.example.net" for i in range(gone)]
        """Names that Serf still lists; every other one of them left."""
        self.clock: int = 2 * (size + gone)
        self.meta: bytes = encode_tags({"role": "web", "dc": "east"}, 5)
        self.messages: list[tuple[float, bytes]] = sorted(
            [*self._membership_messages(rng), *self._event_messages(rng, events, seconds)]
        )
        """What is gossiped, and from when on."""

    def _make_changes(self, rng: random.Random, rate: float, seconds: float) -> list[Change]:
        changes, at, newest = list[Change](), 0.0, self.size
        unused = rng.sample(range(1, self.size + 1), min(self.size, int(rate * seconds * 3) + 10))
        while rate and (at := at + rng.expovariate(rate)) < seconds:
            newest += 1
            changes.append(Change(at, rng.choice(("leave", "fail")), unused.pop()))
            changes.append(Change(at + rng.random(), "join", newest))
        return sorted(changes)

    def _membership_messages(self, rng: random.Random) -> list[tuple[float, bytes]]:
        found = list[tuple[float, bytes]]()
        clock = self.clock
        for change in self.changes:
            at, who = change.at, name(change.index)
            clock += 1
            if change.what == "join":
                found.append((at, self.alive(change.index)))
                found.append((at, USER_PREFIX + encode_serf(JoinIntent(clock, who))))
            elif change.what == "leave":
                found.append((at, USER_PREFIX + encode_serf(LeaveIntent(clock, who, False))))
                found.append((at + 1, encode_message(Dead(1, who, who))))
            else:
                seen = at + 1 + rng.random()
                others = [name(rng.randint(1, self.size)) for _ in range(CONFIRMERS)]
                for number, other in enumerate(others):
                    found.append((seen + number * 0.7, encode_message(Suspect(1, who, other))))
                dead = encode_message(Dead(1, who, others[0]))
                found.append((seen + self.timeout, dead))
        return found

    def _event_messages(
        self, rng: random.Random, rate: float, seconds: float
    ) -> list[tuple[float, bytes]]:
        found, at, clock = list[tuple[float, bytes]](), 0.0, 1000
        while rate and (at := at + rng.expovariate(rate)) < seconds:
            clock += 1
            event = UserEventMessage(clock, f"deploy-{clock}", rng.randbytes(32), False)
            found.append((at, USER_PREFIX + encode_serf(event)))
        return found

    def alive(self, index: int, incarnation: int = 1) -> bytes:
        """The alive message of a member."""
        addr = bytes(map(int, host(index).split(".")))
        return encode_message(Alive(incarnation, name(index), addr, PORT, self.meta, VERSIONS))

    def lives(self, index: int, now: float) -> bool:
        """Whether there is such a member, and it runs."""
        if not 1 <= index <= self.size and self.born_at.get(index, math.inf) > now:
            return False
        return self.gone_at.get(index, math.inf) > now

    def heard_at(self, born: float, rng: random.Random) -> float:
        """When some random node gets a message first: the logistic curve of an epidemic."""
        share = rng.random()
        rounds = math.log(self.size + 1) + math.log(max(share, 1e-9) / max(1 - share, 1e-9))
        return born + GOSSIP_INTERVAL * max(0.0, rounds) / (GOSSIP_NODES * 0.5)

    def gossip_of(self, now: float, rng: random.Random) -> list[bytes]:
        """What a random node has in its queue."""
        oldest = now - 4 * GOSSIP_INTERVAL * math.log(self.size + 1) - self.fades
        first = bisect.bisect(self.messages, (oldest,))
        found = []
        for born, message in self.messages[first:]:
            if born > now:
                break
            if now - self.fades < self.heard_at(born, rng) <= now:
                found.append(message)
        return found

    def add_message(self, born: float, message: bytes) -> None:
        """Something that was not foreseen is gossiped from now on."""
        bisect.insort(self.messages, (born, message))

    def statuses(self, now: float) -> dict[str, str]:
        """What everybody should know of each member by now; those that just changed are absent."""
        slow = 10 * GOSSIP_INTERVAL * math.log(self.size + 1)
        found = {name(index): "alive" for index in range(1, self.size + 1)}
        for change in self.changes:
            who, what = name(change.index), change.what
            needs = slow + (0 if what == "join" else 2 if what == "leave" else self.timeout + 2)
            if change.at + needs < now:
                found[who] = {"join": "alive", "leave": "left", "fail": "failed"}[what]
            elif change.at < now:
                found.pop(who, None)
        return found

    def state(self, now: float, *, join: bool = False) -> bytes:
        """The state that a member sends in a push/pull, not yet framed."""
        indexes = [*range(1, self.size + 1), *(i for i, at in self.born_at.items() if at <= now)]
        records = []
        left, ltimes = list[str](self.former[::2]), dict[str, int]()
        for number, index in enumerate(indexes):
            status, gone = NodeStatus.ALIVE, self.gone_at.get(index, math.inf)
            if gone <= now and self.what_of[index] == "leave":
                status = NodeStatus.LEFT
                left.append(name(index))
            elif gone + self.timeout + 2 <= now:
                status = NodeStatus.DEAD
            records.append(self._record(index, status))
            ltimes[name(index)] = 1 + number
        ltimes.update(dict.fromkeys(self.former, self.clock - 1))
        serf = PushPull(self.clock, ltimes, tuple(left), 1000, (), 1000)
        return push_pull_bytes(join, records, encode_serf(serf))

    def _record(self, index: int, status: NodeStatus) -> NodeRecord:
        addr = bytes(map(int, host(index).split(".")))
        return NodeRecord(name(index), addr, PORT, self.meta, 1, int(status), VERSIONS)
