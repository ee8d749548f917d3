"""The command line: usage, status, and the two forms of the demo, as a user runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import trioserf
from tests.interop.processes import child
from tests.interop.waiting import becomes, limit
from tests.source_tree import ROOT
from trioserf._agent.cli import run
from trioserf._agent.command_table import COMMANDS

COMMAND = [sys.executable, "-m", "trioserf"]


VERSION = f"trioserf {trioserf.__version__}\nAgent Protocol: 5 (Understands back to: 2)\n"


@pytest.mark.parametrize("words", [[], ["bogus"], ["bogus", "-h"], ["-version"], ["--", "demo"]])
def test_without_a_command_that_it_knows_it_lists_them(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 127 == run(words)
    written = capsys.readouterr()
    assert "" == written.out
    assert written.err.startswith("Usage: trioserf [--version] [--help] <command>")
    assert all(f"  {name} " in written.err for name in COMMANDS)


@pytest.mark.parametrize(
    "words",
    [["version"], ["--version"], ["-v"], ["demo", "--version"], ["demo", "x", "--", "-v"]],
)
def test_it_prints_its_version_wherever_it_is_asked_for(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == run(words)
    assert VERSION == capsys.readouterr().out


def test_the_version_has_the_protocols_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["version", "-format=json"])
    assert {
        "version": trioserf.__version__,
        "protocol": {
            "max": trioserf.PROTOCOL_VERSION_MAX,
            "min": trioserf.PROTOCOL_VERSION_MIN,
        },
    } == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "words",
    [["-h"], ["--help"], ["-help"], ["demo", "-h"], ["--help", "demo"], ["demo", "x", "-h"]],
)
def test_help_is_no_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(words)
    written = capsys.readouterr()
    assert ("", "Usage: trioserf") == (written.err, written.out[:15])


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_on_a_screen(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run([name, "-h"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= (40 if name == "agent" else 24)  # Go's agent has that many flags
    assert [] == [line for line in lines if len(line) > 80]


def test_flags_before_the_command_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run(["-x", "version"])
    written = capsys.readouterr()
    assert "" == written.out
    assert written.err.startswith("Invalid flags before the subcommand.")
    assert "Usage: trioserf version" in written.err


@pytest.mark.parametrize("stream", ["stderr", "stdout"])
def test_errors_go_where_the_environment_says(
    stream: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERF_ERRORS", stream)
    assert 2 == run(["demo", "-bogus"])
    written = capsys.readouterr()
    assert written.err.startswith("flag provided but not defined: -bogus\n")
    where = written.out if stream == "stdout" else written.err
    assert "Usage: trioserf demo [options]" in where
    assert 0 == run(["-h"])
    written = capsys.readouterr()
    assert "Usage:" in (written.err if stream == "stdout" else written.out)


def test_a_program_whose_output_nobody_reads_ends_by_the_signal() -> None:
    with subprocess.Popen(
        [*COMMAND, "version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        child.stdout.close()
        assert child.stderr is not None
        assert b"" == child.stderr.read()
        assert -signal.SIGPIPE == child.wait(30)


@pytest.mark.slow
def test_the_demo_ends_by_itself_having_observed_every_step() -> None:
    done = subprocess.run(
        [*COMMAND, "demo"], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "" == done.stderr
    assert "NOT OBSERVED" not in done.stdout
    for line in (
        "5 nodes list the same members: 5 alive",
        'receives deploy "v42"',
        "5 of 5 nodes answered",
        "declares eve failed",
        "sees dan leave",
        "sees eve join",
        "Every step was observed.",
    ):
        assert line in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--join", "127.0.0.1:1"], "cannot join 127.0.0.1:1"),
        (["--join", "127.0.0.1:x"], "expected a port"),
        (["--join", "127.0.0.1:1", "--encrypt", "short"], "encrypt_key"),
        (["--join", "127.0.0.1:1", "--bind", "nowhere:1"], "bind="),
    ],
)
def test_a_demo_that_cannot_join_says_why_and_fails(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == run(["demo", *arguments])
    assert text in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@limit(30)
async def test_the_demo_watches_a_cluster_and_leaves_it_when_interrupted(
    number: signal.Signals, tmp_path: Path
) -> None:
    config = trioserf.Config.local(node_name="host", bind="127.0.0.1:0", leave_on_exit=False)
    async with trioserf.open(config) as serf:

        def status() -> trioserf.MemberStatus | None:
            return next((m.status for m in serf.members() if m.name == "watcher"), None)

        address = f"127.0.0.1:{serf.local_member.port}"
        command = [*COMMAND, "demo", "--join", address, "--node", "watcher"]
        with child(command, output_path=tmp_path / "output", cwd=ROOT) as watcher:
            await becomes(trioserf.MemberStatus.ALIVE, status)
            await serf.user_event("deploy", b"v\x1b42")
            await becomes(True, lambda: "v\\x1b42" in watcher.output)
            watcher.process.send_signal(number)
            await becomes(trioserf.MemberStatus.LEFT, status)
            await becomes(0, lambda: watcher.exit_status)
            assert "host" in watcher.output
            assert "left the cluster" in watcher.output
