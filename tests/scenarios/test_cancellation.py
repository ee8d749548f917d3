"""Every public call cut off at each of its checkpoints, by a cancellation and by Ctrl-C."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trioserf
import trioserf.client
import trioserf.ipc
import trioserf.lowlevel
from tests.cancellation import (
    ROWS,
    Manner,
    Row,
    Simulated,
    Striker,
    cancelled,
    cut_everywhere,
    interrupted,
)
from trioserf.testing import SimNetwork
from trioserf.testing.determinism import threads_in_place

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)

ELSEWHERE = {
    "Memberlist.bind": "a part of open_memberlist, once before the tasks run",
    "RPCStream.__anext__": "RPCClient.stream, RPCClient.monitor and RPCClient.query",
    "NetTransport": "the laws of transports, in tests/net/test_udp_tcp_laws.py",
    "Snapshotter": "its tasks are those of a node: open, and tests/serf/test_snapshotter.py",
}
"""Public, async, and without a row: what covers it, or all methods of a class."""


def public_calls() -> Iterator[str]:
    """Every public function and method that may wait; what users implement is not called so."""
    for shown in (trioserf, trioserf.client, trioserf.ipc, trioserf.lowlevel):
        names = getattr(shown, "__all__", None) or [n for n in vars(shown) if n[0] != "_"]
        values = {name: getattr(shown, name) for name in names}
        for name, value in values.items():
            if not inspect.isclass(value):
                if waits(value):
                    yield f"ipc.{name}" if shown is trioserf.ipc else name
            elif value.__module__.startswith("trioserf") and value.__module__ != "trioserf.abc":
                for method, function in vars(value).items():
                    if waits(function) and (not method.startswith("_") or method == "__anext__"):
                        yield f"{value.__name__}.{method}"


def waits(value: object) -> bool:
    """Whether it is async: a function, or what gives an async context manager."""
    if not callable(value) or inspect.isclass(value):
        return False
    returned = str(getattr(value, "__annotations__", {}).get("return", ""))
    inner = getattr(value, "__wrapped__", value)
    return (
        inspect.iscoroutinefunction(value)
        or inspect.isasyncgenfunction(inner)
        or "AsyncContextManager" in returned
    )


def test_every_public_call_that_waits_has_its_row() -> None:
    rows = {row.name for row in ROWS}
    calls = set(public_calls())
    assert {"open", "Serf.join", "KeyManager.rotate", "Query.respond", "RPCClient.ask"} <= calls
    without = calls - rows
    assert set() == {call for call in without if not {call, call.split(".")[0]} & set(ELSEWHERE)}
    assert set() == set(ELSEWHERE) - without - {call.split(".")[0] for call in without}


async def everywhere(row: Row, striker: Striker, directory: Path, **options: Any) -> None:
    with threads_in_place():
        async with SimNetwork(seed=1) as network:
            counts = await cut_everywhere(row, striker, Simulated(network), directory, **options)
    assert min(counts.values()) > 0, "a call without a checkpoint cannot be cut"


@pytest.mark.slow
@each_row
async def test_a_call_may_be_cancelled_at_every_checkpoint(
    row: Row, tmp_path: Path, autojump_clock: MockClock
) -> None:
    await everywhere(row, cancelled, tmp_path, samples=4)


@pytest.mark.slow
@each_row
def test_ctrl_c_comes_bare_out_of_every_checkpoint(row: Row, tmp_path: Path) -> None:
    """In one manner: where it meets a task that goes on, it waits for its next checkpoint."""
    run = partial(everywhere, manners=[Manner.WAITING], samples=2, first=1)
    trio.run(run, row, interrupted, tmp_path, clock=MockClock(autojump_threshold=0))
