"""Streams, colours, and what a terminal is spared."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.agent.fake_agent import CommandLine, fake_agent, member, members
from tests.source_tree import ROOT

EVIL = members(member("a\x1b[2J", x="é"), member("b", "failed"))


def on_terminal(*words: str, **variables: str) -> str:
    """Run the program with a terminal for its output."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **variables}
    subprocess.run(
        [sys.executable, "-m", "trioserf", *words],
        stdout=theirs,
        check=True,
        cwd=ROOT,
        env=environment,
    )
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 65536):
            text += part
    except OSError:
        pass  # the end of a terminal
    os.close(ours)
    return text.decode().replace("\r\n", "\n")


def test_colours_are_for_terminals_alone(serf: CommandLine) -> None:
    with fake_agent({"members-filtered": EVIL}) as agent:
        words = ("members", f"-rpc-addr={agent.address}")
        text = on_terminal(*words)
        assert "  \x1b[32malive\x1b[0m" in text.replace("\x1b[32m  alive", "  \x1b[32malive")
        assert "failed\x1b[0m" in text
        assert "\x1b" not in serf(agent, "members").replace("\x1b[2J", "")


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(variables: dict[str, str]) -> None:
    with fake_agent({"members-filtered": EVIL}) as agent:
        text = on_terminal("members", f"-rpc-addr={agent.address}", **variables)
        assert "\x1b" not in text
        assert "a\\x1b[2J" in text
        assert "x=é" in text


def test_elsewhere_names_stay_as_they_are(serf: CommandLine) -> None:
    with fake_agent({"members-filtered": EVIL}) as agent:
        assert serf(agent, "members").startswith("a\x1b[2J  ")


def test_output_is_utf_8_whatever_the_locale_is() -> None:
    found = members(member("é\udcff"))
    with fake_agent({"members-filtered": found}) as agent:
        done = subprocess.run(
            [sys.executable, "-m", "trioserf", "members", f"-rpc-addr={agent.address}"],
            capture_output=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "latin-1", "LC_ALL": "C"},
        )
        assert done.stdout.startswith(b"\xc3\xa9\xff  10.0.0.2")


def in_shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell, in which $T is the program."""
    return subprocess.run(
        ["sh", "-c", line],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env={**os.environ, "T": f"{sys.executable} -m trioserf"},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("closed", "status"), [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0)]
)
def test_a_stream_that_is_closed_is_no_trouble(closed: str, status: int) -> None:
    done = in_shell(f"exec $T keygen {closed}")
    assert (status, "") == (done.returncode, done.stderr)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error_in_one_line() -> None:
    done = in_shell("exec $T keygen >/dev/full")
    assert (1, "Error writing: no space left on device\n") == (done.returncode, done.stderr)
    assert 1 == in_shell("exec $T keygen >/dev/full 2>&1").returncode
