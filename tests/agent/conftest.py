"""The command line, in this process."""

from __future__ import annotations

import os

import pytest

from tests.agent.fake_agent import CommandLine


@pytest.fixture
def serf(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Runs commands, without the variables of the one who runs the tests."""
    for name in os.environ:
        if name.startswith("SERF_"):
            monkeypatch.delenv(name)
    return CommandLine(capsys)
