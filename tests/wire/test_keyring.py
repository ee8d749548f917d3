"""Key rings and their file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from trioserf._exceptions import KeyringError
from trioserf._wire.keyring import Keyring, keyring_file_text, parse_keyring_file

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


# --- the file -----------------------------------------------------------------------------


def test_the_file_is_a_json_list_of_base64_with_the_primary_key_first() -> None:
    ring = Keyring((B, A))
    data = keyring_file_text(ring)
    assert b'[\n  "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi",\n  "YWFhYWFhYWFhYWFhYWFhYQ=="\n]' == data
    assert ring == parse_keyring_file(data)


def test_repeated_keys_and_line_ends_in_the_file_do_no_harm() -> None:
    text = "YWFhYWFh\r\nYWFhYWFhYWFhYQ=="
    assert Keyring((A,)) == parse_keyring_file(json.dumps([text, text]).encode())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "no list"),
        (b"[]", "no list"),
        (b"null", "no list"),
        (b"[5]", "key 1 of the keyring file is no text"),
        (b'["YWFhYWFhYWFhYWFhYWFhYQ==", "*"]', "key 2 of the keyring file is not base64"),
        (b'["YWFhYWFhYWFhYWFhYWFhYQ"]', "not base64"),
        ('["schlüssel"]'.encode(), "not base64"),
        (b'["YWFh"]', "expected 16, 24 or 32"),
    ],
)
def test_a_broken_file_is_refused_without_showing_keys(data: bytes, reason: str) -> None:
    with pytest.raises(KeyringError, match=reason) as caught:
        parse_keyring_file(data)
    assert "YWFh" not in str(caught.value)
