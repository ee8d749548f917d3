"""Key rings and their file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from trioserf._exceptions import KeyringError
from trioserf._wire.keyring import MAX_KEYS, Keyring

A, B, C = b"a" * 16, b"b" * 24, b"c" * 32


def test_the_primary_key_comes_first_and_repetitions_are_dropped() -> None:
    assert (B, A, C) == Keyring.create([A, B, A, C], B).keys
    assert (C, A) == Keyring.create([A], C).keys
    assert (A,) == Keyring.create((), A).keys
    assert () == Keyring.create(()).keys


def test_keys_need_a_primary_one() -> None:
    with pytest.raises(KeyringError, match="primary"):
        Keyring.create([A], None)


@pytest.mark.parametrize("key", [b"", b"a" * 15, b"a" * 17, b"a" * 33, "a" * 16, None])
@pytest.mark.parametrize(
    "make",
    [
        lambda key: Keyring((key,)),
        lambda key: Keyring().add(key),
        lambda key: Keyring.create([key], A),
    ],
)
def test_keys_have_16_24_or_32_bytes(make: Callable[[Any], Keyring], key: Any) -> None:
    with pytest.raises(KeyringError, match="expected 16, 24 or 32 bytes"):
        make(key)


def test_a_ring_has_no_key_twice() -> None:
    with pytest.raises(KeyringError, match="twice"):
        Keyring((A, A))


def test_added_keys_go_to_the_end_and_the_first_is_primary() -> None:
    ring = Keyring().add(A).add(B)
    assert ((A, B), A) == (ring.keys, ring.primary)
    assert ring == ring.add(A)


def test_a_used_key_goes_to_the_front_and_the_others_keep_their_order() -> None:
    assert (C, A, B) == Keyring((A, B, C)).with_primary(C).keys
    with pytest.raises(KeyringError, match="not in the keyring"):
        Keyring((A, B)).with_primary(C)


def test_all_but_the_primary_key_can_be_removed() -> None:
    ring = Keyring((A, B))
    assert (A,) == ring.remove(B).keys
    assert ring == ring.remove(C)
    with pytest.raises(KeyringError, match="primary"):
        ring.remove(A)


def test_nothing_can_be_removed_from_an_empty_ring_and_nothing_crashes() -> None:
    assert Keyring() == Keyring().remove(A)
    assert Keyring().primary is None


def test_a_ring_never_changes() -> None:
    ring = Keyring((A, B))
    ring.with_primary(B)
    ring.remove(B)
    ring.add(C)
    assert (A, B) == ring.keys
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ring.keys = (A,)  # type: ignore[misc]


def test_an_empty_ring_is_false_and_the_repr_shows_no_key() -> None:
    assert not Keyring()
    assert Keyring((A,))
    assert 2 == len(Keyring((A, B)))
    assert "<Keyring of 2 keys>" == repr(Keyring((A, B)))


def test_a_ring_has_few_keys():
    keys = [bytes((number, *range(1, 16))) for number in range(MAX_KEYS + 1)]
    ring = Keyring(keys[:MAX_KEYS])
    assert ring is ring.add(keys[0])
    with pytest.raises(KeyringError, match="the keyring is full: expected at most 64 keys"):
        ring.add(keys[-1])
    assert MAX_KEYS == len(ring.remove(keys[5]).add(keys[-1]))
