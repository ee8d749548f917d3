"""Tags as node metadata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._wire.tags import decode_tags, encode_tags

NAMES = st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape"))


def h(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_all_tags_are_sent_from_protocol_3_on(protocol: int) -> None:
    """Checklist of Serf, item 13."""
    meta = encode_tags({"role": "web"}, protocol)
    assert h("ff81 a4726f6c65 a3776562") == meta
    assert ({"role": "web"}, False) == decode_tags(meta)
    assert h("ff80") == encode_tags({}, protocol)


def test_protocol_2_sends_the_role_as_bare_text() -> None:
    """Checklist of Serf, item 12."""
    meta = encode_tags({"role": "web", "dc": "x"}, 2)
    assert b"web" == meta
    assert ({"role": "web"}, False) == decode_tags(meta)
    assert b"" == encode_tags({"dc": "x"}, 2)


@pytest.mark.parametrize(
    ("meta", "tags"),
    [
        ("", {"role": ""}),
        ("776562", {"role": "web"}),
        ("ff80", {}),
        ("ffc0", {}),
        ("ff81a4726f6c65c0", {"role": ""}),
        ("ff81c0a3776562", {"": "web"}),
        ("ff81d904726f6c65d903776562", {"role": "web"}),
        ("ff81c404726f6c65c403776562", {"role": "web"}),
        ("ffde0001a4726f6c65a3776562", {"role": "web"}),
        ("ffdf00000001a4726f6c65a3776562", {"role": "web"}),
        ("ff82a4726f6c65a161a4726f6c65a162", {"role": "b"}),
        ("ff81a4726f6c65a3776562ffff", {"role": "web"}),
        ("ff81a161a1ff", {"a": "\udcff"}),
    ],
)
def test_what_go_reads_is_read(meta: str, tags: dict[str, str]) -> None:
    assert (tags, False) == decode_tags(h(meta))


@pytest.mark.parametrize(
    ("meta", "tags"),
    [
        ("ff", {}),
        ("ff81", {}),
        ("ff90", {}),
        ("ffa0", {}),
        ("ffa102a161a162", {}),
        ("ff05", {}),
        ("ffc1", {}),
        ("ff81a4726f6c6505", {}),
        ("ff81a4726f6c6500", {}),
        ("ff81a4726f6c65c2", {}),
        ("ff8105a161", {}),
        ("ff8190a161", {}),
        ("ff82a161a162a163", {"a": "b"}),
        ("ff82a161a162a163a5", {"a": "b"}),
        ("ff83a161a162a163c3a164a165", {"a": "b"}),
        ("ffde0002a161a162a1", {"a": "b"}),
        ("ffdf00000002a161a162c1", {"a": "b"}),
        ("ffdfffffffffa161a162", {"a": "b"}),
    ],
)
def test_broken_tags_keep_the_pairs_in_front_of_the_damage(meta: str, tags: dict[str, str]) -> None:
    assert (tags, True) == decode_tags(h(meta))


def test_tags_of_505_bytes_fill_the_metadata() -> None:
    assert 512 == len(encode_tags({"a": "v" * 505}, 5))


def test_huge_broken_metadata_is_searched_only_at_its_front() -> None:
    pairs = b"".join(b"\xa4%04d\xa0" % n for n in range(5000))
    tags, broken = decode_tags(b"\xff\xde\xff\xff" + pairs)
    assert broken
    assert 0 < len(tags) < 1000


@given(st.dictionaries(NAMES, NAMES, max_size=20))
def test_any_tags_come_back(tags: dict[str, str]) -> None:
    assert (tags, False) == decode_tags(encode_tags(tags, 5))


@given(st.binary(max_size=64))
def test_any_metadata_gives_some_tags(meta: bytes) -> None:
    for raw in (meta, b"\xff" + meta, b"\xff\x82" + meta):
        tags, _ = decode_tags(raw)
        assert all(isinstance(text, str) for pair in tags.items() for text in pair)
