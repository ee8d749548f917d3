"""The rest of the cell that loads the extension.

IPython chose a loop for that cell before it ran, so what it awaits after ``%load_ext`` would
run on asyncio.  A newcomer who puts everything into one cell should not have to know that:
IPython runs the statements of a cell one by one, and until this cell ends those that await are
run on Trio.

Source: ipython/ipython, IPython/core/interactiveshell.py, run_ast_nodes and run_code.
"""

from __future__ import annotations

import signal
from types import CodeType
from typing import Any

from . import cells
from .thread import TrioThread


def run_the_rest_on_trio(shell: Any, thread: TrioThread) -> None:
    """Send the awaiting statements that the current cell still has to ``thread``."""
    before = shell.run_code

    async def run_code(code: CodeType, result: Any = None, *, async_: bool = False) -> Any:
        if not async_ or thread.inside() or not thread.running:
            return await before(code, result, async_=async_)
        # ipykernel would turn the stop button into a cancellation by asyncio, which stands still.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return cells.run(thread, before(code, result, async_=True))
        finally:
            signal.signal(signal.SIGINT, handler)

    def end(*_result: object) -> None:
        shell.events.unregister("post_run_cell", end)
        if vars(shell).get("run_code") is run_code:
            del shell.run_code

    shell.run_code = run_code
    shell.events.register("post_run_cell", end)
