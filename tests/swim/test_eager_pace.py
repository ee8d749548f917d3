"""When new broadcasts may be sent before the next regular round."""

from __future__ import annotations

import pytest

from trioserf._swim.eager_pace import BURST, PAUSE, EagerPace

PERIOD = 0.01
ROOM = 18
"""Events that fill a packet."""


def rounds(rate: float, seconds: float = 10.0, share: float = 1.0) -> tuple[int, float, float]:
    """Rounds while events come one by one; the mean fill, and the longest wait of an event."""
    pace, count, filled, longest = EagerPace(PERIOD), 0, 0.0, 0.0
    waiting: list[float] = []
    for step in range(int(seconds * 10_000)):
        now = step / 10_000
        if step % round(10_000 / rate) == 0:
            waiting.append(now)
        fill = min(1.0, len(waiting) / ROOM)
        if waiting and (now >= pace.free_at or now >= pace.ready_at(fill, share)):
            pace.spend(now, fill, share)
            count, filled = count + 1, filled + fill
            longest = max(longest, now - waiting[0])
            waiting.clear()
    return count, filled / count, longest


def test_single_events_go_out_at_once_up_to_ten_a_second() -> None:
    assert (100, 0.0) == (rounds(10)[0], rounds(10)[2])


def test_two_events_go_out_at_once_and_a_third_waits() -> None:
    pace = EagerPace(PERIOD)
    for now in (5.0, 5.01):
        assert pace.free_at <= now
        pace.spend(now, 0.05, 1.0)
    assert 5.07 < pace.free_at <= pace.ready_at(0.05, 1.0) + PERIOD <= 5.1
    assert pace.ready_at(1.0, 1.0) <= 5.011, "what fills a packet need not wait"


@pytest.mark.parametrize(
    ("rate", "least"), [(50, 0.2), (100, 0.4), (200, 0.6), (400, 0.8), (1000, 0.9)]
)
def test_of_more_than_that_the_packets_become_full(rate: int, least: float) -> None:
    count, fill, longest = rounds(rate)
    assert fill > least
    assert count < 10 * rate / ROOM / least + 2
    assert longest <= 0.081


def test_a_flood_goes_out_in_full_packets_a_hundred_times_a_second() -> None:
    pace, now, count = EagerPace(PERIOD), 0.0, 0
    while now < 1.0:
        now = max(now, pace.ready_at(1.0, 1.0))
        pace.spend(now, 1.0, 1.0)
        count += 1
    assert 100 + BURST - 2 <= count <= 100 + BURST + 2
    assert BURST * 64 <= 1024, "what a node of Go can queue"


def test_rounds_of_one_moment_keep_a_pause() -> None:
    pace = EagerPace(PERIOD)
    pace.spend(3.0, 1.0, 1.0)
    assert 3.0 + PAUSE == pace.free_at == pace.ready_at(1.0, 1.0)


def test_where_the_other_nodes_are_few_an_empty_round_costs_less() -> None:
    few, many = rounds(50, share=1 / 6), rounds(50)
    assert few[0] > 450
    assert many[0] < 140
