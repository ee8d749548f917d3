"""Names, tags and payloads come from the network: no view lets them do anything but be read."""

from __future__ import annotations

import html.parser
import io
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from trio.testing import MockClock

from trioserf import (
    Coordinate,
    EventsDropped,
    EventType,
    KeyResponse,
    Member,
    MemberEvent,
    Members,
    MemberStatus,
    Query,
    QueryResult,
    UserEvent,
)
from trioserf._cluster.query_collector import NodeResponse
from trioserf.notebook import (
    Chart,
    Moment,
    coordinate_map,
    curves,
    latency,
    queues,
    rtt_matrix,
    spread,
    timeline,
)
from trioserf.testing import SimCluster

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='x'>&amp;&lt;",
    "]]><!-- --><?xml version='1.0'?>",
    "\x1b[2J\x1b]0;title\x07\x9b31m",
    "a\nb\r\x0b\x0c\x85\u2028\u2029c\td",
    "\u202eevil\u2066\u200b\ufeff",
    "\udc80\ud800",
    "\0\x7f",
    "[bold red]x[/bold red][link=http://e/]:smile:[/]",
    "x" * 5000,
    "日" * 5000,
    "",
]


def member(name: str) -> Member:
    return Member(
        name=name,
        addr=ip_address("127.0.0.1"),
        port=7946,
        status=MemberStatus.ALIVE,
        tags={name: name},
    )


def story(name: str) -> list[Moment]:
    kinds = (EventType.MEMBER_JOIN, EventType.MEMBER_UPDATE, EventType.MEMBER_FAILED)
    events = [MemberEvent(kind, (member(name), member("b"))) for kind in kinds]
    others = [UserEvent(1, name, name.encode("utf-8", "surrogatepass")), EventsDropped(2)]
    return [
        Moment(float(time), event)
        for time, event in enumerate([*events, *others, Query(1, name, b"", name, 0.0)])
    ]


def place(x: float) -> Coordinate:
    return Coordinate((x,) + (0.0,) * 7, 0.5, 0.0, 1e-5)


VIEWS: dict[str, Callable[[str], object]] = {
    "Member": member,
    "Members": lambda name: Members([member(name), member("b")]),
    "KeyResponse": lambda name: KeyResponse(
        messages={name: name}, num_nodes=1, num_resp=1, num_err=1, keys={"k": 1}, primary_keys={}
    ),
    "QueryResult": lambda name: QueryResult(
        responses=(NodeResponse(name, name.encode("utf-8", "surrogatepass")),),
        acks=(name, name + "a"),
        missing=frozenset({name + "m"}),
    ),
    "timeline": lambda name: timeline(story(name), title=name),
    "spread": lambda name: spread({name: 0.1, "b": 0.2}, title=name),
    "curves": lambda name: curves({name: [(0, 1), (1, 2)]}, title=name, x_label=name, y_label=name),
    "latency": lambda name: latency({name: [0.1, 0.2]}, title=name, unit=name),
    "queues": lambda name: queues([(0.0, {name: 1}), (1.0, {name: 3})], title=name),
    "coordinate_map": lambda name: coordinate_map({name: place(0.01), "b": place(0)}, title=name),
    "rtt_matrix": lambda name: rtt_matrix({name: place(0.01), "b": place(0)}),
}

SHOWN = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
SHOWN |= {"strong", "em", "details", "summary"}
DRAWN = {"svg", "title", "text", "line", "polyline", "polygon", "rect", "circle", "path"}


class Page(html.parser.HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.other: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    handle_pi = handle_decl = unknown_decl = handle_comment


def check_text(text: str) -> None:
    strange = [char for char in text if not char.isprintable() and char != "\n"]
    assert [] == strange
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, set(text) - {"\n"}))
    assert len(text) < 40_000


def check_html(shown: str) -> None:
    page = Page()
    page.feed(shown)
    assert page.tags <= (DRAWN if "<svg" in shown else SHOWN)
    assert [] == [name for name in page.attributes if name.startswith(("on", "href", "src"))]
    assert [] == page.other
    ET.fromstring(f"<div>{shown}</div>")
    check_text(shown)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_only_read(view: str, name: str) -> None:
    shown = VIEWS[view](name)
    check_text(str(shown))
    check_text(repr(shown))
    bundle = shown._repr_mimebundle_()  # type: ignore[attr-defined]
    check_text(bundle["text/plain"])
    check_html(bundle["text/html"])


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_rich_neither_obeys_a_name_nor_takes_its_markup(view: str, name: str) -> None:
    console = pytest.importorskip("rich.console")
    file = io.StringIO()
    console.Console(file=file, width=200, color_system=None).print(VIEWS[view](name))
    check_text(file.getvalue())
    if name.startswith("[") and view != "rtt_matrix":
        assert "[bold" in file.getvalue()


def test_rich_shows_a_box_and_colours_beside_the_words() -> None:
    console = pytest.importorskip("rich.console")
    file = io.StringIO()
    terminal = console.Console(file=file, force_terminal=True, color_system="standard", width=100)
    terminal.print(VIEWS["Members"]("a"))
    assert "╭" in file.getvalue()
    assert "\x1b[32malive" in file.getvalue()


def test_no_picture_grows_with_a_name() -> None:
    for view, make in VIEWS.items():
        shown = make("x" * 5000)
        if isinstance(shown, Chart):
            root = ET.fromstring(shown.svg)
            labels = [element.text or "" for element in root.iter() if element.tag.endswith("text")]
            assert max(map(len, labels)) <= 120, view


async def test_a_node_shows_hostile_peers_as_text(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn("a", HOSTILE[0], tags={HOSTILE[1]: HOSTILE[4]})
        await cluster.converged()
        serf = cluster["a"].serf
        for shown in (serf, serf.statistics(), serf.members()):
            check_text(str(shown))
            check_html(shown._repr_mimebundle_()["text/html"])  # type: ignore[attr-defined]
        assert "alert(1)" in str(serf)
