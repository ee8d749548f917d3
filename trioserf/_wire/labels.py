"""The label in front of a packet or a stream: which cluster this is meant for.

    f4 || length (1 to 255) || label

No message type and no encryption version is f4, so all that begins with it has a label.  It
is sent in clear; with encryption it is authenticated along with the ciphertext.

Source: hashicorp/memberlist v0.3.0, label.go.
"""

from __future__ import annotations

from typing import Final

from .._exceptions import LocalProtocolError, RemoteProtocolError
from .messages import MessageType

LABEL_BYTE: Final = int(MessageType.HAS_LABEL)
MAX_LABEL: Final = 255
"""Longest label (bytes)."""


def label_header(label: bytes) -> bytes:
    """What goes in front; nothing for an empty label.

    Raises:
      LocalProtocolError: the label is too long.
    """
    if len(label) > MAX_LABEL:
        raise LocalProtocolError(f"a label of {len(label)} bytes: expected at most {MAX_LABEL}")
    return bytes((LABEL_BYTE, len(label))) + label if label else b""


def add_label(data: bytes, label: bytes) -> bytes:
    """``data`` with the label in front.  Raises ``LocalProtocolError`` as `label_header`."""
    return label_header(label) + data if label else data


def take_label(data: bytes) -> tuple[bytes, bytes]:
    """The label, empty if there is none, and what follows it.

    Raises:
      RemoteProtocolError: a header that is cut short, or of an empty label.
    """
    if not data or data[0] != LABEL_BYTE:
        return b"", data
    if len(data) < 2:
        raise RemoteProtocolError("label header without a length")
    end = 2 + data[1]
    if end == 2:
        raise RemoteProtocolError("label header of an empty label")
    if len(data) < end:
        raise RemoteProtocolError("label header is cut short")
    return data[2:end], data[end:]


def check_label(received: bytes, expected: bytes, *, skip: bool) -> None:
    """Refuse what is meant for another cluster.

    Args:
      received: the label that came; empty for none.
      expected: the configured label.
      skip: a proxy in front of this node has checked and removed the label.

    Raises:
      RemoteProtocolError: they differ; with ``skip``, there is one at all.
    """
    if skip:
        if received:
            raise RemoteProtocolError("a label where it should be removed already")
    elif received != expected:
        raise RemoteProtocolError(f"label {received!r}, expected {expected!r}")
