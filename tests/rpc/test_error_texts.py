"""Go's words for what went wrong."""

from __future__ import annotations

import base64
import errno
import socket

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import (
    AlreadyResponded,
    BroadcastTimeout,
    DeadlineExceeded,
    FeatureNotSupported,
    InvalidState,
    JoinError,
    LocalProtocolError,
    QueryTooLarge,
    SerfError,
    TagsTooLarge,
)
from trioserf._rpc.error_texts import base64_error, error_text, join_error_text

TEXTS = [
    (
        QueryTooLarge("query exceeds limit of 1024 bytes: 2000 bytes"),
        "query exceeds limit of 1024 bytes",
    ),
    (
        TagsTooLarge("tags", "<600 bytes>", "at most 512 bytes"),
        "Encoded length of tags exceeds limit of 512 bytes",
    ),
    (FeatureNotSupported("Feature not supported: needs 4"), "Feature not supported"),
    (BroadcastTimeout("x"), "timed out broadcasting node removal"),
    (AlreadyResponded("x"), "response already sent"),
    (DeadlineExceeded("x"), "response is past the deadline"),
    (InvalidState("x"), "Serf can't Join after Leave or Shutdown"),
    (trio.ClosedResourceError("x"), "Serf is shut down"),
    (SerfError("anything else"), "anything else"),
    (OSError("disk"), "OSError: disk"),
]


@pytest.mark.parametrize(("error", "text"), TEXTS)
def test_errors_have_gos_texts(error: Exception, text: str) -> None:
    assert text == error_text(error)


JOINS = [
    (
        "127.0.0.1:9",
        ConnectionRefusedError(errno.ECONNREFUSED, "x"),
        "Failed to join 127.0.0.1: dial tcp 127.0.0.1:9: connect: connection refused",
    ),
    (
        "[::1]:9",
        ConnectionRefusedError(errno.ECONNREFUSED, "x"),
        "Failed to join ::1: dial tcp [::1]:9: connect: connection refused",
    ),
    (
        "fe80::1",
        OSError(errno.EHOSTUNREACH, "x"),
        "Failed to join fe80::1: dial tcp [fe80::1]:7: connect: no route to host",
    ),
    ("10.0.0.1", TimeoutError(), "Failed to join 10.0.0.1: dial tcp 10.0.0.1:7: i/o timeout"),
    ("10.0.0.1:1", OSError("gone"), "Failed to join 10.0.0.1: dial tcp 10.0.0.1:1: gone"),
    (
        "nowhere:1",
        socket.gaierror(-2, "x"),
        "Failed to resolve nowhere:1: lookup nowhere: no such host",
    ),
    ("", socket.gaierror(-2, "x"), "Failed to resolve : lookup : no such host"),
    ("10.0.0.1:1", LocalProtocolError("label"), "Failed to join 10.0.0.1: label"),
    ("node/10.0.0.1:1", OSError("gone"), "Failed to join 10.0.0.1: dial tcp 10.0.0.1:1: gone"),
    *(
        (address, LocalProtocolError("x"), f"Failed to resolve {address}: {problem}")
        for address, problem in (
            ("[::1", "address [::1: missing ']' in address"),
            ("[::1]x", "address [::1]x]:7: missing port in address"),
            ("a:http", 'strconv.ParseUint: parsing "http": invalid syntax'),
            ("a:", 'strconv.ParseUint: parsing "": invalid syntax'),
            ("[::1]:", 'strconv.ParseUint: parsing "": invalid syntax'),
            ("a:-1", 'strconv.ParseUint: parsing "-1": invalid syntax'),
            ("a:99999", 'strconv.ParseUint: parsing "99999": value out of range'),
        )
    ),
]


@pytest.mark.parametrize(("address", "cause", "text"), JOINS)
def test_a_join_that_fails_has_gos_text(address: str, cause: Exception, text: str) -> None:
    error = JoinError("none", [cause])
    assert f"1 error occurred:\n\t* {text}\n\n" == join_error_text(error, [address], 7)


def test_each_address_of_a_join_has_its_line() -> None:
    causes = [OSError("a"), OSError("b")]
    assert (
        "2 errors occurred:\n\t* Failed to join x: dial tcp x:7: a\n"
        "\t* Failed to join y: dial tcp y:7: b\n\n"
    ) == join_error_text(JoinError("none", causes), ["x", "y"], 7)


# Taken from Go's base64.StdEncoding.DecodeString.
BASE64 = {
    "": None,
    "AAAA": None,
    "AAA=": None,
    "AA==": None,
    "AA\n==": None,
    "AAAA\r\nAAAA\n": None,
    "???": 0,
    "A": 0,
    "AA": 0,
    "AAA": 0,
    "AAAAA": 4,
    "AAAA=": 4,
    "A===": 1,
    "AA=": 3,
    "AA=A": 2,
    "AA==A": 4,
    "AAA=A": 4,
    "AA-A": 2,
    "AAAA\nA": 5,
    "ä": 0,
}


@pytest.mark.parametrize(("text", "offset"), BASE64.items())
def test_base64_is_judged_as_go_judges_it(text: str, offset: int | None) -> None:
    expected = None if offset is None else f"illegal base64 data at input byte {offset}"
    assert expected == base64_error(text)


@given(st.binary())
def test_what_is_base64_is_accepted(data: bytes) -> None:
    assert base64_error(base64.b64encode(data).decode()) is None


@given(st.text(alphabet="AB=+/-\n\r", max_size=12))
def test_what_python_refuses_go_refuses(text: str) -> None:
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        assert base64_error(text) is not None
