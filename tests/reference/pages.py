"""Every page that is made from the source, by its file."""

from __future__ import annotations

from tests.reference.commands import command_page, rpc_page
from tests.reference.events import events_page, exceptions_page
from tests.reference.log_lines import log_page
from tests.reference.metrics import metrics_page
from tests.reference.names import PUBLIC_MODULES, page_of
from tests.settings_page import settings_page
from tests.source_tree import ROOT

FOLDER = ROOT / "docs" / "reference"


def pages() -> dict[str, str]:
    """File in ``docs/reference`` to its text."""
    return {f"{dotted}.md": page_of(dotted) for dotted in PUBLIC_MODULES} | {
        "events.md": events_page(),
        "exceptions.md": exceptions_page(),
        "logs.md": log_page(),
        "metrics.md": metrics_page(),
        "commands.md": command_page(),
        "rpc.md": rpc_page(),
        "settings.md": settings_page(),
    }
