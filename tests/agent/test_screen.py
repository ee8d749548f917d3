"""What the demo writes: columns, and nothing that a terminal could obey."""

from __future__ import annotations

import re

import pytest

from trioserf._agent.screen import PlainScreen, RichScreen, make_screen


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
