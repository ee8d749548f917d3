"""The checklists of the README name tests that exist."""

from __future__ import annotations

import ast
import re

from tests.source_tree import ROOT, modules

TESTS = ROOT / "tests"


def named_tests() -> list[tuple[str, str]]:
    text = (TESTS / "README.md").read_text()
    return re.findall(r"`([\w/]+\.py)::(\w+)`", text)


def test_every_test_that_a_checklist_names_exists() -> None:
    named = named_tests()
    assert len(named) > 80
    existing = {
        path: {
            node.name
            for node in ast.walk(ast.parse((TESTS / path).read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for path in {path for path, _ in named}
    }
    assert [] == [f"{path}::{name}" for path, name in named if name not in existing[path]]


def test_every_item_of_the_membership_checklist_is_there() -> None:
    text = (TESTS / "README.md").read_text()
    checklist = text.partition("### Membership checklist")[2].partition("###")[0]
    numbers = re.findall(r"^\| (\d+)\. ", checklist, re.MULTILINE)
    assert [str(number) for number in range(1, 23)] == numbers


def test_every_item_of_the_serf_checklist_has_a_test() -> None:
    text = (TESTS / "README.md").read_text()
    checklist = text.partition("### Serf checklist")[2].partition("\n###")[0]
    numbers = re.findall(r"^\| (\d+) \| [^|]+ \| `\w+", checklist, re.MULTILINE)
    assert [str(number) for number in range(1, 131)] == numbers


def test_every_bug_of_go_s_serf_has_a_test() -> None:
    text = (TESTS / "README.md").read_text()
    table = text.partition("### Bugs of Go's Serf")[2].partition("\n###")[0]
    numbers = re.findall(r"^\| U(\d+)\. [^|]+ \| `\w+", table, re.MULTILINE)
    assert [str(number) for number in range(1, 19)] == numbers


def test_every_kind_of_bad_input_has_a_test() -> None:
    text = (TESTS / "README.md").read_text()
    table = text.partition("### Bad input of Serf")[2].partition("\n###")[0]
    assert 28 == len(re.findall(r"^\| [^|]+ \| `\w+", table, re.MULTILINE))


def test_every_test_that_a_table_names_without_its_file_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (TESTS / "README.md").read_text()))
    assert named
    texts = [path.read_text() for path in TESTS.rglob("test_*.py")]
    assert [] == sorted(name for name in named if not any(f"def {name}(" in t for t in texts))


def test_every_difference_from_go_names_its_test() -> None:
    existing = {
        name
        for path in TESTS.rglob("*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    unnamed = []
    # The reason ends with its docstring or comment, or where the next one begins.
    ends = r'"""|\n\n(?=\S)|\n *(?:async )?def |\bDIFFERS\b|\Z'
    marker = re.compile(rf"\bDIFFERS\b.*?(?={ends})", re.DOTALL)
    for module in modules():
        for reason in marker.findall(module.text):
            named = set(re.findall(r"\btest_\w+", reason))
            if not named or not named <= existing:
                unnamed.append(f"{module.path}: {reason[:70]} {sorted(named - existing)}")
    assert [] == unnamed


def test_every_folder_and_file_of_the_tests_has_its_line() -> None:
    text = (TESTS / "README.md").read_text()
    silent = {"__init__.py", "__pycache__", "README.md", "conftest.py"}
    assert [] == sorted(
        path.name for path in TESTS.iterdir() if path.name not in silent and path.name not in text
    )
