"""Durations, names, notes and probes in words."""

from __future__ import annotations

from typing import get_args

import attrs
import pytest

from trioserf._memberlist.history import DroppedInput, Note, What
from trioserf._serf.wording import input_text, listed, note_text, probe_text, seconds, times
from trioserf._swim.probing import ProbeReport, StreamPing
from trioserf.abc import Address

PEER = Address("10.0.0.3", 7946)
REPORT = ProbeReport(
    reached=True, waited=0.5, late=True, sent=False, helpers=(), stream=StreamPing.NOT_TRIED
)


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0.0, "0.00 s"), (0.526, "0.53 s"), (48.2, "48 s"), (700, "12 min"), (12345, "3.4 h")],
)
def test_durations_are_as_exact_as_they_are_short(duration: float, text: str) -> None:
    assert text == seconds(duration)


def test_names_are_listed_and_many_are_counted() -> None:
    assert ["none", "'a'", "'a' and 'b'"] == [listed([]), listed("a"), listed("ab")]
    assert "'a', 'b', 'c', 'd', 'e' and 3 more" == listed("abcdefgh")
    assert ["once", "2 times"] == [times(1), times(2)]


def test_a_probe_is_described_on_one_line() -> None:
    assert (
        "the ping could not be sent; the node itself acked late; no helper was asked"
        == probe_text(REPORT)
    )
    tried = attrs.evolve(REPORT, sent=True, late=False, stream=StreamPing.CONNECTING)
    assert probe_text(tried).endswith("on a stream: no connection")


@pytest.mark.parametrize("what", get_args(What))
def test_every_kind_of_note_has_its_sentence(what: What) -> None:
    note = Note(1.0, 1.0, "b", what, "c", PEER, 7, "10.0.0.9:1")
    text = note_text(note, lambda source: "node-3")
    assert text.endswith("(in a packet of node-3, 10.0.0.3:7946)")
    assert len(text) > 45
    by_stream = note_text(Note(1.0, 1.0, "b", what, "c", "10.0.0.3", 7, "x"), str)
    assert by_stream.endswith("(in a state exchange with 10.0.0.3)")
    assert "(in" not in note_text(Note(1.0, 1.0, "b", what, "c", None, 7, "x"), str)


def test_a_note_of_a_probe_is_the_probe() -> None:
    note = Note(1.0, 1.0, "b", "reached indirectly", "", None, 7, REPORT)
    assert probe_text(REPORT) == note_text(note, str)


def test_dropped_input_says_from_where_and_why() -> None:
    dropped = DroppedInput(PEER, "decrypt", "no key fits", 3, 0.0, 1.0)
    assert "input of 10.0.0.3:7946 was dropped (decrypt): no key fits" == input_text(dropped)
    failed = DroppedInput(PEER, "exchange", "refused", 3, 0.0, 1.0)
    assert "state exchange with 10.0.0.3:7946 failed: refused" == input_text(failed)
