"""What the demo writes: columns, and nothing that a terminal could obey."""

from __future__ import annotations

import re

import pytest

from trioserf._agent.screen import (
    PlainScreen,
    RichScreen,
    make_screen,
    payload_text,
    printable,
)


def test_what_is_not_printable_is_shown_as_an_escape() -> None:
    assert "a\\x1b[31mb\\nc" == printable("a\x1b[31mb\nc")
    assert "größe" == printable("größe")
    assert "\\udcff" == printable("\udcff")


def test_payloads_show_as_text_and_never_too_long() -> None:
    assert '"v42"' == payload_text(b"v42")
    assert '"\\x00\\xff"' == payload_text(b"\x00\xff").replace("\\\\", "\\")
    long = payload_text(b"x" * 1000)
    assert long.endswith('…" (1000 bytes)')
    assert len(long) < 80


def test_lines_have_a_time_and_a_node(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    screen.heading("1. a beginning")
    screen.line("ada", "listens")
    screen.line("", "all is well", "good")
    screen.line("", "all is lost", "bad")
    screen.block("two\nlines")
    out = capsys.readouterr().out
    assert re.search(r"time +node +1\. a beginning", out)
    assert re.search(r"^ +\d\.\d\d s  ada {9}listens$", out, re.MULTILINE)
    assert "ok: all is well" in out
    assert "NOT OBSERVED: all is lost" in out
    assert "    two\n    lines\n" in out


def test_names_from_the_network_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    PlainScreen().line("a\x1b[2J", "b\x07")
    assert "\x1b" not in capsys.readouterr().out


def test_output_that_is_no_terminal_is_plain() -> None:
    assert type(make_screen()) is PlainScreen


def test_colours_change_nothing_of_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    screen = RichScreen()
    screen.heading("1. a [bold]beginning[/bold]")
    screen.line("a[red]da", "[blink]listens", "notice")
    screen.line("", "lost", "bad")
    screen.block("[two]\nlines")
    out = capsys.readouterr().out
    assert "1. a [bold]beginning[/bold]" in out
    assert re.search(r"a\[red\]da +\[blink\]listens", out)
    assert "not observed: lost" in out
    assert "    [two]\n    lines" in out
