"""What it costs to have the library: time and memory of imports, and of the first node.

    python -m benchmarks.import_cost [--quick]

Each figure is the median of many fresh interpreters, run in turns so that a busy moment hits all
of them alike; times are processor time, and the bounds are ratios to `import trio` measured in
the same minute.  Bytecode is written first, as an installer does.  The status is 1 if a bound
is broken.

A program that runs a node pays for it either when it imports or when it opens, so what counts
for it is the line that does both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile

OPEN_AND_CLOSE = """
import trio, trioserf
config = trioserf.Config.local(node_name="a", bind="127.0.0.1:0", leave_on_exit=False)
async def main():
    async with trioserf.open(config):
        pass
trio.run(main)
"""
PROGRAMS = {
    "python": "pass",
    "import trio": "import trio",
    "import trioserf": "import trioserf",
    "a client that asks an agent once": "import trioserf._rpc.blocking",
    "an error and a configuration": "import trioserf; trioserf.SerfError, trioserf.Config()",
    "import, open and close a node": OPEN_AND_CLOSE,
}
TIME_BOUNDS = {
    "import trioserf": 0.5,
    "a client that asks an agent once": 0.6,
    "import, open and close a node": 1.8,
}
"""Most processor time, as a multiple of that of `import trio`."""
MEMORY_BOUNDS = {"import trioserf": 3.5, "import, open and close a node": 6.5}
"""Most memory beyond that of `import trio` (megabytes)."""


def run(program: str, bytecode: str) -> tuple[float, float]:
    """Processor time (seconds) and peak of memory (megabytes) of a fresh interpreter."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = os.posix_spawn(sys.executable, [sys.executable, "-c", program], environment)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{program!r} ended with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    rounds = 9 if parser.parse_args().quick else 31
    times: dict[str, list[float]] = {title: [] for title in PROGRAMS}
    sizes: dict[str, list[float]] = {title: [] for title in PROGRAMS}
    with tempfile.TemporaryDirectory() as bytecode:
        for turn in range(rounds + 1):
            for title, program in PROGRAMS.items():
                seconds, megabytes = run(program, bytecode)
                if turn:  # the first one writes the bytecode
                    times[title].append(seconds)
                    sizes[title].append(megabytes)
    time = {title: statistics.median(found) for title, found in times.items()}
    size = {title: statistics.median(found) for title, found in sizes.items()}
    broken = False
    print(
        f"{'':32}{'time':>9}{'of trio':>9}{'bound':>7}{'memory':>11}{'over trio':>11}{'bound':>7}"
    )
    for title in PROGRAMS:
        ratio = time[title] / time["import trio"]
        beyond = size[title] - size["import trio"]
        most, room = TIME_BOUNDS.get(title), MEMORY_BOUNDS.get(title)
        print(
            f"{title:32}{time[title] * 1e3:6.0f} ms{ratio:9.2f}{most or '':>7}"
            f"{size[title]:8.1f} MB{beyond:+11.1f}{room or '':>7}"
        )
        broken |= ratio > (most or ratio) or beyond > (room or beyond)
    print("a bound is broken" if broken else "within the bounds")
    sys.exit(broken)


if __name__ == "__main__":
    main()
