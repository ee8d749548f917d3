"""The page of metrics: what a tap gets, what Prometheus shows, what is dropped, and `statistics()`.

Names are found in the source: in calls that count, and in effects of rules.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from functools import cache

import attrs

from tests.reference.meanings import meanings
from tests.source_tree import Module, modules
from trioserf import SerfStatistics
from trioserf.prometheus import _FIGURES, prometheus_name

KINDS = {"count": "counter", "gauge": "gauge", "sample": "sample"}
NAMES = re.compile(r"(?:memberlist|serf|trioserf|agent)\.")
DROPPING = re.compile(r"(?:\bdrop_log|\bcrash|\bDrop|\bPacketError)$")
SILENT = ("testing/",)


@attrs.frozen(order=True)
class Metric:
    """One metric.

    Args:
      name: Go's, with braces for what differs.
      kind: counter, gauge or sample.
      file: where it is counted; several are joined.
    """

    name: str
    kind: str
    file: str


@cache
def metrics() -> list[Metric]:
    """Every metric that a tap gets, by name."""
    found: dict[tuple[str, str], set[str]] = {}
    for module in modules():
        if not module.path.startswith(SILENT):
            for name, kind in _metrics_of(module):
                found.setdefault((name, kind), set()).add(module.path)
    return sorted(Metric(*key, ", ".join(sorted(files))) for key, files in found.items())


def _metrics_of(module: Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=method), args=[first, *_]) if method in KINDS:
                name, kind = _name(first), KINDS[method]
            case ast.Call(func=ast.Name(id="Count" | "Sample" as effect), args=[first, *_]):
                name, kind = _name(first), "counter" if effect == "Count" else "sample"
            case ast.AugAssign(target=ast.Subscript(value=value, slice=key)):
                name, kind = _name(key), "counter"
                if not ast.unparse(value).endswith("counts"):
                    continue
            case _:
                continue
        if NAMES.match(name):
            yield name, kind


def _name(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _name(left) + _name(right)
        case ast.JoinedStr(values=values):
            return "".join(map(_name, values))
        case ast.FormattedValue(value=value):
            return _name(value)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return f"{{{name}}}"
        case _:
            return ""


@cache
def drop_reasons() -> dict[str, list[str]]:
    """Reason of dropped input to the files that notice it."""
    found: dict[str, set[str]] = {}
    for module in modules():
        if module.path.startswith(SILENT):
            continue
        for node in ast.walk(module.tree):
            match node:
                case ast.Call(func=func, args=[ast.Constant(value=str(reason)), *_]) if (
                    DROPPING.search(ast.unparse(func))
                ):
                    found.setdefault(reason, set()).add(module.path)
                case ast.Assign(targets=[ast.Name(id="layer")], value=value):
                    for each in ast.walk(value):  # of a part of a packet
                        if isinstance(each, ast.Constant):
                            found.setdefault(str(each.value), set()).add(module.path)
                case _:
                    pass
    return {reason: sorted(files) for reason, files in sorted(found.items())}


# --- statistics() -------------------------------------------------------------------------


@attrs.frozen
class Figure:
    """One key of ``statistics().to_dict()``.

    Args:
      key: with ``*`` for the keys of a mapping.
      about: from the docstring of the class; "" if it says nothing.
    """

    key: str
    about: str


def figures(cls: type[typing.Any] = SerfStatistics, prefix: str = "") -> Iterator[Figure]:
    """Every key, in the order of the classes."""
    about = described(cls)
    hints = typing.get_type_hints(cls, _home(cls))
    for field in attrs.fields(cls):
        key = prefix + field.name
        yield from _figures_of(key, hints[field.name], about.get(field.name, ""))


def _home(cls: type[typing.Any]) -> dict[str, typing.Any]:
    """The names of the file that defines the class: its ``__module__`` says a public module."""
    homes = (m for m in modules() if re.search(rf"^class {cls.__name__}\b", m.text, re.MULTILINE))
    return vars(importlib.import_module(f"trioserf.{next(homes).dotted}"))


def _figures_of(key: str, hint: typing.Any, about: str) -> Iterator[Figure]:
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    if typing.get_origin(hint) in (Mapping, dict):
        yield from _figures_of(f"{key}.*", parts[1], about)
    elif attrs.has(hint):
        yield from figures(hint, f"{key}.")
    elif any(map(attrs.has, parts)):
        yield from figures(parts[0], f"{key}.")
    else:
        yield Figure(key, about)


def described(cls: type[typing.Any]) -> dict[str, str]:
    """Field to its text below ``Args:`` or ``Attributes:`` of the docstring."""
    text = inspect.cleandoc(cls.__doc__ or "")
    entry = re.compile(r"^  (\w[\w, ]*): ((?:.+\n?)(?:^    .*\n?)*)", re.MULTILINE)
    return {
        name.strip(): " ".join(about.split())
        for names, about in entry.findall(text)
        for name in names.split(",")
    }


# --- the page -----------------------------------------------------------------------------


def metrics_page() -> str:
    """The page."""
    said, reasons = meanings("metric"), meanings("dropped")
    parts = [
        "# Metrics and statistics\n",
        "Three ways to the same numbers: `serf.statistics()` at one moment, a tap of your own "
        "(`trioserf.abc.Tap`, setting `tap`), and `trioserf.prometheus.PrometheusTap`, which is "
        "such a tap. This page is made from the source.\n",
        "## What a tap gets, and Prometheus shows\n",
        "Names are Go's; what Go does not have begins with `trioserf`. Labels are those of "
        "`metric_labels`. Durations are milliseconds, sizes bytes. Samples are summaries: "
        "`_count` and `_sum`. Metrics of the agent are in its `/metrics` and go to statsd.\n",
        "| metric | in Prometheus | kind | meaning | from |\n|---|---|---|---|---|",
    ]
    for each in metrics():
        shown = prometheus_name(each.name.replace("{", "").replace("}", ""))
        shown += "_total" if each.kind == "counter" else ""
        parts.append(
            f"| `{each.name}` | `{shown}` | {each.kind} | {said.get(each.name, '')} "
            f"| `{each.file}` |"
        )
    parts += [
        "\n## What Prometheus reads at a scrape\n",
        "Of nodes given to `PrometheusTap.watch()`; each has the label `node`, and one more.\n",
        "| metric | kind | label | meaning |\n|---|---|---|---|",
    ]
    for kind, name, about, label, _figures in _FIGURES:
        shown = name + ("_total" if kind == "counter" else "")
        parts.append(f"| `{shown}` | {kind} | `{label}` | {about} |")
    parts += [
        "\n## Why input was dropped\n",
        "The keys of `statistics().bad_input` and `statistics().memberlist.bad_input`, the label "
        "`reason` of `trioserf_dropped_total`, and the word in brackets in the log line "
        "`dropped input of …`.\n",
        "| reason | meaning | from |\n|---|---|---|",
    ]
    for reason, files in drop_reasons().items():
        parts.append(f"| `{reason}` | {reasons.get(reason, '')} | `{', '.join(files)}` |")
    parts += [
        "\n## `serf.statistics().to_dict()`\n",
        "Keys, with `*` for those of a mapping. Counters count from the start of the node.\n",
        "| key | meaning |\n|---|---|",
    ]
    for figure in figures():
        about = figure.about.replace("``", "`").replace("|", "\\|")
        parts.append(f"| `{figure.key}` | {about} |")
    return "\n".join(parts) + "\n"
