"""Effects are values that show themselves shortly."""

from __future__ import annotations

import attrs
import pytest

from trioserf._cluster.effects import Broadcast, Count, SendTo
from trioserf.abc import Address


def test_effects_are_values() -> None:
    assert Count("a", 1) == Count("a")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Count("a").value = 2  # type: ignore[misc]


def test_messages_are_shown_by_their_size() -> None:
    assert "<300 bytes>" in repr(Broadcast(queue="event", message=bytes(300)))
    assert "<300 bytes>" in repr(SendTo(Address("127.0.0.1", 1), "n", bytes(300)))
