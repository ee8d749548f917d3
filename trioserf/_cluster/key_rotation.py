"""Rotating the key of all nodes: from old keys to a new one, without losing a node.

`KeyRotation` says which question comes next; `KeyManager` asks it.  Go has no such rotation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .. import _attrs as attrs
from .._text import key_to_text
from .._wire.serf_messages import KeyAnswer
from .key_responses import KeyAction, decode_key


@attrs.frozen
class RotationStep:
    """The next thing to ask of all nodes: ``key`` is None for a list."""

    action: KeyAction
    key: bytes | None = attrs.field(default=None, repr=False)


_VERIFY = RotationStep(KeyAction.LIST)


class KeyRotation:
    """Moves every node from old keys to a new one, and cuts none of them off.

    Theory.  A node decrypts with every key of its ring, and encrypts with its primary key.
    So the new key must be in every ring before the first node encrypts with it, and an old key
    may be removed only when no node encrypts with it.  Each change is therefore preceded by a
    list, and the lists alone decide: some ring lacks the new key, install it; else some node
    encrypts with another, use it; else some ring has another, remove that; else done.  An alive
    member that does not answer a list stops everything.  No state is needed between the steps,
    so a rotation that was interrupted is resumed by starting it again, on any node.

    A member that joins between the list and the use may lack the new key and then be unable to
    decrypt what the others send.  If such a member stays silent, the old key is made primary
    again until it has the new one.

    Args:
      new_key: raw key that all nodes shall use.
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
        assert self.step is not None, "a complete rotation has no step"
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
                return self._use_old_key()
            return _VERIFY
        others = in_use - {self._new_text}
        if others and self._old_primary is None:
            self._old_primary = decode_key(min(others))
        if any(not self._holds(name, answer) for name, answer in lists.items()):
            return RotationStep(KeyAction.INSTALL, self._new)
        if others:
            return RotationStep(KeyAction.USE, self._new)
        known = {key for answer in lists.values() for key in answer.keys or ()}
        old = known - {self._new_text}
        if old and self._remove_old:
            return RotationStep(KeyAction.REMOVE, decode_key(min(old)))
        return None

    def _use_old_key(self) -> RotationStep:
        if self._old_primary is None:
            return _VERIFY
        return RotationStep(KeyAction.USE, self._old_primary)

    def _holds(self, name: str, answer: KeyAnswer) -> bool:
        """Whether a node has the new key; a list that was cut may not show it."""
        if self._new_text in (answer.keys or ()):
            return True
        return bool(answer.message) and name in self._holders
