"""A trioserf node as a program that measures its own event loop.

It obeys lines of JSON on its input.  ``mark`` tells what happened since the last one: processor
time, memory, the steps of tasks that held the loop longest, and what the garbage collector took,
which is not counted as theirs.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

import trio

import trioserf
from benchmarks.events import lines_of

KEPT: Final = 8
"""Longest steps that are kept."""


class LoopWatch(trio.abc.Instrument):
    """How long single steps of tasks take: nothing else runs meanwhile."""

    def __init__(self) -> None:
        self._at = self._cpu = 0.0
        self._collecting = 0.0
        self.reset()
        gc.callbacks.append(self._on_collection)

    def reset(self) -> None:
        self.longest: list[tuple[float, float, str]] = []
        self.collections = [0, 0, 0]
        self.collected = [0.0, 0.0, 0.0]
        self.worst_collection = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._collecting = 0.0
        self._at, self._cpu = time.monotonic(), time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        cpu = time.thread_time() - self._cpu - self._collecting
        if cpu > 0.001:
            took = time.monotonic() - self._at
            entry = cpu, took, task.name.rsplit(".", 1)[-1]
            if len(self.longest) < KEPT:
                heapq.heappush(self.longest, entry)
            else:
                heapq.heappushpop(self.longest, entry)

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_at = time.thread_time()
            return
        took = time.thread_time() - self._gc_at
        self._collecting += took
        self.collections[info["generation"]] += 1
        self.collected[info["generation"]] += took
        self.worst_collection = max(self.worst_collection, took)


def memory() -> float:
    """Resident memory (bytes)."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "every process has memory"
    return int(found[1]) * 1024.0


async def main(settings: dict[str, Any]) -> None:
    config = trioserf.Config.lan(
        node_name=settings["name"],
        bind=settings["bind"],
        leave_on_exit=False,
        snapshot_path=settings["snapshot"],
    )
    watch = LoopWatch()
    trio.lowlevel.add_instrument(watch)
    used = time.process_time()
    async with trioserf.open(config) as serf:
        async for command in lines_of(trio.lowlevel.FdStream(os.dup(0))):
            answer: dict[str, Any] = {}
            if command["do"] == "join":
                start = time.monotonic()
                await serf.join([command["address"]])
                answer = {"seconds": time.monotonic() - start}
            elif command["do"] == "mark":
                now = time.process_time()
                answer = {
                    "cpu": now - used,
                    "memory": memory(),
                    "longest": sorted(watch.longest, reverse=True),
                    "collections": watch.collections,
                    "collected": watch.collected,
                    "worst_collection": watch.worst_collection,
                }
                used = now
                watch.reset()
            elif command["do"] == "view":
                view = {member.name: str(member.status) for member in serf.members()}
                await trio.Path(command["file"]).write_text(json.dumps(view))
            elif command["do"] == "statistics":
                lag = serf.statistics().memberlist
                answer = {"failed": lag.probes_failed, "bad": dict(lag.bad_input)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
