"""The picture of the demo shows what the demo prints."""

from __future__ import annotations

import html
import re
import subprocess
import sys

import pytest

from tests.source_tree import ROOT

PICTURE = ROOT / "docs" / "_static" / "demo.svg"


def shown(text: str) -> list[str]:
    """Headings and results in their order, without the numbers, which differ from run to run."""
    found = re.findall(r"(\b\d\. [a-z][\w ,]+|(?<=✔ ).+|(?<= ok: ).+)", text)
    return [re.sub(r"\d+", "N", line).strip() for line in found]


def picture() -> str:
    """The text of the picture, line by line."""
    lines: dict[float, dict[float, str]] = {}
    found = re.findall(
        r'<text [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', PICTURE.read_text()
    )
    for x, y, text in found:
        lines.setdefault(float(y), {})[float(x)] = html.unescape(text).replace("\xa0", " ")
    return "\n".join("".join(line[x] for x in sorted(line)) for _, line in sorted(lines.items()))


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    text = PICTURE.read_text()
    assert "@font-face" not in text
    assert "url(http" not in text
    assert "Every step was observed." in picture()


@pytest.mark.slow
def test_the_picture_shows_what_the_demo_prints() -> None:
    """Draw it anew by ``python docs/demo_picture.py``."""
    done = subprocess.run(
        [sys.executable, "-m", "trioserf", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    assert len(shown(picture())) > 6
    assert shown(done.stdout) == shown(picture())
