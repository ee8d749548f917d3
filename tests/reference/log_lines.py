"""The page of log lines: every line that the source writes, with what it means.

Lines are found as calls of a log with a text, as effects of rules (`Log`), and as problems of
dropped input, which one line shows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

import attrs

from tests.reference.meanings import meanings
from tests.source_tree import Module, modules

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
LOGGERS = {
    "AGENT_LOG": "trioserf.agent",
    "IPC_LOG": "trioserf.agent.ipc",
    "_log": "trioserf.asyncio",
}
"""Logs of modules by their name; a node's own log has that of its package."""
PACKAGES = {"_net": "memberlist", "_memberlist": "memberlist", "_rpc": "agent.ipc"}
FILES = {
    "_serf/snapshotter.py": "snapshot",
    "_cluster/snapshot_replay.py": "snapshot",
    "_serf/keyring_store.py": "keyring",
}
SILENT = ("testing/",)
"""Not in a node."""
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@attrs.frozen(order=True)
class LogLine:
    """One line.

    Args:
      logger: its name.
      text: without the node's name, with words in braces for what differs.
      level: in capitals.
      file: where it comes from.
    """

    logger: str
    text: str
    level: str
    file: str


@cache
def log_lines() -> list[LogLine]:
    """Every line, sorted; one that several places write is there once for each file."""
    found = {line for module in modules() for line in _lines_of(module)}
    return sorted(found)


def unread_calls() -> list[str]:
    """Calls of a log whose text was not found, as ``file: function``."""
    found = []
    for module in modules():
        for scope in ast.walk(module.tree):
            if not isinstance(scope, Function) or module.path.startswith(SILENT):
                continue
            for node in ast.walk(scope):
                if isinstance(node, ast.Call) and _logs(node, module):
                    lines = [*_line_of(module, scope, node)]
                    applied = [*_texts(node.args[0], node.args[1:], scope, module)] == ["%s"]
                    if not (lines or applied):
                        found.append(f"{module.path}: {scope.name}")
    return found


def _logs(call: ast.Call, module: Module) -> bool:
    """Whether the call writes a line, or lets one be written."""
    name = ast.unparse(call.func)
    receiver, _, method = name.rpartition(".")
    if receiver.lower().endswith(("log", "logger")):
        return method in (*LEVELS, "log")
    return name == "Log" and module.part == "_cluster"


def _lines_of(module: Module) -> Iterator[LogLine]:
    if module.path.startswith(SILENT):
        return
    for scope in ast.walk(module.tree):
        if not isinstance(scope, Function):
            continue
        for node in ast.walk(scope):
            if isinstance(node, ast.Call):
                yield from _line_of(module, scope, node)


def _line_of(module: Module, scope: Function, call: ast.Call) -> Iterator[LogLine]:
    receiver, _, method = ast.unparse(call.func).rpartition(".")
    if not _logs(call, module) or method == "log":
        return
    if method in LEVELS:
        level = "error" if method == "exception" else method
    else:
        level = ast.literal_eval(call.args[1]) if len(call.args) > 1 else "warning"
    for text in _texts(call.args[0], call.args[1:], scope, module):
        if text != "%s":  # an effect that is applied
            yield LogLine(_logger(module, receiver), text, level.upper(), module.path)


def _logger(module: Module, receiver: str) -> str:
    if receiver in LOGGERS:
        return LOGGERS[receiver]
    part = FILES.get(module.path) or PACKAGES.get(module.part, "serf")
    return f"trioserf.{part}"


def _texts(
    node: ast.expr, arguments: list[ast.expr], scope: Function, module: Module
) -> Iterator[str]:
    """The line as a person would write it down; of a variable, all that it may be."""
    match node:
        case ast.Constant(value=str(text)):
            names = iter(map(_word, arguments))
            yield re.sub(r"%[sdrg]|%\.\d+f", lambda _: f"{{{next(names, '…')}}}", text)
        case ast.JoinedStr(values=values):
            yield "".join(
                str(part.value)
                if isinstance(part, ast.Constant)
                else f"{{{_word(part.value if isinstance(part, ast.FormattedValue) else part)}}}"
                for part in values
            )
        case ast.Name(id=name):
            for value in _values(name, scope, module):
                yield from _texts(value, [], scope, module)
        case _:
            pass


def _values(name: str, scope: Function, module: Module) -> Iterator[ast.expr]:
    """What a variable of a function may be: assigned there or at the top, or given by callers."""
    places = [argument.arg for argument in scope.args.args]
    for each in (*ast.walk(scope), *module.tree.body):
        match each:
            case ast.Assign(targets=targets, value=value) if name in map(ast.unparse, targets):
                yield value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value):
                if found == name:
                    yield value
            case _:
                pass
    if name in places:
        for each in ast.walk(module.tree):
            if isinstance(each, ast.Call) and ast.unparse(each.func) == scope.name:
                yield each.args[places.index(name)]


def _word(node: ast.expr) -> str:
    """A short name of an argument: the last name in it."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.IfExp):
        return f"{_word(node.body)} or {_word(node.orelse)}"
    names = [
        each.attr if isinstance(each, ast.Attribute) else each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute | ast.Name)
    ]
    plain = [name.strip("_") for name in names if name not in ("self", "len", "str", "repr")]
    return plain[0] if plain else "…"


def log_page() -> str:
    """The page."""
    said = meanings("log")
    parts = [
        "# Log lines\n",
        "Every line that a node, the agent or its RPC server writes, made from the source. How to "
        "turn logging on, and what a day looks like in it, is in [Logging](../howto/logging.md). "
        "Search this page for the part of your line that is not a name or a number: `{words}` in "
        "braces stand for those. Lines of a node begin with its name.\n",
    ]
    loggers = dict.fromkeys(line.logger for line in log_lines())
    for logger in loggers:
        parts.append(f"## `{logger}`\n")
        parts.append("| line | level | meaning, and what to do | from |\n|---|---|---|---|")
        rows: dict[str, str] = {}
        for line in log_lines():
            if line.logger == logger:
                text = line.text.replace("|", "\\|")
                row = f"| `{text}` | {line.level} | {said.get(line.text, '')} "
                rows[f"{row}| `{line.file}` |"] = ""
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)
