"""What a notebook feels: how soon a cell stops, what a cell costs, what a node answers meanwhile.

Run ``python -m benchmarks.notebook`` (``--quick`` for fewer rounds).  A real kernel is driven as
a front end does; `TRIOSERF_KERNEL_PYTHON` names the Python of another one.
"""

from __future__ import annotations

import re
import statistics
import sys
import time
from collections.abc import Iterator

from tests.notebook.kernels import Kernel, kernel
from tests.notebook.test_kernels import LOAD, OPEN, probe_meanwhile

AWAITING = "try:\n    await trio.sleep(60)\nfinally:\n    print('finally', time.time())"
MEANWHILE = {
    "sleeps": "time.sleep(2)",
    "computes": "end = time.monotonic() + 2\nwhile time.monotonic() < end: sum(range(1000))",
    "awaits": "await trio.sleep(2)",
}


def stopped(notebook: Kernel, rounds: int) -> Iterator[tuple[float, float]]:
    """Seconds from the stop button to the cell's ``finally``, and to the reply."""
    for _ in range(rounds):
        message = notebook.start(AWAITING)
        time.sleep(0.5)
        pressed, clock = time.time(), time.monotonic()
        notebook.interrupt()
        found = notebook.finish(message)
        match = re.search(r"finally ([\d.]+)", found.text)
        assert match is not None, found
        yield float(match.group(1)) - pressed, time.monotonic() - clock


def show(what: str, values: list[float]) -> None:
    middle, worst = statistics.median(values), max(values)
    print(f"{what:42} median {1e3 * middle:7.1f} ms, worst {1e3 * worst:7.1f} ms")


def main(rounds: int) -> None:
    with kernel() as notebook:
        notebook.run(LOAD)
        port = int(notebook.run(OPEN).text.split()[-1])
        cleaned, replied = zip(*stopped(notebook, rounds), strict=True)
        show("stop button to the cell's clean-up", list(cleaned))
        show("stop button to the end of the cell", list(replied))
        for what, cell in [
            ("an awaiting cell", "await trio.lowlevel.checkpoint()"),
            ("1 + 1", "2"),
        ]:
            show(f"a cell, there and back: {what}", [notebook.run(cell).seconds for _ in range(20)])
        for what, cell in MEANWHILE.items():
            answers, _ = probe_meanwhile(notebook, port, cell)
            print(f"pings answered while a cell {what:8} {answers} of 5")


if __name__ == "__main__":
    main(5 if "--quick" in sys.argv else 20)
