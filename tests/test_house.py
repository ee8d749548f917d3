"""Sizes, sources, exports and tasks: what keeps the package easy to read."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import trioserf
from tests.source_tree import ROOT, Module, modules

LONGEST_FILE = 700
"""Lines.  150 to 400 are usual, but one idea in 650 lines is easier to follow than the same idea
cut into two files, each of which is read with the other one open beside it: a message class, the
kinds of its fields and their bytes; a frame on a stream, and what is taken off it."""
LONGEST_FUNCTION = 80
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}

PUBLIC_NAMES = """
    open serve peek Config MemberlistConfig Serf Explanation Members Member MemberStatus
    MemberEvent EventType
    UserEvent Query EventsDropped Event QueryResponse QueryResult NodeResponse KeyManager
    KeyResponse SerfError ConfigError LocalProtocolError RemoteProtocolError JoinError
    QueryError QueryTooLarge ResponseTooLarge AlreadyResponded DeadlineExceeded
    UserEventTooLarge TagsTooLarge KeyringError KeyOperationError SnapshotError
    BroadcastTimeout CoordinatesDisabled RPCError SerfInternalError
"""
"""What the user types; each is an attribute of ``trioserf``."""

PRIVATE_WORDS = {
    r"claims? of life": "alive message",
    r"accusations?|accuse[sd]?|accuser": "suspect or dead message; who suspects",
    r"verdicts?": "what it is: declared dead, the status, the result",
    r"held (alive|dead|failed|suspect|left)": "listed as ..., considered ...",
    r"(old |own )?news": "broadcast, update; stale",
    r"patience": "`max_delay`",
    r"believe[sd]?|buri(ed|es)|bury|outbids?|outbidden": "apply_alive, declare_dead, refute",
    r"dismiss(es|ed)?|vouch(es|ed)?|undone": "drop, confirm, trust, reverted",
    r"tellers?": "peer, sender",
    r"hear(s|d)? (of|from|about)|told": "receive, be sent, be notified",
    r"in earnest": "in production, really",
    r"of ours|whoever": "this node's, local; the peer",
    r"walls|knock(s|ed)?|suffer(s|ed)?|dice": "partition, try, plain words",
    r"lift(s|ed)?|welcome[sd]?": "cancel, accept",
    r"ration(s|ed|ing)?": "limit, rate-limited",
    r"the own \w+": "the local ..., this node's ...",
}
"""Words that a reader would have to learn here, and what SWIM, memberlist, Serf and Trio say."""

TASK_STARTERS = {
    # What lives as long as a node:
    "_serf/tree.py": "the tree: every task of a node",
    "_serf/open.py": "the tree itself",
    "_memberlist/open.py": "the same tasks for a membership half without Serf",
    # Short children, in a nursery given to them or their own:
    "_memberlist/address_prober.py": "one ping of an address that is said to be taken over, or of "
    "a node that was never reached",
    "_memberlist/healer.py": "one look-up for each name that was joined",
    "_memberlist/joiner.py": "one try for each address of a join, some in the background",
    "_memberlist/state_exchange.py": "the push/pulls of one round",
    "_memberlist/prober.py": "the stream ping of one probe round",
    "_memberlist/short_tasks.py": "what the files around it start in its nursery",
    "_memberlist/refusal_detector.py": "port checks of nodes that refuse, and for peers that ask",
    "_memberlist/port_checks.py": "the stream of one port check",
    "_memberlist/stream_client.py": "the further streams of a ping that is not answered at once",
    "_memberlist/stream_server.py": "one conversation for each accepted stream",
    "_serf/signals.py": "the leaves of several nodes at once",
    "_serf/snapshotter.py": "one write of the snapshot, beside what says that it is slow",
    "_rpc/server.py": "the server of a node: its feed of events, and its clients",
    "_rpc/client.py": "the connection of a client",
    "_rpc/client_connection.py": "the half that writes",
    "_rpc/connection.py": "the records and the queries of one client",
    "asyncio/thread.py": "a call of a program on asyncio, in the nursery of its thread",
    # Programs and the test kit, which own what they run:
    "_agent/agent.py": "the parts of an agent: handlers, RPC, HTTP, metrics, joins, signals",
    "_agent/handlers.py": "the event handlers, and what a command reads and writes",
    "_agent/demo.py": "the nodes of the demo",
    "_agent/watch.py": "the reaction to Ctrl-C",
    "notebook/keeper.py": "waiting for the first of several ends",
    "notebook/live_views.py": "the end of a view with its node",
    "notebook/thread.py": "what cells start: the thread's own nursery",
    "testing/invariants.py": "the look at the invariants, again and again",
    "testing/sim_network.py": "the deliveries of a simulated network",
    "testing/campaign/": "the faults of a schedule, and the look at the invariants meanwhile",
    "testing/bootstrap.py": "the joins of the simulated nodes",
    "testing/sim_cluster.py": "the processes of the simulated nodes",
    "testing/sim_node.py": "what runs inside the process of a simulated node",
    "testing/check_transport.py": "both ends of a law",
}
"""Files (or folders) that may call ``start_soon`` or ``start``, and what they start."""


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_files_stay_short() -> None:
    assert [] == [
        f"{module.path}: {lines} lines"
        for module in modules()
        if (lines := module.text.count("\n")) > LONGEST_FILE
    ]


def test_functions_stay_short() -> None:
    assert [] == [
        f"{module.path}:{node.lineno} {node.name}: {lines} lines"
        for module in modules()
        for node in functions(module)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    ]


def test_files_are_named_after_what_they_know() -> None:
    assert [] == [
        module.path
        for module in modules()
        if FORBIDDEN_NAMES & set(module.path.removesuffix(".py").split("/"))
    ]


def test_every_file_says_what_it_is() -> None:
    assert [] == [
        module.path
        for module in modules()
        if not module.path.endswith("__init__.py") and not ast.get_docstring(module.tree)
    ]


def test_no_handler_catches_everything() -> None:
    assert [] == [
        f"{module.path}:{node.lineno}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError|for now\b|placeholder")
    assert [] == [
        f"{module.path}:{number}: {line.strip()}"
        for module in modules()
        for number, line in enumerate(module.text.splitlines(), 1)
        if later.search(line)
    ]


# --- words --------------------------------------------------------------------------------


def words_of(text: str) -> str:
    """The text, with the words of names apart: ``verdictOf`` and ``_old_news`` as in a sentence."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text).lower()


