"""From an old key to a new one, without losing a node on the way."""

from __future__ import annotations

import random

import attrs
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.key_responses import KeyAction
from trioserf._cluster.key_rotation import KeyRotation, RotationStep
from trioserf._exceptions import KeyringError
from trioserf._text import key_to_text
from trioserf._wire.keyring import Keyring
from trioserf._wire.serf_messages import KeyAnswer

OLD, NEW, OLDER = bytes([1]) * 16, bytes([2]) * 16, bytes([3]) * 16
LIST, INSTALL, USE, REMOVE = (
    KeyAction.LIST,
    KeyAction.INSTALL,
    KeyAction.USE,
    KeyAction.REMOVE,
)


@attrs.define
class Cluster:
    """Rings by node; a node receives from the others only if it can decrypt what they send."""

    rings: dict[str, Keyring]
    silent: set[str] = attrs.field(factory=set)
    shown: int = 100
    lost: list[str] = attrs.field(factory=list)

    def ask(self, step: RotationStep) -> dict[str, KeyAnswer]:
        answers = {}
        for name, ring in self.rings.items():
            if name not in self.silent and self.reaches(name):
                answers[name] = self.answer(name, ring, step)
        return answers

    def reaches(self, name: str) -> bool:
        """Whether the asking node, the first one, can reach it."""
        asker = next(iter(self.rings.values()))
        return asker.primary in self.rings[name].keys

    def answer(self, name: str, ring: Keyring, step: RotationStep) -> KeyAnswer:
        if step.action is LIST:
            texts = tuple(key_to_text(key) for key in ring.keys)
            return KeyAnswer(
                result=True,
                message="truncated" if len(texts) > self.shown else "",
                keys=texts[: self.shown],
                primary_key=texts[0],
            )
        assert step.key is not None
        change = {INSTALL: ring.add, USE: ring.with_primary, REMOVE: ring.remove}[step.action]
        try:
            self.rings[name] = change(step.key)
        except KeyringError as error:
            return KeyAnswer(result=False, message=str(error))
        return KeyAnswer(result=True)

    def run(self, rotation: KeyRotation, rounds: int = 50) -> list[KeyAction]:
        """Follow the rotation to its end, or for so many rounds."""
        steps = []
        for _ in range(rounds):
            if rotation.step is None:
                break
            steps.append(rotation.step.action)
            rotation.on_report(self.ask(rotation.step), self.rings)
            self.lost += [name for name in self.rings if not self.reaches(name)]
        return steps


def cluster(*names: str, keys: tuple[bytes, ...] = (OLD,)) -> Cluster:
    return Cluster({name: Keyring(keys) for name in names})


def test_every_change_is_preceded_by_a_list() -> None:
    nodes = cluster("a", "b", "c")
    rotation = KeyRotation(NEW)
    assert [LIST, INSTALL, LIST, USE, LIST, REMOVE, LIST] == nodes.run(rotation)
    assert rotation.step is None
    assert () == rotation.waiting_for
    assert {Keyring([NEW])} == set(nodes.rings.values())


def test_the_old_keys_may_stay() -> None:
    nodes = cluster("a", "b")
    assert [LIST, INSTALL, LIST, USE, LIST] == nodes.run(KeyRotation(NEW, remove_old=False))
    assert {Keyring([NEW, OLD])} == set(nodes.rings.values())


def test_every_old_key_is_removed() -> None:
    nodes = cluster("a", "b", keys=(OLD, OLDER))
    assert [REMOVE, LIST, REMOVE, LIST] == nodes.run(KeyRotation(NEW))[-4:]
    assert {Keyring([NEW])} == set(nodes.rings.values())


def test_a_finished_rotation_asks_once() -> None:
    assert [LIST] == cluster("a", keys=(NEW,)).run(KeyRotation(NEW))


def test_a_rotation_is_resumed_by_starting_it_again() -> None:
    whole = [LIST, INSTALL, LIST, USE, LIST, REMOVE, LIST]
    for rounds in range(len(whole)):
        nodes = cluster("a", "b")
        nodes.run(KeyRotation(NEW), rounds)
        nodes.run(KeyRotation(NEW))
        assert {Keyring([NEW])} == set(nodes.rings.values())


def test_nothing_goes_on_while_an_alive_member_is_silent() -> None:
    nodes = cluster("a", "b", "c")
    nodes.silent = {"c"}
    rotation = KeyRotation(NEW)
    assert {LIST} == set(nodes.run(rotation, 5))
    assert ("c",) == rotation.waiting_for
    assert {Keyring([OLD])} == set(nodes.rings.values())
    nodes.silent = set()
    nodes.run(rotation)
    assert rotation.step is None


