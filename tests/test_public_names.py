"""Public names say where a user finds them, and `help()` shows nothing private."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import pickle
import pydoc
import re
import subprocess
import sys
from typing import Any

import pytest

import trioserf
import trioserf.asyncio
import trioserf.client
import trioserf.ipc
import trioserf.lowlevel
from tests.source_tree import PACKAGE as FOLDER
from tests.source_tree import ROOT, modules
from trioserf import Coordinate, Member, MemberEvent, MemberStatus
from trioserf._public_names import PACKAGE, set_public_modules

NAMES = sorted(set(trioserf.__all__) - {"__version__"})


def shown(value: object) -> bool:
    """Whether ``value`` is a class or a function, which have a module and a help page."""
    return inspect.isclass(value) or inspect.isfunction(value)


PUBLIC = [name for name in NAMES if shown(getattr(trioserf, name))]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_says_the_package(name: str) -> None:
    found: Any = getattr(trioserf, name)
    assert (PACKAGE, name, name) == (found.__module__, found.__name__, found.__qualname__)
    assert "trioserf._" not in repr(found)


def test_it_does_so_before_the_package_was_asked() -> None:
    """An error may be raised, and a member shown, long before anybody names their class."""
    homes = {name: f"trioserf.{home}" for name, home in trioserf._HOME_OF.items() if name in PUBLIC}
    program = f"""
from importlib import import_module
for name, home in {homes!r}.items():
    found = getattr(import_module(home), name)
    assert found.__module__ == "trioserf", (name, found.__module__)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    "module", [trioserf.asyncio, trioserf.client, trioserf.ipc, trioserf.lowlevel]
)
def test_names_of_other_public_modules_say_a_public_module(module: Any) -> None:
    for name, value in vars(module).items():
        if shown(value) and not name.startswith("_") and value is not set_public_modules:
            assert value.__module__.startswith("trioserf"), name
            assert not value.__module__.startswith("trioserf._"), name


def public_classes() -> set[str]:
    public = (trioserf, trioserf.abc, trioserf.lowlevel, trioserf.client, trioserf.ipc)
    public += (trioserf.asyncio,)
    return {name for module in public for name in dir(module)} | set(NAMES)


def private_classes() -> set[str]:
    """Classes and aliases of types that no public module shows."""
    found = set()
    for module in modules():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.AnnAssign) and "TypeAlias" in ast.unparse(node.annotation):
                found.add(ast.unparse(node.target))
    return found - public_classes()


@pytest.mark.parametrize("name", PUBLIC)
def test_help_shows_no_private_module_and_no_private_class(name: str) -> None:
    page = pydoc.plain(pydoc.render_doc(getattr(trioserf, name)))
    if not name.endswith("Keywords"):  # a TypedDict shows in which module its types are names
        assert [] == re.findall(r"trioserf\._[\w.]+", page)
    # In signatures; a word of the text may well be the name of some class.
    signatures = " ".join(re.findall(r"\w+\(.*\)(?: -> .*)?", page))
    types = " ".join(re.findall(r"'([^'\n]*)'", signatures))
    assert set() == private_classes() & set(re.findall(r"\b[A-Z]\w+\b", types))


def test_star_imports_give_all_public_names() -> None:
    scope: dict[str, object] = {}
    exec("from trioserf import *", scope)
    assert set(trioserf.__all__) == scope.keys() - {"__builtins__"}
    for node in ast.parse((FOLDER / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            assert trioserf.__all__ == ast.literal_eval(node.value), "type checkers read it, too"
            break
    else:
        pytest.fail("no __all__")


def test_values_and_classes_survive_pickling_and_copying() -> None:
    for name in PUBLIC:
        found = getattr(trioserf, name)
        assert found is pickle.loads(pickle.dumps(found))
    for value in (
        MemberStatus.ALIVE,
        trioserf.UserEvent(1, "a", b"b"),
        trioserf.EventsDropped(3),
        trioserf.JoinError("none", [OSError("x")]),
        Coordinate((0.0,) * 8, 1.5, 0.0, 1e-5),
    ):
        again = pickle.loads(pickle.dumps(value))
        assert type(value) is type(again)
        assert repr(value) == repr(again)
        assert repr(value) == repr(copy.copy(value))


def test_the_module_of_a_class_is_still_found_by_those_who_read_sources() -> None:
    for name in PUBLIC:
        home = importlib.import_module(f"trioserf.{trioserf._HOME_OF[name]}")
        assert getattr(home, name) is getattr(trioserf, name)


@pytest.mark.parametrize(
    ("call", "say"),
    [
        (trioserf.Serf, r"trioserf\.open"),
        (trioserf.KeyManager, r"serf\.keys"),
        (trioserf.QueryResponse, r"serf\.query"),
    ],
)
def test_what_only_a_node_makes_says_where_it_comes_from(call: Any, say: str) -> None:
    with pytest.raises(TypeError, match=say):
        call()


def test_a_member_in_a_traceback_and_in_a_repr_reads_as_one_writes_it() -> None:
    assert "<class 'trioserf.MemberEvent'>" == repr(MemberEvent)
    assert "<class 'trioserf.Member'>" == repr(Member)
    assert "trioserf.MemberEvent | trioserf.UserEvent" in repr(trioserf.Event)
