"""Log records as Go's lines, from any thread."""

from __future__ import annotations

import logging
import re

import msgpack
import pytest
import trio

from trioserf._rpc.log_feed import REMEMBERED_LINES, LogFeed, level_number, log_line, quoted
from trioserf._rpc.outbox import Outbox, RecordQueue


def record(name: str, level: int, text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, level, "file", 1, text, args, None)


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (5, "TRACE"),
        (10, "DEBUG"),
        (15, "DEBUG"),
        (20, "INFO"),
        (30, "WARN"),
        (40, "ERR"),
        (50, "ERR"),
    ],
)
def test_a_line_has_gos_form(level: int, text: str) -> None:
    line = log_line(record("trioserf.agent.ipc", level, "client %s", "x"))
    expected = rf"\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[{text}\] agent\.ipc: client x"
    assert re.fullmatch(expected, line)


def test_an_error_is_reported_in_the_same_line() -> None:
    made = record("trioserf.serf", 40, "a tap raised")
    try:
        raise ValueError("no")
    except ValueError as error:
        made.exc_info = (ValueError, error, None)
    assert log_line(made).endswith("[ERR] serf: a tap raised (ValueError: no)")


@pytest.mark.parametrize(
    ("text", "number"),
    [("trace", 0), ("DEBUG", 1), ("Info", 2), ("warn", 3), ("ERR", 4), ("error", None), ("", None)],
)
def test_levels_have_gos_names(text: str, number: int | None) -> None:
    assert number == level_number(text)


def test_payloads_are_short_and_printable() -> None:
    assert '"hi"' == quoted(b"hi")
    assert r'"\x00\"\'"' == quoted(b"\x00\"'")
    assert f'"{"x" * 64}"... (100 bytes)' == quoted(b"x" * 100)


def opened() -> tuple[Outbox, RecordQueue]:
    outbox = Outbox(lambda: None)
    queue = outbox.open(1, lambda: None, size=2000)
    queue.release()
    return outbox, queue


def texts(queue: RecordQueue) -> list[str]:
    found = [msgpack.unpackb(line)["Log"] for line in queue.records]
    queue.records.clear()
    return [text.rpartition(": ")[2] for text in found]


async def test_a_new_monitor_gets_the_last_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "trioserf")
    feed, log = LogFeed(), logging.getLogger("trioserf.x")
    with feed.attached():
        for number in range(REMEMBERED_LINES + 10):
            log.debug("%d", number)
        log.warning("last")
        _, all_of_them = opened()
        feed.add_monitor(all_of_them, 0)
        assert [*map(str, range(11, REMEMBERED_LINES + 10)), "last"] == texts(all_of_them)
        _, warnings = opened()
        feed.add_monitor(warnings, 3)
        assert ["last"] == texts(warnings)
        log.info("new")
        feed.discard_monitor(all_of_them)
        log.warning("newer")
        assert (["new"], ["newer"]) == (texts(all_of_them), texts(warnings))


async def test_lines_of_other_threads_come_in_their_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "trioserf")
    feed, log = LogFeed(), logging.getLogger("trioserf.x")

    def write() -> None:
        for number in range(100):
            log.info("%d", number)

    with feed.attached():
        _, queue = opened()
        feed.add_monitor(queue, 0)
        await trio.to_thread.run_sync(write)
        await trio.testing.wait_all_tasks_blocked()
        assert [str(number) for number in range(100)] == texts(queue)


async def test_a_record_that_cannot_be_written_is_no_ones_problem(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    feed = LogFeed()
    with feed.attached():
        feed.emit(record("trioserf.x", 20, "%d", "not a number"))
    assert "not a number" in capsys.readouterr().err


def test_a_thread_may_log_after_the_end_of_trio() -> None:
    feed = LogFeed()

    async def main() -> None:
        with feed.attached():
            feed._thread = 0  # as if it came from elsewhere

    trio.run(main)
    feed.emit(record("trioserf.x", 20, "late"))
