"""What is imported for what: heavy modules wait until they are needed, and Trio does, too.

Times are measured by ``python -m benchmarks.import_cost``; here are the modules behind them.
"""

from __future__ import annotations

import pytest

from .programs_under_test import loaded_after

HEAVY = {
    *("IPython", "argparse", "asyncio", "cryptography", "dns", "hypothesis", "ipykernel"),
    *("matplotlib", "numpy", "prometheus_client", "psutil", "pytest", "rich", "zeroconf"),
}
NODE = {"trio", "attr", "attrs", "msgpack", "logging", "ipaddress"}
"""What a node needs, and a program that reads a name or asks an agent does not."""

OPEN_AND_CLOSE = """
import trio, trioserf
config = trioserf.Config.local(node_name="a", bind="127.0.0.1:0", leave_on_exit=False)
async def main():
    async with trioserf.open(config):
        pass
trio.run(main)
"""


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] == "trioserf"}


def test_importing_the_library_loads_its_init_alone() -> None:
    loaded = loaded_after("import trioserf")
    assert {"trioserf", "trioserf._version"} == ours(loaded)
    assert set() == (HEAVY | NODE) & loaded


def test_dir_and_a_misspelled_name_load_nothing() -> None:
    program = "import trioserf; dir(trioserf); hasattr(trioserf, 'opne')"
    assert {"trioserf", "trioserf._version"} == ours(loaded_after(program))


def test_an_error_can_be_caught_without_trio() -> None:
    loaded = loaded_after("from trioserf import ConfigError, JoinError, SerfError")
    assert set() == (HEAVY | NODE) & loaded


def test_a_configuration_can_be_made_without_trio() -> None:
    loaded = loaded_after("import trioserf; trioserf.Config.lan(node_name='a')")
    assert set() == (HEAVY | {"trio", "msgpack"}) & loaded


@pytest.mark.parametrize("arguments", ["--version", "--help", "demo --help"])
def test_the_command_line_answers_without_loading_a_node(arguments: str) -> None:
    program = f"""
import sys
from trioserf.__main__ import main
sys.argv = ["trioserf", *{arguments.split()!r}]
try:
    main()
except SystemExit as end:
    assert not end.code
"""
    assert set() == (HEAVY - {"argparse"} | NODE) & loaded_after(program)


@pytest.mark.parametrize(
    ("words", "status"),
    [("members -format=json", 0), ("event x", 0), ("info", 0), ("rtt x", 1), ("tags -set a=b", 0)],
)
def test_a_question_to_an_agent_loads_next_to_nothing(words: str, status: int) -> None:
    """`members` may take four times as long as Python's own start; Trio alone takes seven."""
    body = "" if words.startswith(("event", "tags")) else "\\xc0"  # nil: everything is zero
    loaded = loaded_after(f"""
import _socket, _thread
from trioserf._agent.cli import run
listener = _socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
def answer():
    agent = _socket.socket(fileno=listener._accept()[0])
    for number in range(1, 4):
        agent.recv(4096)
        header = b"\\x82\\xa5Error\\xa0\\xa3Seq" + bytes([number])
        agent.sendall(header + (b"{body}" if number > 1 else b""))
_thread.start_new_thread(answer, ())
address = "127.0.0.1:%d" % listener.getsockname()[1]
command, *words = {words.split()!r}
assert run([command, "-rpc-addr", address, "-timeout=5s", *words]) == {status}
""")
    avoided = {"typing", "re", "json", "base64", "dataclasses", "enum", "socket", "importlib.util"}
    assert set() == (HEAVY | NODE - {"msgpack"} | avoided - loaded_after("")) & loaded


@pytest.mark.parametrize("module", ["trioserf.lowlevel", "trioserf.testing"])
def test_other_public_modules_load_nothing_heavy_either(module: str) -> None:
    assert set() == (HEAVY - {"argparse"}) & loaded_after(f"import {module}")


def test_asyncio_is_loaded_at_its_first_use() -> None:
    loaded = loaded_after("import trioserf; trioserf.asyncio.open")
    assert {"asyncio"} == (HEAVY - {"argparse"}) & loaded


def test_a_node_loads_nothing_that_only_some_programs_need() -> None:
    loaded = loaded_after(OPEN_AND_CLOSE)
    assert set() == (HEAVY | {"html", "json", "trioserf._cluster.re2.program"}) & loaded
    public = ("_agent", "_rpc", "asyncio", "client", "ipc", "lowlevel", "notebook", "testing")
    closed = tuple(f"trioserf.{module}" for module in public)
    closed += ("trioserf._serf.explain", "trioserf._serf.diagnosis", "trioserf._serf.peek")
    assert [] == sorted(name for name in loaded if name.startswith(closed))
