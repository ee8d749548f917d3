from __future__ import annotations

import typing

import attrs

from trioserf._swim.effects import Broadcast, Effect, Refused, SendTo
from trioserf.abc import Address


def test_every_effect_is_frozen() -> None:
    for kind in typing.get_args(Effect):
        assert attrs.has(kind)
        assert kind.__setattr__ is not object.__setattr__, kind


def test_messages_are_shown_by_their_length() -> None:
    assert "<300 bytes>" in repr(Broadcast("b", bytes(300)))
    assert "<300 bytes>" in repr(SendTo(Address("10.0.0.1", 1), "b", bytes(300)))


def test_a_broadcast_began_elsewhere_unless_it_says_otherwise() -> None:
    plain = Broadcast("b", b"x")
    assert (False, None) == (plain.local, plain.on_finished)
    assert not Refused("b", "why").quiet
