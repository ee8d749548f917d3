"""Changing keys on all nodes: counting the answers, and driving a rotation."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping

import attrs

from .._wire.serf_messages import KeyAnswer


@attrs.frozen(kw_only=True)
class KeyResponse:
    """What the nodes said to a key operation.

    Args:
      messages: errors and remarks by node name.
      num_nodes: nodes alive when it was asked.
      num_resp: answers received.
      num_err: how many of them reported failure.
      keys: base64 key to number of nodes that hold it (from a list).
      primary_keys: base64 key to number of nodes that encrypt with it (from a list).
    """

    messages: Mapping[str, str]
    num_nodes: int
    num_resp: int
    num_err: int
    keys: Mapping[str, int] = attrs.field(repr=False)
    primary_keys: Mapping[str, int] = attrs.field(repr=False)


class KeyAction(enum.Enum):
    """A key operation; the value is the name of its query."""

    INSTALL = "_serf_install-key"
    USE = "_serf_use-key"
    REMOVE = "_serf_remove-key"
    LIST = "_serf_list-keys"


def decode_key(key: str | bytes) -> bytes:
    """A key given as standard base64 text or as raw bytes.

    Raises:
      KeyringError: it is not base64.
    """
    ...


def key_payload(key: bytes | None) -> bytes:
    """The payload of a key query; None for the list."""
    ...


class KeyTally:
    """Folds the answers to one key operation.

    Attributes:
      num_nodes: nodes alive when it was asked; set it after the query went out.
      answers: the readable answers by node name.
    """

    num_nodes: int
    answers: dict[str, KeyAnswer]

    def __init__(self, num_nodes: int = 0) -> None: ...

    def add(self, node: str, payload: bytes) -> None:
        """Count one node's answer."""
        ...

    @property
    def complete(self) -> bool:
        """Whether every node has answered."""
        ...

    def response(self) -> KeyResponse:
        """The sums so far."""
        ...

    def error(self) -> str | None:
        """Why the operation as a whole is no success; None if it is."""
        ...


@attrs.frozen
class RotationStep:
    """The next thing to ask of all nodes: ``key`` is None for a list."""

    action: KeyAction
    key: bytes | None = attrs.field(default=None, repr=False)


class KeyRotation:
    """Drives every node from old keys to a new one, and never strands one.

    Args:
      new_key: raw key that all shall use.
      remove_old: whether all other keys are removed in the end.

    Attributes:
      waiting_for: alive members that have not confirmed the step; empty while all goes well.
    """

    waiting_for: tuple[str, ...]

    def __init__(self, new_key: bytes, *, remove_old: bool = True) -> None: ...

    @property
    def step(self) -> RotationStep | None:
        """What to ask next; None when the rotation is complete."""
        ...

    def on_report(self, answers: Mapping[str, KeyAnswer], alive: Collection[str]) -> None:
        """The answers to `step` are in.

        Args:
          answers: ``KeyTally.answers``.
          alive: names of the members alive now.
        """
        ...


