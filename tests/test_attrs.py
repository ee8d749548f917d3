"""Classes whose methods are made when they are first used are those that attrs would make."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import weakref

import attrs as real
import pytest

from tests.source_tree import ROOT
from trioserf import _attrs as attrs


@attrs.frozen
class Point:
    x: int
    label: str = "here"
    notes: dict[str, int] = attrs.field(factory=dict, hash=False)


@attrs.frozen(kw_only=True)
class Weighted(Point):
    weight: int = 5

    def __repr__(self) -> str:
        return f"<{self.weight}>"


@attrs.define
class Limited:
    size: int = attrs.field(default=1, validator=real.validators.ge(0))


@attrs.define(eq=False)
class Thing:
    size: int = 1


@attrs.frozen(repr=False)
class Quiet:
    size: int = 1


def test_objects_are_equal_show_and_hash_as_with_attrs() -> None:
    assert Point(1) == Point(1, "here")
    assert Point(1) != Point(2)
    assert "Point(x=1, label='here', notes={})" == repr(Point(1))
    assert hash(Point(1)) == hash(Point(1, "here", {"other": 1}))
    assert "<5>" == repr(Weighted(x=1, weight=5))
    assert "object at" in repr(Quiet())


def test_objects_with_identity_are_equal_to_themselves_alone() -> None:
    thing = Thing()
    assert thing != Thing()
    assert {thing: 1} == {thing: 1}
    assert "Thing(size=1)" == repr(thing)


def test_what_can_change_and_be_equal_has_no_hash() -> None:
    assert Limited(2) == Limited(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Limited())


def test_frozen_objects_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(real.exceptions.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(real.exceptions.FrozenInstanceError):
        del point.x
    with pytest.raises(real.exceptions.FrozenInstanceError):
        object.__new__(Quiet).size = 1  # type: ignore[misc]


def test_what_is_set_later_is_validated_as_well() -> None:
    limited = Limited()
    limited.size = 3
    with pytest.raises(ValueError, match="size"):
        limited.size = -1
    with pytest.raises(ValueError, match="size"):
        Limited(-1)


def test_objects_have_no_dict_and_can_be_referred_to_weakly() -> None:
    assert not hasattr(Weighted(x=1), "__dict__")
    assert ("weight",) == tuple(Weighted.__slots__)  # type: ignore[attr-defined]
    assert "__weakref__" in Point.__slots__  # type: ignore[attr-defined]


def test_a_slot_for_weak_references_can_be_left_out() -> None:
    @attrs.define(eq=False, weakref_slot=False)
    class Small:
        x: int

    assert ("x",) == tuple(Small.__slots__)  # type: ignore[attr-defined]
    assert 1 == Small(1).x
    with pytest.raises(TypeError, match="weak reference"):
        weakref.ref(Small(1))


def test_objects_match_patterns() -> None:
    match Point(1, "there"):
        case Point(1, label):
            assert "there" == label


def test_attrs_knows_the_classes() -> None:
    assert ["x", "label", "notes", "weight"] == [field.name for field in real.fields(Weighted)]
    assert {"size": 1} == real.asdict(Thing())
    assert Weighted(x=1, weight=7) == real.evolve(Weighted(x=1), weight=7)
    assert real.has(Quiet)
    assert ["x", "label", "notes", "weight"] == list(inspect.signature(Weighted).parameters)


def test_objects_are_copied_and_pickled() -> None:
    point = Point(1, "there")
    assert point == copy.copy(point) == pickle.loads(pickle.dumps(point))


def test_an_object_is_unpickled_where_no_other_was_made_before() -> None:
    data = pickle.dumps(Point(1, "there"))
    code = f"import pickle; print(pickle.loads({data!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=ROOT
    )
    assert "Point(x=1, label='there', notes={})\n" == done.stdout


def test_options_that_are_not_known_here_are_refused() -> None:
    with pytest.raises(AssertionError, match="order"):
        attrs.define(order=True)
