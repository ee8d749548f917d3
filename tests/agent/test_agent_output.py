"""What an agent prints, and when."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from trioserf._agent.agent_options import OptionsError
from trioserf._agent.agent_output import MAX_HELD, AgentOutput, check_level
from trioserf._agent.console import Console

LOG = logging.getLogger("trioserf.agent.of_a_test")


@pytest.fixture(autouse=True)
def _no_handlers_left() -> Iterator[None]:
    yield
    LOG.handlers.clear()


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
