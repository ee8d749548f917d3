"""What ``CONTRIBUTING.md`` names is there, and its chains are what runs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType

import pytest
import trio
from trio.testing import MockClock

from tests.source_tree import PACKAGE, ROOT, modules
from trioserf import EventType, UserEvent
from trioserf.testing import SimCluster, SimNode

TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_every_file_that_it_names_exists() -> None:
    named = set(re.findall(r"`((?:\.ci|[\w.]+)(?:/[\w.]+)*/?)`", TEXT))
    paths = {name for name in named if "/" in name or name.endswith((".py", ".md"))}
    assert len(paths) > 60
    assert set() == {p for p in paths if not (ROOT / p).exists() and not (PACKAGE / p).exists()}


def test_the_glossary_is_short_enough_to_be_read() -> None:
    glossary = TEXT.partition("## Words")[2].partition("\n## ")[0]
    of_the_field, of_this_package = glossary.split("\n| word | meaning |")[1:]
    for table, bound in ((of_the_field, 30), (of_this_package, 20)):
        rows = re.findall(r"^\| ", table, re.MULTILINE)
        assert 15 <= len(rows) <= bound


# --- the chains ---------------------------------------------------------------------------

STOP = re.compile(r"^\d+\. `([\w/]+\.py): ([\w.]+)`", re.MULTILINE)


def chains() -> dict[str, list[str]]:
    """Title to its stops, each as ``file: function``."""
    page = TEXT.partition("\n## Five chains\n")[2].partition("\n## ")[0]
    return {
        title: [f"{path}: {name}" for path, name in STOP.findall(text)]
        for title, _, text in (part.partition("\n") for part in page.split("\n### ")[1:])
    }


def qualified_names(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield from qualified_names(node, f"{prefix}{node.name}.")


def test_every_function_of_a_chain_exists() -> None:
    existing = {f"{m.path}: {name}" for m in modules() for name in qualified_names(m.tree)}
    assert 5 == len(chains())
    assert [] == [stop for stops in chains().values() for stop in stops if stop not in existing]


class Calls:
    """A block in which calls of the package's functions are written down, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __enter__(self) -> Calls:
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(f"{PACKAGE}/"):
            self.seen.append(f"{code.co_filename[len(str(PACKAGE)) + 1 :]}: {code.co_qualname}")


async def send_an_event(_cluster: SimCluster, a: SimNode, b: SimNode, _c: SimNode) -> None:
    async with b.serf.subscribe(UserEvent) as events:
        await a.serf.user_event("deploy", b"v42")
        await events.receive()


async def crash(cluster: SimCluster, _a: SimNode, b: SimNode, c: SimNode) -> None:
    async with b.serf.subscribe(EventType.MEMBER_FAILED) as events:
        await cluster.crash(c)
        await events.receive()


async def join(_cluster: SimCluster, a: SimNode, b: SimNode) -> None:
    await b.serf.join([str(a.serf.memberlist.advertise_address)])


async def leave(_cluster: SimCluster, a: SimNode, b: SimNode, _c: SimNode) -> None:
    async with b.serf.subscribe(EventType.MEMBER_LEAVE) as events:
        await a.serf.leave()
        await events.receive()


async def change_keys(_cluster: SimCluster, a: SimNode, _b: SimNode, _c: SimNode) -> None:
    key = bytes(range(16))
    await a.serf.keys.install(key)
    await a.serf.keys.use(key)


ACTIONS = (send_an_event, crash, join, leave, change_keys)
"""What sets the chains off, in the order of the page."""


@pytest.mark.parametrize("act", ACTIONS)
async def test_a_chain_is_called_in_its_order(
    act: Callable[..., Awaitable[None]], serf_cluster: SimCluster, autojump_clock: MockClock
) -> None:
    if act is join:
        nodes = await serf_cluster.spawn(2, join=None)
    else:
        # The chain of the crash is that of probes and suspicions, as for a host that is gone.
        refusal = {"dead_on_refusal": act is not crash}
        nodes = await serf_cluster.spawn(3, secret_key=bytes(16), **refusal)
        await serf_cluster.converged()
        await trio.sleep(10)
    with Calls() as calls:
        await act(serf_cluster, *nodes)
    rest = iter(calls.seen)
    stops = list(chains().values())[ACTIONS.index(act)]
    assert [] == [stop for stop in stops if stop not in rest][:1], "not called after the former one"
