"""Names, keys, addresses and ports as text."""

from __future__ import annotations

import pytest

from trioserf._text import (
    host_and_port,
    is_short_ipv4,
    key_from_text,
    key_to_text,
    payload_text,
    port_from_text,
    printable,
    tags_text,
)


def test_what_is_not_printable_is_shown_as_an_escape() -> None:
    assert "a\\x1b[31mb\\nc" == printable("a\x1b[31mb\nc")
    assert "größe" == printable("größe")
    assert "\\udcff" == printable("\udcff")


@pytest.mark.parametrize("mark", "\u202e\u2066\u200f\u061c\u2028\x85\x9b\x00\ufeff")
def test_marks_of_direction_and_line_ends_are_never_printed(mark: str) -> None:
    assert mark not in printable(f"a{mark}b")
    assert mark not in payload_text(f"a{mark}b".encode())


def test_a_long_text_is_cut() -> None:
    assert "x" * 199 + "…" == printable("x" * 1_000_000)
    assert "xx…" == printable("xxxx", 3)


def test_payloads_show_as_text_and_never_too_long() -> None:
    assert '"v42"' == payload_text(b"v42")
    assert '"\\x00\\xff"' == payload_text(b"\x00\xff")
    for raw in (b"x" * 1000, b"\x00" * 1000, "ä".encode() * 500):
        long = payload_text(raw)
        assert long.endswith('…" (1000 bytes)')
        assert len(long) < 80


def test_tags_are_in_order() -> None:
    assert "a=2,b=1" == tags_text({"b": "1", "a": "2"})


@pytest.mark.parametrize("size", [0, 15, 16, 24, 32])
def test_a_key_of_any_length_comes_back_from_its_text(size: int) -> None:
    key = bytes(range(size))
    assert key == key_from_text(key_to_text(key))


def test_the_text_is_standard_base64() -> None:
    assert "++//" == key_to_text(b"\xfb\xef\xff")


@pytest.mark.parametrize("text", ["%%%%", "--__", "QUJD=", "QUI", "QU JD", "QUJDé", "not base64"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        key_from_text(text)


def test_an_ipv6_address_has_brackets_before_its_port() -> None:
    assert "10.0.0.1:7946" == host_and_port("10.0.0.1", 7946)
    assert "[fe80::1%eth0]:0" == host_and_port("fe80::1%eth0", 0)


def test_a_port_has_digits_alone_and_is_not_too_high() -> None:
    assert (0, 80, 65535) == tuple(map(port_from_text, ("0", "080", "65535")))


@pytest.mark.parametrize("digits", ["", "-1", "+1", " 1", "1_0", "65536", "٣", "9" * 5000])
def test_other_ports_are_refused(digits: str) -> None:
    with pytest.raises(ValueError, match="a port from 0 to 65535"):
        port_from_text(digits)


@pytest.mark.parametrize(
    "host", ["1", "1.2.3", "127.1", "0x7f000001", "0X7f.1", "10.0.0.256", "010.0.0.1", "1.2.3.0x4"]
)
def test_what_only_the_c_library_takes_for_an_address_is_none(host: str) -> None:
    assert is_short_ipv4(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "255.255.255.255", "", "1.2.3.4.5", "cafe", "a.1", "1.2.3.x", "::1", "²"]
)
def test_addresses_and_names_are_none_of_that(host: str) -> None:
    assert not is_short_ipv4(host)
