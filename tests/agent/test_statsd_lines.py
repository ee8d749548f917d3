"""Lines of statsd."""

from __future__ import annotations

from trioserf._agent.statsd_lines import MAX_DATAGRAM, LineBuffer, statsd_line


def test_each_sort_of_metric_has_its_letter() -> None:
    assert b"serf-agent.serf.events:1.000000|c\n" == statsd_line("serf.events", 1, "c")
    assert b"serf-agent.agent.invoke.a_b:1.500000|ms\n" == statsd_line(
        "agent.invoke.a b", 1.5, "ms"
    )


def test_only_gauges_are_named_after_the_host() -> None:
    assert b"serf-agent.h.x:2.000000|g\n" == statsd_line("x", 2, "g", "h")
    assert b"serf-agent.x:2.000000|c\n" == statsd_line("x", 2, "c", "h")


def test_names_of_events_cannot_forge_lines() -> None:
    line = statsd_line("serf.events.a:1|c\nb@", 1, "c")
    assert b"serf-agent.serf.events.a_1_c_b_:1.000000|c\n" == line


def test_lines_share_datagrams() -> None:
    buffer = LineBuffer()
    assert not buffer
    for _ in range(100):
        buffer.add(b"x" * 99 + b"\n")
    datagrams = buffer.take()
    assert 100 * 100 == sum(map(len, datagrams))
    assert max(map(len, datagrams)) <= MAX_DATAGRAM
    assert 8 == len(datagrams)
    assert [] == buffer.take()


def test_lines_without_room_are_counted() -> None:
    buffer = LineBuffer(limit=10)
    buffer.add(b"123456\n")
    buffer.add(b"123456\n")
    assert ([b"123456\n"], 1) == (buffer.take(), buffer.dropped)
    buffer.add(b"123456\n")
    assert [b"123456\n"] == buffer.take()
