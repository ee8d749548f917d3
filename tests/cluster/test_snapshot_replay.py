"""The snapshot file: what is read back, and what damage does."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vector_files import Vector, params
from trioserf._cluster.snapshot_log import SnapshotLog
from trioserf._cluster.snapshot_replay import (
    PreviousNode,
    Skipped,
    SnapshotState,
    replay,
    without_implausible_clocks,
)
from trioserf._events import EventType, Member, MemberEvent

JOIN, LEAVE, FAILED = EventType.MEMBER_JOIN, EventType.MEMBER_LEAVE, EventType.MEMBER_FAILED


def member(name: str, address: str = "127.0.0.1", port: int = 5000) -> Member:
    return Member(name=name, addr=ip_address(address), port=port)


def event(kind: EventType, *names: str) -> MemberEvent:
    return MemberEvent(kind, tuple(member(name) for name in names))


def said(state: SnapshotState) -> tuple[dict[str, str], int, int, int]:
    return state.alive, state.clock, state.event_clock, state.query_clock


def read(data: bytes, *, rejoin: bool = False) -> SnapshotState:
    return replay(data, rejoin_after_leave=rejoin)


# --- files of Go --------------------------------------------------------------------------


@pytest.mark.parametrize("vector", params("snapshot"))
@pytest.mark.parametrize("rejoin", [False, True], ids=["forget", "rejoin"])
def test_files_of_go_are_read_as_go_reads_them(vector: Vector, rejoin: bool) -> None:
    assert vector.data is not None
    expected = vector.input["state_rejoin_after_leave" if rejoin else "state"]
    state = read(vector.data, rejoin=rejoin)
    assert expected == {
        "alive": state.alive,
        "clock": state.clock,
        "event_clock": state.event_clock,
        "query_clock": state.query_clock,
    }
    whole, newline, fragment = vector.data.rpartition(b"\n")
    assert bool(fragment) is state.needs_newline
    assert len(whole + newline) == state.whole_size


@pytest.mark.parametrize("vector", params("snapshot"))
def test_files_of_go_read_the_same_after_a_compaction(vector: Vector) -> None:
    assert vector.data is not None
    state = read(vector.data, rejoin=True)
    again = read(SnapshotLog(state).compacted(), rejoin=True)
    assert said(state) == said(again)
    assert () == again.skipped


def test_a_run_of_a_real_node_is_read() -> None:
    data = (
        b"alive: node-127.0.91.2 127.0.91.2:7946\n"
        b"alive: node-127.0.91.3 127.0.91.3:7946\n"
        b"clock: 1\nevent-clock: 1\nquery-clock: 1\nleave\nclock: 2\n"
    )
    assert ({}, 2, 0, 0) == said(read(data))
    peers = {"node-127.0.91.2": "127.0.91.2:7946", "node-127.0.91.3": "127.0.91.3:7946"}
    assert (peers, 2, 1, 1) == said(read(data, rejoin=True))


# --- the local incarnation ----------------------------------------------------------------


def test_the_local_incarnation_is_a_comment_to_go() -> None:
    log = SnapshotLog(SnapshotState())
    assert [b"# incarnation: 3\n"] == log.on_incarnation(3)
    assert [] == log.on_incarnation(3) + log.on_incarnation(2)
    assert log.compacted().endswith(b"\n# incarnation: 3\n")
    state = read(log.compacted())
    assert (3, ()) == (state.incarnation, state.skipped)


def test_without_a_known_incarnation_there_is_no_such_line() -> None:
    assert b"#" not in SnapshotLog(SnapshotState()).compacted()


def test_the_incarnation_survives_a_leave() -> None:
    log = SnapshotLog(SnapshotState())
    lines = log.on_incarnation(3) + log.on_leave() + log.on_incarnation(4)
    assert 4 == read(b"".join(lines)).incarnation
    assert 3 == read(b"".join(lines[:2])).incarnation


def test_the_highest_incarnation_counts() -> None:
    assert 7 == read(b"# incarnation: 7\n# incarnation: 2\n").incarnation


@pytest.mark.parametrize("number", [b"", b"x", b"-1", b"1.5", b"99999999999999999999999"])
def test_a_damaged_incarnation_is_skipped_and_reported(number: bytes) -> None:
    state = read(b"# incarnation: " + number + b"\nclock: 3\n")
    assert (0, 3) == (state.incarnation, state.clock)
    assert ["no incarnation"] == [skipped.reason.partition(":")[0] for skipped in state.skipped]


def test_a_record_behind_a_cut_incarnation_is_found() -> None:
    state = read(b"# incarnation: 12alive: a 10.0.0.1:1\n# incarnaclock: 9\n")
    assert ({"a": "10.0.0.1:1"}, 9) == (state.alive, state.clock)


def test_a_record_that_somebody_turned_off_stays_so() -> None:
    state = read(b"clock: 3\n#clock: 9\n# clock: 9\n# in 2025: clock: 9\n")
    assert (3, ()) == (state.clock, state.skipped)


# --- reading what is damaged --------------------------------------------------------------


def test_no_file_is_an_empty_state() -> None:
    assert SnapshotState() == read(b"")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "unrecognized line: ''"),
        (b"hello", "unrecognized line: 'hello'"),
        (b"Leave", "unrecognized line: 'Leave'"),
        (b" leave", "unrecognized line: ' leave'"),
        (b"alive:a 10.0.0.1:1", "unrecognized line: 'alive:a 10.0.0.1:1'"),
        (b"alive: lonely", "no address: 'alive: lonely'"),
        (b"clock", "unrecognized line: 'clock'"),
        (b"clock: ", "no clock value: 'clock: '"),
        (b"clock: 3\r", "no clock value: 'clock: 3\\r'"),
        (b"clock: +3", "no clock value: 'clock: +3'"),
        (b"clock: 1_0", "no clock value: 'clock: 1_0'"),
        (b"event-clock: -1", "no clock value: 'event-clock: -1'"),
        (b"query-clock: 18446744073709551616", "no clock value: 'query-clock: 184467440"),
        (b"clock: " + b"9" * 5000, "no clock value: 'clock: 999"),
        ("clock: ٣".encode(), "no clock value: 'clock: \\xd9\\xa3'"),
        (b"\xff\xfe", "unrecognized line: '\\xff\\xfe'"),
    ],
)
def test_lines_that_cannot_be_read_are_skipped_and_reported(line: bytes, reason: str) -> None:
    state = read(b"clock: 5\n" + line + b"\nevent-clock: 6\n")
    assert ({}, 5, 6, 0) == said(state)
    (skipped,) = state.skipped
    assert 2 == skipped.line_no
    assert skipped.reason.startswith(reason)
    assert len(skipped.reason) < 400


def test_comments_and_lines_of_old_versions_are_ignored() -> None:
    state = read(b"# by hand\ncoordinate: {}\nclock: 00018446744073709551615\n")
    assert ({}, 2**64 - 1, 0, 0) == said(state)
    assert () == state.skipped


def test_an_implausible_clock_of_a_snapshot_is_passed_over() -> None:
    text = b"clock: 4294967296\nevent-clock: 18446744073709551615\nquery-clock: 4294967295\n"
    state = without_implausible_clocks(read(text))
    assert ({}, 0, 0, 2**32 - 1) == said(state)
    reasons = ["implausible clock: 4294967296", "implausible event-clock: 18446744073709551615"]
    assert reasons == [skipped.reason for skipped in state.skipped]


def test_nul_bytes_in_front_of_a_line_are_dropped() -> None:
    state = read(b"clock: 5\n" + bytes(100) + b"alive: foo 127.0.0.1:5000\n" + bytes(9) + b"\n")
    assert ({"foo": "127.0.0.1:5000"}, 5, 0, 0) == said(state)
    assert [2, 3] == [skipped.line_no for skipped in state.skipped]
    assert state.skipped[0].reason.startswith("NUL bytes: ")


def test_nul_bytes_behind_a_cut_line_do_not_hide_the_next() -> None:
    state = read(b"alive: foo 127.0\0\0\0clock: 9\n")
    assert ({}, 9, 0, 0) == said(state)


def test_a_last_line_without_end_is_not_used_and_its_place_is_reported() -> None:
    state = read(b"clock: 5\nclock: 12")
    assert ({}, 5, 0, 0) == said(state)
    assert state.needs_newline
    assert len(b"clock: 5\n") == state.whole_size
    assert (Skipped(2, "cut short: 'clock: 12'"),) == state.skipped


@pytest.mark.parametrize(
    ("glued", "expected", "reported"),
    [
        (b"clock: 12clock: 15", ({}, 15, 0, 0), "'clock: 12'"),
        (b"event-cloalive: b 10.0.0.2:1", ({"b": "10.0.0.2:1"}, 7, 0, 0), "'event-clo'"),
        (b"clonot-alive: a", ({}, 7, 0, 0), "'clo'"),
        (b"alive: foleave", ({}, 0, 0, 0), "'alive: fo'"),
        (b"event-cquery-clock: 5", ({}, 7, 0, 5), "'event-c'"),
        (b"clock: 1leave", ({}, 0, 0, 0), "'clock: 1'"),
        (b"lleave", ({}, 0, 0, 0), "'l'"),
    ],
)
def test_a_record_behind_a_cut_one_is_found(
    glued: bytes, expected: tuple[dict[str, str], int, int, int], reported: str
) -> None:
    state = read(b"clock: 7\n" + glued + b"\n")
    assert expected == said(state)
    (skipped,) = state.skipped
    assert skipped.reason.endswith(reported)


def test_a_line_that_go_understands_is_never_taken_apart() -> None:
    state = read(b"alive: a leave clock: 5 10.0.0.1:1\n")
    assert ({"a leave clock: 5": "10.0.0.1:1"}, 0, 0, 0) == said(state)


def test_a_line_full_of_keywords_is_read_in_bounded_time() -> None:
    state = read(b"clock: " * 20_000 + b"\n")
    assert ({}, 0, 0, 0) == said(state)


def test_a_file_cut_at_any_byte_reads_as_its_whole_lines() -> None:
    log = SnapshotLog(SnapshotState())
    lines = log.on_member_event(event(JOIN, "foo", "a node")) + log.on_clock(12)
    lines += log.on_user_event(42) + log.on_member_event(event(LEAVE, "foo"))
    lines += log.on_query(1234) + log.on_incarnation(21) + log.on_leave() + log.on_clock(99)
    whole = b"".join(lines)
    for cut in range(len(whole) + 1):
        data = whole[:cut]
        state = read(data)
        kept = data[: data.rfind(b"\n") + 1]
        assert said(read(kept)) == said(state)
        assert len(kept) == state.whole_size
        assert (kept != data) is state.needs_newline
        # Cut down to the whole lines, the log goes on without a trace of the damage.
        appended = read(data[: state.whole_size] + b"clock: 500\n")
        assert (500, ()) == (appended.clock, appended.skipped)
        # With a newline in front, the fragment does no harm to what follows it.
        assert 500 == read(data + b"\nclock: 500\n").clock
        # Go glues its next record to the fragment; unless both together read as another
        # record, it is found; or a comment.
        fragment = data[len(kept) :]
        if fragment in (b"#", b"# "):
            continue
        if not fragment.startswith((b"alive: ", b"not-alive: ")) and not fragment.endswith(b"-"):
            assert 500 == read(data + b"clock: 500\n").clock


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(st.binary(max_size=20) | st.sampled_from(
    [b"alive: ", b"not-alive: ", b"clock: ", b"event-clock: ", b"leave", b"\n", b" ", b"\0", b"1"]
)).map(b"".join))  # fmt: skip
def test_any_bytes_can_be_replayed(data: bytes) -> None:
    for rejoin in (False, True):
        state = read(data, rejoin=rejoin)
        assert 0 <= min(said(state)[1:])
        assert max(said(state)[1:]) < 2**64
        again = read(SnapshotLog(state).compacted(), rejoin=rejoin)
        assert said(state) == said(again)
        assert () == again.skipped


def test_a_previous_node_prints_as_in_go() -> None:
    assert "foo: 127.0.0.1:5000" == str(PreviousNode("foo", "127.0.0.1:5000"))
