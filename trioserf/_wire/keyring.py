"""The keys of a cluster: the first one encrypts, each one may decrypt.

A ring never changes; an operation gives a new one, and its owner swaps the whole, so that no
packet meets a ring half changed.  Rotation: add everywhere, use everywhere, remove everywhere.

DIFFERS: Go's rings have any length.  Test: test_a_ring_has_few_keys.

Source: hashicorp/memberlist v0.2.2, keyring.go; hashicorp/serf v0.9.4, serf/keymanager.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from .. import _attrs as attrs
from .._exceptions import KeyringError

KEY_SIZES: Final = (16, 24, 32)
"""AES-128, AES-192 and AES-256 (bytes)."""

MAX_KEYS: Final = 64
"""Most keys of a ring.  Each of them is tried on whatever arrives, for a microsecond, and
anybody may send what none decrypts; a rotation needs two."""


def _check_key(key: object) -> None:
    if not isinstance(key, bytes) or len(key) not in KEY_SIZES:
        size = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
        raise KeyringError(f"a key of {size}: expected 16, 24 or 32 bytes")


def _key_tuple(keys: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(keys)


def _check_keys(_ring: object, _attribute: object, keys: tuple[bytes, ...]) -> None:
    if len(keys) > MAX_KEYS:
        raise KeyringError(f"the keyring is full: expected at most {MAX_KEYS} keys")
    for key in keys:
        _check_key(key)
    if len(set(keys)) != len(keys):
        raise KeyringError("a key is twice in the ring")


@final
@attrs.frozen(repr=False)
class Keyring:
    """Keys in the order in which they are tried; empty turns encryption off.

    Args:
      keys: the primary key first, no key twice.

    Raises:
      KeyringError: a key of an impossible length, one twice, or too many.
    """

    keys: tuple[bytes, ...] = attrs.field(default=(), converter=_key_tuple, validator=_check_keys)

    @classmethod
    def create(cls, keys: Iterable[bytes], primary: bytes | None = None) -> Keyring:
        """A ring of ``primary`` and then ``keys``; repeated keys are dropped.

        Raises:
          KeyringError: keys but no primary one, or a key of an impossible length.
        """
        keys = tuple(keys)
        if not primary:
            if keys:
                raise KeyringError("keys without a primary key")
            return cls()
        return cls(tuple(dict.fromkeys((primary, *keys))))

    @property
    def primary(self) -> bytes | None:
        """The key that encrypts; None if the ring is empty."""
        return self.keys[0] if self.keys else None

    def add(self, key: bytes) -> Keyring:
        """A ring that has ``key`` too, at the end.

        Raises:
          KeyringError: it has an impossible length, or the ring is full.
        """
        _check_key(key)
        return self if key in self.keys else Keyring((*self.keys, key))

    def with_primary(self, key: bytes) -> Keyring:
        """A ring with ``key`` as the primary one; the others keep their order.

        Raises:
          KeyringError: it is not in the ring.
        """
        if key not in self.keys:
            raise KeyringError("the requested key is not in the keyring")
        return Keyring((key, *(other for other in self.keys if other != key)))

    def remove(self, key: bytes) -> Keyring:
        """A ring without ``key``, which need not be there.

        Raises:
          KeyringError: it is the primary key.
        """
        if key == self.primary:
            raise KeyringError("removing the primary key is not allowed")
        return Keyring(tuple(other for other in self.keys if other != key))

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"<Keyring of {len(self.keys)} keys>"
