"""Cells on Trio.

IPython compiles a cell that awaits something into a coroutine and hands it to its
``loop_runner``.  Ours runs it as a task of the Trio thread, while the main thread waits where
the stop button can reach it.

Source: ipython/ipython, IPython/core/interactiveshell.py, run_cell and loop_runner.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import trio

from .thread import TrioThread


def run(thread: TrioThread, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run one cell on Trio, from the main thread.

    Raises ``KeyboardInterrupt`` if the stop button was pressed; by then the cell's ``finally``
    blocks have run.
    """
    if thread.inside():
        coroutine.close()
        raise RuntimeError("a cell that awaits cannot be run from within another one")

    async def cell() -> Any:
        return await coroutine

    try:
        return thread.wait_for(cell, interrupted=_mark_interrupted)
    finally:
        coroutine.close()


def _mark_interrupted(result: Any) -> None:
    """IPython caught the cancellation; let front ends hear of an interrupt."""
    if getattr(result, "error_in_exec", None) is not None:
        result.error_in_exec = KeyboardInterrupt()


def show_interrupt(
    shell: Any, kind: type[BaseException], error: BaseException, tb: Any, tb_offset: Any = None
) -> list[str]:
    """Show a cancelled cell as what it is to the user: an interrupt."""
    if isinstance(error, BaseExceptionGroup) and error.split(trio.Cancelled)[1] is not None:
        custom = shell.custom_exceptions
        shell.custom_exceptions = ()  # or showing it would come back here
        try:
            shell.showtraceback((kind, error, tb), tb_offset=tb_offset)
        finally:
            shell.custom_exceptions = custom
        return []
    # IPython keeps the error with its history, and would spend a quarter of a second and more
    # on the text of a traceback that leads through Trio and says nothing about the cell.
    error.__traceback__ = error.__context__ = error.__cause__ = None
    lines = ["KeyboardInterrupt: the cell was stopped; kept nodes live on"]
    print(*lines, sep="\n")  # noqa: T201
    return lines


def trio_magic(shell: Any, thread: TrioThread) -> Callable[[str, str], None]:
    """The magic ``%%trio``: run one cell on Trio while other cells run on asyncio."""

    def run_on_trio(line: str, cell: str) -> None:
        """Run this cell on Trio, in the thread of trioserf.notebook."""
        transformed = shell.transform_cell(cell)
        coroutine = shell.run_cell_async(cell, store_history=False, transformed_cell=transformed)
        run(thread, coroutine)

    return run_on_trio
