"""Imports go downward, and the rules stay pure.

The map is in the opening comment of ``trioserf/__init__.py``; here it is as a table.  Imports
under ``TYPE_CHECKING`` count like all others.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from tests.source_tree import PACKAGE, Module, modules

LAYERS = {
    **dict.fromkeys(("_exceptions", "_config", "_memberlist_config", "_settings"), 0),
    **dict.fromkeys(
        ("_attrs", "_config_keywords", "_public_names", "_setting_texts", "_tuples"), 0
    ),
    **dict.fromkeys(("_events", "_seams", "_tables", "_text", "abc", "_version"), 0),
    **dict.fromkeys(("_wire", "_vivaldi"), 1),
    "_swim": 2,
    "_cluster": 3,
    **dict.fromkeys(("_net", "_memberlist"), 4),
    "_serf": 5,
    "_rpc": 6,
    **dict.fromkeys(("__init__", "asyncio", "client", "ipc", "lowlevel", "prometheus"), 7),
    **dict.fromkeys(("notebook", "testing", "testing_plugin"), 7),
    **dict.fromkeys(("_agent", "__main__"), 8),
}
"""Top-level module or folder to its layer."""

PURE = {"_wire", "_vivaldi", "_swim", "_cluster"}
IMPURE = {"trio", "asyncio", "anyio", "time", "socket", "select", "logging", "os", "threading"}
IMPURE |= {"subprocess", "secrets", "datetime", "signal", "queue", "concurrent", "pathlib"}

USERS_OF_PUBLIC_NAMES = ("testing/__init__", "testing/bootstrap", "testing/sim_cluster")
USERS_OF_PUBLIC_NAMES += ("testing/sim_node", "testing/campaign/")
"""How the paths begin of what in the test kit uses public names; the rest of it knows layer 0
alone."""

THIRD_PARTY = {"attrs", "cryptography", "msgpack", "outcome", "sniffio", "trio"}
"""What the library needs.  ``outcome`` and ``sniffio`` come with trio."""
OPTIONAL = {"IPython", "dns", "matplotlib", "prometheus_client", "pytest", "pytest_trio", "rich"}
OPTIONAL |= {"zeroconf"}
"""What it may use where the user has it."""


def imported(module: Module) -> Iterator[tuple[int, str, str]]:
    """Line, top-level part and full name of everything of this package that the module imports."""
    for line, name in module.imports():
        first, _, rest = name.partition(".")
        if first == "trioserf":
            part = rest.partition(".")[0]
            yield line, part if part in LAYERS else "__init__", name


def complaints(rule: str, found: Iterator[tuple[Module, int, str]]) -> list[str]:
    return [f"{module.path}:{line} imports {name}: {rule}" for module, line, name in found]


def test_everything_has_a_layer() -> None:
    assert [] == sorted({module.part for module in modules()} - LAYERS.keys())


def test_imports_go_downward() -> None:
    def upward() -> Iterator[tuple[Module, int, str]]:
        for module in modules():
            for line, part, name in imported(module):
                same = part == module.part or 0 == LAYERS[part] == LAYERS[module.part]
                both_public = 7 == LAYERS[part] == LAYERS[module.part]
                program = (module.part, part) == ("__main__", "_agent")
                transport = (module.part, part) == ("_memberlist", "_net")
                if not (same or both_public or program or transport) and (
                    LAYERS[part] >= LAYERS[module.part]
                ):
                    yield module, line, name

    assert [] == complaints("not a lower layer", upward())


def imported_files(module: Module, names: set[str]) -> set[str]:
    """The files of this package, of those in ``names``, that the module imports anywhere."""
    found = set()
    for _line, full in module.imports():
        name = full.removeprefix("trioserf").removeprefix(".")
        if name not in names:  # a class or function: the file is what stands before it
            name = name.rpartition(".")[0]
        if full.partition(".")[0] == "trioserf" and name in names:
            found.add(name)
    return found - {module.dotted}


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions and under ``TYPE_CHECKING`` count, too."""
    known = {module.dotted: module for module in modules()}
    graph = {name: imported_files(module, set(known)) for name, module in known.items()}

    def reached(start: str) -> set[str]:
        found, waiting = set(), [start]
        while waiting:
            for name in graph[waiting.pop()] - found:
                found.add(name)
                waiting.append(name)
        return found

    assert [] == [name for name in graph if name in reached(name)]


