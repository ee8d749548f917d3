"""``import trioserf`` costs little more than trio: heavy modules wait until they are needed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.source_tree import ROOT

HEAVY = {
    *("IPython", "argparse", "asyncio", "cryptography", "dns", "hypothesis", "ipykernel"),
    *("matplotlib", "numpy", "prometheus_client", "psutil", "pytest", "rich", "zeroconf"),
}


def modules_after(statement: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has after the statement."""
    code = f"{statement}; import sys, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=ROOT
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_importing_the_library_loads_nothing_heavy() -> None:
    assert set() == HEAVY & modules_after("import trioserf")


def test_importing_the_library_loads_no_door_that_was_not_opened() -> None:
    code = "import trioserf, sys; print(*[m for m in sys.modules if m.startswith('trioserf.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=ROOT
    )
    closed = ("trioserf._agent", "trioserf.client", "trioserf.notebook", "trioserf.testing")
    assert [] == [name for name in done.stdout.split() if name.startswith(closed)]


@pytest.mark.parametrize("module", ["trioserf.lowlevel", "trioserf.testing"])
def test_other_doors_load_nothing_heavy_either(module: str) -> None:
    assert set() == (HEAVY - {"argparse"}) & modules_after(f"import {module}")


def test_a_node_without_a_key_never_loads_cryptography() -> None:
    statement = (
        "import trio, trioserf; "
        "config = trioserf.Config.local(bind='127.0.0.1:0', leave_on_exit=False)\n"
        "async def main():\n    async with trioserf.open(config): pass\n"
        "trio.run(main)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint('cryptography' in sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
    )
    assert "False\n" == done.stdout
