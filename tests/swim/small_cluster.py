"""Several tables that send to each other, without packets and without waiting.

Broadcasts reach every node that is up, replies their address, in a random order; a node that
is down receives nothing.  `SmallCluster.exchange` is a push/pull, `SmallCluster.probe_all` lets
every node probe every other.
"""

from __future__ import annotations

import random
from typing import Any

from trioserf._memberlist_config import MemberlistConfig
from trioserf._swim.effects import Broadcast, Effect, ProbeAddress, SendTo
from trioserf._swim.table import NodeTable
from trioserf._wire.messages import Alive, Dead, PacketMessage, Suspect, decode_message
from trioserf.abc import Address

from .builders import PORT, VERSIONS, ip, place


class SmallCluster:
    """Nodes by name.  ``go`` names those that behave as Go."""

    def __init__(self, names: str, *, seed: int = 1, go: str = "", loss: float = 0.0) -> None:
        self.now = 0.0
        self.rng = random.Random(seed)
        self.loss = loss
        self.go = go
        self.tables: dict[str, NodeTable] = {}
        self.up: set[str] = set()
        self._wires: list[tuple[str, PacketMessage, Address]] = []
        for name in names:
            self.start(name)

    def start(self, name: str, *, at: str | None = None, incarnation: int = 1) -> NodeTable:
        """Start a node, or start it again with nothing in its memory."""
        config = MemberlistConfig(name=name, faithful_go=name in self.go)
        table = NodeTable(name=name, config=config, rng=self.rng)
        self.tables[name] = table
        self.up.add(name)
        effects = table.start(
            self.now,
            addr=ip(at or name),
            port=PORT,
            meta=b"",
            versions=VERSIONS,
            incarnation=incarnation,
        )
        self.apply(name, effects)
        return table

    def stop(self, name: str) -> None:
        self.up.discard(name)

    def live_tables(self) -> list[NodeTable]:
        return [self.tables[name] for name in sorted(self.up)]

    # --- messages -------------------------------------------------------------------------

    def apply(self, name: str, effects: list[Effect]) -> None:
        source = self.tables[name].local_node.address
        for effect in effects:
            match effect:
                case Broadcast():
                    message = decode_message(effect.message)
                    for other in self.up - {name}:
                        if other in self.tables[name].nodes:
                            self._wires.append((other, message, source))
                case SendTo():
                    for other in self.up:
                        if self.tables[other].local_node.address == effect.address:
                            self._wires.append((other, decode_message(effect.message), source))
                case ProbeAddress():
                    reply = any(
                        self.tables[other].local_node.address == effect.address
                        and other == effect.existing.name
                        for other in self.up
                    )
                    table = self.tables[name]
                    self.apply(name, table.address_probed(effect, reply, self.now))
                case _:
                    pass

    def forge(self, to: str, message: PacketMessage) -> None:
        """One packet comes from outside the cluster."""
        for name in to:
            self._receive(name, message, place("z"))

    def settle(self) -> None:
        """Deliver what is under way, and what follows from it."""
        delivered = 0
        while self._wires:
            index = self.rng.randrange(len(self._wires))
            self._wires[index], self._wires[-1] = self._wires[-1], self._wires[index]
            to, message, source = self._wires.pop()
            if to in self.up and self.rng.random() >= self.loss:
                self._receive(to, message, source)
            delivered += 1
            assert delivered < 50_000, "an epidemic without end"

    def _receive(self, name: str, message: PacketMessage, source: Address) -> None:
        table = self.tables[name]
        match message:
            case Alive():
                effects = table.on_alive(message, self.now, source=source)
            case Suspect():
                effects = table.on_suspect(message, self.now)
            case Dead():
                effects = table.on_dead(message, self.now)
            case _:
                raise AssertionError(message)
        self.apply(name, effects)

    # --- what tasks do --------------------------------------------------------------------

    def exchange(self, one: str, two: str) -> None:
        """A push/pull that ``one`` begins; ``two`` replies before it merges."""
        first, second = self.tables[one], self.tables[two]
        request, reply = first.records(), second.records()
        self.apply(two, second.merge(request, self.now))
        self.apply(one, first.merge(reply, self.now, source=second.local_node.address))

    def exchange_all(self) -> None:
        """Every node exchanges with every other that it has as alive and can reach."""
        for name in sorted(self.up):
            for other in sorted(self.tables[name].nodes):
                if other in self.up and other != name:
                    self.exchange(name, other)
        self.settle()

    def probe_all(self) -> None:
        """Every node suspects those that do not ack at the address that it knows."""
        for name in sorted(self.up):
            for node in list(self.tables[name].sequence):
                there = node.name in self.up and (
                    self.tables[node.name].local_node.address == node.address
                )
                if not there and not node.is_gone:
                    self.apply(
                        name,
                        self.tables[name].suspect_failed(node.name, node.incarnation, self.now),
                    )
        self.settle()

    def wait(self, seconds: float) -> None:
        """Let suspicions end, and drop records of long dead or left nodes."""
        self.now += seconds
        for name in sorted(self.up):
            table = self.tables[name]
            self.apply(name, table.expired(self.now))
            self.apply(name, table.purge(self.now))
        self.settle()

    # --- seeing ---------------------------------------------------------------------------

    def view(self, of: str) -> dict[str, str]:
        """How each node that is up has one node."""
        views = {}
        for name in sorted(self.up):
            node = self.tables[name].nodes.get(of)
            views[name] = "unknown" if node is None else str(node.status)
        return views

    def all_agree(self) -> bool:
        """Whether all nodes that are up have the same records of all nodes that are up."""
        seen: list[Any] = []
        for table in self.live_tables():
            records = {record.name: record for record in table.records()}
            seen.append([records.get(name) for name in sorted(self.up)])
        return all(view == seen[0] for view in seen) and all(
            record is not None and record.status == 0 for record in seen[0]
        )


def joined(names: str, **options: Any) -> SmallCluster:
    """A cluster in which all nodes know each other."""
    cluster = SmallCluster(names, **options)
    for name in names[1:]:
        cluster.exchange(name, names[0])
    cluster.settle()
    cluster.exchange_all()
    assert cluster.all_agree()
    return cluster
