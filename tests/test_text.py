"""Names, keys, addresses and ports as text."""

from __future__ import annotations

import pytest

from trioserf._text import host_and_port, key_from_text, key_to_text, port_from_text


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
