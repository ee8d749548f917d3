"""Stopping some tasks of a run while time goes on, as SIGSTOP stops a process.

A task belongs to the process that its context names; tasks started by it inherit that.
While a process is stopped, each of its tasks that trio schedules is taken out of the run
queue; when the process goes on they all run at once, overdue timers included, as the timers
of a real process do.

The run queue has no public face, so a version of trio that hides it cannot stop processes.
Nothing is installed, and nothing costs anything, while no process is stopped.
"""

from __future__ import annotations

import contextvars
from collections import deque

import trio

from .. import _attrs as attrs
from .trio_internals import run_queue

_process: contextvars.ContextVar[object] = contextvars.ContextVar("trioserf process", default=None)


def join_process(process: object) -> None:
    """Make the calling task, and those it will start, part of a process."""
    _process.set(process)


def _ready_tasks() -> deque[trio.lowlevel.Task]:
    queue = run_queue()
    if queue is None:
        raise RuntimeError("no process can be stopped: this trio does not show its run queue")
    return queue


@attrs.define(eq=False)
class _Gate(trio.abc.Instrument):
    """Keeps the tasks of stopped processes out of the run queue."""

    stopped: dict[object, list[trio.lowlevel.Task]] = attrs.field(factory=dict)

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        waiting = self.stopped.get(task.context.get(_process))
        if waiting is not None:
            last = _ready_tasks().pop()
            assert last is task, "trio reports a task right after it has queued it"
            waiting.append(task)


@attrs.define(eq=False)
class Processes:
    """The processes of one run that are stopped now."""

    _gate: _Gate = attrs.field(factory=_Gate, init=False)

    def stop(self, process: object) -> None:
        """Let none of the process's tasks take another step.

        Raises:
          RuntimeError: this version of trio does not show its run queue.
        """
        _ready_tasks()
        if not self._gate.stopped:
            trio.lowlevel.add_instrument(self._gate)
        self._gate.stopped.setdefault(process, [])

    def go_on(self, process: object) -> None:
        """Let the process go on where it was stopped."""
        if process not in self._gate.stopped:
            return
        waiting = self._gate.stopped.pop(process)
        _ready_tasks().extend(waiting)
        if not self._gate.stopped:
            trio.lowlevel.remove_instrument(self._gate)