def test_the_membership_half_does_not_know_serf() -> None:
    def knowing() -> Iterator[tuple[Module, int, str]]:
        for module in modules():
            if module.part in ("_memberlist", "_swim"):
                for line, part, name in imported(module):
                    if part in ("_cluster", "_serf") or name.endswith(".serf_messages"):
                        yield module, line, name

    assert [] == complaints("membership does not know Serf", knowing())


def test_transports_and_the_test_kit_know_layer_0_alone() -> None:
    def knowing() -> Iterator[tuple[Module, int, str]]:
        for module in modules():
            if module.part == "_net" or (
                module.part == "testing" and not module.path.startswith(USERS_OF_PUBLIC_NAMES)
            ):
                for line, part, name in imported(module):
                    if part != module.part and LAYERS[part] != 0:
                        yield module, line, name

    assert [] == complaints("only layer 0 here", knowing())


def test_coordinates_import_nothing_of_the_package_but_errors() -> None:
    def knowing() -> Iterator[tuple[Module, int, str]]:
        for module in modules():
            if module.part == "_vivaldi":
                for line, part, name in imported(module):
                    if part not in (
                        "_vivaldi",
                        "_attrs",
                        "_public_names",
                        "_exceptions",
                        "_settings",
                    ):
                        yield module, line, name

    assert [] == complaints("coordinates stand alone", knowing())


def test_rules_import_no_clock_no_socket_and_no_log() -> None:
    def impure() -> Iterator[tuple[Module, int, str]]:
        for module in modules():
            if module.part in PURE:
                for line, name in module.imports():
                    if name.partition(".")[0] in IMPURE:
                        yield module, line, name

    assert [] == complaints("not in a pure layer", impure())


def test_rules_draw_from_the_random_source_they_are_given() -> None:
    found = []
    for module in modules():
        if module.part not in PURE:
            continue
        found += [
            f"{module.path}:{line} imports {name}"
            for line, name in module.imports()
            if name.startswith("random.") and name != "random.Random"
        ]
        found += [
            f"{module.path}:{node.lineno} uses random.{node.attr}"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "random"
            and node.attr != "Random"
        ]
    assert [] == found


def test_rules_never_wait() -> None:
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert [] == [
        f"{module.path}:{node.lineno}"
        for module in modules()
        if module.part in PURE
        for node in ast.walk(module.tree)
        if isinstance(node, waiting)
    ]


def test_attrs_is_used_by_way_of_the_module_that_makes_methods_late() -> None:
    """``import attrs`` would work, and cost each program that imports the library."""
    users = {
        module.path
        for module in modules()
        for _, name in module.imports()
        if name.partition(".")[0] == "attrs"
    }
    assert {"_attrs.py"} == users


def test_every_dependency_is_a_declared_one() -> None:
    known = set(sys.stdlib_module_names) | {"trioserf"} | THIRD_PARTY | OPTIONAL
    assert [] == [
        f"{module.path}:{line} imports {name}"
        for module in modules()
        for line, name in module.imports()
        if name.partition(".")[0] not in known
    ]


def test_optional_dependencies_are_imported_when_they_are_used() -> None:
    """A module-level import of one would make it required; its own packages may do so."""
    own_parts = {"notebook", "testing", "testing_plugin"}
    assert [] == [
        f"{module.path}:{node.lineno}"
        for module in modules()
        if module.part not in own_parts
        for node in module.tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [(node.module or "") if node.level == 0 else ""]
        )
        if name.partition(".")[0] in OPTIONAL | {"cryptography"}
    ]


def test_the_map_of_the_package_names_everything() -> None:
    """A newcomer reads the opening of ``__init__.py``; nothing may be missing there."""
    text = (PACKAGE / "__init__.py").read_text()
    opening = text[: text.find("import ")]
    parts = {module.part for module in modules()} - {"__init__"}
    assert [] == sorted(part for part in parts if not re.search(rf"\b{part}\b", opening))
