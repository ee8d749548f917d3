"""What holds for the whole test tree.

A missing Serf agent is said loudly, never silently; and no property test fails because the
machine was busy.
"""

from __future__ import annotations

import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts its background jobs so, and whatever they start inherits it; the tests
    # that interrupt a program of theirs need what a terminal gives.
    signal.signal(signal.SIGINT, signal.default_int_handler)
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "interop" in getattr(report, "keywords", {})
    ]
    if not skipped:
        return
    reasons = sorted({str(report.longrepr[2]) for report in skipped})
    terminalreporter.section("INTEROP TESTS WERE SKIPPED", sep="!", red=True, bold=True)
    terminalreporter.line(f"{len(skipped)} tests with real Serf agents did not run:")
    for reason in reasons:
        terminalreporter.line(f"  {reason}")
