"""The plugin as a project that uses it meets it: in a pytest of its own."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source_tree import ROOT

pytestmark = pytest.mark.slow

PREAMBLE = "import pytest\nimport trio\n"


def loading() -> dict[str, str]:
    """How pytest finds the plugin in a checkout; an installed one it finds by itself."""
    installed = importlib.metadata.entry_points(group="pytest11", name="trioserf")
    return {} if list(installed) else {"PYTEST_PLUGINS": "trioserf.testing_plugin"}


def run_pytest(
    folder: Path, code: str, *arguments: str, trio_mode: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a test file of another project."""
    (folder / "test_app.py").write_text(PREAMBLE + code)
    mode = "trio_mode = true\n" if trio_mode else ""
    (folder / "pytest.ini").write_text(f"[pytest]\n{mode}filterwarnings = error\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **loading()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_failover_is_a_few_lines(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
async def test_failover(serf_cluster, autojump_clock):
    a, b, c = await serf_cluster.spawn(3)
    await serf_cluster.converged()
    await serf_cluster.crash(a)
    await serf_cluster.converged()
    assert "failed" == str(b.view()[a.name])
    assert trio.current_time() > 3

@pytest.mark.serf_cluster(loss=0.01, seed=5, disks=True)
async def test_the_marker_gives_arguments(serf_cluster, autojump_clock):
    await serf_cluster.spawn(1)
    assert serf_cluster[0].disk is not None

@pytest.mark.serf_cluster(realtime=True)
async def test_real_time_on_purpose(serf_cluster):
    await serf_cluster.spawn(1)
""",
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_it_works_without_trio_mode(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
@pytest.mark.trio
async def test_marked(serf_cluster, autojump_clock):
    await serf_cluster.spawn(2)
    await serf_cluster.converged()
""",
        trio_mode=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_on_the_real_clock_it_says_what_to_write(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
@pytest.fixture
def cluster(serf_cluster, autojump_clock):
    return serf_cluster

async def test_hidden_clock(cluster):
    await cluster.spawn(2)

async def test_clock_that_stands_still(serf_cluster, mock_clock):
    await serf_cluster.spawn(2)
""",
    )
    assert "2 failed" in done.stdout, done.stdout + done.stderr
    assert "async def test_hidden_clock(serf_cluster, autojump_clock): ..." in done.stdout
    assert "async def test_clock_that_stands_still(serf_cluster, autojump_clock)" in done.stdout
    assert "Traceback" not in done.stdout


FAILING = """
from trioserf.testing import TraceDigest

async def test_wrong(serf_cluster, autojump_clock):
    serf_cluster.network.trace = digest = TraceDigest()
    await serf_cluster.spawn(3)
    await trio.sleep(3)
    print("TRACE", digest.hexdigest())
    assert False
"""


def test_a_failure_reports_its_seed_its_replay_and_its_timeline(tmp_path: Path) -> None:
    first = run_pytest(tmp_path, FAILING, "--serf-seed=random").stdout
    (line,) = (line for line in first.splitlines() if line.startswith("seed "))
    seed = line.split()[1].strip(";")
    command = f"pytest test_app.py::test_wrong --serf-seed={seed}"
    assert line == f"seed {seed}; replay with: {command}"
    assert "node-2        — starts" in first
    assert "member-join: node-3" in first

    again = run_pytest(tmp_path, FAILING, *command.split()[1:]).stdout
    other = run_pytest(tmp_path, FAILING, "--serf-seed=another").stdout
    traces = [
        next(line for line in text.splitlines() if line.startswith("TRACE"))
        for text in (first, again, other)
    ]
    assert traces[0] == traces[1] != traces[2]


def test_without_pytest_trio_there_is_no_fixture_and_no_harm(tmp_path: Path) -> None:
    (tmp_path / "pytest_trio.py").write_text("raise ImportError('not installed')\n")
    done = run_pytest(
        tmp_path,
        "def test_plain():\n    pass\ndef test_it(serf_cluster):\n    pass\n",
        *("-p", "no:trio", "-c", os.devnull, "--rootdir=."),
    )
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "fixture 'serf_cluster' not found" in done.stdout


def test_loading_the_plugin_does_not_load_the_simulation() -> None:
    code = "import sys, trioserf.testing_plugin; print('trioserf.testing' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, cwd=ROOT
    )
    assert "False\n" == done.stdout


def test_the_plugin_is_an_entry_point_of_pytest() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"trioserf": "trioserf.testing_plugin"} == project["entry-points"]["pytest11"]
