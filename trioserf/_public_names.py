"""Public names say the module where a user finds them.

``trioserf.JoinError`` in a traceback, in ``help()`` and in a ``repr()`` is what a program writes;
``trioserf._exceptions.JoinError`` is where it happens to be defined.  As trio and anyio do, the
modules that define public names say so at their end.  ``trioserf/__init__.py`` cannot do it: it
loads nothing until a name is asked for, and an error may be raised long before.
"""

from __future__ import annotations

from collections.abc import Iterable

PACKAGE = "trioserf"


def set_public_module(*public: object, module: str = PACKAGE) -> None:
    """Let these classes and functions name ``module`` as theirs."""
    for each in public:
        each.__module__ = module


def set_public_modules(names: Iterable[object], module: str) -> None:
    """`set_public_module` for a module that shows what others define, such as ``lowlevel``."""
    for each in names:
        if getattr(each, "__module__", "").startswith(f"{PACKAGE}._"):
            set_public_module(each, module=module)
