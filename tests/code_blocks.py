"""The blocks of code in what people read: README, the pages of ``docs``, and docstrings.

A comment of Markdown just above a block says what is to be known of it, and no reader sees it:

* ``<!-- continues -->``: it goes on where the block before it on the page ended; both are one.
* ``<!-- tested by tests/FILE.py::TEST -->``: it needs something around it, which that test has.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.source_tree import ROOT, modules

PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))
_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^>]*) -->\n+)?"
    r"^(?P<mark>`{3,})(?P<language>[\w-]+)\n(?P<text>.*?)^(?P=mark)$",
    re.DOTALL | re.MULTILINE,
)
_LITERAL = re.compile(r"::\n\n((?:    .*\n|\n)+)")
_DRAWN = re.compile(r"[─│├└→]|:=|->  | \(\*\)|^\w+ {3,}\w", re.MULTILINE)


@attrs.frozen
class Block:
    """One block.

    Args:
      page: where it is, from the root; of a docstring the file and the name.
      line: of its first line.
      language: ``python``, ``console``, ``toml`` ...
      text: with blocks that it continues before it.
      note: from the comment above it.
    """

    page: str
    line: int
    language: str
    text: str = attrs.field(repr=False)
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def test(self) -> str:
        """The test that it says it has; "" if none."""
        return self.note.removeprefix("tested by ") if self.note.startswith("tested by ") else ""


def blocks() -> list[Block]:
    """Every block of README and pages."""
    return [block for page in PAGES for block in blocks_of(page)]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of one page, in their order."""
    found: list[Block] = []
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        code, language = match["text"], match["language"]
        note = (match["note"] or "").strip()
        if note == "continues":
            before = next(b for b in reversed(found) if b.language == language)
            found.remove(before)
            code, note = f"{before.text}\n{code}", before.note
        line = text.count("\n", 0, match.start("text")) + 1
        found.append(Block(str(page.relative_to(ROOT)), line, language, code, note))
    return found


def docstring_blocks() -> Iterator[Block]:
    """The programs in docstrings of the package: literal blocks that are no drawings."""
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = getattr(node, "name", "module")
                doc = ast.get_docstring(node) or ""
                for number, text in enumerate(_LITERAL.findall(doc + "\n")):
                    if not _DRAWN.search(text):
                        page = f"trioserf/{module.path}: {name}"
                        yield Block(page, number, "python", textwrap.dedent(text).strip())
