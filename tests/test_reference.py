"""The reference is what the source says, and leaves nothing out."""

from __future__ import annotations

import inspect
import re
import string

import attrs
import pytest

from tests.reference.commands import rpc_errors
from tests.reference.log_lines import log_lines, unread_calls
from tests.reference.meanings import meanings
from tests.reference.metrics import drop_reasons, figures, metrics
from tests.reference.names import PUBLIC_MODULES, exceptions, public_names
from tests.reference.pages import FOLDER, pages
from tests.source_tree import PACKAGE
from trioserf import Config, EventType, MemberlistConfig
from trioserf._agent.command_table import COMMANDS
from trioserf._wire import rpc_messages

PAGES = pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_source_says(name: str) -> None:
    assert PAGES[name] == (FOLDER / name).read_text(), "run: python -m tests.reference"


def test_every_public_module_has_a_page() -> None:
    private = {"trioserf.__main__"}
    modules = {f"trioserf.{path.stem}" for path in PACKAGE.glob("[!_]*.py")} | {
        f"trioserf.{path.parent.name}" for path in PACKAGE.glob("[!_]*/__init__.py")
    }
    assert {"trioserf", *modules} - private == set(PUBLIC_MODULES)


@pytest.mark.parametrize(
    "dotted", [dotted for dotted in PUBLIC_MODULES if dotted != "trioserf.testing_plugin"]
)
def test_every_public_name_is_on_a_page(dotted: str) -> None:
    text = "\n".join(PAGES.values())
    names = [each for each in public_names(dotted) if each.name != "__version__"]
    assert names
    documented = set(re.findall(r"^\.\. (?:auto\w+|py:data):: (\S+)", text, re.MULTILINE))
    assert [] == [each.path for each in names if each.path not in documented]
    linked = [each for each in names if each.home != dotted]
    assert [] == [each.path for each in linked if f"<{each.path}>" not in PAGES[f"{dotted}.md"]]


@pytest.mark.parametrize("dotted", PUBLIC_MODULES)
def test_every_public_name_says_what_it_is(dotted: str) -> None:
    silent = [
        each.name
        for each in public_names(dotted)
        if inspect.isclass(each.value) or inspect.isroutine(each.value)
        if not (inspect.getdoc(each.value) or "").strip()
    ]
    assert [] == silent


def test_every_exception_is_in_the_tree() -> None:
    tree = PAGES["exceptions.md"].partition("```text\n")[2].partition("```")[0]
    assert [each.__name__ for each in exceptions()] == re.findall(r"^ *(\w+)", tree, re.MULTILINE)


def test_every_setting_is_in_the_table_with_its_name_in_go() -> None:
    table = (FOLDER / "settings.md").read_text().partition("## All in one table")[2]
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", table, re.MULTILINE)
    fields = [field.name for cls in (Config, MemberlistConfig) for field in attrs.fields(cls)]
    assert fields == [name for name, _go in rows]
    assert all(go for _name, go in rows)


# --- what has a meaning ---------------------------------------------------------------------


def test_every_log_line_has_its_meaning() -> None:
    """A new line? Say in ``docs/reference/meanings.toml`` what it means, and what to do."""
    lines = {line.text for line in log_lines()}
    assert len(lines) > 100
    assert set() == lines - meanings("log").keys(), "without a meaning"
    assert set() == meanings("log").keys() - lines, "no longer in the source"


def test_no_call_of_a_log_is_overlooked() -> None:
    assert {
        "_agent/agent.py: _run_node",  # what the preparation of the agent found: its own words
        "_memberlist/node_log.py: log",  # hands on what others log
        "_serf/delegate.py: apply_effects",  # writes the texts of `Log` effects
    } == set(unread_calls())


def test_every_metric_has_its_meaning() -> None:
    names = {metric.name for metric in metrics()}
    assert len(names) > 40
    assert names == meanings("metric").keys()


def test_every_reason_to_drop_input_has_its_meaning() -> None:
    assert drop_reasons().keys() == meanings("dropped").keys()


def test_every_key_of_the_statistics_has_its_meaning() -> None:
    keys = {figure.key: figure.about for figure in figures()}
    assert {"memberlist.loop_lag.worst", "queues.*.depth", "memberlist.sent.packets.*"} <= set(keys)
    assert [] == [key for key, about in keys.items() if not about]


def test_every_kind_of_event_has_its_meaning() -> None:
    assert {*EventType.__members__, "EventsDropped"} == meanings("event").keys()


def test_every_rpc_command_and_error_has_its_meaning() -> None:
    assert {*rpc_messages.COMMANDS, *rpc_errors()} == meanings("rpc").keys()


def test_every_command_and_flag_is_on_the_page() -> None:
    for command in COMMANDS.values():
        section = PAGES["commands.md"].partition(f"\n## {command.name}\n")[2].partition("\n## ")[0]
        assert command.about[1:] in section
        named = re.findall(r"^\| `-([\w-]+)", section, re.MULTILINE)
        assert [flag.name for flag in command.flags] == named


def test_meanings_are_sentences() -> None:
    for part in ("log", "metric", "dropped", "event", "rpc"):
        for key, text in meanings(part).items():
            assert text[0] in string.ascii_uppercase + "`", key
            assert text[-1] in ".?", key
