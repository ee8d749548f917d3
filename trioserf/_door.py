"""The names that a user sees say where the user finds them.

``trioserf.JoinError`` in a traceback, in ``help()`` and in a ``repr()`` is what a program writes;
``trioserf._exceptions.JoinError`` is where it happens to be defined.  As trio and anyio do, the
modules that define public names say so at their end, and not the front door itself: it loads
nothing until it is asked, and an error may be raised long before.
"""

from __future__ import annotations

from collections.abc import Iterable

FRONT = "trioserf"


def at_the_door(*public: object, door: str = FRONT) -> None:
    """Let these classes and functions name ``door`` as their module."""
    for each in public:
        each.__module__ = door


def all_at_the_door(names: Iterable[object], door: str) -> None:
    """The same for all of a module that shows what others define, such as ``lowlevel``."""
    for each in names:
        if getattr(each, "__module__", "").startswith(f"{FRONT}._"):
            at_the_door(each, door=door)
