"""The snapshot file: what is written, and when it is compacted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.snapshot_log import SnapshotLog
from trioserf._cluster.snapshot_replay import MAX_FAILED, SnapshotState
from trioserf._events import EventType, MemberEvent

from .test_snapshot_replay import FAILED, JOIN, LEAVE, event, member, read, said

# --- writing ------------------------------------------------------------------------------


def test_events_become_lines() -> None:
    log = SnapshotLog(SnapshotState())
    assert [b"event-clock: 42\n"] == log.on_user_event(42)
    assert [b"query-clock: 50\n"] == log.on_query(50)
    assert [b"alive: foo 127.0.0.1:5000\n"] == log.on_member_event(event(JOIN, "foo"))
    assert [b"clock: 100\n"] == log.on_clock(101)
    assert [b"not-alive: foo\n"] == log.on_member_event(event(FAILED, "foo"))
    assert [b"alive: foo 127.0.0.1:5000\n"] == log.on_member_event(event(JOIN, "foo"))
    assert [b"not-alive: foo\n"] * 2 == log.on_member_event(event(LEAVE, "foo"))


def test_nodes_that_failed_are_remembered_until_they_left_returned_or_were_reaped() -> None:
    log = SnapshotLog(SnapshotState())
    lines = log.on_member_event(event(JOIN, "a", "b", "c", "d", "e"))
    lines += log.on_member_event(event(FAILED, "d", "c", "b", "a"))
    lines += log.on_member_event(event(LEAVE, "b", "e"))
    lines += log.on_member_event(event(EventType.MEMBER_REAP, "a", "e"))
    lines += log.on_member_event(event(EventType.MEMBER_UPDATE, "c", "d"))
    address = "127.0.0.1:5000"
    for data in (b"".join(lines), log.compacted()):
        state = read(data)
        assert ({}, {"d": address, "c": address}) == (state.alive, state.failed)
        assert ["d", "c"] == list(state.failed)
    log.on_member_event(event(JOIN, "c"))
    state = read(log.compacted())
    assert ({"c": address}, {"d": address}) == (state.alive, state.failed)
    again = SnapshotLog(state)
    assert log.compacted() == again.compacted()
    again.on_leave()
    assert {} == read(again.compacted()).failed


def test_of_many_that_failed_those_of_last_are_remembered() -> None:
    log = SnapshotLog(SnapshotState())
    names = [f"n{number}" for number in range(MAX_FAILED + 9)]
    lines = log.on_member_event(event(JOIN, *names)) + log.on_member_event(event(FAILED, *names))
    for data in (b"".join(lines), log.compacted()):
        assert names[9:] == list(read(data).failed)


def test_updates_and_reaps_are_not_recorded() -> None:
    log = SnapshotLog(SnapshotState(alive={"foo": "127.0.0.1:5000"}))
    for kind in (EventType.MEMBER_UPDATE, EventType.MEMBER_REAP):
        assert [] == log.on_member_event(event(kind, "foo"))
    assert {"foo": "127.0.0.1:5000"} == log.alive


def test_one_event_about_several_members_gives_a_line_for_each() -> None:
    log = SnapshotLog(SnapshotState())
    expected = [b"alive: a 127.0.0.1:5000\n", b"alive: b 127.0.0.1:5000\n"]
    assert expected == log.on_member_event(event(JOIN, "a", "b"))


def test_addresses_of_both_families_are_written_as_go_does() -> None:
    log = SnapshotLog(SnapshotState())
    joined = MemberEvent(JOIN, (member("v6 node", "2001:db8::7", 7946),))
    assert [b"alive: v6 node [2001:db8::7]:7946\n"] == log.on_member_event(joined)


def test_clocks_that_do_not_advance_are_not_recorded() -> None:
    log = SnapshotLog(SnapshotState(clock=7, event_clock=42, query_clock=50))
    assert [] == log.on_clock(8) + log.on_user_event(42) + log.on_query(50)
    assert [b"clock: 8\n"] == log.on_clock(9)
    assert [] == log.on_clock(9)


def test_an_unused_clock_is_not_recorded() -> None:
    log = SnapshotLog(SnapshotState())
    assert [] == log.on_clock(0)
    assert [] == log.on_clock(1)


def test_the_highest_times_can_be_recorded_and_read() -> None:
    top = 2**64 - 1
    log = SnapshotLog(SnapshotState())
    lines = log.on_user_event(top) + log.on_query(top) + log.on_clock(top)
    assert ({}, top - 1, top, top) == said(read(b"".join(lines)))


@pytest.mark.parametrize("name", ["two\nlines", "\n", "nul\0", "leave\nclock: 1"])
def test_names_that_would_break_the_file_are_refused(name: str) -> None:
    log = SnapshotLog(SnapshotState())
    expected = [b"alive: good 127.0.0.1:5000\n"]
    assert expected == log.on_member_event(event(JOIN, name, "good"))
    assert 1 == log.refused
    assert b"\0" not in log.compacted()
    assert {"good": "127.0.0.1:5000"} == read(log.compacted()).alive


# --- leaving ------------------------------------------------------------------------------


def history(log: SnapshotLog) -> bytes:
    lines = log.on_member_event(event(JOIN, "foo")) + log.on_clock(101)
    return b"".join(lines + log.on_user_event(42) + log.on_query(50) + log.on_leave())


def test_a_leave_forgets_everything() -> None:
    """Checklist of Serf, item 103."""
    log = SnapshotLog(SnapshotState())
    assert ({}, 0, 0, 0) == said(read(history(log)))
    assert {} == log.alive


def test_a_leave_forgets_nothing_if_the_node_shall_rejoin() -> None:
    """Checklist of Serf, item 104."""
    log = SnapshotLog(SnapshotState(), rejoin_after_leave=True)
    expected = ({"foo": "127.0.0.1:5000"}, 100, 42, 50)
    assert expected == said(read(history(log), rejoin=True))
    assert {"foo": "127.0.0.1:5000"} == log.alive


def test_after_a_leave_only_the_clock_goes_on() -> None:
    log = SnapshotLog(SnapshotState())
    data = history(log)
    assert [] == log.on_member_event(event(JOIN, "bar"))
    assert [] == log.on_user_event(43) + log.on_query(51)
    assert ({}, 102, 0, 0) == said(read(data + b"".join(log.on_clock(103))))


# --- compaction ---------------------------------------------------------------------------


def test_a_compacted_log_records_the_same_in_the_fewest_lines() -> None:
    log = SnapshotLog(SnapshotState(alive={"a": "10.0.0.1:1"}, clock=3))
    log.on_member_event(event(JOIN, "b"))
    expected = (
        b"alive: a 10.0.0.1:1\nalive: b 127.0.0.1:5000\nclock: 3\nevent-clock: 0\nquery-clock: 0\n"
    )
    assert expected == log.compacted()


def test_small_logs_are_left_alone_and_large_ones_compacted() -> None:
    log = SnapshotLog(SnapshotState())
    assert not log.should_compact(131072)
    assert log.should_compact(131073)


def test_the_more_nodes_the_longer_a_log_may_get() -> None:
    log = SnapshotLog(SnapshotState(), min_compact_size=1024)
    assert log.should_compact(1025)
    log.on_member_event(event(JOIN, *(f"n{i}" for i in range(10))))
    assert not log.should_compact(2 * 128 * 10)
    assert log.should_compact(2 * 128 * 10 + 1)


def test_many_events_with_compactions_between_them_end_in_the_last_clocks() -> None:
    """Checklist of Serf, item 102."""
    log = SnapshotLog(SnapshotState(), min_compact_size=1024)
    data = b""
    for time in range(1024):
        data += b"".join(log.on_user_event(time) + log.on_query(time))
        if log.should_compact(len(data)):
            data = log.compacted()
    assert ({}, 0, 1023, 1023) == said(read(data))
    assert len(data) < 2048


# --- written and read back ---------------------------------------------------------------


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=12)
RAW_NAMES = st.binary(max_size=8).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([JOIN, LEAVE, FAILED]), NAMES | RAW_NAMES),
        st.tuples(
            st.sampled_from(["user", "query", "clock", "incarnation"]),
            st.integers(0, 2**64 - 1),
        ),
        st.just(("leave", 0)),
    ),
    max_size=12,
)


def run(log: SnapshotLog, steps: list[tuple[object, object]]) -> list[bytes]:
    lines: list[bytes] = []
    for kind, what in steps:
        if isinstance(kind, EventType):
            lines += log.on_member_event(event(kind, str(what)))
        elif kind == "leave":
            lines += log.on_leave()
        else:
            note = {
                "user": log.on_user_event,
                "query": log.on_query,
                "clock": log.on_clock,
                "incarnation": log.on_incarnation,
            }
            assert isinstance(what, int)
            lines += note[str(kind)](what)
    return lines


@given(STEPS)
def test_what_was_written_reads_back(steps: list[tuple[object, object]]) -> None:
    log = SnapshotLog(SnapshotState(), rejoin_after_leave=True)
    state = read(b"".join(run(log, steps)), rejoin=True)
    assert () == state.skipped
    assert log.alive == state.alive
    again = read(log.compacted(), rejoin=True)
    assert said(again) == said(state)
    assert again.incarnation == state.incarnation
