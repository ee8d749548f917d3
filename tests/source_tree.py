"""The package as syntax trees, for the tests that guard its layout."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "trioserf"


@attrs.frozen
class Module:
    """One file of the package.

    Args:
      path: relative to the package, such as ``_swim/table.py``.
      text: its source.
      tree: the same, parsed.
    """

    path: str
    text: str = attrs.field(repr=False)
    tree: ast.Module = attrs.field(repr=False)

    @property
    def part(self) -> str:
        """The top-level module or folder it belongs to: ``_swim``, ``abc``, ``__init__``."""
        return self.path.partition("/")[0].removesuffix(".py")

    @property
    def dotted(self) -> str:
        """Its name for import, as `_swim.table`; ``_swim`` for a package's ``__init__``."""
        parts = self.path.removesuffix(".py").split("/")
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full dotted name of everything imported, relative imports resolved."""
        package = ["trioserf", *self.path.split("/")[:-1]]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                origin = [*base, *(node.module.split(".") if node.module else [])]
                for alias in node.names:
                    yield node.lineno, ".".join([*origin, alias.name])


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file of the package, by path."""
    return tuple(
        Module(path.relative_to(PACKAGE).as_posix(), text, ast.parse(text))
        for path in sorted(PACKAGE.rglob("*.py"))
        for text in [path.read_text()]
    )
