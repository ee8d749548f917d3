"""What lines and counters mean, which the source does not say: ``docs/reference/meanings.toml``."""

from __future__ import annotations

import tomllib
from functools import cache

from tests.source_tree import ROOT

FILE = ROOT / "docs" / "reference" / "meanings.toml"


@cache
def _all() -> dict[str, dict[str, str]]:
    return tomllib.loads(FILE.read_text())


def meanings(part: str) -> dict[str, str]:
    """Line, counter or command to its meaning; in one of the tables of the file."""
    return _all().get(part, {})
