"""The page of the agent names tests that exist; the unit and the image call it as it is."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.test_agent import running
from tests.source_tree import ROOT
from trioserf._agent.agent_flags import AGENT_FLAGS
from trioserf._agent.command_table import COMMANDS
from trioserf._agent.flags import parse_flags

PAGE = (ROOT / "docs" / "operations" / "agent.md").read_text()
OPERATIONS = ROOT / "docs" / "operations"


def test_every_difference_on_the_page_has_its_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "what | Go" not in line]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert rows
    assert [] == [row for row, names in zip(rows, named, strict=True) if not names]
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [] == [name for names in named for name in names if f"def {name}(" not in tests]


def test_every_difference_in_the_code_is_on_the_page() -> None:
    package = ROOT / "trioserf"
    paths = [
        *package.glob("_agent/*.py"),
        *package.glob("_rpc/*.py"),
        *package.glob("_wire/rpc_*.py"),
    ]
    for path in paths:
        text = path.read_text()
        differences = re.findall(r"DIFFERS:.*?(test_\w+)", text, re.DOTALL)
        assert text.count("DIFFERS:") == len(differences), path
        assert [] == [name for name in differences if name not in PAGE], path


def test_the_unit_and_the_image_call_the_agent_as_it_is_called() -> None:
    unit = (OPERATIONS / "trioserf.service").read_text()
    (words,) = re.findall(r"^ExecStart=\S+ trioserf agent (.*)$", unit, re.MULTILINE)
    assert [] == parse_flags(AGENT_FLAGS, words.split()).arguments
    assert "Type=notify" in unit
    image = (OPERATIONS / "Dockerfile").read_text()
    assert "\nUSER serf\n" in image
    assert '["trioserf", "info", "-timeout=2s"]' in image
    assert "timeout" in {flag.name for flag in COMMANDS["info"].flags}


@pytest.mark.slow
def test_the_image_leaves_on_a_termination_and_its_health_check_works(tmp_path: Path) -> None:
    image = (OPERATIONS / "Dockerfile").read_text()
    (settings, path) = re.findall(r"^RUN echo '(.*)' > (\S+)$", image, re.MULTILINE)[0]
    (tmp_path / "container.json").write_text(settings)
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", image, re.MULTILINE)
    (health,) = re.findall(r"^  CMD (.*)$", image, re.MULTILINE)
    program, command, *words = json.loads(entry)
    assert ("trioserf", "agent", [f"-config-file={path}"]) == (program, command, words)
    check = [sys.executable, "-m", *json.loads(health)]
    with running(tmp_path, f"-config-file={tmp_path}/container.json") as agent:
        agent.wait_text("Log data")
        environment = {**os.environ, "SERF_RPC_ADDR": agent.rpc}
        assert 0 == subprocess.run(check, check=False, env=environment, timeout=20).returncode
        assert 0 == agent.end(signal.SIGTERM)
        assert "Gracefully shutting down agent..." in agent.text
        assert 1 == subprocess.run(check, check=False, env=environment, timeout=20).returncode


@pytest.mark.slow
def test_the_service_manager_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd")
    unit = (OPERATIONS / "trioserf.service").read_text()
    assert "/usr/bin/env trioserf" in unit
    (tmp_path / "trioserf.service").write_text(unit)
    done = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / "trioserf.service")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stdout + done.stderr)
