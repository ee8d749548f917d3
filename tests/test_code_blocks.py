"""Every block of code that people read runs, or is one that a test of its own runs.

Programs run as they stand, each in a process of its own with a limit, several at once; blocks of
tests run under pytest; commands of this project are parsed by its own tables, files of settings
checked by `validate`.  What is only to be looked at is marked as ``text``.
"""

from __future__ import annotations

import ast
import importlib.util
import ipaddress
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.code_blocks import PAGES, Block, blocks, blocks_of, docstring_blocks
from tests.source_tree import ROOT
from trioserf._agent.cli import what_is_wanted
from trioserf._agent.command_table import COMMANDS
from trioserf._agent.flags import parse_flags
from trioserf._agent.validate_command import check_files

ALL = blocks()
LIMIT = 60
"""Seconds for one program, of a machine that may be busy."""
AT_ONCE = 4

LANGUAGES = {"python", "console", "toml", "json", "yaml", "text", "ini", "dockerfile", "toctree"}
"""``text`` is what nothing is said about; all others are held to something."""


def as_params(chosen: list[Block]) -> list[object]:
    return [pytest.param(block, id=block.name) for block in chosen]


PYTHON = [block for block in ALL if block.language == "python" and not block.test]
TESTS = [block for block in PYTHON if re.search(r"^(async )?def test_", block.text, re.MULTILINE)]
PROGRAMS = [block for block in PYTHON if block not in TESTS]
CONSOLE = [block for block in ALL if block.language == "console"]


def test_languages_are_known_and_no_block_is_without_one() -> None:
    assert set() == {block.language for block in ALL} - LANGUAGES
    for page in PAGES:
        marks = re.findall(r"^`{3,}(.*)$", page.read_text(), re.MULTILINE)
        assert ["" for _ in marks[1::2]] == marks[1::2], f"{page}: a block without its language"


def test_no_code_is_indented_where_nobody_runs_it() -> None:
    found = [
        f"{page.name}: {token.content}"
        for page in PAGES
        for token in MarkdownIt().parse(page.read_text())
        if token.type == "code_block"
    ]
    assert [] == found


# --- programs -------------------------------------------------------------------------------


