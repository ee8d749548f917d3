"""Encryption keys as text: standard base64, as ``serf keygen`` prints them.

How long a key must be is not known here.  Settings and key rings refuse other lengths; a key
operation carries any key, and each node that is asked replies whether it accepts it.

Source: hashicorp/serf v0.9.4, cmd/serf/command/keygen.go; serf/keymanager.go.
"""

from __future__ import annotations

import base64


def key_from_text(text: str) -> bytes:
    """The raw key.

    Raises:
      ValueError: not standard base64.  A caller that reports it must not show the text.
    """
    raw = base64.b64decode(text, validate=True)
    if len(key_to_text(raw)) != len(text):
        raise ValueError("more padding than belongs there")
    return raw


def key_to_text(key: bytes) -> str:
    """The text of a raw key."""
    return base64.b64encode(key).decode("ascii")
