"""The envelope around compressed messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.codec import encode
from trioserf._wire.compression import (
    _least_size,
    compress_if_shorter,
    compress_message,
    decompress_message,
)
from trioserf._wire.messages import Compressed

_texts = st.binary(max_size=400) | st.text("abc", max_size=400).map(str.encode)


@given(_texts)
def test_messages_come_back(message: bytes) -> None:
    compressed = compress_message(message)
    assert 9 == compressed[0]
    assert message == decompress_message(compressed[1:] + b"more", len(message))


def test_go_writes_this_envelope() -> None:
    expected = "0982a4416c676f00a3427566a900c3081c48b060c180"
    assert expected == compress_message(b"a" * 20).hex()


@given(_texts)
def test_a_message_stays_as_it_is_unless_it_gets_shorter(message: bytes) -> None:
    compressed = compress_message(message)
    expected = compressed if len(compressed) < len(message) else message
    assert expected == compress_if_shorter(message)


@given(_texts.filter(bool))
def test_the_estimate_is_never_too_high(message: bytes) -> None:
    assert _least_size(message) <= len(compress_message(message))


@pytest.mark.parametrize("algorithm", [1, 255])
def test_an_unknown_algorithm_is_refused(algorithm: int) -> None:
    body = encode(Compressed(algorithm, b"\x00\x03\x02"))
    with pytest.raises(RemoteProtocolError, match=f"algorithm {algorithm}"):
        decompress_message(body, 100)


@pytest.mark.parametrize("body", [b"", b"\xc0", b"\x80", b"\x81\xa3Buf\xc0", b"\x81\xa3Buf\x05"])
def test_an_envelope_without_a_stream_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decompress_message(body, 100)


def test_a_message_of_the_same_size_as_its_compressed_form_stays_as_it_is() -> None:
    texts = [bytes(range(n)) + bytes(m) for n in range(40, 120, 8) for m in range(20, 99)]
    even = [text for text in texts if len(compress_message(text)) - len(text) in (0, 1)]
    assert even
    assert even == [compress_if_shorter(text) for text in even]
