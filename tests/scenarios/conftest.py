"""Scenarios are repeatable: trio's scheduler is seeded with the name of the test.

That a cluster agrees within two minutes at 30 % loss is true of nearly all schedules, not of
each.  With the clusters' own seeds this fixes the schedule that a scenario runs, so that it
does not fail by chance.  ``TRIOSERF_SEED=anything pytest tests/scenarios`` tries another one; many
schedules are the work of ``trioserf.testing.explore``.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from trioserf.testing.determinism import seeded_scheduler


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """pytest-trio starts the run inside of this call."""
    with seeded_scheduler(item.name + os.environ.get("TRIOSERF_SEED", "")):
        return (yield)
