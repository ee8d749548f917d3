"""The pages of public names: one for each public module, made of autodoc's directives.

A name is documented where it says that it is (``__module__``); a module that shows it,
too, names it and links there.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any

import attrs

from tests.source_tree import PACKAGE, modules

PUBLIC_MODULES = {
    "trioserf": "a node, and everything that a first program needs",
    "trioserf.asyncio": "the same for programs that run on asyncio",
    "trioserf.client": "a client of agents",
    "trioserf.ipc": "the agent's protocol on a node of your own",
    "trioserf.abc": "transports, delegates and taps of your own",
    "trioserf.lowlevel": "the parts, for those who build on them",
    "trioserf.notebook": "nodes in notebooks, and views of them",
    "trioserf.prometheus": "metrics for Prometheus",
    "trioserf.testing": "a simulated cluster for tests",
    "trioserf.testing_plugin": "fixtures and options of pytest",
}
"""Every module that users import, with what it is for."""

GROUPS = {
    "Open a node": "open serve leave_on_signals peek",
    "A node": "Serf SerfState KeyManager KeyResponse",
    "Members": "Members Member MemberStatus Explanation Coordinate",
    "Queries": "QueryResponse QueryResult NodeResponse QueryParams",
    "Statistics": "SerfStatistics MemberlistStatistics",
    "Settings": """Config MemberlistConfig ConfigKeywords MemberlistKeywords IPNetwork IPAddress
        PROTOCOL_VERSION_MIN PROTOCOL_VERSION_MAX PROTOCOL_VERSION_MAP USER_EVENT_SIZE_LIMIT""",
    "Membership alone": "Memberlist",
}
"""The package itself, in the order in which one meets it; events and exceptions have pages."""
EVENTS = "Event EventType MemberEvent UserEvent Query EventsDropped"
SETTINGS = ("Config", "MemberlistConfig")
"""Their fields are on the page of settings."""
KEYWORDS = ("ConfigKeywords", "MemberlistKeywords")


@attrs.frozen
class PublicName:
    """One name of a public module.

    Args:
      shown_in: the module that shows it.
      name: there.
      value: what it is.
    """

    shown_in: str
    name: str
    value: Any = attrs.field(repr=False)

    @property
    def home(self) -> str:
        """The module with which it is documented."""
        found = getattr(self.value, "__module__", self.shown_in)
        return found if found in PUBLIC_MODULES else self.shown_in

    @property
    def path(self) -> str:
        return f"{self.home}.{self.name}"


def public_names(dotted: str) -> list[PublicName]:
    """Those of a public module: ``__all__``, or what it shows as ``Y as Y`` or defines itself."""
    module = importlib.import_module(dotted)
    names = getattr(module, "__all__", None) or list(dict.fromkeys(_shown(module)))
    return [PublicName(dotted, name, getattr(module, name)) for name in names]


def _shown(module: ModuleType) -> Iterator[str]:
    for node in ast.parse(inspect.getsource(module)).body:
        match node:
            case ast.ImportFrom(names=names):
                yield from (alias.name for alias in names if alias.asname == alias.name)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) if name[0] != "_":
                yield name
            case ast.AsyncFunctionDef(name=name) if name[0] != "_":
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)) if name[0] != "_":
                yield name
            case _:
                pass


def exceptions() -> list[type[BaseException]]:
    """Every exception of the package, parents before children, in the order of the source."""
    found = [each.value for each in public_names("trioserf")]
    errors = [each for each in found if isinstance(each, type) and issubclass(each, Exception)]
    source = (PACKAGE / "_exceptions.py").read_text()
    return sorted(errors, key=lambda each: source.index(f"class {each.__name__}("))


# --- pages --------------------------------------------------------------------------------


def page_of(dotted: str) -> str:
    """The page of one public module."""
    module = importlib.import_module(dotted)
    names = {each.name: each for each in public_names(dotted)}
    if dotted == "trioserf.testing_plugin":
        return _rst(dotted, [f".. automodule:: {dotted}"])
    if dotted != "trioserf":
        return _rst(dotted, [f".. automodule:: {dotted}", "", *_all_of(names.values())])
    lines: list[str] = []
    for title, group in GROUPS.items():
        lines += [title, "-" * len(title), "", *_all_of(names[name] for name in group.split())]
    assert module.__doc__
    head = [
        "The classes of events are on the page :doc:`events`, the errors on :doc:`exceptions`,",
        "and every setting of `Config` and `MemberlistConfig` on :doc:`settings`.",
        "",
        ".. currentmodule:: trioserf",
        "",
    ]
    return _rst(dotted, [*head, *lines])


def _rst(dotted: str, lines: list[str]) -> str:
    body = "\n".join(lines).rstrip()
    about = f"{PUBLIC_MODULES[dotted][0].upper()}{PUBLIC_MODULES[dotted][1:]}."
    return f"# `{dotted}`\n\n{about}\n\n```{{eval-rst}}\n{body}\n```\n"


def directives(names: str) -> str:
    """The directives of some names of the package, for another page."""
    all_of = {each.name: each for each in public_names("trioserf")}
    body = "\n".join(_all_of(all_of[name] for name in names.split())).rstrip()
    return f"```{{eval-rst}}\n.. currentmodule:: trioserf\n\n{body}\n```\n"


def _all_of(names: Iterable[PublicName]) -> Iterator[str]:
    elsewhere: list[PublicName] = []
    for each in names:
        if each.home != each.shown_in:
            elsewhere.append(each)
        else:
            yield from _directive(each)
    if elsewhere:
        shown = ", ".join(f":py:obj:`{each.name} <{each.path}>`" for each in elsewhere)
        yield f"Shown here, too: {shown}."
        yield ""


def _directive(each: PublicName) -> Iterator[str]:
    if inspect.isclass(each.value):
        error = issubclass(each.value, BaseException)
        yield f".. auto{'exception' if error else 'class'}:: {each.path}"
        if each.name in KEYWORDS:
            yield "   :no-members:"
        elif each.name in SETTINGS:
            cls: Any = each.value
            fields = ", ".join(field.name for field in attrs.fields(cls))
            yield "   :members:"
            yield f"   :exclude-members: {fields}"
        elif not error:
            yield "   :members:"
            yield "   :undoc-members:"
    elif inspect.isroutine(each.value):
        yield f".. autofunction:: {each.path}"
    else:
        yield f".. py:data:: {each.path}"
        value = _value(each)
        if value:
            yield f"   :value: {value}"
        yield ""
        yield from (f"   {line}" for line in _text_of(each).splitlines())
    yield ""


def _value(each: PublicName) -> str:
    text = repr(each.value)
    for wrong in ("typing.", "ipaddress.", "collections.abc."):
        text = text.replace(wrong, "")
    return "" if len(text) > 200 or " at 0x" in text else text.replace("\n", " ")


def _text_of(each: PublicName) -> str:
    """What stands below the assignment, wherever in the package that is."""
    for module in modules():
        body = module.tree.body
        for node, after in pairwise([*body, None]):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and node.target.id == each.name
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                return inspect.cleandoc(str(after.value.value))
    return ""
