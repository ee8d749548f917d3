"""Errors as values: what they print."""

from __future__ import annotations

import pickle
import traceback

from trioserf._exceptions import ConfigError, JoinError, KeyOperationError, RPCError


def noted(error: Exception, *notes: str) -> Exception:
    for note in notes:
        error.add_note(note)
    return error


def test_a_join_error_prints_its_causes_one_line_each() -> None:
    error = JoinError(
        "none of 2 addresses could be joined",
        [
            noted(ConnectionRefusedError(111, "Connection refused"), "while joining 'a'"),
            noted(OSError("no route"), "and: timed out", "while joining 'b'"),
            ValueError(),
        ],
    )
    assert [
        "none of 2 addresses could be joined",
        "  while joining 'a': [Errno 111] Connection refused",
        "  while joining 'b': no route; and: timed out",
        "  ValueError: ValueError",
    ] == str(error).splitlines()
    assert "while joining 'a'" in "".join(traceback.format_exception(error))


def test_what_a_peer_put_into_a_cause_cannot_forge_a_line() -> None:
    error = JoinError("none", [noted(OSError("x\n  while joining 'b': \x1b[2J\u202e"), "a")])
    headline, cause = str(error).split("\n")
    assert "none" == headline
    assert cause.isprintable()
    assert len(str(JoinError("none", [OSError("x" * 1_000_000)]))) < 500


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(JoinError("none", [OSError("x")])))
    assert "none\n  OSError: x" == str(error)
    other = pickle.loads(pickle.dumps(ConfigError("field", 1, "2")))
    assert ("field", "field=1: expected 2") == (other.field, str(other))
    refused = pickle.loads(pickle.dumps(RPCError("no", "join", None)))
    assert ("no", "join") == (str(refused), refused.command)
    partial = pickle.loads(pickle.dumps(KeyOperationError("one of two", "report")))
    assert ("one of two", "report") == (str(partial), partial.response)


def test_what_is_left_of_a_join_error_is_one_still() -> None:
    error = JoinError("none of 2", [OSError("down"), ValueError("bad")])
    handled, rest = error.split(OSError)
    assert isinstance(handled, JoinError)
    assert isinstance(rest, JoinError)
    assert "none of 2\n  OSError: down" == str(handled)
    assert "none of 2\n  ValueError: bad" == str(rest)
