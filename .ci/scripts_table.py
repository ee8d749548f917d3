"""Write ``trioserf/_cluster/re2/scripts.py`` from the Unicode Character Database.

Usage: ``python .ci/scripts_table.py Scripts.txt``, with the file of that name of
https://www.unicode.org/Public/UCD/latest/ucd/ (its first line names the version).
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

TARGET = Path(__file__).parents[1] / "trioserf/_cluster/re2/scripts.py"
Run = tuple[int, int]
"""First and last code point."""

HEAD = '''"""Which characters belong to which script, for ``\\\\p{{Greek}}`` and the like.

Python's ``unicodedata`` knows categories but not scripts.  Here are all, each as ranges of code
points in hexadecimal.  This file is written by ``.ci/scripts_table.py``.

Source: Unicode Character Database {version}, Scripts.txt; UAX 24 for what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final


@cache
def script_ranges(name: str) -> tuple[tuple[int, int], ...] | None:
    """The code points of a script, first and last of each run; None if there is none."""
    text = _SCRIPTS.get(name)
    if text is None:
        return None
    runs = [run.partition("-") for run in text.split()]
    return tuple((int(first, 16), int(last or first, 16)) for first, _, last in runs)


_SCRIPTS: Final[Mapping[str, str]] = {{
'''
_LINE = re.compile(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*(\w+)")
_VERSION = re.compile(r"Scripts-([0-9.]+)\.txt")
_WIDTH = 86


def read(text: str) -> tuple[str, dict[str, list[Run]]]:
    """Version and scripts of a ``Scripts.txt``; neighbouring runs are joined."""
    version = _VERSION.search(text)
    if version is None:
        raise ValueError("the first line does not name a version: is it Scripts.txt?")
    found: dict[str, list[Run]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is not None:
            first, last, name = match.groups()
            found.setdefault(name, []).append((int(first, 16), int(last or first, 16)))
    return version[1], {name: _joined(runs) for name, runs in sorted(found.items())}


def _joined(runs: Sequence[Run]) -> list[Run]:
    joined: list[Run] = []
    for first, last in sorted(runs):
        if joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def module(version: str, scripts: Mapping[str, Sequence[Run]]) -> str:
    """The text of the module."""
    parts = [HEAD.format(version=version.removesuffix(".0"))]
    for name, runs in scripts.items():
        shown = " ".join(
            f"{first:X}" if first == last else f"{first:X}-{last:X}" for first, last in runs
        )
        lines = textwrap.wrap(shown, _WIDTH, break_on_hyphens=False)
        if len(lines) == 1 and len(name) + len(shown) < _WIDTH:
            parts.append(f'    "{name}": "{shown}",\n')
            continue
        quoted = [f'        "{line} "\n' for line in lines[:-1]] + [f'        "{lines[-1]}"\n']
        parts.append(f'    "{name}": (\n{"".join(quoted)}    ),\n')
    return "".join(parts) + "}\n"


if __name__ == "__main__":
    TARGET.write_text(module(*read(Path(sys.argv[1]).read_text())))
    subprocess.run([sys.executable, "-m", "ruff", "format", str(TARGET)], check=True)
