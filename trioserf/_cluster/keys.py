"""Changing keys on all nodes: counting the answers, and driving a rotation.

Source: hashicorp/serf v0.9.4, serf/keymanager.go, streamKeyResp, handleKeyRequest.  The
rotation is our own.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from types import MappingProxyType

import attrs

from .._exceptions import KeyringError, RemoteProtocolError
from .._key_text import key_from_text, key_to_text
from .._tables import Table, shown_as_table
from .._wire.serf_messages import (
    KeyAnswer,
    KeyRequest,
    decode_key_answer,
    encode_serf,
)


def _read_only(mapping: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(mapping))


def _read_only_counts(mapping: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(mapping))


@shown_as_table
@attrs.frozen(kw_only=True)
class KeyResponse:
    """What the nodes said to a key operation.

    Args:
      messages: errors and remarks by node name.
      num_nodes: nodes alive when it was asked.
      num_resp: answers received.
      num_err: how many of them reported failure.
      keys: base64 key to number of nodes that hold it (from a list).
      primary_keys: base64 key to number of nodes that encrypt with it; answers to anything
        but a list count under "".
    """

    messages: Mapping[str, str] = attrs.field(converter=_read_only, hash=False)
    num_nodes: int
    num_resp: int
    num_err: int
    keys: Mapping[str, int] = attrs.field(converter=_read_only_counts, repr=False, hash=False)
    primary_keys: Mapping[str, int] = attrs.field(
        converter=_read_only_counts, repr=False, hash=False
    )

    def _table(self) -> Table:
        """A table without the keys themselves: notebooks are saved and shared."""
        pairs: dict[str, object] = {
            "nodes alive": self.num_nodes,
            "answered": self.num_resp,
            "reported failure": self.num_err,
        }
        for number, (key, count) in enumerate(self.keys.items(), 1):
            first_of = self.primary_keys.get(key, 0)
            pairs[f"key {number}"] = f"held by {count}, first of {first_of}"
        for node, message in self.messages.items():
            pairs[f"said by {node}"] = message
        return Table.of_pairs("key operation", pairs)


class KeyAction(enum.Enum):
    """A key operation; the value is the name of its query."""

    INSTALL = "_serf_install-key"
    USE = "_serf_use-key"
    REMOVE = "_serf_remove-key"
    LIST = "_serf_list-keys"


def decode_key(key: str | bytes) -> bytes:
    """A key given as standard base64 text or as raw bytes; its length is for receivers to judge.

    Raises:
      KeyringError: it is not base64.  The key is not in the text.
    """
    if not isinstance(key, str):
        return bytes(key)
    try:
        return key_from_text(key)
    except ValueError:
        raise KeyringError("the key is not standard base64") from None


def key_payload(key: bytes | None) -> bytes:
    """The payload of a key query; None for the list."""
    return encode_serf(KeyRequest(key or b""))


class KeyTally:
    """Folds the answers to one key operation.

    Attributes:
      num_nodes: nodes alive when it was asked; set it after the query went out.
      answers: the readable answers by node name.
    """

    def __init__(self, num_nodes: int = 0) -> None:
        self.num_nodes = num_nodes
        self.answers: dict[str, KeyAnswer] = {}
        self._messages: dict[str, str] = {}
        self._num_resp = 0
        self._num_err = 0
        self._keys: dict[str, int] = {}
        self._primary_keys: dict[str, int] = {}

    def add(self, node: str, payload: bytes) -> None:
        """Count one node's answer."""
        self._num_resp += 1
        try:
            answer = decode_key_answer(payload)
        except RemoteProtocolError as error:
            self._fail(node, str(error))
            return
        self.answers[node] = answer
        if not answer.result:
            self._fail(node, answer.message)
        elif answer.message:
            self._messages[node] = answer.message
        for key in answer.keys or ():
            self._keys[key] = self._keys.get(key, 0) + 1
        primary = answer.primary_key
        self._primary_keys[primary] = self._primary_keys.get(primary, 0) + 1

    def _fail(self, node: str, message: str) -> None:
        self._messages[node] = message
        self._num_err += 1

    @property
    def complete(self) -> bool:
        """Whether as many nodes have answered as were alive."""
        return self._num_resp == self.num_nodes

    def response(self) -> KeyResponse:
        """The sums so far."""
        return KeyResponse(
            messages=self._messages,
            num_nodes=self.num_nodes,
            num_resp=self._num_resp,
            num_err=self._num_err,
            keys=self._keys,
            primary_keys=self._primary_keys,
        )

    def error(self) -> str | None:
        """Why the operation as a whole is no success; None if it is."""
        if self._num_err:
            return f"{self._num_err}/{self.num_nodes} nodes reported failure"
        if self._num_resp != self.num_nodes:
            return f"{self._num_resp}/{self.num_nodes} nodes reported success"
        return None


