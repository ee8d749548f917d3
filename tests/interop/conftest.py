"""Every test here is an interop test: it is marked so, and skipped when there is no agent.

Real agents, real sockets and real time: a packet may be lost, and a busy machine may be late.
Such a test gets one more try, which the summary shows; tests on simulated time get none.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.interop.agents import BINARY_VARIABLE, serf_binary

HERE = Path(__file__).parent

# Under nohup SIGHUP is ignored, and programs that are started here would ignore it, too.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def binary() -> Path:
    """The `serf` program, or a skip that says how to get one."""
    path = serf_binary()
    chosen = os.environ.get(BINARY_VARIABLE)
    if path is None and chosen:
        pytest.fail(f"{BINARY_VARIABLE}={chosen!r} is no program")
    if path is None:
        pytest.skip(
            f"no `serf` program: install the Debian package serf, or name one in {BINARY_VARIABLE}"
        )
    return path
