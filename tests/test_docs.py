"""The programs of the documentation run as they stand."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import itertools
import os
import re
import subprocess
import sys
from functools import partial
from types import ModuleType

import attrs
import pytest
import trio

import trioserf
import trioserf.client
import trioserf.ipc
from tests.notebook.kernels import kernel
from tests.source_tree import ROOT, modules

SEED = '"192.0.2.5"'
"""The address that the pages join; the tests put one of loopback there, and change nothing else."""


def blocks(page: str) -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE
    )


@pytest.mark.slow
def test_the_program_of_the_readme_prints_what_stands_below_it() -> None:
    program = blocks("README.md")[0]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    (shown,) = re.findall(r"^```text\n(.*?)^```$", (ROOT / "README.md").read_text(), re.S | re.M)

    def without_ports(text: str) -> list[str]:
        return sorted(re.sub(r":\d+$", ":", line) for line in text.splitlines())

    assert without_ports(shown) == without_ports(done.stdout)


@pytest.mark.slow
def test_the_cell_of_the_notebook_page_runs_as_it_stands() -> None:
    (cell,) = blocks("docs/howto/notebook.md")
    assert 1 == cell.count(SEED)
    with kernel() as running:
        found = running.run(
            "%load_ext trioserf.notebook\nimport trioserf\n"
            'config = trioserf.Config.lan(node_name="seed", bind="127.0.0.1:0")\n'
            "seed = await keep(trioserf.open(config))\n"
            "print('AT', seed.memberlist.advertise_address)"
        )
        at = re.search(r"AT (\S+)", found.text)
        assert at is not None, found.errors
        found = running.run(cell.replace(SEED, f'"{at.group(1)}"'))
        assert "ok" == found.status, found.errors
        assert "2 in all: 2 alive" in found.html


@pytest.mark.slow
def test_a_slow_reader_does_what_the_page_of_events_says() -> None:
    (program,) = blocks("docs/explanation/events.md")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "newest: 200 gaps: True True\n" == done.stdout, done.stderr
    assert 0 == done.returncode


@pytest.mark.slow
def test_an_asyncio_program_has_a_node_as_described() -> None:
    program = blocks("docs/howto/asyncio.md")[0]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "('one', 'two')\n" == done.stdout, done.stderr
    assert 0 == done.returncode


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGTERM to a process")
async def test_the_service_on_asyncio_follows_answers_and_leaves_on_a_signal() -> None:
    program = blocks("docs/howto/asyncio.md")[1]
    config = trioserf.Config.local(node_name="seed", bind="127.0.0.1:0")
    with trio.fail_after(30):
        async with trioserf.open(config) as seed, trio.open_nursery() as nursery:
            for old, new in (
                ('"0.0.0.0:7946"', '"127.0.0.1:0"'),
                (SEED, f'"{seed.memberlist.advertise_address}"'),
            ):
                assert 1 == program.count(old)
                program = program.replace(old, new)
            command = [sys.executable, "-u", "-W", "error", "-X", "dev", "-c", program]
            process = await nursery.start(
                partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
            )
            async with seed.follow(status=trioserf.MemberStatus.ALIVE) as states:
                async for members in states:
                    if 2 == len(members):
                        break
            result = await seed.ask("load", filter_nodes=["web-1"], timeout=5)
            assert [b"0.42"] == [response.payload for response in result.responses]
            await seed.user_event("deploy", b"v42")
            lines = b""
            while b"v42\n" not in lines:
                assert process.stdout is not None
                lines += await process.stdout.receive_some()
            assert ["balancing over web-1", "deploy v42"] == lines.decode().splitlines()
            process.terminate()
            assert 0 == await process.wait()
            left = seed.members().get("web-1")
            assert left is not None
            assert trioserf.MemberStatus.LEFT is left.status
            nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_the_client_on_asyncio_asks_an_agent() -> None:
    program = blocks("docs/howto/asyncio.md")[2]
    config = trioserf.Config.local(node_name="seed", bind="127.0.0.1:0")
    with trio.fail_after(30):
        async with trioserf.open(config) as seed, trio.open_nursery() as nursery:
            server = await nursery.start(trioserf.ipc.serve, seed, "127.0.0.1:0")
            done = await trio.run_process(
                [sys.executable, "-W", "error", "-c", program],
                capture_stdout=True,
                env=os.environ | {"SERF_RPC_ADDR": server.address},
            )
            assert b"('seed',)\n" == done.stdout
            nursery.cancel_scope.cancel()


def test_the_notebook_page_names_what_there_is() -> None:
    import trioserf.notebook as notebook

    text = (ROOT / "docs" / "howto" / "notebook.md").read_text()
    for name in (
        "keep",
        "release",
        "live",
        "record",
        "timeline",
        "coordinate_map",
        "in_trio",
        "figure",
    ):
        assert name in text
        assert hasattr(notebook, name)


@pytest.mark.slow
def test_the_program_of_the_page_on_logs_prints_what_the_page_shows() -> None:
    (program,) = blocks("docs/howto/logging.md")
    ran = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert re.search(r"INFO +web-1: started at 127.0.0.1:\d+, not encrypted; alone", ran.stderr)
    assert re.search(r"INFO +web-1: left the cluster", ran.stderr)


# --- texts that a page quotes -------------------------------------------------------------------


def texts_of_the_source() -> str:
    """Every text of the package, the parts of f-strings joined, on one line each."""
    texts = []
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.JoinedStr):
                parts = [
                    str(part.value) if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                ]
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return re.sub(r"%[-.\d]*[a-z]|\{\}", "…", "\n".join(texts))


OF_THE_SYSTEM = {
    "Address already in use",
    "Connection refused",
    "SerfInternalError",
    "failed",
    "left",
}
"""Texts that the troubleshooting page quotes, and that are not written in the source."""


def not_in_the_source(quoted: list[str]) -> list[str]:
    source = texts_of_the_source()
    return [
        text
        for text in quoted
        if text not in OF_THE_SYSTEM
        for part in text.split("…")
        if part.strip(": ") and part.strip() not in source
    ]


def test_the_texts_of_the_troubleshooting_page_are_those_of_the_source() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    quoted = [
        text
        for line in re.findall(r"^### .*$", page, re.MULTILINE)
        for text in re.findall(r"`([^`]+)`", line)
    ]
    assert len(quoted) > 30
    assert [] == not_in_the_source(quoted)


def test_the_texts_of_the_runbook_are_those_of_the_source() -> None:
    page = (ROOT / "docs" / "operations" / "why-failed.md").read_text()
    cells = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) > 10
    assert [] == not_in_the_source(quoted)


# --- the tutorial -------------------------------------------------------------------------------


def test_the_lines_that_the_tutorial_emphasizes_are_those_that_are_new() -> None:
    tutorial = ROOT / "docs" / "tutorial"
    page = (tutorial / "service.md").read_text()
    shown = dict(
        re.findall(r"literalinclude\} (\w+\.py)\n:language: python\n:emphasize-lines: (.*)", page)
    )
    steps = ["rates_1.py", "rates_2.py", "rates.py"]
    assert set(steps[1:]) == set(shown)
    for before, after in itertools.pairwise(steps):
        old, new = ((tutorial / name).read_text().splitlines() for name in (before, after))
        matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
        changed = {
            number + 1
            for kind, _, _, begin, end in matcher.get_opcodes()
            if kind != "equal"
            for number in range(begin, end)
            if new[number].strip()
        }
        emphasized = set()
        for part in shown[after].split(","):
            first, _, last = part.partition("-")
            emphasized |= set(range(int(first), int(last or first) + 1))
        assert changed == {number for number in emphasized if new[number - 1].strip()}


# --- names that pages use -------------------------------------------------------------------------

PROSE = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))
    if "reference" not in page.parts
]
ROOTS: dict[str, object] = {
    "serf": trioserf.Serf,
    "trioserf": trioserf,
    "Config": trioserf.Config,
    "agent": trioserf.client.RPCClient,
}
ELSEWHERE = {"serf.Create", "serf.DefaultConfig", "serf.in_trio", "agent.json"}
"""Names of Go's package, of `trioserf.asyncio`, and a file."""


