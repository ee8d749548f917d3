"""``python -m tests.reference`` writes every page that is made from the source."""

from __future__ import annotations

from tests.reference.pages import FOLDER, pages

for name, text in pages().items():
    (FOLDER / name).write_text(text)
