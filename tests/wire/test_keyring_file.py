"""The keyring file."""

from __future__ import annotations

import json

import pytest

from trioserf._exceptions import KeyringError
from trioserf._wire.keyring import Keyring
from trioserf._wire.keyring_file import keyring_file_text, parse_keyring_file

A, B, C = b"a" * 16, b"b" * 24, b"c" * 32


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
        (b"[]", "has no keys: expected at least one"),
        (b"null", "no list"),
        (b"[5]", "key 1 of the keyring file is no text"),
        (b'["YWFhYWFhYWFhYWFhYWFhYQ==", "*"]', "key 2 of the keyring file is not base64"),
        (b'["YWFhYWFhYWFhYWFhYWFhYQ"]', "not base64"),
        ('["schlüssel"]'.encode(), "not base64"),
        (b'["YWFh"]', "expected 16, 24 or 32"),
        (b'["YWFhYWFhYWFhYWFhYWFhYQ==", ""]', "key 2 of the keyring file is empty"),
    ],
)
def test_a_broken_file_is_refused_without_showing_keys(data: bytes, reason: str) -> None:
    with pytest.raises(KeyringError, match=reason) as caught:
        parse_keyring_file(data)
    assert "YWFh" not in str(caught.value)
