"""Compressed messages: LZW as Go's compress/lzw, and the envelope around it."""

from __future__ import annotations

import random
import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.wire import slow_lzw
from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.codec import encode
from trioserf._wire.compression import (
    _least_size,
    compress,
    compress_if_shorter,
    compress_message,
    compress_within,
    decompress,
    decompress_message,
)
from trioserf._wire.limits import LZW_CLEARS
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


_ROOMY = 1 << 24
_CLEAR, _END = 256, 257


# Made by Go.
_KNOWN = {
    b"": "000302",
    b"a": "00c30404",
    b"ab": "00c3880908",
    b"aaaa": "00c3080c1310",
    b"ababab": "00c38811283020",
    b"abababab": "00c3881148504c40",
    b"a" * 20: "00c3081c48b060c180",
}


@pytest.mark.parametrize("text", _KNOWN)
def test_go_writes_these_streams(text: bytes) -> None:
    stream = bytes.fromhex(_KNOWN[text])
    assert stream == compress(text)
    assert text == decompress(stream, _ROOMY)


_SIZES = [0, 1, 2, 254, 255, 256, 257, 766, 767, 768, 1790, 1791, 1792, 3837, 3838, 3839, 3840,
          3841, 7675, 7676, 7677, 7680, 70_000]  # fmt: skip


@pytest.mark.parametrize("size", _SIZES)
def test_random_text_comes_back_around_every_border(size: int) -> None:
    text = random.Random(size).randbytes(size)
    stream = compress(text)
    assert text == decompress(stream, size)
    if size < 10_000:
        assert text == slow_lzw.decompress(stream)


def _without_repeated_pairs(size: int) -> bytes:
    """Text in which no two neighbours occur twice, so that each byte becomes a code."""
    text = bytearray()
    for i in range(90):
        text.append(i)
        for j in range(i + 1, 90):
            text += bytes((i, j))
    return bytes(text[:size])


@pytest.mark.parametrize("size", [254, 255, 256, 767, 1791, 3837, 3838, 3839, 3840])
def test_a_table_that_is_full_with_the_last_byte_is_cleared_before_the_end(size: int) -> None:
    text = _without_repeated_pairs(size)
    assert size == len(set(pairwise(text))) + 1
    codes = [*text, _END] if size < 3838 else [*text[:3838], _CLEAR, *text[3838:], _END]
    stream = slow_lzw.pack([_CLEAR, *codes])
    assert stream == compress(text)
    assert text == decompress(stream, size)


def test_a_long_run_of_one_byte_comes_back() -> None:
    text = b"x" * 200_000
    stream = compress(text)
    assert len(stream) < 1500
    assert text == decompress(stream, 200_000)


@given(st.binary(max_size=2000) | st.text("ab", max_size=2000).map(str.encode))
def test_any_text_comes_back(text: bytes) -> None:
    stream = compress(text)
    assert text == decompress(stream, len(text)) == slow_lzw.decompress(stream)


@given(st.binary(max_size=100), st.binary(max_size=20))
def test_bytes_after_the_end_are_ignored(text: bytes, more: bytes) -> None:
    assert text == decompress(compress(text) + more, _ROOMY)


# --- streams that Go reads but does not write ---------------------------------------------


def test_a_stream_need_not_begin_with_a_clear() -> None:
    assert b"ab" == decompress(slow_lzw.pack([97, 98, _END]), _ROOMY)


def test_a_stream_may_go_on_with_a_full_table() -> None:
    text = random.Random(5).randbytes(4500)
    stream = slow_lzw.pack([_CLEAR, *text, 258, 4095, 258, _END])
    expected = text + text[:2] + text[3837:3839] + text[:2]
    assert expected == slow_lzw.decompress(stream)
    assert expected == decompress(stream, _ROOMY)


def test_a_full_table_is_cleared_in_the_middle_of_a_batch() -> None:
    first = random.Random(6).randbytes(4200)
    stream = slow_lzw.pack([*first, _CLEAR, 97, 98, 258, _CLEAR, _CLEAR, 99, _END])
    assert first + b"ababc" == decompress(stream, _ROOMY)


_codes = st.lists(
    st.integers(0, 255)
    | st.sampled_from([_CLEAR, 258, 259, 300, 511, 4095])
    | st.integers(0, 4095),
    max_size=60,
)


