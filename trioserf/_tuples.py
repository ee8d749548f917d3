"""Named tuples as ``typing.NamedTuple`` makes them, without loading ``typing``.

A command that asks an agent one question should take no longer than the question, and
``typing`` alone takes as long as half of Python's start.  Write ``from .._tuples import
NamedTuple`` where such a command passes by; type checkers see typing's own.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from typing import NamedTuple as NamedTuple
else:
    from collections import namedtuple

    class _Maker(type):
        """Makes a named tuple of the annotations of a class; keeps its methods."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = list(body.pop("__annotations__", ()))
            defaults = [body.pop(field) for field in fields if field in body]
            base = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            return type(name, (base,), {**body, "__slots__": ()})

    class NamedTuple(metaclass=_Maker):
        """The base class to write; what comes of it is a plain ``tuple``."""
