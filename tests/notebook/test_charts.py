"""Charts: well-formed SVG, nothing of the network unescaped, text for terminals."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ET
from ipaddress import ip_address
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trioserf import Coordinate, EventType, Member, MemberEvent, UserEvent
from trioserf._events import EventsDropped, Query
from trioserf.notebook.curves import curves, latency, queues, spread
from trioserf.notebook.live_views import Recorder
from trioserf.notebook.maps import coordinate_map, project, rtt_matrix
from trioserf.notebook.svg import Axes, Chart, seconds, ticks
from trioserf.notebook.timeline import Moment, timeline
from trioserf.testing import SimCluster

NASTY = "<script>alert('x')</script>&\"\x1b"


def coordinate(*vec: float, height: float = 1e-5) -> Coordinate:
    padded = tuple(vec) + (0.0,) * (8 - len(vec))
    return Coordinate(padded, 0.5, 0.0, height)


def member(name: str) -> Member:
    return Member(name=name, addr=ip_address("127.0.0.1"), port=7946)


def every_chart(name: str) -> list[Chart]:
    joined = MemberEvent(EventType.MEMBER_JOIN, (member(name),))
    failed = MemberEvent(EventType.MEMBER_FAILED, (member(name),))
    reaped = MemberEvent(EventType.MEMBER_REAP, (member(name),))
    story = [
        Moment(1.0, joined),
        Moment(1.5, UserEvent(1, name, b"")),
        Moment(2.0, failed),
        Moment(2.5, Query(1, name, b"", name, 0.0)),
        Moment(3.0, reaped),
        Moment(3.5, EventsDropped(2)),
    ]
    return [
        timeline(story, title=name),
        spread({name: 0.1, "b": 0.2}, title=name),
        curves({name: [(0, 1), (1, 2)]}, title=name, x_label=name, y_label=name),
        latency({name: [0.1, 0.2]}, title=name),
        queues([(0.0, {name: 1}), (1.0, {name: 3})], title=name),
        coordinate_map({name: coordinate(0.01), "b": coordinate(0, 0.02)}, title=name),
    ]


@pytest.mark.parametrize("index", range(6))
def test_charts_are_well_formed_and_show_markup_as_text(index: int) -> None:
    chart = every_chart(NASTY)[index]
    root = ET.fromstring(chart.svg)
    assert root.tag.endswith("svg")
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert "\x1b" not in chart.svg + chart.text
    bundle = chart._repr_mimebundle_()
    assert (chart.svg, chart.text) == (bundle["text/html"], bundle["text/plain"])


@pytest.mark.parametrize(
    "chart",
    [
        timeline([]),
        spread({}),
        curves({}, title="t"),
        latency({"a": []}),
        queues([]),
        coordinate_map({}),
    ],
    ids=["timeline", "spread", "curves", "latency", "queues", "map"],
)
def test_an_empty_chart_is_still_a_picture(chart: Chart) -> None:
    assert ET.fromstring(chart.svg).tag.endswith("svg")
    assert chart.text


def test_charts_are_drawn_in_the_colour_of_the_theme() -> None:
    for chart in every_chart("a"):
        assert "currentColor" in chart.svg
        for fixed in ("black", "white", "#000", "#fff"):
            assert fixed not in chart.svg


def test_states_differ_in_shape_not_only_in_colour() -> None:
    svg = every_chart("a")[0].svg
    assert "<circle" in svg  # joined
    assert "<path" in svg  # failed, a cross
    assert "<polygon" in svg  # the user event, a triangle


def test_the_map_keeps_distances_of_nodes_on_a_plane() -> None:
    square = [(0.0, 0.0), (0.03, 0.0), (0.0, 0.04), (0.03, 0.04)]
    turned = [(0.6 * x - 0.8 * y, 0.0, 0.8 * x + 0.6 * y) for x, y in square]
    shown = project(turned)
    for i, a in enumerate(square):
        for j, b in enumerate(square):
            expected = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5
            found = ((shown[i][0] - shown[j][0]) ** 2 + (shown[i][1] - shown[j][1]) ** 2) ** 0.5
            assert expected == pytest.approx(found, abs=1e-9)


def test_nodes_that_have_no_distance_lie_on_one_point() -> None:
    assert [(0.0, 0.0)] * 3 == project([(0.0,) * 8] * 3)


def test_the_matrix_shows_round_trips_in_milliseconds() -> None:
    matrix = rtt_matrix({"a": coordinate(0.0), NASTY: coordinate(0.05)})
    assert "50.02" in str(matrix)
    shown = matrix._repr_html_()
    assert "50.02" in shown
    assert "<script" not in shown


def test_crowded_charts_show_two_hundred_and_count_the_rest() -> None:
    names = [f"n{number:03}" for number in range(250)]
    story = [Moment(float(i), MemberEvent(EventType.MEMBER_JOIN, (member(n),))) for i, n in
             enumerate(names)]  # fmt: skip
    for chart in (
        timeline(story),
        coordinate_map({name: coordinate(0.001 * i) for i, name in enumerate(names)}),
    ):
        assert "… and 50 more" in chart.svg
        assert "… and 50 more" in chart.text
        assert "n249" not in chart.svg


def test_a_matrix_shows_forty_nodes_and_counts_the_rest() -> None:
    matrix = rtt_matrix({f"n{i:03}": coordinate(0.001 * i) for i in range(45)})
    for text in (str(matrix), matrix._repr_html_()):
        assert "… and 5 more" in text
        assert "n039" in text
        assert "n040" not in text


def test_names_of_nodes_in_one_place_stand_below_each_other() -> None:
    chart = coordinate_map({f"paris-{number}": coordinate(0.0) for number in range(6)})
    rows = re.findall(r'<text x="([0-9.]+)" y="([0-9.]+)"[^>]*>paris-', chart.svg)
    assert 6 == len(rows)
    heights = sorted(float(y) for _, y in rows)
    assert all(b - a >= 11 for a, b in itertools.pairwise(heights))


def test_names_of_nodes_that_share_a_dot_stand_evenly() -> None:
    nearly = {f"paris-{number}": coordinate(0.01, 1e-8 * (number % 3)) for number in range(6)}
    chart = coordinate_map({"oslo": coordinate(0.03), **nearly})
    heights = [float(y) for y in re.findall(r' y="([0-9.]+)"[^>]*>paris-', chart.svg)]
    assert all(11 <= b - a <= 13 for a, b in itertools.pairwise(heights))


def test_a_name_at_the_edge_of_the_map_is_not_cut() -> None:
    name = "a-name-of-twenty-letters"
    chart = coordinate_map({"left": coordinate(-0.05), name: coordinate(0.05), "x": coordinate()})
    found = re.search(rf'<text x="([0-9.]+)"[^>]* text-anchor="(\w+)"[^>]*>{name}<', chart.svg)
    assert found is not None
    x, anchor = float(found.group(1)), found.group(2)
    assert x <= 480 if anchor == "end" else x + 6.5 * len(name) <= 480


def test_a_timeline_begins_at_the_given_start() -> None:
    story = [
        Moment(1.0, MemberEvent(EventType.MEMBER_JOIN, (member("a"),))),
        Moment(12.0, MemberEvent(EventType.MEMBER_FAILED, (member("a"),))),
    ]
    chart = timeline(story, start=10.0)
    assert "2.000  member-failed: a" in str(chart)
    assert "member-join" not in str(chart)
    bars = re.findall(r'<rect x="([0-9.]+)"[^>]*fill-opacity="0.45"', chart.svg)
    assert "110.0" == bars[0]  # alive from the left edge on


def test_a_timeline_has_a_row_for_events_only_if_there_are_any() -> None:
    joined = Moment(1.0, MemberEvent(EventType.MEMBER_JOIN, (member("a"),)))
    sent = Moment(2.0, UserEvent(1, "deploy", b""))
    assert ">events<" not in timeline([joined]).svg
    assert ">events<" in timeline([joined, sent]).svg
    assert ">events<" not in timeline([sent, joined], start=2.5).svg


def test_a_timeline_explains_the_marks_that_occur() -> None:
    svg = every_chart("a")[0].svg
    for word in ("joined", "failed", "forgotten", "event or query"):
        assert f">{word}<" in svg
    assert ">left<" not in svg


def test_a_logarithmic_scale_has_room_for_a_thousandth_and_for_a_hundred() -> None:
    series = {"a": [(0.0, 1.0), (0.001, 2.0), (0.1, 3.0), (10.0, 4.0)]}
    svg = curves(series, title="t", log_x=True).svg
    for number in ("1 ms", "10 ms", "100 ms", "1 s", "10 s"):
        assert f">{number}<" in svg
    points = re.search(r'<polyline points="([^"]+)"', svg)
    assert points is not None
    columns = [float(point.split(",")[0]) for point in points.group(1).split()]
    assert [60.0, 60.0, 340.0, 620.0] == columns


def test_latencies_rise_in_stairs_from_nothing_to_all() -> None:
    svg = latency({"a": [2.0, 1.0]}).svg
    points = re.search(r'<polyline points="([^"]+)"', svg)
    assert points is not None
    steps = [tuple(map(float, point.split(","))) for point in points.group(1).split()]
    assert 5 == len(steps)
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in itertools.pairwise(steps))


def test_the_text_of_a_spread_gives_half_and_last() -> None:
    chart = spread({"a": 0.001, "b": 0.002, "c": 1.5})
    assert "one event, node by node: 3 nodes; half after 2 ms, the last after 1.5 s" == str(chart)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (2.5e-5, "25 µs"), (0.0123, "12.3 ms"), (1.5, "1.5 s"), (-0.002, "-2 ms")],
)
def test_durations_have_the_unit_that_suits_them(value: float, text: str) -> None:
    assert text == seconds(value)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert len(found) <= 11
    slack = 1e-6 * max(1.0, abs(low), span)
    assert all(low - slack <= tick <= low + span + slack for tick in found)


def test_values_outside_the_scale_stay_on_the_picture() -> None:
    axes = Axes(x_range=(0, 1), y_range=(0, 1))
    rng = random.Random(1)
    for _ in range(100):
        value = rng.uniform(-10, 10)
        assert axes.left <= axes.x(value) <= axes.width - axes.right
        assert axes.top <= axes.y(value) <= axes.height - axes.bottom


async def test_a_map_takes_a_node_or_several(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        await trio.sleep(30)
        nodes = [cluster[f"node-{number}"].serf for number in (1, 2, 3)]
        for given in (nodes[0], nodes[:1], nodes, iter(nodes)):
            chart = coordinate_map(given)
            assert all(f"node-{number}" in chart.svg for number in (1, 2, 3))
        assert ("node-1", "node-2", "node-3") == rtt_matrix(nodes[0]).names


@pytest.mark.parametrize("given", [5, "node-1", ["node-1"], {"a": (0.0, 1.0)}, None])
def test_a_map_says_what_it_wants(given: Any) -> None:
    for view in (coordinate_map, rtt_matrix):
        with pytest.raises(TypeError, match="expected a node, several nodes, or a mapping"):
            view(given)


async def test_a_member_known_before_the_recording_has_its_lane(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster, trio.open_nursery() as nursery:
        await cluster.spawn(3)
        await cluster.converged()
        await cluster.crash("node-3")
        await trio.sleep(60)
        recorder = Recorder(cluster["node-1"].serf)
        await nursery.start(recorder.run)
        await trio.sleep(1)
        chart = timeline(recorder.moments)
        assert all(f">node-{number}<" in chart.svg for number in (1, 2, 3))
        assert 3 == chart.svg.count('fill-opacity="0.45"')
        assert "<title>" not in chart.svg.partition(">node-1<")[2]  # no mark: nothing happened
        assert "already member-failed: node-3" in chart.text
        nursery.cancel_scope.cancel()
