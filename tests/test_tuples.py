"""Named tuples without ``typing``: the same as typing's."""

from __future__ import annotations

import typing

import pytest

from trioserf._tuples import NamedTuple


class Light(NamedTuple):
    """A light one."""

    name: str
    size: int = 3

    @property
    def twice(self) -> int:
        return 2 * self.size


class Heavy(typing.NamedTuple):
    """A heavy one."""

    name: str
    size: int = 3


def test_it_is_a_tuple_with_names_and_defaults() -> None:
    light = Light("a")
    assert ("a", 3) == light == Heavy("a")
    assert ("a", 3, 6) == (light.name, light.size, light.twice)
    assert Light("a", 5) == light._replace(size=5) == Light(size=5, name="a")
    assert repr(Heavy("a")).replace("Heavy", "Light") == repr(light)
    assert ("Light", "A light one.", __name__) == (Light.__name__, Light.__doc__, Light.__module__)


def test_it_has_no_room_for_more() -> None:
    light = Light("a")
    with pytest.raises(AttributeError):
        light.other = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        Light()  # type: ignore[call-arg]
