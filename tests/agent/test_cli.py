"""The command line: usage, status, and the two forms of the demo, as a user runs them."""

from __future__ import annotations

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

COMMAND = [sys.executable, "-m", "trioserf"]


def test_without_a_command_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run([])
    assert "usage: trioserf" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--version", "-version"])
def test_it_prints_its_version(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run([flag])
    assert capsys.readouterr().out.startswith("trioserf 0.")


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