@given(_codes, st.booleans())
@example([97, 258, 258, 259], True)
@example([258], True)
@example([97, 259], True)
def test_any_codes_are_read_or_refused_as_by_the_slow_reader(codes: list[int], end: bool) -> None:
    _compare(slow_lzw.pack([*codes, _END] if end else codes))


@given(st.binary(max_size=300), st.data())
def test_damaged_streams_are_read_or_refused_as_by_the_slow_reader(
    text: bytes, data: st.DataObject
) -> None:
    stream = bytearray(compress(text * data.draw(st.integers(1, 20))))
    for _ in range(data.draw(st.integers(0, 5))):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    _compare(bytes(stream[: data.draw(st.integers(0, len(stream)))]))


def _compare(stream: bytes) -> None:
    try:
        expected = slow_lzw.decompress(stream)
    except slow_lzw.Refused:
        with pytest.raises(RemoteProtocolError):
            decompress(stream, _ROOMY)
    else:
        assert expected == decompress(stream, _ROOMY)


# --- bounds -------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=500), st.integers(0, 600))
def test_text_is_given_whole_or_refused(text: bytes, limit: int) -> None:
    if limit >= len(text):
        assert text == decompress(compress(text), limit)
    else:
        with pytest.raises(RemoteProtocolError, match="longer than"):
            decompress(compress(text), limit)


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    bomb = compress(b"\0" * 8_000_000)
    tracemalloc.start()
    with pytest.raises(RemoteProtocolError, match="longer than"):
        decompress(bomb, 1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000


def test_a_bomb_without_an_end_is_refused_too() -> None:
    bomb = compress(b"\0" * 3_000_000)[:-20]
    with pytest.raises(RemoteProtocolError, match="longer than"):
        decompress(bomb, 1_000_000)


def test_a_stream_of_nothing_but_clears_is_refused() -> None:
    assert b"" == decompress(slow_lzw.pack([_CLEAR] * LZW_CLEARS + [_END]), _ROOMY)
    started = time.process_time()
    with pytest.raises(RemoteProtocolError, match="too often"):
        decompress(slow_lzw.pack([_CLEAR] * 3000), _ROOMY)
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize("run", [1, 2, 7, 60])
def test_codes_for_the_string_being_entered_are_read_in_any_mixture(run: int) -> None:
    some = random.Random(run)
    codes: list[int] = []
    for _ in range(6):
        end = len(codes) + some.randint(100, 3700)
        while len(codes) < end:
            codes += [some.randrange(256), *[slow_lzw.NEXT] * some.randint(1, run)]
            if some.random() < 0.3:
                codes += [some.randrange(256)] * 2
        codes.append(_CLEAR)
    data = slow_lzw.pack([*codes, _END])
    assert slow_lzw.decompress(data) == decompress(data, 1 << 22)


@pytest.mark.parametrize("run", [1, 60])
def test_the_dearest_streams_that_a_datagram_can_hold_are_read_soon(run: int) -> None:
    turn = [65, *[slow_lzw.NEXT] * run]
    block = (turn * (3838 // len(turn) + 1))[:3838]
    data = slow_lzw.pack([*([*block, _CLEAR] * 8), _END])
    assert 42_000 < len(data) < 45_000
    started = time.process_time()
    decompress(data, 1 << 20)
    assert time.process_time() - started < 0.1  # 10 ms


def test_many_short_pieces_are_joined_on_the_way() -> None:
    text = random.Random(7).randbytes(140_000)
    assert text == decompress(compress(text), len(text))


@pytest.mark.parametrize("text", [b"", b"a", b"abc" * 40, bytes(range(256)) * 20])
def test_a_stream_is_given_up_if_it_gets_too_long(text: bytes) -> None:
    stream = compress(text)
    assert stream == compress_within(text, len(stream))
    assert compress_within(text, len(stream) - 1) is None


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 4098, 20_000])
def test_long_work_pauses_and_comes_to_the_same(size: int) -> None:
    text = random.Random(size).randbytes(size)
    pauses: list[int] = []

    def pause() -> None:
        pauses.append(0)

    stream = compress(text, pause)
    assert compress(text) == stream
    assert max(0, size - 2) // 4096 == len(pauses)
    pauses.clear()
    assert text == decompress(stream, size, pause)
    assert bool(pauses) == (len(stream) > 5000)
