"""Explanations as text, as HTML and as plain values."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from trioserf import Explanation, MemberStatus
from trioserf._memberlist.loop_lag import LoopLagStatistics
from trioserf._serf.explanation import ENTRIES_SHOWN, InputProblem, TimelineEntry
from trioserf._swim.probing import ProbeReport, StreamPing
from trioserf.abc import Address

LAG = LoopLagStatistics(last=0.001, worst=2.5, blocks=1)
PROBE = ProbeReport(
    reached=False,
    waited=0.5,
    late=False,
    sent=True,
    helpers=(("c", "nack"), ("d", "silent")),
    stream=StreamPing.REFUSED,
)


def entry(
    what: str = "suspected", count: int = 1, name: str = "b", text: str = "suspected by c"
) -> TimelineEntry:
    return TimelineEntry(ago=12.3, first_ago=130.0, count=count, name=name, what=what, text=text)


def explanation(kind: Any = "member", **fields: object) -> Explanation:
    return Explanation(
        **{  # type: ignore[arg-type]
            "subject": "b",
            "kind": kind,
            "node": "a",
            "causes": ("Its host is down.",),
            "health_score": 0,
            "loop_lag": LAG,
            **fields,
        }
    )


FULL = explanation(
    status=MemberStatus.FAILED,
    since=16.0,
    address=Address("10.0.0.2", 7946),
    incarnation=3,
    last_contact=20.5,
    rtt=0.00123,
    suspected_by="c",
    confirmed_by=("d", "e"),
    declared_by="a",
    probe=PROBE,
    inputs=(InputProblem(source="10.0.0.9:1", layer="decrypt", problem="x", count=2, ago=1.0),),
    timeline=(entry(), entry("blocked", 4, "z")),
)


def test_the_text_says_everything_in_lines() -> None:
    assert [
        "b: failed for 16 s · 10.0.0.2:7946 · incarnation 3 · last contact 20 s ago"
        " · round trip 1.23 ms",
        "  Its host is down.",
        "  Suspected by 'c', confirmed by 'd' and 'e'.",
        "  Declared dead by 'a'.",
        "  Last probe without a direct ack: no ack within 0.50 s; helpers asked: c: nack, "
        "d: silent; on a stream: connection refused.",
        "",
        "                        12 s ago  suspected  suspected by c",
        "  4 × since 2 min, last 12 s ago  blocked    z: suspected by c",
    ] == str(FULL).splitlines()


@pytest.mark.parametrize(
    ("shown", "first"),
    [
        (explanation("unknown", subject="x"), "x: not known"),
        (explanation("address", subject="10.0.0.9"), "10.0.0.9"),
        (
            explanation("address", subject="10.0.0.9", members=("b", "c")),
            "10.0.0.9: the address of 'b' and 'c'",
        ),
        (
            explanation("this node", subject="a", status=MemberStatus.ALIVE, since=3.0),
            "a: alive for 3.0 s (this node) · last contact never · health score 0"
            " · loop lag 1 ms, at worst 2.5 s",
        ),
        (explanation(), "b: forgotten · last contact never"),
        (
            explanation(status=MemberStatus.ALIVE, suspect=True, since=0.25),
            "b: alive and suspected for 0.25 s · last contact never",
        ),
    ],
)
def test_the_first_line_says_what_it_is(shown: Explanation, first: str) -> None:
    assert first == str(shown).splitlines()[0]


def test_a_suspicion_that_nobody_confirmed_is_said_so() -> None:
    assert "Suspected by 'c', confirmed by nobody." in str(explanation(suspected_by="c"))


def test_the_html_has_every_cause_and_entry_and_no_markup_of_peers() -> None:
    evil = "<script>alert(1)</script>\x1b[31m"
    hostile = attrs.evolve(FULL, causes=(evil,), timeline=(entry(name=evil), entry(text=evil)))
    html, text = hostile._repr_html_(), str(hostile)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in html + text
    assert 2 == html.count("<li style=")
    assert {"text/plain": str(FULL), "text/html": FULL._repr_html_()} == FULL._repr_mimebundle_()
    assert repr(FULL).startswith("<Explanation of 'b' by 'a': Its host is down.")


def test_a_long_timeline_shows_its_end_and_counts_the_rest() -> None:
    long = attrs.evolve(FULL, timeline=(entry(),) * (ENTRIES_SHOWN + 5))
    assert "… and 5 earlier" in str(long)
    assert "… and 5 earlier" in long._repr_html_()


def test_plain_values_go_through_json() -> None:
    values = json.loads(json.dumps(FULL.to_dict()))
    assert ("failed", "10.0.0.2:7946") == (values["status"], values["address"])
    assert [["c", "nack"], ["d", "silent"]] == values["probe"]["helpers"]
    assert "connection refused" == values["probe"]["stream"]
    assert {"last": 0.001, "worst": 2.5, "blocks": 1} == values["loop_lag"]
    assert "suspected" == values["timeline"][0]["what"]