def run_program(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


Running = dict[str, "Future[subprocess.CompletedProcess[str]]"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All programs, started together: they mostly wait."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            block.name: pool.submit(run_program, block, tmp_path_factory.mktemp("program"))
            for block in PROGRAMS
        }


@pytest.mark.slow
@pytest.mark.parametrize("block", as_params(PROGRAMS))
def test_a_program_runs_as_it_stands(block: Block, running: Running) -> None:
    done = running[block.name].result()
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.strip(), "a program that prints nothing shows nothing"


@pytest.mark.slow
def test_tests_pass_as_they_stand(tmp_path: Path) -> None:
    for number, block in enumerate(TESTS):
        (tmp_path / f"test_block_{number}.py").write_text(block.text)
    (tmp_path / "pytest.ini").write_text("[pytest]\ntrio_mode = true\nfilterwarnings = error\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )
    count = sum(len(re.findall(r"^(?:async )?def test_", b.text, re.MULTILINE)) for b in TESTS)
    assert f"{count} passed" in done.stdout, done.stdout + done.stderr


def test_a_block_with_a_test_of_its_own_names_one_that_exists() -> None:
    for block in ALL:
        if block.test:
            file, _, name = block.test.partition("::")
            assert re.search(rf"def {name}\b", (ROOT / file).read_text()), block.name


# --- commands and files ---------------------------------------------------------------------

OTHERS = {
    *("python", "python3", "pip", "pytest", "bash", "export", "cd", ".", "source", "kill", "pkill"),
    *("curl", "docker", "systemctl", "journalctl", "sysctl", "ulimit", "serf", "chmod", "openssl"),
    *("ss", "ip", "nc", "tcpdump", "timedatectl", "cat", "mkdir", "install", "useradd", "git"),
    *("sphinx-build", "jupyter", "uv", "twine", "kubectl", "apt-get", "watch", "sudo", "cp"),
    *("unshare", "mount", "tc"),
}
"""Programs that are not of this project; a typing error would look like one more."""
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def commands_of(block: Block) -> Iterator[list[str]]:
    """The commands of a console block, as words: of lines that begin with a prompt."""
    for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
        if line.startswith(("$ ", "# ")):
            lexer = shlex.shlex(line[2:], posix=True, punctuation_chars="|&;()<>")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set("|&;()"):
                    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                        words = words[1:]
                    if words:
                        yield words
                    words = []
                else:
                    words.append(word)


def check_command(words: list[str], page: Path) -> None:
    """Whether the command can be what it says.

    Raises:
      FlagError, AssertionError: it cannot.
    """
    match words[0], words[1:]:
        case "trioserf", rest:
            wanted = what_is_wanted(rest)
            if rest[:1] in (["--version"], ["--help"], ["-h"]) or wanted.help:
                return
            parse_flags(COMMANDS[wanted.command].flags, wanted.words)
        case "python" | "python3", ["-m", "trioserf", *rest]:
            check_command(["trioserf", *rest], page)
        case "python" | "python3", ["-m", module, *_]:
            assert importlib.util.find_spec(module) is not None, module
        case "python" | "python3", [script, *_] if script.endswith(".py"):
            places = (page.parent / script, ROOT / script, ROOT / "examples" / script)
            assert any(place.exists() for place in places), script
        case "pip", ["install", *packages]:
            for package in packages:
                found = re.fullmatch(r"(?:trioserf|\.)\[([\w,]+)\]", package)
                if found is not None:
                    assert set(found[1].split(",")) <= set(EXTRAS), package
        case (("bash" | ".ci/run" | ".ci/docs"), rest):
            script = rest[0] if words[0] == "bash" else words[0]
            assert (ROOT / script).exists() or not script.startswith(".ci"), script
        case program, _:
            assert program in OTHERS, f"{program}: no command that is known here"


@pytest.mark.parametrize("block", as_params(CONSOLE))
def test_commands_are_what_they_say(block: Block) -> None:
    commands = [*commands_of(block)]
    assert commands, "a console block without a prompt: is it text?"
    for words in commands:
        check_command(words, ROOT / block.page)


@pytest.mark.parametrize("block", as_params([b for b in ALL if b.language in ("json", "toml")]))
def test_files_can_be_read(block: Block, tmp_path: Path) -> None:
    if block.language == "toml":
        assert tomllib.loads(block.text)
        return
    settings = json.loads(block.text)
    assert settings
    if not block.note:
        (tmp_path / "agent.json").write_text(block.text)
        assert "" == check_files([str(tmp_path)])[0]


# --- addresses ------------------------------------------------------------------------------

DOCUMENTATION = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
HARMLESS = [
    ipaddress.ip_network(each)
    for each in ("127.0.0.0/8", "0.0.0.0/32", "::1/128", "::/128", *DOCUMENTATION)
]
HERE = HARMLESS[:1] + HARMLESS[2:3]
"""What a program that is run may speak to: this machine."""
_V4 = re.compile(r"(?<![\d.\w-])(\d{1,3}(?:\.\d{1,3}){3})(?![\d.]*\d|/\d)")
_V6 = re.compile(r"(?<=\[)([0-9a-fA-F:]+:[0-9a-fA-F:]*)(?=\])")
_HOST = re.compile(r"https?://([\w.-]+)|\b([\w-]+\.(?:com|org|net|io|local)):\d+")
SITES = {
    *("trio.readthedocs.io", "github.com", "semver.org", "www.unicode.org", "pypi.org"),
    *("arxiv.org", "www.cs.cornell.edu", "doi.org", "pages.cs.wisc.edu", "research.google"),
    *("localhost", "sphinx-doc.org", "www.serf.io", "pdos.csail.mit.edu"),
}
"""What pages link to for readers."""


def addresses(text: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    for found in (*_V4.findall(text), *_V6.findall(text)):
        try:
            yield ipaddress.ip_address(found)
        except ValueError:  # a version, or a type of Python
            continue


def foreign(text: str, allowed: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> list[str]:
    return [
        str(address)
        for address in addresses(text)
        if not any(address in network for network in allowed if network.version == address.version)
    ]


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_no_page_names_an_address_of_somebody(page: str) -> None:
    text = (ROOT / page).read_text()
    assert [] == foreign(text, HARMLESS)
    hosts = {a or b for a, b in _HOST.findall(text)}
    hosts -= SITES | {"127.0.0.1"}
    assert set() == {h for h in hosts if not re.search(r"(^|\.)example(\.\w+)?$", h)}


@pytest.mark.parametrize("block", as_params(PYTHON))
def test_a_block_that_runs_speaks_to_this_machine_alone(block: Block) -> None:
    assert [] == foreign(block.text, HERE)


def test_docstrings_name_no_address_of_somebody() -> None:
    assert [] == [block.name for block in docstring_blocks() if foreign(block.text, HARMLESS)]


# --- the collector itself -------------------------------------------------------------------


def test_the_collector_reads_notes_and_joins_blocks(tmp_path: Path) -> None:
    page = ROOT / "docs" / "_collector_test.md"
    try:
        page.write_text(
            "```python\na = 1\n```\n\nand\n\n<!-- continues -->\n```python\nprint(a)\n```\n\n"
            "<!-- tested by tests/test_docs.py::test_x -->\n````python\nb\n````\n"
        )
        first, second = blocks_of(page)
    finally:
        page.unlink()
    assert "a = 1\n\nprint(a)\n" == first.text
    assert ("tests/test_docs.py::test_x", 14) == (second.test, second.line)


def test_a_wrong_command_is_found() -> None:
    wrong = ["trioserf members -foo", "python -m nothing.here", "trioserfs members", "python no.py"]
    for line in [*wrong, "trioserf membres", 'pip install "trioserf[nothing]"']:
        with pytest.raises(Exception, match=r"."):  # noqa: PT012
            for words in commands_of(Block("README.md", 1, "console", f"$ {line}\n")):
                check_command(words, ROOT / "README.md")
            pytest.fail(line)


def test_a_foreign_address_is_found() -> None:
    assert ["10.0.0.5"] == foreign("join 10.0.0.5:7946, version 1.2.3, 127.0.0.1", HARMLESS)
    assert ["2a00::1"] == foreign("[2a00::1]:7946 and [::1]:7946", HARMLESS)


def test_programs_are_python_that_ends() -> None:
    for block in PROGRAMS:
        assert "while True" not in block.text or "cancel" in block.text, block.name
        ast.parse(block.text)