def test_a_member_that_failed_is_not_waited_for() -> None:
    nodes = cluster("a", "b", "c")
    rotation = KeyRotation(NEW)
    while rotation.step is not None:
        answers = nodes.ask(rotation.step)
        del answers["c"]
        rotation.on_report(answers, {"a", "b"})
        assert () == rotation.waiting_for
    assert Keyring([NEW]) == nodes.rings["a"] == nodes.rings["b"]


def test_a_member_that_refuses_is_asked_again() -> None:
    nodes = cluster("a", "b")
    rotation = KeyRotation(NEW)
    nodes.run(rotation, 1)
    rotation.on_report({"a": KeyAnswer(result=True), "b": KeyAnswer(result=False)}, nodes.rings)
    assert ("b",) == rotation.waiting_for
    assert [LIST, INSTALL] == nodes.run(rotation)[:2]
    assert rotation.step is None


def test_a_member_that_joins_late_gets_the_new_key_before_the_old_goes() -> None:
    nodes = cluster("a", "b")
    rotation = KeyRotation(NEW)
    nodes.run(rotation, 3)  # list, install, list: next is use
    nodes.rings["late"] = Keyring([OLD])
    assert RotationStep(USE, NEW) == rotation.step
    steps = nodes.run(rotation)
    assert [USE, LIST, USE, LIST, INSTALL, LIST, USE, LIST, REMOVE, LIST] == steps
    assert {Keyring([NEW])} == set(nodes.rings.values())
    assert nodes.reaches("late")


def test_a_member_known_to_hold_the_key_is_waited_for_without_going_back() -> None:
    nodes = cluster("a", "b")
    rotation = KeyRotation(NEW)
    nodes.run(rotation, 4)  # list, install, list, use
    nodes.silent = {"b"}
    assert [LIST, LIST, LIST] == nodes.run(rotation, 3)
    nodes.silent = set()
    nodes.run(rotation)
    assert rotation.step is None


def test_a_list_alone_shows_who_holds_the_key() -> None:
    nodes = cluster("a", "b", keys=(OLD, NEW))
    rotation = KeyRotation(NEW)
    nodes.run(rotation, 2)  # list, use: nothing had to be installed
    nodes.silent = {"b"}
    assert [LIST, LIST] == nodes.run(rotation, 2)


def test_a_resumed_rotation_without_an_old_key_in_use_waits() -> None:
    """It cannot go back to a key that it never saw in use."""
    nodes = cluster("a", "b", keys=(NEW, OLD))
    nodes.rings["deaf"] = Keyring([OLD])
    rotation = KeyRotation(NEW)
    assert [LIST, LIST, LIST] == nodes.run(rotation, 3)
    assert ("deaf",) == rotation.waiting_for


def test_a_list_that_was_cut_does_not_hide_an_installed_key() -> None:
    keys = tuple(bytes([number]) * 16 for number in range(10, 15))
    nodes = cluster("a", "b", keys=keys)
    nodes.shown = 3
    rotation = KeyRotation(NEW)
    nodes.run(rotation)
    assert rotation.step is None
    assert {Keyring([NEW])} == set(nodes.rings.values())


def test_a_step_does_not_show_its_key() -> None:
    assert repr(NEW) not in repr(RotationStep(USE, NEW))


@given(
    st.dictionaries(
        st.sampled_from("bcde"),
        st.permutations([OLD, OLDER]).flatmap(lambda keys: st.sampled_from([keys[:1], keys])),
        max_size=4,
    ),
    st.integers(),
    st.integers(0, 12),
)
def test_no_order_of_lost_answers_cuts_off_a_node(
    rings: dict[str, list[bytes]], seed: int, losses: int
) -> None:
    rng = random.Random(seed)
    nodes = Cluster(
        {"a": Keyring([OLD, OLDER])}
        | {name: Keyring(ring) for name, ring in rings.items() if OLD in ring}
    )
    rotation = KeyRotation(NEW)
    for _ in range(losses):
        if rotation.step is None:
            break
        nodes.silent = {name for name in nodes.rings if rng.random() < 0.3}
        nodes.run(rotation, 1)
    nodes.silent = set()
    nodes.run(rotation)
    assert rotation.step is None
    assert {Keyring([NEW])} == set(nodes.rings.values())
    assert [] == nodes.lost