@attrs.frozen
class RotationStep:
    """The next thing to ask of all nodes: ``key`` is None for a list."""

    action: KeyAction
    key: bytes | None = attrs.field(default=None, repr=False)


_VERIFY = RotationStep(KeyAction.LIST)


class KeyRotation:
    """Drives every node from old keys to a new one, and never strands one.

    Theory.  A node reads whatever any key of its ring opens, and writes with its primary key.
    So the new key must be in every ring before the first node writes with it, and an old key
    may go only when nobody writes with it.  Each change is therefore preceded by a list, and
    the lists alone decide: some ring lacks the new key, install it; else somebody writes with
    another, use it; else somebody holds another, remove that; else done.  An alive member
    that does not answer a list stops everything.  Nothing needs to be remembered between the
    steps, so a rotation that was interrupted is resumed by starting it again, on any node.

    A member that joins between the list and the use may lack the new key and then be deaf to
    all others.  If such a member stays silent, the old key is put into use again until it has
    the new one.

    Args:
      new_key: raw key that all shall use.
      remove_old: whether all other keys are removed in the end.

    Attributes:
      step: what to ask next; None when the rotation is complete.
      waiting_for: alive members that did not confirm the last step, in order of their names;
        the caller decides how long to go on asking.
    """

    def __init__(self, new_key: bytes, *, remove_old: bool = True) -> None:
        self.step: RotationStep | None = _VERIFY
        self.waiting_for: tuple[str, ...] = ()
        self._new = new_key
        self._new_text = key_to_text(new_key)
        self._remove_old = remove_old
        self._holders: set[str] = set()
        self._old_primary: bytes | None = None

    def on_report(self, answers: Mapping[str, KeyAnswer], alive: Collection[str]) -> None:
        """The answers to `step` are in.

        Args:
          answers: ``KeyTally.answers``.
          alive: names of the members alive now.
        """
        assert self.step is not None, "a complete rotation asks nothing"
        confirmed = {name: answer for name, answer in answers.items() if answer.result}
        self.waiting_for = tuple(sorted(set(alive) - confirmed.keys()))
        if self.step.action is KeyAction.LIST:
            self.step = self._after_list(confirmed)
        else:
            if self.step == RotationStep(KeyAction.INSTALL, self._new):
                self._holders |= confirmed.keys()
            self.step = _VERIFY

    def _after_list(self, lists: Mapping[str, KeyAnswer]) -> RotationStep | None:
        self._holders |= {
            name for name, answer in lists.items() if self._new_text in (answer.keys or ())
        }
        in_use = {answer.primary_key for answer in lists.values()}
        if self.waiting_for:
            if self._new_text in in_use and not self._holders.issuperset(self.waiting_for):
                return self._back_to_the_old()
            return _VERIFY
        others = in_use - {self._new_text}
        if others and self._old_primary is None:
            self._old_primary = decode_key(min(others))
        if any(not self._holds(name, answer) for name, answer in lists.items()):
            return RotationStep(KeyAction.INSTALL, self._new)
        if others:
            return RotationStep(KeyAction.USE, self._new)
        held = {key for answer in lists.values() for key in answer.keys or ()}
        old = held - {self._new_text}
        if old and self._remove_old:
            return RotationStep(KeyAction.REMOVE, decode_key(min(old)))
        return None

    def _back_to_the_old(self) -> RotationStep:
        if self._old_primary is None:
            return _VERIFY
        return RotationStep(KeyAction.USE, self._old_primary)

    def _holds(self, name: str, answer: KeyAnswer) -> bool:
        """Whether a node has the new key; a list that was cut may not show it."""
        if self._new_text in (answer.keys or ()):
            return True
        return bool(answer.message) and name in self._holders
