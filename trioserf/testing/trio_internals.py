"""The private parts of trio that a simulation needs, all of them, and what happens without.

trio may change them in any release.  Each is looked for when it is needed, and where it is
missing a simulation does without:

* the switch that makes the order of ready tasks depend on a seed (Hypothesis uses it too), and
  the random source behind it: without them one seed may give different runs;
* the jumps of a `MockClock`: without them alarms sleep in scopes, which costs more time of the
  processor, and the clock does not wait for threads;
* the run queue: without it no process can be stopped.

`MockClock` itself is public, but its public place loads pytest.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from trio.testing import MockClock as MockClock
else:
    try:
        from trio._core._mock_clock import MockClock as MockClock
    except ImportError:
        from trio.testing import MockClock as MockClock


def _run_module() -> Any:
    """The module of trio's run loop; None if there is none of this name."""
    try:
        return import_module("trio._core._run")
    except ImportError:
        return None


_run = _run_module()


def scheduler_random() -> random.Random | None:
    """The random source that shuffles ready tasks; None if it cannot be made deterministic."""
    source = getattr(_run, "_r", None)
    switch = getattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", None)
    return source if isinstance(source, random.Random) and isinstance(switch, bool) else None


def allow_deterministic_scheduling(allowed: bool) -> bool:
    """Set the switch; what it was before.  Only if there is a `scheduler_random`."""
    before: bool = _run._ALLOW_DETERMINISTIC_SCHEDULING
    _run._ALLOW_DETERMINISTIC_SCHEDULING = allowed
    return before


def run_queue() -> deque[trio.lowlevel.Task] | None:
    """The tasks of this run that are ready, the last one scheduled at the end; None if unknown."""
    queue = getattr(_runner(), "runq", None)
    return queue if isinstance(queue, deque) else None


def replace_jumps(
    clock: MockClock, autojump: Callable[[], None], jump: Callable[[float], None]
) -> bool:
    """Let ``clock``, that of this run, call these instead of its methods; whether it can be done.

    Args:
      clock: the methods of this one object are replaced.
      autojump: called when nothing is ready; it moves the time by `advance`.
      jump: called for a jump by hand.
    """
    deadlines = getattr(_runner(), "deadlines", None)
    if not (
        hasattr(deadlines, "next_deadline")
        and hasattr(clock, "_autojump")
        and hasattr(clock, "_virtual_base")
    ):
        return False
    clock.jump = jump  # type: ignore[assignment,method-assign]
    clock._autojump = autojump  # type: ignore[method-assign]
    return True


def advance(clock: MockClock, time: float) -> float:
    """Let ``clock`` stand at exactly this time, if it is later; its time after that.

    Never at ``math.inf``.  Only after `replace_jumps`, and with a clock that stands still.
    """
    if clock._virtual_base < time < math.inf:
        clock._virtual_base = time
    return clock._virtual_base


def next_deadline() -> float:
    """The earliest deadline of any scope in this run.  Only after `replace_jumps`."""
    earliest: float = _run.GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
    return earliest


def _runner() -> Any:
    return getattr(getattr(_run, "GLOBAL_RUN_CONTEXT", None), "runner", None)
