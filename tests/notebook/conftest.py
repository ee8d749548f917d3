"""Says with which kernel the tests ran, if not with that of this environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

VERSIONS = """
import sys, IPython, ipykernel
python = sys.version.split()[0]
print(f"Python {python}, ipykernel {ipykernel.__version__}, IPython {IPython.__version__}")
"""


def pytest_report_header(config: pytest.Config, start_path: Path) -> str | None:
    python = os.environ.get("TRIOSERF_KERNEL_PYTHON")
    if python is None:
        return None
    done = subprocess.run([python, "-c", VERSIONS], capture_output=True, text=True, check=False)
    return f"kernel: {done.stdout.strip() or done.stderr.strip()}"
