"""attrs, whose classes get their methods when they are first used.

attrs writes and compiles the methods of a class when the class is made.  For the classes of
this package that was two thirds of the time of ``import trioserf``, and a node never uses most
of those methods: it compares few of its messages and shows fewer.  So here `frozen` and
`define` make the slots at once, and put a `_Method` in the place of each method.  The first
access lets attrs itself make a class of the same body, and takes the methods from there; from
then on the class is what attrs would have made.

Use it in place of attrs, under the same name: ``from .. import _attrs as attrs``.  Of the
options of attrs it knows `_OPTIONS`; bodies must annotate their fields and not call ``super()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs as _attrs
from attrs import NOTHING as NOTHING
from attrs import Attribute as Attribute
from attrs import Factory as Factory
from attrs import asdict as asdict
from attrs import evolve as evolve
from attrs import exceptions as exceptions
from attrs import field as field
from attrs import fields as fields

if TYPE_CHECKING:
    from attrs import define as define
    from attrs import frozen as frozen
else:

    def define(cls=None, /, *, _frozen=False, **options):
        """As ``attrs.define``."""
        assert options.keys() <= _OPTIONS, f"{options}: expected only {_OPTIONS}"
        if cls is None:
            return lambda cls: define(cls, _frozen=_frozen, **options)
        return _slotted_class(cls, dict(options, frozen=_frozen))

    def frozen(cls=None, /, **options):
        """As ``attrs.frozen``."""
        return define(cls, _frozen=True, **options)


_OPTIONS: Final = frozenset({"eq", "kw_only", "repr", "weakref_slot"})
_BASIC: Final = ("__init__", "__attrs_attrs__", "__match_args__", "__setstate__")
"""What is asked for before there is an object; the others that go with it come with these."""


def _slotted_class(cls: type[Any], options: dict[str, Any]) -> type[Any]:
    """The class with slots, and with a `_Method` for each method that attrs can make."""
    body = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
    body["__qualname__"] = cls.__qualname__
    inherited = {slot for base in cls.__mro__[1:] for slot in vars(base).get("__slots__", ())}
    weak = ("__weakref__",) if options.get("weakref_slot", True) else ()
    slots = [n for n in (*body.get("__annotations__", ()), *weak) if n not in inherited]
    compares = options.get("eq", True)
    later = dict.fromkeys(_BASIC, True)
    if compares:
        later |= {"__eq__": False, "__hash__": False}
    if options.get("repr", True):
        later["__repr__"] = False
    recipe = _Recipe(body, options)
    made: dict[str, Any] = {name: _Method(name, recipe, basic) for name, basic in later.items()}
    if options["frozen"]:
        made |= {"__setattr__": _refuse, "__delattr__": _refuse}
    elif compares:
        made["__hash__"] = None
    own = {name: value for name, value in body.items() if name not in slots}
    recipe.cls = _class_like(cls, {**made, **own, "__slots__": slots})
    return recipe.cls


def _class_like(cls: type[Any], body: dict[str, Any]) -> type[Any]:
    metaclass: Any = type(cls)
    made: type[Any] = metaclass(cls.__name__, cls.__bases__, body)
    return made


def _refuse(*_args: object) -> None:
    raise exceptions.FrozenInstanceError


class _Recipe:
    """What attrs makes the methods of a class from."""

    __slots__ = ("body", "cls", "options")

    def __init__(self, body: dict[str, Any], options: dict[str, Any]) -> None:
        self.body = body
        self.options = options
        self.cls: type[Any] = object

    def make(self, basic: bool) -> None:
        """Let attrs make a class of the same body, and take its methods."""
        options = self.options | ({"eq": False, "repr": False} if basic else {"init": False})
        cls = self.cls
        metaclass: Any = type(cls)
        model = _attrs.define(**options)(metaclass(cls.__name__, cls.__bases__, self.body))
        slots = {*model.__slots__, "__slots__", "__weakref__", "__attrs_init__"}
        for name, value in vars(model).items():
            if name not in self.body and name not in slots:
                setattr(self.cls, name, value)


class _Method:
    """Stands where a method will be, until somebody asks for it."""

    __slots__ = ("basic", "name", "recipe")

    def __init__(self, name: str, recipe: _Recipe, basic: bool) -> None:
        self.name = name
        self.recipe = recipe
        self.basic = basic

    def __get__(self, obj: object, owner: type[Any]) -> Any:
        cls = self.recipe.cls
        if vars(cls).get(self.name) is self:
            self.recipe.make(self.basic)
        return getattr(owner if obj is None else obj, self.name)