def resolves(root: str, path: list[str]) -> bool:
    """Whether a dotted name leads somewhere; fields of attrs classes are followed by their type."""
    found: object = ROOTS[root]
    for name in path:
        if isinstance(found, type) and attrs.has(found):
            fields = {field.name: field.type for field in attrs.fields(found)}
            if name in fields:
                found = fields[name]
                continue
        if isinstance(found, property) or not isinstance(found, type | ModuleType):
            return True  # the type is not known here
        if isinstance(found, ModuleType) and not hasattr(found, name):
            module = f"{found.__name__}.{name}"
            if importlib.util.find_spec(module) is None:
                return False
            found = importlib.import_module(module)
            continue
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


LOGGERS = {f"trioserf.{part}" for part in ("serf", "memberlist", "snapshot", "keyring", "rpc")}


def test_names_in_prose_exist() -> None:
    used = [
        (page.name, root, path.strip("."))
        for page in PROSE
        for text in re.findall(r"`([^`\n]+)`", page.read_text())
        for root, path in re.findall(
            r"(?<![\w./-])(serf|trioserf|Config|agent)((?:\.[a-zA-Z_]\w*)+)", text
        )
    ]
    assert len(used) > 80
    assert [] == [
        (page, f"{root}.{path}")
        for page, root, path in used
        if f"{root}.{path}" not in ELSEWHERE | LOGGERS
        if not re.search(r"\.(md|py|service|svg|ipynb)$", path)
        if not resolves(root, path.split("."))
    ]


def test_statistics_and_metrics_of_the_page_on_monitoring_exist() -> None:
    page = (ROOT / "docs" / "operations" / "monitoring.md").read_text()
    reference = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    keys = re.findall(r"^\| `([\w.*]+)` \|", reference, re.MULTILINE)
    exported = re.findall(r"`(\w+)`", reference)
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")][1:]
    statistics = [name for row in rows for name in re.findall(r"`([\w.]+)`", row[2])]
    assert len(statistics) > 7
    assert [] == [name for name in statistics if not any(key.startswith(name) for key in keys)]
    metrics = re.findall(r"\b((?:trioserf|serf|memberlist)_[a-z_]+)\b", page)
    assert len(metrics) > 8
    assert [] == [name for name in metrics if name not in exported]
