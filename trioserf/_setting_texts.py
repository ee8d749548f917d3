"""What is written below each field of a configuration, for ``help()`` and the page of settings.

The text has a fixed form, with the unit left out where there is none::

    probe_interval: float = setting(by_profile(1.0), SECONDS)
    \"\"\"What it does; what 0 means.

    Unit: seconds.
    Go: ProbeInterval.
    Change: when, in which direction, and what that costs.
    \"\"\"

Python does not keep such a text, so it is read from the source when it is asked for, and costs
nothing before.  Default and bound come from the field itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from . import _attrs as attrs
from ._settings import PROFILES

if TYPE_CHECKING:
    import ast

C = TypeVar("C", bound=type[Any])


def documented(cls: C) -> C:
    """Let ``help()`` show the text below each field of ``cls``."""
    cls.__slots__ = _Texts(cls)
    return cls


class _Texts(dict[str, str]):
    """``__slots__`` with a text for each name, which is where ``help()`` looks for one."""

    def __init__(self, cls: type[Any]) -> None:
        super().__init__(dict.fromkeys(cls.__slots__, ""))
        self._cls = cls
        self._home = cls.__module__
        self._read: dict[str, SettingText] | None = None

    def __getitem__(self, name: str) -> str:
        text = self.texts().get(name)
        return "" if text is None else str(text)

    def texts(self) -> dict[str, SettingText]:
        if self._read is None:
            self._read = _read_source(self._cls, self._home)
        return self._read


@attrs.frozen(kw_only=True)
class SettingText:
    """All that is said about one setting.

    Args:
      name: of the field.
      group: the heading above it.
      about: what it does.
      unit: of its value; "" if it has none.
      default: as text, with those of other profiles.
      bound: which values are accepted; "" if the type says it.
      go: its name in Go, or why there is none.
      change: when to change it.
    """

    name: str
    group: str
    about: str
    unit: str
    default: str
    bound: str
    go: str
    change: str

    def __str__(self) -> str:
        facts = [f"Default: {self.default}."]
        if self.bound:
            facts.append(f"Bound: {self.bound}.")
        if self.unit:
            facts.append(f"Unit: {self.unit}.")
        facts.append(f"Go: {self.go}.")
        return f"{self.about}\n\n{'  '.join(facts)}\n\nChange it: {self.change}"


def setting_texts(cls: type[Any]) -> dict[str, SettingText]:
    """What is said about each field, in the order of the source; {} where that is not at hand."""
    texts: _Texts = cls.__slots__
    return texts.texts()


def _read_source(cls: type[Any], home: str) -> dict[str, SettingText]:
    import ast  # with the rest of this: only for somebody who reads
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec(home)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return {}
    source = Path(spec.origin).read_text(encoding="utf-8")
    body = next(
        node.body
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == cls.__name__
    )
    fields = {field.name: field for field in attrs.fields(cls)}
    headings = {
        number: line.strip().removeprefix("# --- ")
        for number, line in enumerate(source.splitlines(), 1)
        if line.startswith("    # --- ")
    }
    found: dict[str, SettingText] = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            group = headings[max(line for line in headings if line < node.lineno)]
            found[node.target.id] = _read(fields[node.target.id], group, _string(after))
    return found


def _string(node: ast.stmt | None) -> str:
    """The text that stands alone in ``node``; "" if there is none."""
    import ast

    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""


def _read(field: attrs.Attribute[Any], group: str, text: str) -> SettingText:
    import re

    about, *rest = text.split("\n\n")
    parts = {
        key: " ".join(value.split()).removesuffix(".")
        for key, value in re.findall(
            r"^ *(Unit|Go|Change): (.*?)(?=^ *(?:Unit|Go|Change): |\Z)",
            rest[0] if rest else "",
            re.DOTALL | re.MULTILINE,
        )
    }
    return SettingText(
        name=field.name,
        group=group,
        about=" ".join(about.split()),
        unit=parts.get("Unit", ""),
        default=_default(field),
        bound=_bound(field),
        go=parts.get("Go", ""),
        change=parts["Change"] + "." if "Change" in parts else "",
    )


def _default(field: attrs.Attribute[Any]) -> str:
    default: Any = field.default
    if default == attrs.Factory(dict):
        return "{}"
    if field.name == "node_name":
        return "the name of the host"
    if field.name == "memberlist":
        return "that of the profile"
    shown = repr(default)
    others = [
        f"{profile} {values[field.name]!r}"
        for profile, values in PROFILES.items()
        if values.get(field.name, default) != default
    ]
    return f"{shown} ({', '.join(others)})" if others else shown


def _bound(field: attrs.Attribute[Any]) -> str:
    return str(getattr(field.validator, "expected", ""))
