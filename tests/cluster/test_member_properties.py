"""What holds for members whatever happens, in any order."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from trioserf._cluster.effects import Prune
from trioserf._cluster.members import MemberRegistry
from trioserf._events import EventType, Member, MemberEvent, MemberStatus, SerfState
from trioserf._wire.serf_messages import JoinIntent, LeaveIntent

from .samples import OWN, config, node, published

NAMES = (OWN, "a", "b")
LTIMES = st.integers(0, 12) | st.integers(2**64 - 3, 2**64 - 1)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("up", "down", "update", "join", "leave", "prune", "force", "announce", "reap", "wait")
        ),
        st.sampled_from(NAMES),
        LTIMES,
    ),
    max_size=40,
)


@attrs.define(eq=False)
class Model:
    """A registry, a memberlist that tells only of changes, and a reader of the events."""

    registry: MemberRegistry = attrs.field(factory=lambda: MemberRegistry(OWN, config()))
    up: set[str] = attrs.field(factory=set)
    seen: dict[str, Member] = attrs.field(factory=dict)
    waits: list[Prune] = attrs.field(factory=list)
    now: float = 0.0

    def step(self, kind: str, name: str, ltime: int) -> None:
        registry = self.registry
        self.now += 1.0
        effects = []
        match kind:
            case "up" if name not in self.up:
                self.up.add(name)
                effects = registry.on_node_join(node(name, port=1 + ltime % 3), self.now)
            case "down" if name in self.up:
                self.up.discard(name)
                effects = registry.on_node_leave(node(name), self.now)
            case "update" if name in self.up:
                effects = registry.on_node_update(node(name, {"t": str(ltime % 2)}), self.now)
            case "join":
                _, effects = registry.on_join_intent(JoinIntent(ltime, name), self.now)
            case "leave" | "prune":
                leave = LeaveIntent(ltime, name, kind == "prune")
                _, effects = registry.on_leave_intent(leave, self.now, serf_state=SerfState.ALIVE)
            case "force":
                _, effects = registry.leave_intent(name, self.now, serf_state=SerfState.ALIVE)
            case "announce":
                effects = registry.join_intent(self.now)
            case "reap":
                effects = registry.reap(self.now + (1e6 if ltime % 2 else 0))
            case "wait" if self.waits:
                effects = registry.finish_prune(self.waits.pop())
            case _:
                pass
        self.waits += [effect for effect in effects if isinstance(effect, Prune)]
        for event in published(effects):
            assert isinstance(event, MemberEvent)
            self.read(event)

    def read(self, event: MemberEvent) -> None:
        (member,) = event.members
        before = self.seen.get(member.name)
        if event.type is EventType.MEMBER_REAP:
            assert before is not None, "only who was seen can be forgotten"
            del self.seen[member.name]
        else:
            if before is not None and event.type is not EventType.MEMBER_JOIN:
                assert before != member, "an event tells of a change"
            self.seen[member.name] = member


def without_intentions(member: Member) -> Member:
    """A member as its events show it: that it means to leave is not told."""
    if member.status is MemberStatus.LEAVING:
        return attrs.evolve(member, status=MemberStatus.ALIVE)
    return member


@given(STEPS)
@settings(max_examples=300)
def test_folding_the_events_gives_the_members(steps: list[tuple[str, str, int]]) -> None:
    model = Model()
    for step in steps:
        model.step(*step)
        registry = model.registry
        told = tuple(without_intentions(model.seen[name]) for name in sorted(model.seen))
        assert told == tuple(map(without_intentions, registry.members()))
        by_status = [one.status for one in registry.members()]
        assert by_status.count(MemberStatus.FAILED) == registry.num_failed
        assert by_status.count(MemberStatus.LEFT) == registry.num_left
        assert len(by_status) == registry.num_members
        assert set(registry.failed()) | set(registry.left()) <= set(registry.members())


@given(STEPS)
@settings(max_examples=150)
def test_a_join_is_told_only_of_who_was_down(steps: list[tuple[str, str, int]]) -> None:
    model = Model()
    for kind, name, ltime in steps:
        before = model.registry.get(name)
        was_up = kind == "up" and name in model.up
        seen = dict(model.seen)
        model.step(kind, name, ltime)
        if was_up:
            assert model.seen == seen
        if kind == "up" and before is not None and name in model.up and not was_up:
            assert before.status in (MemberStatus.FAILED, MemberStatus.LEFT)


@given(STEPS)
@settings(max_examples=150)
def test_intents_end_by_themselves(steps: list[tuple[str, str, int]]) -> None:
    """Whatever was passed on is not passed on a second time while its member is known."""
    model = Model()
    for kind, name, ltime in steps:
        model.step(kind, name, ltime)
        if kind in ("join", "leave") and model.registry.get(name) is not None:
            registry, serf_state = model.registry, SerfState.ALIVE
            if name != OWN:
                leave = LeaveIntent(ltime, name, False)
                assert (False, []) == registry.on_join_intent(JoinIntent(ltime, name), 0.0)
                assert (False, []) == registry.on_leave_intent(leave, 0.0, serf_state=serf_state)
        assert 0 <= model.registry.clock.time < 2**64
