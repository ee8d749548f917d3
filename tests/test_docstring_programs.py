"""Every program in a docstring runs, with around it what its reader would have there.

Most are parts of a program: a node, a nursery or a balancer stands for the reader's.  They run on
loopback, on simulated time where they simulate, and one that would go on for ever is stopped.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import socket
import textwrap
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trioserf
import trioserf.ipc
from tests.code_blocks import Block, docstring_blocks
from trioserf._net.udp_tcp import NetTransport

BLOCKS = {f"{block.page}:{block.line}": block for block in docstring_blocks()}
SHOWN = {
    "trioserf/_setting_texts.py: module:0",  # the form of a text
    "trioserf/_swim/same_cluster.py: module:0",  # a table
    "trioserf/notebook/__init__.py: module:0",  # cells; tests/notebook/test_kernels.py has them
    "trioserf/testing/check_transport.py: module:0",  # a test of a transport that the reader has
}
"""What is no program."""
COMMANDS = {name for name, block in BLOCKS.items() if block.text.startswith("python -m ")}
SIMULATED = [name for name, block in BLOCKS.items() if re.search(r"Sim|serf_cluster", block.text)]
ON_ASYNCIO = [name for name in BLOCKS if name.startswith("trioserf/asyncio/")]
NO_PROGRAM = SHOWN | COMMANDS
ON_TRIO = [n for n in BLOCKS if n not in {*NO_PROGRAM, *SIMULATED, *ON_ASYNCIO}]

NAMES = """
import asyncio, random
from functools import partial
import prometheus_client, trio
import trioserf, trioserf.asyncio, trioserf.client, trioserf.ipc
from trioserf import Config, MemberStatus, ipc
from trioserf._memberlist.memberlist import READY_FIRST, Memberlist
from trioserf._rpc.blocking import connect
from trioserf.prometheus import PrometheusTap
from trioserf.testing import SimCluster, SimNetwork, agreement_bound
from trioserf.testing.invariants import watched
"""
"""What docstrings need not import."""
ENDLESS = 0.5
"""How long a program is watched that would go on for ever (seconds)."""
LIMIT = 20


def local(name: str) -> trioserf.Config:
    return trioserf.Config.local(node_name=name, bind="127.0.0.1:0")


def as_function(block: Block, replaced: Mapping[str, str], given: Mapping[str, Any]) -> Any:
    """An async function with the block as its body."""
    text = block.text
    for old, new in replaced.items():
        text = text.replace(old, new)
    scope: dict[str, Any] = {}
    exec(NAMES, scope)
    scope |= given
    indent = textwrap.indent
    exec(f"async def program():\n{indent(text, '    ')}\n    return locals()\n", scope)
    return scope["program"]


BOUND = {
    'lan(node_name="web-1")': 'lan(node_name="web-1", bind="127.0.0.1:0")',
    'lan(node_name="web-1", tap': 'lan(node_name="web-1", bind="127.0.0.1:0", tap',
}
"""Ports are the system's choice, so that tests may run beside each other."""


SMALLER = {"spawn(30)": "spawn(6)", "range(10)": "range(2)", "step=0.1": "step=1.0"}
"""Thirty nodes, looked at every tenth of a second, take twenty seconds of a test's time."""


def joined(name: str) -> Block:
    """The block; the second one about Prometheus goes on where the first has ended."""
    block = BLOCKS[name]
    if name == "trioserf/prometheus.py: module:1":
        return Block(block.page, 1, "python", f"{BLOCKS[name[:-1] + '0'].text}\n{block.text}")
    return block


def test_every_program_is_among_those_that_run() -> None:
    assert SHOWN <= BLOCKS.keys()
    assert len(ON_TRIO) + len(ON_ASYNCIO) + len(SIMULATED) == len(BLOCKS) - len(NO_PROGRAM)
    assert len(BLOCKS) > 20


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_names_a_module(name: str) -> None:
    for module in re.findall(r"python -m ([\w.]+)", BLOCKS[name].text):
        assert importlib.util.find_spec(module) is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_TRIO)
async def test_a_program_on_trio_runs(name: str) -> None:
    async with (
        trioserf.open(local("seed")) as seed,
        trioserf.open(local("serf")) as serf,
        trio.open_nursery() as nursery,
    ):
        server = await nursery.start(trioserf.ipc.serve, seed, "127.0.0.1:0")
        block = joined(name)
        agent = server.address if re.search(r"open_client|connect\(", block.text) else "127.0.0.1:0"
        given = {
            "serf": serf,
            "nursery": nursery,
            "config": local("c") if "config = " not in block.text else None,
            "transport": NetTransport("127.0.0.1", 0),
            "balancer": SimpleNamespace(use=list),
            "work": trio.lowlevel.checkpoint,
        }
        replaced = BOUND | {
            '"192.0.2.5"': repr(str(seed.memberlist.advertise_address)),
            '"127.0.0.1:7373"': repr(agent),
            "start_http_server(9100)": f"start_http_server({free_port()}, '127.0.0.1')",
        }
        if "memberlist.py" in name:
            given["config"] = trioserf.MemberlistConfig(name="m")
        with trio.move_on_after(ENDLESS):
            if "_rpc/blocking" in name:
                await trio.to_thread.run_sync(
                    trio.run, as_function(block, replaced, given), abandon_on_cancel=True
                )
            else:
                await as_function(block, replaced, given)()
        nursery.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_ASYNCIO)
def test_a_program_on_asyncio_runs(name: str) -> None:
    async def main() -> None:
        async with (
            trioserf.asyncio.open(local("seed")) as seed,
            trioserf.asyncio.open(local("serf")) as serf,
        ):
            replaced = BOUND | {
                '"192.0.2.5"': repr(str(seed.memberlist.advertise_address)),
                '"127.0.0.1:7373"': '"127.0.0.1:0"',
            }
            given = {"serf": serf, "balancer": SimpleNamespace(use=list)}
            program = as_function(BLOCKS[name], replaced, given)
            before = asyncio.all_tasks()
            running = asyncio.create_task(program())
            await asyncio.wait((running,), timeout=ENDLESS)
            others = asyncio.all_tasks() - before - {running}
            running.cancel()
            for task in others:
                task.cancel()
            for result in await asyncio.gather(running, *others, return_exceptions=True):
                assert isinstance(result, dict | asyncio.CancelledError), result

    async def limited() -> None:
        async with asyncio.timeout(LIMIT):
            await main()

    asyncio.run(limited())


@pytest.mark.parametrize("name", SIMULATED)
def test_a_program_on_simulated_time_runs(name: str) -> None:
    async def main() -> None:
        given = {"agreement_bound": lambda *_: 300.0}
        found = await as_function(BLOCKS[name], SMALLER, given)()
        if "test_failover" in found:
            test = found["test_failover"]
            if "serf_cluster" in BLOCKS[name].text:
                from trioserf.testing import SimCluster

                async with SimCluster(seed=1) as cluster:
                    await test(cluster, None)
            else:
                await test(None)

    trio.run(main, clock=MockClock(autojump_threshold=0))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
