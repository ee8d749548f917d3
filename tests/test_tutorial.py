"""The programs of the tutorial do what its pages show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.programs_under_test import free_ports, programs, wait_for_port
from tests.source_tree import ROOT

TUTORIAL = ROOT / "docs" / "tutorial"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="sends signals to processes"),
]


def ports(count: int) -> list[str]:
    return [address.rpartition(":")[2] for address in free_ports(count)]


async def test_the_first_cluster_joins_fails_and_leaves() -> None:
    one, two, three = ports(3)
    async with programs(TUTORIAL) as start:
        a = await start("node.py", "a", one)
        await wait_for_port(f"127.0.0.1:{one}")
        b = await start("node.py", "b", two, one)
        c = await start("node.py", "c", three, one)
        for name, port in ("b", two), ("c", three):
            await a.until(f"member-join: {name} 127.0.0.1:{port}")
        await start("send.py", one, "hello", "from a script")
        await c.until('user-event: hello "from a script"')
        await a.until(lambda lines: any(line.startswith("member-leave: sender") for line in lines))
        b.process.kill()
        await a.until(f"member-failed: b 127.0.0.1:{two}")
        c.process.send_signal(signal.SIGINT)
        await a.until(f"member-leave: c 127.0.0.1:{three}")
        assert 0 == await c.ends()


@pytest.mark.parametrize("program", ["rates_1.py", "rates_2.py", "rates.py"])
async def test_the_service_survives_its_leader(program: str) -> None:
    one, two = ports(2)
    key = {"RATES_KEY": "c2l4dGVlbiBieXRlcyAxIQ=="} if program == "rates.py" else {}
    async with programs(TUTORIAL) as start:
        a = await start(program, "a", one, **key)
        b = await start(program, "b", two, one, **key)
        await b.until("leader: a")
        if program != "rates_1.py":
            await b.until(lambda lines: any(line.startswith("rate: 2 ") for line in lines))
        if program == "rates.py":
            await wait_for_port(f"127.0.0.1:{int(two) + 1000}")
            async with await trio.open_tcp_stream("127.0.0.1", int(two) + 1000) as stream:
                rate = (await stream.receive_some()).decode().strip()
            assert rate in [line.split()[-1] for line in b.lines if line.startswith("rate")]
        a.process.kill()
        del b.lines[:]
        await b.until("leader: b")
        if program != "rates_1.py":
            await b.until(lambda lines: lines.index("leader: b") < len(lines) - 2)
        b.process.send_signal(signal.SIGTERM)
        assert 0 == await b.ends()


def test_the_tests_of_the_tutorial_pass(tmp_path: Path) -> None:
    for name in "rates.py", "test_rates.py":
        (tmp_path / name).write_text((TUTORIAL / name).read_text())
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\ntrio_mode = true\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr
