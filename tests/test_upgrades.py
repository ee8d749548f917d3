"""A cluster is upgraded node by node: an older version of this library beside this one.

The older one is what the repository had at `OLDER`.  When there are releases, it is the newest of
them: see "How to release" in CONTRIBUTING.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, Self

import pytest

from tests.source_tree import ROOT

OLDER = "de1bab175d73936a8db1c9ca91ffa3cb63ac4560"
LIMIT = 30.0
"""Seconds for one thing to happen."""
KEYS = ("cg8StVXbQJ0gPvMd9o7yrg==", "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=")

pytestmark = pytest.mark.slow


def git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the older package."""
    if not (ROOT / ".git").exists():
        pytest.skip("no history of the repository is here: this is no checkout")
    if git("cat-file", "-e", f"{OLDER}^{{commit}}").returncode:
        shallow = b"true" in git("rev-parse", "--is-shallow-repository").stdout
        assert shallow, f"the history lacks {OLDER}"
        pytest.skip("the history of this checkout is cut off")
    folder = tmp_path_factory.mktemp("older")
    archive = git("archive", OLDER, "trioserf")
    assert 0 == archive.returncode, archive.stderr
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


class Node:
    """One node in a process.

    Args:
      path: the folder with the package that it runs.
      name: of the node.
      bind: address; a node that comes back takes the same again.
      snapshot: file; "" for none.
    """

    def __init__(
        self, path: Path, name: str, *, bind: str = "127.0.0.1:0", snapshot: str = ""
    ) -> None:
        script = str(ROOT / "tests" / "upgrade_node.py")
        self._lines: Queue[dict[str, Any]] = Queue()
        self.events: list[dict[str, Any]] = []
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-P", script, name, bind, KEYS[0], snapshot],
            env={**os.environ, "PYTHONPATH": str(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        started = self._next("address")
        assert str(path) in started["version"], "it runs another version than it should"
        self.address = started["address"]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def _next(self, key: str) -> dict[str, Any]:
        while True:
            try:
                line = self._lines.get(timeout=LIMIT)
            except Empty:
                raise AssertionError(f"{self.name}: no {key} within {LIMIT:g} s") from None
            if key in line:
                return line
            self.events.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def do(self, *words: str) -> Any:
        """Let it carry out a command, and give its reply."""
        self._write(words)
        return self._next("reply")["reply"]

    def leave(self) -> None:
        """Leave gracefully, and end."""
        self._write(["leave"])
        assert 0 == self.process.wait(LIMIT)

    def _write(self, words: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def saw(self, **event: str) -> bool:
        while not self._lines.empty():
            self.events.append(self._lines.get())
        return event in self.events

    def status(self, name: str) -> str:
        return str(self.do("members").get(name, ["absent"])[0])


def becomes(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("newer_joins", [True, False], ids=["newer joins", "older joins"])
def test_an_older_node_and_this_one_are_one_cluster(
    older: Path, stack: ExitStack, newer_joins: bool
) -> None:
    old = stack.enter_context(Node(older, "old"))
    new = stack.enter_context(Node(ROOT, "new"))
    first, second = (old, new) if newer_joins else (new, old)
    assert 1 == second.do("join", first.address)
    for node in (old, new):
        becomes(lambda node=node: len(node.do("members")) == 2, f"{node.name}: two members")
    # Tags, events and queries, from each to both.
    for sender, other in ((old, new), (new, old)):
        sender.do("tags", sender.name)
        tags = ["alive", {"version": sender.name}]
        becomes(lambda s=sender, o=other, t=tags: o.do("members")[s.name] == t, "tags")
        sender.do("event", f"from-{sender.name}", "payload")
        for node in (sender, other):
            wanted = {"event": f"from-{sender.name}", "payload": "payload"}
            becomes(lambda n=node, w=wanted: n.saw(**w), f"{node.name}: {wanted}")
        assert ["new", "old"] == sender.do("ask", "who")
    # A key of each is brought in by the other, used, and the former removed.
    assert 2 == old.do("install", KEYS[1]) == old.do("use", KEYS[1]) == old.do("remove", KEYS[0])
    assert 2 == new.do("install", KEYS[0]) == new.do("use", KEYS[0]) == new.do("remove", KEYS[1])
    assert ["new", "old"] == old.do("ask", "who")
    # Each sees the other one leave, and not fail.
    second.leave()
    becomes(lambda: first.status(second.name) == "left", f"{second.name} has left")
    assert not first.saw(event="member-failed", member=second.name)


def test_a_cluster_is_upgraded_node_by_node(older: Path, stack: ExitStack, tmp_path: Path) -> None:
    """With its snapshots: each node comes back as the newer version under its name and address."""

    def start(path: Path, name: str, bind: str = "127.0.0.1:0") -> Node:
        file = str(tmp_path / f"{name}.snapshot")
        return stack.enter_context(Node(path, name, bind=bind, snapshot=file))

    nodes = {name: start(older, name) for name in ("a", "b", "c")}
    for name in ("b", "c"):
        nodes[name].do("join", nodes["a"].address)
    for name in nodes:
        former = nodes[name]
        for node in nodes.values():
            becomes(lambda n=node: len(n.do("members")) == 3, f"{node.name}: three members")
        former.leave()
        others = [node for node in nodes.values() if node is not former]
        for node in others:
            becomes(lambda n=node, gone=name: n.status(gone) == "left", f"{name} has left")
        newer = nodes[name] = start(ROOT, name, former.address)
        newer.do("join", others[0].address)
        for node in nodes.values():
            becomes(lambda n=node, back=name: n.status(back) == "alive", f"{name} is back")
        newer.do("event", "upgraded", name)
        for node in nodes.values():
            done = {"event": "upgraded", "payload": name}
            becomes(lambda n=node, d=done: n.saw(**d), f"{node.name}: {name} is upgraded")
        assert ["a", "b", "c"] == newer.do("ask", "who")
    for node in nodes.values():
        assert not any(event["event"] == "member-failed" for event in node.events)
