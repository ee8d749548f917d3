"""Keys as text."""

from __future__ import annotations

import pytest

from trioserf._key_text import key_from_text, key_to_text


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
