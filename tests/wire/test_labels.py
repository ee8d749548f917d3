"""Label headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._wire.labels import add_label, check_label, label_header, take_label


@given(st.binary(min_size=1, max_size=255), st.binary())
def test_a_label_comes_back(label: bytes, data: bytes) -> None:
    assert (label, data) == take_label(add_label(data, label))


@given(st.binary().filter(lambda data: data[:1] != b"\xf4"))
def test_without_a_header_the_label_is_empty(data: bytes) -> None:
    assert (b"", data) == take_label(data)
    assert data == add_label(data, b"")


@pytest.mark.parametrize(
    "data", ["f4", "f400", "f40061", "f40161"[:4], "f4056162", "f4ff" + "61" * 254]
)
def test_a_broken_header_is_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        take_label(bytes.fromhex(data))


def test_a_label_may_have_255_bytes() -> None:
    assert b"\xf4\xff" + b"a" * 255 == label_header(b"a" * 255)
    with pytest.raises(LocalProtocolError, match="256 bytes"):
        label_header(b"a" * 256)


def test_only_the_configured_label_is_accepted() -> None:
    check_label(b"blue", b"blue", skip=False)
    check_label(b"", b"", skip=False)
    for received, expected in ((b"red", b"blue"), (b"", b"blue"), (b"blue", b"")):
        with pytest.raises(RemoteProtocolError, match="label"):
            check_label(received, expected, skip=False)


def test_where_someone_else_checks_labels_none_may_come() -> None:
    check_label(b"", b"blue", skip=True)
    with pytest.raises(RemoteProtocolError):
        check_label(b"blue", b"blue", skip=True)
