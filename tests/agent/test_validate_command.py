"""Checking files of settings without starting anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trioserf._agent.cli import run


def test_good_files_are_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text('{"bind":"127.0.0.1","role":"web"}')
    assert 0 == run(["validate", str(tmp_path)])
    assert (
        "Deprecation warning: 'Role' has been replaced with 'Tags'\nThe settings are valid.\n"
        == capsys.readouterr().out
    )


def test_what_is_dangerous_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text('{"rpc_addr":"0.0.0.0:7373"}')
    assert 0 == run(["validate", str(tmp_path / "a.json")])
    assert capsys.readouterr().out.startswith("Warning: RPC is open to everybody who reaches 0.0")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"bogus":1}', "invalid keys: bogus"),
        ('{"log_level":"loud"}', "Invalid log level: LOUD"),
        ('{"event_handlers":["foo=x"]}', "Invalid event script: Event 'foo' invoking 'x'"),
        ('{"protocol":9}', "too high"),
        ('{"keyring_file":"/none"}', "stat /none: no such file or directory"),
        ('{"user_event_size_limit":-1}', "no negative value"),
    ],
)
def test_what_an_agent_would_refuse_is_not_valid(
    text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(text)
    assert 1 == run(["validate", str(tmp_path / "a.json")])
    written = capsys.readouterr()
    assert ("", True) == (written.out, problem in written.err)
    assert 1 == run(["validate", "-format=json", str(tmp_path / "a.json")])
    found = json.loads(capsys.readouterr().out)
    assert (False, True) == (found["valid"], problem in found["error"])


def test_it_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(["validate"])
    assert "At least one file" in capsys.readouterr().err
