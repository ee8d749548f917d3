"""The plugin of pytest: a fixture ``serf_cluster``, a simulated cluster for one test.

::

    async def test_failover(serf_cluster, autojump_clock):
        a, b, c = await serf_cluster.spawn(3)
        await serf_cluster.converged()
        await serf_cluster.crash(a)
        await serf_cluster.converged()

pytest loads it by itself wherever trioserf is installed; nothing but this file is loaded until
a test asks for the fixture, and without pytest-trio there is no fixture.

The clock is the test's: pytest-trio looks for it among the arguments of the test alone, not
among those of fixtures.  On the real clock simulated minutes would be real ones, so the fixture
fails there, unless the test is marked ``serf_cluster(realtime=True)``.

pytest-trio starts the run when it calls the test.  The scheduler is seeded around that call;
then one seed gives one run.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .testing import SimCluster

try:
    from pytest_trio import trio_fixture  # type: ignore[import-untyped]
except ImportError:
    trio_fixture = None

FIXTURE = "serf_cluster"
SHOWN_ENTRIES = 40
"""Lines of the timeline that the report of a failed test shows."""

NEEDS_CLOCK = """\
serf_cluster runs on simulated time, but this test runs on the real clock.
Name autojump_clock as an argument of the test itself (a fixture that names it is not enough):

    async def {test}(serf_cluster, autojump_clock): ...

To run in real time on purpose, mark the test: @pytest.mark.serf_cluster(realtime=True)"""

_seed = pytest.StashKey[str]()
_cluster = pytest.StashKey["SimCluster"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--serf-seed``."""
    parser.getgroup("trioserf").addoption(
        "--serf-seed",
        metavar="SEED",
        default="0",
        help="seed of the simulated clusters of serf_cluster, or 'random' (default: 0)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and draw the seed of this session if it is to be random."""
    config.addinivalue_line(
        "markers",
        "serf_cluster(realtime=False, **arguments): how the fixture of this name makes its"
        " trioserf.testing.SimCluster",
    )
    seed = str(config.getoption("--serf-seed"))
    config.stash[_seed] = str(random.SystemRandom().getrandbits(32)) if seed == "random" else seed


def _arguments(item: pytest.Item) -> dict[str, Any]:
    """What the markers of a test say, the nearest first."""
    found: dict[str, Any] = {}
    for marker in item.iter_markers(FIXTURE):
        found = {**marker.kwargs, **found}
    return found


def _seed_of(item: pytest.Item) -> int | str:
    seed: int | str = _arguments(item).get("seed", item.config.stash[_seed])
    return seed


def _uses_fixture(item: pytest.Item) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Seed the scheduler around the run of a test that uses the fixture."""
    if trio_fixture is None or not _uses_fixture(item):
        return (yield)
    from .testing.determinism import seeded_scheduler

    try:
        with seeded_scheduler(_seed_of(item)):
            return (yield)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, pytest.fail.Exception):
            raise error from None  # the words alone, not the nurseries around them
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say how a failed run is replayed, and what its nodes saw last."""
    report = yield
    if report.failed and call.when == "call" and _uses_fixture(item):
        command = ["pytest", item.nodeid, f"--serf-seed={_seed_of(item)}"]
        if "seed" in _arguments(item):
            command.pop()  # the test fixes its seed itself
        lines = [f"seed {_seed_of(item)}; replay with: {shlex.join(command)}"]
        cluster = item.stash.get(_cluster, None)
        if cluster is not None:
            entries = cluster.timeline.since(max(0, len(cluster.timeline) - SHOWN_ENTRIES))
            lines += [
                f"the last {len(entries)} of {len(cluster.timeline)} entries of the timeline:"
            ]
            lines += map(str, entries)
        report.sections.append((FIXTURE, "\n".join(lines)))
    return report


def _check_clock(item: pytest.Item) -> None:
    """Fail the test on the real clock, and on one that does not move."""
    import trio

    clock: Any = trio.lowlevel.current_clock()
    jumps = getattr(clock, "autojump_threshold", float("inf")) < float("inf")
    if not jumps and not getattr(clock, "rate", 0.0):
        name = getattr(item, "originalname", None) or item.name
        pytest.fail(NEEDS_CLOCK.format(test=name), pytrace=False)


if trio_fixture is not None:

    @trio_fixture  # type: ignore[untyped-decorator]
    async def serf_cluster(request: pytest.FixtureRequest) -> AsyncIterator[SimCluster]:
        """A `trioserf.testing.SimCluster` without nodes; it ends with the test.

        The marker of the same name gives its arguments: ``seed``, ``loss``, ``latency``,
        ``config``, ``disks``, ``network``; and ``realtime=True`` allows the real clock.
        """
        from .testing import SimCluster

        item: pytest.Item = request.node
        arguments = {"seed": _seed_of(item), **_arguments(item)}
        if not arguments.pop("realtime", False):
            _check_clock(item)
        async with SimCluster(**arguments) as cluster:
            item.stash[_cluster] = cluster
            yield cluster
