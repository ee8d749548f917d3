"""What an agent prints, and when."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from trioserf._agent.agent_options import OptionsError
from trioserf._agent.agent_output import MAX_HELD, AgentOutput, check_level
from trioserf._agent.console import Console

LOG = logging.getLogger("trioserf.agent.of_a_test")


@pytest.fixture(autouse=True)
def _no_handlers_left() -> Iterator[None]:
    yield
    for handler in LOG.handlers[:]:
        LOG.removeHandler(handler)
        handler.close()


def opened() -> AgentOutput:
    """An output that gets what `LOG` gets."""
    output = AgentOutput(Console(), check_level("info"))
    LOG.addHandler(output)
    LOG.setLevel(logging.DEBUG)
    return output


def test_lines_are_held_back_until_the_start_is_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = opened()
    LOG.info("first")
    output.say("Starting")
    assert "==> Starting\n" == capsys.readouterr().out
    output.begin_streaming()
    LOG.warning("second %d", 2)
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"    \d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[INFO\] agent.of_a_test: first", first
    )
    assert second.endswith("[WARN] agent.of_a_test: second 2")


def test_a_failed_start_shows_what_was_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = opened()
    LOG.error("why")
    output.show_held()
    written = capsys.readouterr()
    assert ("", True) == (written.out, written.err.endswith("[ERR] agent.of_a_test: why\n"))


def test_the_level_may_change(capsys: pytest.CaptureFixture[str]) -> None:
    output = opened()
    output.begin_streaming()
    LOG.debug("unseen")
    output.set_level(check_level("debug"))
    LOG.debug("seen")
    assert ["seen"] == re.findall(r"\w*seen", capsys.readouterr().out)


def test_only_so_many_lines_are_held_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = opened()
    for number in range(MAX_HELD + 5):
        LOG.info("%d", number)
    output.begin_streaming()
    assert MAX_HELD == len(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("level", ["error", "warning", "loud", ""])
def test_levels_are_those_of_go(level: str) -> None:
    with pytest.raises(OptionsError) as raised:
        check_level(level)
    assert (
        f"Invalid log level: {level.upper()}. Valid log levels are: [TRACE DEBUG INFO WARN ERR]"
        == str(raised.value)
    )


def test_a_facility_that_there_is_not_is_named() -> None:
    output = opened()
    with pytest.raises(OptionsError, match=r"^Syslog setup failed: invalid syslog facility: FOO$"):
        output.add_syslog("FOO")


def test_a_daemon_that_there_is_not_is_an_error_of_the_start(tmp_path: Path) -> None:
    output = opened()
    with pytest.raises(OptionsError, match=r"^Syslog setup failed: Unix syslog delivery error$"):
        output.add_syslog("LOCAL0", str(tmp_path / "none"))


def test_syslog_gets_a_datagram_for_each_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.settimeout(5)
        opened().add_syslog("local0", str(tmp_path / "log"))
        LOG.info("starting")
        LOG.warning("a warning")
        LOG.debug("not important enough")
        LOG.error("an error")
        form = rb"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d serf\[%d\]: (.*)\n" % os.getpid()
        found = [re.fullmatch(form, daemon.recv(1000)) for _ in range(3)]
    assert [
        (b"133", b"agent.of_a_test: starting"),
        (b"132", b"agent.of_a_test: a warning"),
        (b"131", b"agent.of_a_test: an error"),
    ] == [line.groups() for line in found if line]


def test_a_syslog_daemon_that_hangs_or_ends_holds_up_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(path)
        opened().add_syslog("local0", path)
        for _ in range(300):  # more than the system keeps for it
            LOG.info("x" * 100)
    os.unlink(path)
    LOG.info("lost")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(path)
        daemon.settimeout(5)
        LOG.info("it is back")
        assert b"it is back" in daemon.recv(1000)
