"""Cells on Trio.

IPython compiles a cell that awaits something into a coroutine and hands it to its
``loop_runner``.  The extension's one runs it as a task of the Trio thread, while the main thread
waits where the stop button can reach it.

IPython has chosen a loop for the cell that loads the extension before that cell ran, so what it
awaits after ``%load_ext`` would run on asyncio.  A newcomer who puts everything into one cell
should not have to know that: IPython runs the statements of a cell one by one, and until this
cell ends those that await are run on Trio (`run_the_rest_on_trio`).

Source: ipython/ipython, IPython/core/interactiveshell.py, run_cell, loop_runner, run_ast_nodes
and run_code.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from types import CodeType
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


def run_the_rest_on_trio(shell: Any, thread: TrioThread) -> None:
    """Send the awaiting statements that the current cell still has to ``thread``."""
    before = shell.run_code

    async def run_code(code: CodeType, result: Any = None, *, async_: bool = False) -> Any:
        if not async_ or thread.inside() or not thread.running:
            return await before(code, result, async_=async_)
        # ipykernel would turn the stop button into a cancellation by asyncio, which stands still.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return run(thread, before(code, result, async_=True))
        finally:
            signal.signal(signal.SIGINT, handler)

    def end(*_result: object) -> None:
        shell.events.unregister("post_run_cell", end)
        if vars(shell).get("run_code") is run_code:
            del shell.run_code

    shell.run_code = run_code
    shell.events.register("post_run_cell", end)


def _mark_interrupted(result: Any) -> None:
    """IPython caught the cancellation; let front ends see an interrupt."""
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
