"""The keyring file: a JSON list of keys in base64, the primary key first.

Source: hashicorp/serf v0.9.4, serf/internal_query.go (writeKeyringFile),
cmd/serf/command/agent/agent.go (loadKeyringFile).
"""

from __future__ import annotations

import json

from .._exceptions import KeyringError
from .._text import key_from_text, key_to_text
from .keyring import Keyring


def keyring_file_text(keyring: Keyring) -> bytes:
    """The bytes of the keyring file of a ring."""
    keys = [key_to_text(key) for key in keyring.keys]
    return json.dumps(keys, indent=2).encode("ascii")


def parse_keyring_file(data: bytes) -> Keyring:
    """The ring in a keyring file.

    Raises:
      KeyringError: not a JSON list of base64 texts, none in it, or an impossible key.
    """
    try:
        texts = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise KeyringError(f"the keyring file is not JSON: {error}") from None
    if not isinstance(texts, list):
        raise KeyringError("the keyring file holds no list of keys")
    if not texts:
        raise KeyringError("the keyring file has no keys: expected at least one")
    keys = [_decode_key(text, number) for number, text in enumerate(texts, 1)]
    return Keyring.create(keys, keys[0])


def _decode_key(text: object, number: int) -> bytes:
    if not isinstance(text, str):
        raise KeyringError(f"key {number} of the keyring file is no text")
    try:
        # Go's decoder skips line ends and nothing else.
        key = key_from_text(text.replace("\r", "").replace("\n", ""))
    except ValueError:
        raise KeyringError(f"key {number} of the keyring file is not base64") from None
    if not key:
        raise KeyringError(f"key {number} of the keyring file is empty")
    return key
