"""Any messages in any order: the invariants of the table."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from trioserf._exceptions import RemoteProtocolError
from trioserf._swim.broadcasts import TransmitLimitedQueue
from trioserf._swim.effects import (
    Broadcast,
    Effect,
    NodeForgotten,
    NodeJoined,
    NodeLeft,
    NodeUpdated,
    ProbeAddress,
    SendTo,
)
from trioserf._swim.nodes import NodeStatus
from trioserf._swim.probing import ProbeSchedule
from trioserf._swim.refutation import (
    ALIVE_BAND,
    MAX_INCARNATION,
    STEP,
    SUSPECT_BAND,
    plausible_alive,
)
from trioserf._wire.messages import Alive, Dead, NodeRecord, Suspect, decode_message
from trioserf.abc import Address

from .builders import VERSIONS, new_table

NAMES = st.sampled_from(["a", "b", "c", "d", "e", ""])
ADDRESSES = st.sampled_from([bytes((10, 0, 0, i)) for i in range(97, 103)] + [b"", bytes(16)])
PORTS = st.sampled_from([7946, 7946, 80, 0])
SMALL = st.integers(0, 12)
EDGES = st.sampled_from(
    [
        SUSPECT_BAND - 1,
        SUSPECT_BAND,
        SUSPECT_BAND + STEP,
        ALIVE_BAND - 1,
        ALIVE_BAND,
        ALIVE_BAND + 1,
        ALIVE_BAND + STEP,
        MAX_INCARNATION - 1,
        MAX_INCARNATION,
    ]
)
INCARNATIONS = st.one_of(SMALL, SMALL, SMALL, EDGES)
METAS = st.sampled_from([b"", b"x", b"y", None, bytes(513)])
VECTORS = st.sampled_from([VERSIONS] * 5 + [bytes(6), VERSIONS[:4], None])
ALIVE = st.builds(Alive, INCARNATIONS, NAMES, ADDRESSES, PORTS, METAS, VECTORS)
SUSPECT = st.builds(Suspect, INCARNATIONS, NAMES, NAMES)
DEAD = st.builds(Dead, INCARNATIONS, NAMES, NAMES)
RECORD = st.builds(
    NodeRecord, NAMES, ADDRESSES, PORTS, METAS, INCARNATIONS, st.integers(-1, 4), VECTORS
)

State = dict[str, tuple[bytes, int, int, NodeStatus]]


class TableMachine(RuleBasedStateMachine):
    """One table, its queue, and a listener that folds the events it is given."""

    faithful = False

    @initialize(seed=st.integers(0, 9))
    def begin(self, seed: int) -> None:
        self.now = 0.0
        self.table = new_table(seed=seed, faithful_go=self.faithful)
        self.live = {"a"}
        self.queue = TransmitLimitedQueue(4, lambda: self.table.num_nodes)
        self.queue.queue(b"local", name="a")
        self.schedule = ProbeSchedule(self.table, random.Random(seed))
        self.probes: list[ProbeAddress] = []
        self.reached: dict[tuple[str, bytes, int], int] = {}
        self.before: State = {}
        self.correcting = False
        self._note()

    # --- applying, and what is true of every effect -------------------------------------

    def state(self) -> State:
        return {
            node.name: (node.addr, node.port, node.incarnation, node.status)
            for node in self.table.sequence
        }

    def apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Broadcast():
                    self._check_broadcast(effect)
                    self.queue.queue(effect.message, name=effect.key, local=effect.local)
                case NodeJoined(node):
                    assert node.name not in self.live
                    self.live.add(node.name)
                case NodeUpdated(node):
                    assert node.name in self.live
                case NodeLeft(node):
                    self.live.remove(node.name)
                case NodeForgotten(name):
                    assert name not in self.live
                    self.queue.discard(name)
                    for key in [key for key in self.reached if key[0] == name]:
                        del self.reached[key]
                case ProbeAddress():
                    self.probes.append(effect)
                case SendTo():
                    message = decode_message(effect.message)
                    assert isinstance(message, Dead)
                    assert self.table.nodes[message.node].is_gone
                case _:
                    pass

    def _check_broadcast(self, broadcast: Broadcast) -> None:
        message = decode_message(broadcast.message)
        assert isinstance(message, (Alive, Suspect, Dead))
        assert broadcast.key == message.node in self.table.nodes
        if not self.faithful:
            assert 0 < message.incarnation <= self.table.nodes[message.node].incarnation
        if isinstance(message, Alive):
            assert message.port > 0
            assert message.versions == VERSIONS
            assert len(message.addr or b"") in (4, 16)

    # --- messages -------------------------------------------------------------------------

    @rule(message=ALIVE, from_the_node=st.booleans())
    def receive_alive(self, message: Alive, from_the_node: bool) -> None:
        source = None
        if from_the_node and message.addr and message.port:
            source = Address.from_bytes(message.addr, message.port)
            known = self.reached.get((message.node, message.addr, message.port), 0)
            self.correcting = not plausible_alive(known, message.incarnation)
        self.apply(self.table.on_alive(message, self.now, source=source))

    @rule(message=SUSPECT)
    def receive_suspect(self, message: Suspect) -> None:
        self._receive_about_failure(message, self.table.on_suspect(message, self.now))

    @rule(message=DEAD)
    def receive_dead(self, message: Dead) -> None:
        self._receive_about_failure(message, self.table.on_dead(message, self.now))

    def _receive_about_failure(self, message: Suspect | Dead, effects: list[Effect]) -> None:
        if message.node == "a" and not self.table.leaving and not self.faithful:
            before = self.before["a"][2]
            if message.incarnation >= before:
                [refutation] = [
                    decode_message(e.message) for e in effects if isinstance(e, Broadcast)
                ]
                assert isinstance(refutation, Alive)
                assert refutation.incarnation > before or before == MAX_INCARNATION
        self.apply(effects)

    @rule(records=st.lists(RECORD, max_size=3))
    def exchange(self, records: list[NodeRecord]) -> None:
        try:
            self.apply(self.table.merge(records, self.now))
        except RemoteProtocolError:
            assert self.before == self.state()

    @precondition(lambda self: self.probes)
    @rule(answered=st.booleans(), data=st.data())
    def end_probe(self, answered: bool, data: Any) -> None:
        probe = data.draw(st.sampled_from(self.probes))
        self.probes.remove(probe)
        self.apply(self.table.address_probed(probe, answered, self.now))

    # --- the local node and time ----------------------------------------------------------

    @rule(meta=st.sampled_from([b"", b"m"]))
    def update(self, meta: bytes) -> None:
        if not self.table.leaving:
            self.apply(self.table.update_local(self.now, meta))

    @rule(really=st.integers(0, 9))
    def leave(self, really: int) -> None:
        if really == 0:
            self.apply(self.table.leave(self.now))

    @rule(name=NAMES)
    def fail_a_probe(self, name: str) -> None:
        node = self.table.nodes.get(name)
        if node is not None and node is not self.table.local_node:
            self.apply(self.table.suspect_failed(name, node.incarnation, self.now))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 25.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.apply(self.table.expired(self.now))
        assert self.table.next_deadline() > self.now

    @rule()
    def probe(self) -> None:
        node, effects = self.schedule.next_node(self.now)
        self.apply(effects)
        assert node is None or (node is not self.table.local_node and not node.is_gone)
        others = self.live - {"a"}
        assert (node is None) == (not others)

    @rule(limit=st.integers(0, 300))
    def gossip(self, limit: int) -> None:
        self.queue.take(2, limit, local_share=0.25)

    # --- promises -------------------------------------------------------------------------

    @invariant()
    def promises_are_kept(self) -> None:
        self.incarnations_never_fall_at_an_address()
        self.only_the_local_node_raises_its_incarnation()
        self.events_tell_who_is_live()
        self.numbers_agree()
        self.exactly_suspects_have_a_suspicion()
        self.the_queue_is_bounded_by_the_table()
        self._note()

    def incarnations_never_fall_at_an_address(self) -> None:
        if self.faithful:
            return
        for name, (addr, port, incarnation, status) in self.state().items():
            key = (name, addr, port)
            assert 0 < incarnation <= MAX_INCARNATION
            if not self.correcting:
                assert self.reached.get(key, 0) <= incarnation
            old = self.before.get(name)
            if (
                old is not None
                and old[:2] == (addr, port)
                and old[3] is not NodeStatus.ALIVE
                and status is NodeStatus.ALIVE
                and not self.correcting
            ):
                assert incarnation > old[2], "resurrected by a stale message"

    def only_the_local_node_raises_its_incarnation(self) -> None:
        local = self.table.local_node
        expected = NodeStatus.LEFT if self.table.leaving else NodeStatus.ALIVE
        assert expected is local.status
        assert (bytes((10, 0, 0, 97)), 7946) == (local.addr, local.port)

    def events_tell_who_is_live(self) -> None:
        assert self.live == {node.name for node in self.table.sequence if not node.is_gone}

    def numbers_agree(self) -> None:
        table = self.table
        assert len(table.nodes) == len(table.sequence) == table.num_nodes == len(table.records())
        assert set(table.nodes.values()) == set(table.sequence)
        for status, count in table.counts().items():
            assert count == sum(node.status is status for node in table.sequence)
        assert len(self.live) == table.live_count()
        assert "" not in table.nodes

    def exactly_suspects_have_a_suspicion(self) -> None:
        for node in self.table.sequence:
            running = self.table.suspicion(node.name)
            assert (running is not None) == (node.status is NodeStatus.SUSPECT)
            if running is not None:
                assert self.table.next_deadline() <= running.deadline

    def the_queue_is_bounded_by_the_table(self) -> None:
        assert len(self.queue) <= self.table.num_nodes

    def _note(self) -> None:
        self.before = self.state()
        self.correcting = False
        for name, (addr, port, incarnation, _) in self.before.items():
            self.reached[name, addr, port] = incarnation


class GoTableMachine(TableMachine):
    """What holds in Go as well holds with ``faithful_go``."""

    faithful = True


SETTINGS = settings(max_examples=25, stateful_step_count=40, deadline=None)
TableMachine.TestCase.settings = SETTINGS
GoTableMachine.TestCase.settings = SETTINGS
TableMachine.TestCase.pytestmark = [pytest.mark.slow]
GoTableMachine.TestCase.pytestmark = [pytest.mark.slow]
TestTable = TableMachine.TestCase
TestTableAsInGo = GoTableMachine.TestCase
