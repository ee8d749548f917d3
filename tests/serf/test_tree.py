"""The beginning and the end of a node."""

from __future__ import annotations

import inspect

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._config import Config
from trioserf._exceptions import SerfInternalError
from trioserf._serf.open import open_serf


def not_begun(name: str) -> list[str]:
    """Tasks of a node, and those that they started, that have not taken their first step."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    nurseries, tasks = [(each, False) for each in root.child_nurseries], list[trio.lowlevel.Task]()
    while nurseries:
        nursery, of_the_node = nurseries.pop()
        for task in nursery.child_tasks:
            belongs = of_the_node or task.name.startswith(f"trioserf.{name}.")
            nurseries += [(each, belongs) for each in task.child_nurseries]
            if belongs:
                tasks.append(task)
    assert len(tasks) > 10
    return [t.name for t in tasks if inspect.getcoroutinestate(t.coro) == inspect.CORO_CREATED]


async def test_a_node_is_open_once_all_its_tasks_have_begun() -> None:
    """Several times, because trio runs tasks in a random order."""
    for _ in range(10):
        async with open_serf(Config.local(node_name="a", bind="127.0.0.1:0", leave_on_exit=False)):
            assert [] == not_begun("a")


async def test_a_failure_while_closing_is_an_internal_error(autojump_clock: MockClock) -> None:
    class Broken:
        def put(self, item: object) -> None: ...

        def close(self) -> None:
            raise ZeroDivisionError

    async with cluster() as net:
        with pytest.raises(SerfInternalError, match="ZeroDivisionError"):
            async with open_serf(net.config("a")) as a:
                a._delegate.pipeline = Broken()
        await a.wait_closed()
