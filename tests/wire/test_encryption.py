"""AES-GCM envelopes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.wire_objects import ring
from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._wire import encryption
from trioserf._wire.encryption import decrypt, encrypt, encrypted_size, overhead

KEY, OTHER = bytes(range(16)), b"k" * 32
NONCE = bytes(range(0xA0, 0xAC))

_versions = pytest.mark.parametrize("version", [0, 1])


@given(
    st.binary(max_size=100),
    st.sampled_from([0, 1]),
    st.sampled_from([16, 24, 32]),
    st.binary(max_size=9),
)
def test_text_comes_back(plain: bytes, version: int, size: int, aad: bytes) -> None:
    key = bytes(size)
    encrypted = encrypt(plain, key=key, nonce=NONCE, version=version, aad=aad)
    assert plain == decrypt(encrypted, keyring=ring(OTHER, key), aad=aad)
    assert encrypted_size(len(plain), version) == len(encrypted)
    assert len(encrypted) <= len(plain) + overhead(version)


def test_overheads_are_those_of_go() -> None:
    assert (45, 29) == (overhead(0), overhead(1))


@_versions
def test_every_flipped_bit_every_cut_and_every_addition_is_noticed(version: int) -> None:
    encrypted = encrypt(b"some text", key=KEY, nonce=NONCE, version=version, aad=b"label")
    for index in range(len(encrypted)):
        for bit in range(8):
            if (version, index, bit) == (0, 0, 0):
                continue  # the version is not authenticated: see the next test
            broken = bytearray(encrypted)
            broken[index] ^= 1 << bit
            with pytest.raises(RemoteProtocolError):
                decrypt(bytes(broken), keyring=ring(KEY), aad=b"label")
        with pytest.raises(RemoteProtocolError):
            decrypt(encrypted[:index], keyring=ring(KEY), aad=b"label")
    with pytest.raises(RemoteProtocolError):
        decrypt(encrypted + b"\0", keyring=ring(KEY), aad=b"label")


def test_a_text_of_version_0_passes_for_version_1_with_its_padding() -> None:
    encrypted = encrypt(b"some text", key=KEY, nonce=NONCE, version=0)
    assert b"some text" + b"\x07" * 7 == decrypt(b"\x01" + encrypted[1:], keyring=ring(KEY))


@_versions
def test_another_key_and_other_additional_data_are_noticed(version: int) -> None:
    encrypted = encrypt(b"some text", key=KEY, nonce=NONCE, version=version, aad=b"blue")
    for keyring, aad in ((ring(OTHER), b"blue"), (ring(), b"blue"), (ring(KEY), b"red")):
        with pytest.raises(RemoteProtocolError, match="no installed keys"):
            decrypt(encrypted, keyring=keyring, aad=aad)


def test_version_0_can_be_refused() -> None:
    encrypted = encrypt(b"text", key=KEY, nonce=NONCE, version=0)
    assert b"text" == decrypt(encrypted, keyring=ring(KEY))
    with pytest.raises(RemoteProtocolError, match="version 0 is refused"):
        decrypt(encrypted, keyring=ring(KEY), accept_v0=False)


@pytest.mark.parametrize("padding", [b"\0", b"\x11" * 17, b"\xff", b"a\x03\x03\x02\x03"])
def test_broken_padding_is_refused(padding: bytes) -> None:
    plain = padding.rjust(32, b"p")
    encrypted = b"\0" + encrypt(plain, key=KEY, nonce=NONCE, version=1)[1:]
    with pytest.raises(RemoteProtocolError, match="padding"):
        decrypt(encrypted, keyring=ring(KEY))


def test_padding_alone_is_an_empty_text() -> None:
    encrypted = b"\0" + encrypt(b"\x10" * 16, key=KEY, nonce=NONCE, version=1)[1:]
    assert b"" == decrypt(encrypted, keyring=ring(KEY))


@pytest.mark.parametrize(("version", "nonce"), [(2, NONCE), (-1, NONCE), (1, b""), (1, bytes(13))])
def test_what_no_peer_could_open_is_not_sealed(version: int, nonce: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        encrypt(b"text", key=KEY, nonce=nonce, version=version)


def test_the_object_of_a_key_is_made_once() -> None:
    assert encryption._cipher(KEY) is encryption._cipher(bytes(range(16)))


@given(st.binary(max_size=80))
def test_any_bytes_are_opened_or_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decrypt(data, keyring=ring(KEY))


def test_who_does_not_encrypt_does_not_load_cryptography() -> None:
    program = (
        "import sys, trioserf._wire.packets as p;"
        "p.decode_packet(b'\\x08x', p.PacketCodec());"
        "sys.exit('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert 0 == done.returncode
