"""What waits for a reader: order, gaps, ends."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioserf._rpc.record_buffer import RecordBuffer


def gap(count: int) -> str:
    return f"{count} missing"


async def test_a_gap_is_marked_where_it_is() -> None:
    buffer = RecordBuffer[str](2, gap)
    for text in "abcd":
        buffer.put(text)
    assert ["a", "b", "2 missing"] == [await buffer.get() for _ in range(3)]
    for text in "efg":
        buffer.put(text)
    assert "e" == await buffer.get()
    buffer.put("h")
    assert ["f", "1 missing", "h"] == [await buffer.get() for _ in range(3)]
    assert 3 == buffer.lost


async def test_without_a_mark_a_gap_is_only_counted() -> None:
    buffer = RecordBuffer[str](1)
    buffer.put("a")
    buffer.put("b")
    assert "a" == await buffer.get()
    buffer.put("c")
    assert "c" == await buffer.get()
    assert 1 == buffer.lost


async def test_a_waiting_reader_is_woken() -> None:
    buffer = RecordBuffer[str](1)
    got: list[str] = []

    async def read() -> None:
        got.append(await buffer.get())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        buffer.put("a")
    assert ["a"] == got


async def test_the_end_comes_behind_the_last_record() -> None:
    buffer = RecordBuffer[str](2, gap)
    for text in "abc":
        buffer.put(text)
    buffer.end()
    buffer.end(ValueError("too late"))
    buffer.put("d")
    assert ["a", "b", "1 missing"] == [await buffer.get() for _ in range(3)]
    for _ in range(2):
        with pytest.raises(trio.EndOfChannel):
            await buffer.get()


async def test_an_error_is_raised_at_the_end() -> None:
    buffer = RecordBuffer[str](1)
    buffer.put("a")
    buffer.end(trio.BrokenResourceError("gone"))
    assert "a" == await buffer.get()
    with pytest.raises(trio.BrokenResourceError, match="gone"):
        await buffer.get()


def test_it_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        RecordBuffer[str](0)
