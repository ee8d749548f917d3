"""What ``CONTRIBUTING.md`` names is there."""

from __future__ import annotations

import re

from tests.source_tree import PACKAGE, ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_file_that_it_names_exists() -> None:
    named = set(re.findall(r"`((?:\.ci|[\w.]+)(?:/[\w.]+)*/?)`", TEXT))
    paths = {name for name in named if "/" in name or name.endswith((".py", ".md"))}
    assert len(paths) > 60
    assert set() == {p for p in paths if not (ROOT / p).exists() and not (PACKAGE / p).exists()}


def test_the_glossary_is_short_enough_to_be_read() -> None:
    glossary = TEXT.partition("## Words")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!word|---)", glossary, re.MULTILINE)
    assert 25 <= len(rows) <= 35
