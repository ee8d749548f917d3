"""The command ``demo``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from .screen import make_screen

if TYPE_CHECKING:
    from .call import Call


def run_demo_command(call: Call) -> int:
    """Show what a cluster does; with ``-join``, watch one."""
    # The demo prints what happens; only errors belong beside it.
    logging.basicConfig(level=logging.ERROR)
    if call["profile"] not in ("lan", "wan", "local"):
        return call.wrong_usage(f"Unknown profile: {call['profile']}")
    screen = make_screen()
    if not call["join"]:
        from .demo import run_demo

        return 0 if trio.run(run_demo, screen) else 1

    from .watch import WatchSettings, watch

    settings = WatchSettings(
        join=call["join"],
        name=call["node"] or None,
        bind=call["bind"] or None,
        key=call["encrypt"] or None,
        profile=call["profile"],
    )
    return trio.run(watch, settings, screen)
