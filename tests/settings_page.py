"""``docs/reference/settings.md``, made from what stands below each field in the source.

``python -m tests.settings_page`` writes it; a test of `test_config` says when that is due.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.source_tree import ROOT
from trioserf._config import Config, MemberlistConfig
from trioserf._setting_texts import SettingText, setting_texts

PAGE = ROOT / "docs" / "reference" / "settings.md"

FIRST = "## Of Serf: `Config`"
"""What is above this heading is written by hand, in the page itself."""


def settings_page() -> str:
    """The page as it should be."""
    parts = [*_section(FIRST, Config)]
    parts += _section("## Of membership: `MemberlistConfig`", MemberlistConfig)
    parts += _table()
    return PAGE.read_text().partition(FIRST)[0] + "\n".join(parts)


def _section(title: str, config: type[Any]) -> Iterator[str]:
    yield f"{title}\n"
    group = ""
    for text in setting_texts(config).values():
        if text.group != group:
            group = text.group
            yield f"### {group[0].upper()}{group[1:]}\n"
        yield _entry(text)


def _table() -> Iterator[str]:
    yield "## All in one table\n"
    yield "| setting | of | default | unit | Go |\n|---|---|---|---|---|"
    for config in (Config, MemberlistConfig):
        for text in setting_texts(config).values():
            yield (
                f"| `{text.name}` | {config.__name__} | `{text.default}` | {text.unit} "
                f"| {text.go} |"
            )
    yield ""


def _entry(text: SettingText) -> str:
    facts = [f"default `{text.default}`"]
    facts += [text.bound] if text.bound else []
    facts += [f"unit: {text.unit}"] if text.unit else []
    facts.append(f"Go: {text.go}")
    about = text.about.replace("``", "`")
    change = text.change.replace("``", "`")
    return f"**`{text.name}`** {about}  \n{'; '.join(facts)}.  \n*Change it:* {change}\n"


if __name__ == "__main__":
    PAGE.write_text(settings_page())