def written_files() -> Iterator[tuple[str, str]]:
    """Path and text of what people read: the package, its tests, benchmarks and pages."""
    for pattern in ("*.md", "docs/**/*.md", "tests/**/*.md", "tests/**/*.py", "benchmarks/**/*.py"):
        for path in ROOT.glob(pattern):
            if path != Path(__file__):  # it has the list
                yield str(path.relative_to(ROOT)), path.read_text()
    for module in modules():
        yield f"trioserf/{module.path}", module.text


def test_names_and_texts_use_the_words_of_the_field() -> None:
    private = re.compile(rf"\b(?:{'|'.join(PRIVATE_WORDS)})\b")

    def better(word: str) -> str:
        return next(say for words, say in PRIVATE_WORDS.items() if re.fullmatch(words, word))

    assert [] == [
        f"{path}:{number}: {match[0]!r}, say {better(match[0])!r}: {line.strip()}"
        for path, text in written_files()
        if private.search(words_of(text))
        for number, line in enumerate(text.splitlines(), 1)
        if (match := private.search(words_of(line)))
    ]


# --- sources ------------------------------------------------------------------------------


def known_files() -> dict[str, set[str]]:
    """Repository to its files, from ``upstream_files.txt``."""
    known: dict[str, set[str]] = {}
    for line in (ROOT / "tests" / "upstream_files.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            repository, _version, path = line.split()
            known.setdefault(repository, set()).add(path)
    return known


def sources(module: Module) -> Iterator[str]:
    """The paragraphs of its docstrings that begin with ``Source:``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for match in re.finditer(r"Source:(.*?)(?:\n\s*\n|\Z)", node.value, re.DOTALL):
                yield " ".join(match[1].split())


def names_one_of(word: str, paths: set[str]) -> bool:
    """Whether it is one of the paths, or the end of one: ``serf/event.go, query.go``."""
    return word in paths or any(path.endswith(f"/{word}") for path in paths)


def test_sources_name_files_that_exist() -> None:
    known = known_files()
    everything = set().union(*known.values())
    wrong = []
    for module in modules():
        for source in sources(module):
            candidates = everything
            with_repository = re.sub(r"\bGo 1\.\d+\b", "golang/go", source)
            for word in re.findall(r"[\w./-]+", with_repository):
                if word in known:
                    candidates = known[word]
                elif word.endswith(".go") and not names_one_of(word, candidates):
                    wrong.append(f"{module.path}: {word} in {source!r}")
    assert [] == wrong


def test_sources_name_something_that_can_be_looked_up() -> None:
    findable = re.compile(
        r"\.go\b|\bcodec\b|[Pp]aper\b|RFC \d|UAX \d|\(\d{4}\)|[A-Za-z]+/[A-Za-z]+"
    )
    assert [] == [
        f"{module.path}: {source!r}"
        for module in modules()
        for source in sources(module)
        if not findable.search(source)
    ]


# --- exports ------------------------------------------------------------------------------


def public_modules() -> Iterator[Module]:
    for module in modules():
        parts = module.path.removesuffix(".py").split("/")
        if parts[-1] == "__init__" and not any(part.startswith("_") for part in parts[:-1]):
            yield module


def test_public_modules_export_under_the_name_they_import() -> None:
    """``from ._x import Y as Y`` is how type checkers see that ``Y`` is public."""
    wrong = []
    for module in public_modules():
        public = [node for node in module.tree.body if not isinstance(node, ast.FunctionDef)]
        for node in (inner for outer in public for inner in ast.walk(outer)):
            if isinstance(node, ast.ImportFrom) and node.level:
                wrong += [
                    f"{module.path}:{node.lineno} {alias.name}"
                    for alias in node.names
                    if alias.asname != alias.name and not (alias.asname or "").startswith("_")
                ]
    assert [] == wrong


def test_the_package_finds_what_type_checkers_see_there() -> None:
    (package,) = (module for module in modules() if module.path == "__init__.py")
    seen = {
        alias.name: f"trioserf.{node.module}"
        for node in ast.walk(package.tree)
        if isinstance(node, ast.ImportFrom) and node.level and node.module
        for alias in node.names
    }
    del seen["__version__"]
    homes = {name: f"trioserf.{home}" for name, home in trioserf._HOME_OF.items()}
    assert seen == homes
    assert {*seen, "__version__"} == set(trioserf.__all__)
    assert {*seen, "__version__", "abc", "asyncio"} <= set(dir(trioserf))
    for name, home in homes.items():
        assert getattr(trioserf, name) is getattr(importlib.import_module(home), name)
    with pytest.raises(AttributeError, match=r"'trioserf' has no attribute 'opne'"):
        trioserf.opne  # noqa: B018


def test_public_names_of_the_contract_are_there() -> None:
    assert [] == [name for name in PUBLIC_NAMES.split() if not hasattr(trioserf, name)]


# --- tasks --------------------------------------------------------------------------------


def test_tasks_are_started_only_where_the_tree_says() -> None:
    found = {}
    for module in modules():
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and (
                    node.func.attr == "start_soon"
                    or (
                        node.func.attr == "start"
                        and re.search(r"nursery|\btasks$", ast.unparse(node.func.value))
                    )
                )
            ):
                found.setdefault(module.path, []).append(node.lineno)
    known = tuple(TASK_STARTERS)
    assert {} == {path: lines for path, lines in found.items() if not path.startswith(known)}
    assert [] == [entry for entry in known if not any(path.startswith(entry) for path in found)]


# --- the frame ----------------------------------------------------------------------------


def test_the_checks_run_the_commands_of_the_readme() -> None:
    commands = re.findall(r"^\$ (.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert ["bash .ci/demo", "bash .ci/test"] == commands
    run = (ROOT / ".ci" / "run").read_text()
    assert "bash .ci/test" in run


def test_every_package_that_is_imported_is_declared_and_every_declared_one_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(lines: list[str]) -> set[str]:
        return {re.split(r"[\[><=]", line)[0].replace("-", "_") for line in lines}

    always, extras = names(project["dependencies"]), project["optional-dependencies"]
    imported = {
        name.partition(".")[0].lower() for module in modules() for _line, name in module.imports()
    }
    imported -= {"trioserf", *sys.stdlib_module_names}
    assert always <= imported
    assert set() == imported - always - names([line for lines in extras.values() for line in lines])
    for_users = {"cli", "mdns", "notebook", "plot", "prometheus", "rich"}
    assert for_users | {"testing", "test", "docs", "check"} == set(extras)
