"""Run flake8-async over the package, less what is right as it is, for the reasons given here.

An exception that is no longer needed is an error, too.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

NOT_OURS = {
    "ASYNC109": "a `timeout` of the protocol is no limit on waiting",
    "ASYNC114": "which tasks are started, and how, the tree shows",
    "ASYNC9": "a function of ours that may wait need not always do so if nobody outside calls it",
}
"""Rules that this project does not follow."""

EXCEPTIONS = {
    ("_memberlist/stream_server.py", "ASYNC121"): "the nursery is cancelled in the line before",
    ("_memberlist/stream_server.py", "ASYNC102"): "the wait is bounded",
    ("_rpc/client.py", "ASYNC113"): "the first call of the client waits for what the task reads",
    ("_rpc/server.py", "ASYNC128"): "the listener is handed the task_status",
    ("asyncio/thread.py", "ASYNC102"): "code of asyncio: what it waits for ends by itself",
    ("asyncio/thread.py", "ASYNC103"): "code of asyncio: the error goes to the call, whole",
    ("_net/udp_tcp.py", "ASYNC120"): "a cancellation is worth more than the error it hides",
    ("notebook/bridge.py", "ASYNC103"): "the error goes into a future, whole",
    ("testing/deliveries.py", "ASYNC110"): "it waits for a time, not for a change",
    ("testing/check_transport.py", "ASYNC128"): "the transport is handed the task_status",
    ("testing/sim_cluster.py", "ASYNC102"): "it closes what bounds itself",
    ("testing/sim_network.py", "ASYNC102"): "the nursery was cancelled before",
    ("testing_plugin.py", "ASYNC119"): "pytest ends its hooks",
    ("testing_plugin.py", "ASYNC123"): "the words of the failure alone are wanted",
}
"""Path inside the package and rule, and why the rule does not hold there."""

FINDING = re.compile(r"trioserf/(?P<path>[^:]+):(?P<line>\d+):\d+: (?P<code>ASYNC\d+) ")


def main() -> int:
    files = sorted(map(str, Path("trioserf").rglob("*.py")))
    program = Path(sys.executable).with_name("flake8-async")
    done = subprocess.run(
        [str(program), "--enable=ASYNC", "--disable=", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stderr:
        print(done.stderr)
        return 1
    unused, bad = set(EXCEPTIONS), []
    for text in done.stdout.splitlines():
        found = FINDING.match(text)
        if found is None:
            bad.append(text)
        elif not found["code"].startswith(tuple(NOT_OURS)):
            place = (found["path"], found["code"])
            unused.discard(place)
            if place not in EXCEPTIONS:
                bad.append(text)
    for path, code in sorted(unused):
        bad.append(f"{__file__}: {code} no longer complains about {path}")
    print("\n".join(bad) or f"flake8-async: {len(files)} files are fine")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
