"""AES-GCM around a packet or a frame.

    version || nonce (12) || ciphertext || tag (16)

Version 0 pads the plaintext to blocks of 16 bytes as PKCS #7 does, version 1 does not.  The
version byte itself is not authenticated: anybody who has seen a packet of version 1 can mark
it as version 0.  So padding is checked in full, and a node may refuse version 0 altogether.

Source: hashicorp/memberlist v0.2.2, security.go.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from .._exceptions import LocalProtocolError, RemoteProtocolError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from .keyring import Keyring

NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
BLOCK_SIZE: Final = 16
MAX_VERSION: Final = 1
_HEADER: Final = 1 + NONCE_SIZE


def overhead(version: int) -> int:
    """Most bytes that encrypting adds; also the length of nothing, encrypted."""
    return _HEADER + TAG_SIZE + (BLOCK_SIZE if version == 0 else 0)


def encrypted_size(size: int, version: int) -> int:
    """Length of a plaintext of ``size`` bytes once it is encrypted."""
    padding = BLOCK_SIZE - size % BLOCK_SIZE if version == 0 else 0
    return _HEADER + size + padding + TAG_SIZE


@lru_cache(maxsize=64)
def _cipher(key: bytes) -> AESGCM:
    # Loading the module takes 10 ms and 8 MB: only those who encrypt pay for it.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def encrypt(plaintext: bytes, *, key: bytes, nonce: bytes, version: int, aad: bytes = b"") -> bytes:
    """Encrypt.

    Args:
      plaintext: what to hide.
      key: 16, 24 or 32 bytes.
      nonce: 12 bytes, never used twice with this key.
      version: 0 or 1.
      aad: additional authenticated data: not sent, and the reader must have the same.

    Raises:
      LocalProtocolError: a version or a nonce that does not exist.
    """
    if not 0 <= version <= MAX_VERSION:
        raise LocalProtocolError(f"encryption version {version}: expected 0 or 1")
    if len(nonce) != NONCE_SIZE:
        raise LocalProtocolError(f"a nonce of {len(nonce)} bytes: expected {NONCE_SIZE}")
    if version == 0:
        padding = BLOCK_SIZE - len(plaintext) % BLOCK_SIZE
        plaintext += bytes((padding,)) * padding
    return bytes((version,)) + nonce + _cipher(key).encrypt(nonce, plaintext, aad)


def decrypt(data: bytes, *, keyring: Keyring, aad: bytes = b"", accept_v0: bool = True) -> bytes:
    """Decrypt with the first key that fits, beginning with the primary one.

    Raises:
      RemoteProtocolError: an unknown or refused version, too short, no key fits, or broken
        padding.
    """
    version = data[0] if data else -1
    if version not in (0, 1):
        raise RemoteProtocolError(f"encryption version {version}")
    if version == 0 and not accept_v0:
        raise RemoteProtocolError("encryption version 0 is refused")
    if len(data) < overhead(version):
        raise RemoteProtocolError(f"{len(data)} encrypted bytes are too few")
    plaintext = _open(data[1:_HEADER], data[_HEADER:], keyring, aad)
    return _unpad(plaintext) if version == 0 else plaintext


@lru_cache(maxsize=1)
def _wrong_key() -> type[Exception]:
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def _open(nonce: bytes, encrypted: bytes, keyring: Keyring, aad: bytes) -> bytes:
    wrong_key = _wrong_key()
    for key in keyring.keys:
        try:
            return _cipher(key).decrypt(nonce, encrypted, aad)
        except wrong_key:
            continue
    raise RemoteProtocolError("no installed keys could decrypt the message")


def _unpad(padded: bytes) -> bytes:
    """DIFFERS: Go trusts the last byte, and crashes if it is larger than the text.

    `test_broken_padding_is_refused`.
    """
    count = padded[-1] if padded else 0
    if not 1 <= count <= min(BLOCK_SIZE, len(padded)):
        raise RemoteProtocolError("padding of an impossible length")
    if padded[-count:] != bytes((count,)) * count:
        raise RemoteProtocolError("broken padding")
    return padded[:-count]
