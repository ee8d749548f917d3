"""The page of the agent names tests that exist; the unit and the image call it as it is."""

from __future__ import annotations

import re

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


def test_every_difference_of_the_agent_is_on_the_page() -> None:
    modules = ("agent", "agent_options", "agent_output", "handlers", "mdns", "node_config")
    for module in modules:
        text = (ROOT / "trioserf" / "_agent" / f"{module}.py").read_text()
        differences = re.findall(r"DIFFERS:.*?Test:[\s#]*(test_\w+)", text, re.DOTALL)
        assert differences, module
        assert [] == [name for name in differences if name not in PAGE]


def test_the_unit_and_the_image_call_the_agent_as_it_is_called() -> None:
    unit = (OPERATIONS / "trioserf.service").read_text()
    (words,) = re.findall(r"^ExecStart=\S+ trioserf agent (.*)$", unit, re.MULTILINE)
    assert [] == parse_flags(AGENT_FLAGS, words.split()).arguments
    assert "Type=notify" in unit
    image = (OPERATIONS / "Dockerfile").read_text()
    assert "\nUSER serf\n" in image
    assert '["trioserf", "info", "-timeout=2s"]' in image
    assert "timeout" in {flag.name for flag in COMMANDS["info"].flags}
