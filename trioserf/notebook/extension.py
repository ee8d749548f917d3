"""Loading and unloading: what the extension changes in IPython, and how it puts it back.

It sets two public traits, ``loop_runner`` and ``autoawait``; adds the names ``keep``,
``release``, ``nursery``, ``live`` and ``record`` to the user's namespace; registers the
magic ``%%trio``; and shows a cancelled cell as an interrupt.  For the rest of the cell that
loads it, see `cells`.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import trio

from . import cells, keeper, live_views
from .thread import TrioThread

_thread: TrioThread | None = None
_restore: Callable[[], None] | None = None


def load_ipython_extension(shell: Any) -> None:
    """Called by ``%load_ext trioserf.notebook``.

    Args:
      shell: IPython's ``InteractiveShell``.
    """
    global _thread, _restore  # noqa: PLW0603
    if _thread is not None and _thread.running:
        return
    thread = TrioThread()
    thread.start()
    _thread = thread
    _close_at_exit(thread)
    _restore = _change(shell, thread)
    cells.run_the_rest_on_trio(shell, thread)


def unload_ipython_extension(shell: Any) -> None:
    """Called by ``%unload_ext``: kept nodes leave, cells run on asyncio again.

    Raises:
      RuntimeError: this cell runs on Trio, and would end with it.
    """
    global _thread, _restore  # noqa: PLW0603
    if _thread is not None and _thread.inside():
        raise RuntimeError("'%unload_ext trioserf.notebook' needs a cell without await")
    if _restore is not None:
        _restore()
        _restore = None
    if _thread is not None:
        _thread.close()
        _thread = None


def _change(shell: Any, thread: TrioThread) -> Callable[[], None]:
    before_runner, before_autoawait = shell.loop_runner, shell.autoawait
    before_custom = shell.custom_exceptions, shell.CustomTB
    names = {
        "keep": keeper.keep,
        "release": keeper.release,
        "nursery": thread.nursery,
        "live": live_views.live,
        "record": live_views.record,
    }
    hidden = {name: shell.user_ns[name] for name in names if name in shell.user_ns}

    def run_cell(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return cells.run(thread, coroutine)

    shell.loop_runner = run_cell
    shell.autoawait = True
    shell.set_custom_exc((trio.Cancelled, BaseExceptionGroup), cells.show_interrupt)
    shell.push(names, interactive=False)
    shell.register_magic_function(cells.trio_magic(shell, thread), "cell", "trio")

    def restore() -> None:
        shell.loop_runner = before_runner
        shell.autoawait = before_autoawait
        shell.custom_exceptions, shell.CustomTB = before_custom
        shell.magics_manager.magics["cell"].pop("trio", None)
        for name, value in names.items():
            if shell.user_ns.get(name) is value:
                del shell.user_ns[name]
        shell.user_ns.update(hidden)

    return restore


def _close_at_exit(thread: TrioThread) -> None:
    """Let nodes leave when the kernel ends.

    ``threading._register_atexit`` runs while threads may still be started, which leaving
    needs (DNS, files); the public `atexit` runs too late for that on Python 3.12 and newer.
    """
    register = getattr(threading, "_register_atexit", atexit.register)
    register(thread.close)
