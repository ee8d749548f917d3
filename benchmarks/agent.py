"""What an agent costs, beside Go's agent where there is a ``serf``.

    python -m benchmarks.agent [--quick]

* from the start of the program to its first answer over RPC;
* the memory of an agent that is in use: this project's beside three of Go, with events;
* one command, ``members``, as a multiple of an interpreter that does nothing;
* the RPC port under 1,000 clients: a third of them say nothing, a third subscribe to everything
  and never read, a third send garbage and come back.  A client beside them asks for the members
  fifty times a second, and events are fired all the while.

Times are medians, taken in turns so that a busy moment hits all alike; those under clients are
the worst and the 99th of a hundred.  The status is 1 if a bound is broken.  The quick
form has wider bounds on time, and on a busy machine, where an interpreter takes long to do nothing,
still wider ones: half a second is then the machine's.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from trioserf._rpc.blocking import connect
from trioserf._wire.rpc_client_session import ClientSession
from trioserf._wire.rpc_messages import VERSION

OURS = (sys.executable, "-m", "trioserf")
HOST = "127.0.0.1"
START = 0.5
"""Longest time to the first answer (seconds)."""
COMMAND = 4.0
"""Most time of ``members``, as a multiple of ``python -c pass``."""
MEMORY = 2.5
"""Most memory of an agent, as a multiple of Go's."""
CLIENTS = 1000
LATE = 0.1
"""Longest answer to a client beside others (seconds)."""
ABOVE_REST = 64.0
"""Most memory for these clients (MiB)."""
WIDER = 4.0
"""How much wider the bounds on time of the quick form are."""
USUAL = 0.025
"""What ``python -c pass`` takes on a machine that is not busy (seconds)."""
SUBSCRIPTIONS = (
    ("handshake", {"Version": VERSION}),
    ("stream", {"Type": "*"}),
    ("monitor", {"LogLevel": "debug"}),
)
"""All that an agent has to say."""
KILLER = bytes.fromhex("82a44a756e6bdf7fffffff")
"""Eleven bytes that end an agent of Go."""


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def agent(program: Sequence[str]) -> Iterator[tuple[str, int, float]]:
    """A running agent: its RPC address, its process, and the time to its first answer."""
    rpc = f"{HOST}:{free_port()}"
    command = [*program, "agent", f"-node=n-{rpc}", f"-bind={HOST}:{free_port()}"]
    command.append(f"-rpc-addr={rpc}")
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            while True:
                try:
                    with connect(rpc) as client:
                        client.call("members")
                        break
                except OSError:
                    if process.poll() is not None or time.perf_counter() > began + 30:
                        raise
                    time.sleep(0.002)
            yield rpc, process.pid, time.perf_counter() - began
        finally:
            process.kill()
            process.wait()


def memory(pid: int) -> float:
    """What a process holds (MiB)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError("no such line")


def memories(go: Sequence[str], seconds: float) -> tuple[float, float]:
    """What this project's agent holds, and the middle one of Go's, in a cluster that is in use."""
    with ExitStack() as stack:
        agents = [stack.enter_context(agent(program)) for program in (OURS, go, go, go)]
        (rpc, _, _), *_ = agents
        with connect(rpc) as client:
            for other, _, _ in agents[1:]:
                with connect(other) as one:
                    (member,) = one.call("members")["Members"]
                client.call("join", {"Existing": [f"{HOST}:{member['Port']}"], "Replay": False})
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                client.call("event", {"Name": "e", "Payload": b"x" * 100, "Coalesce": False})
                time.sleep(0.1)
        ours, *theirs = (memory(pid) for _, pid, _ in agents)
    return ours, statistics.median(theirs)


def took(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return time.perf_counter() - began


# --- the crowd ----------------------------------------------------------------------------


class Crowd:
    """Clients that are no good.

    Args:
      rpc: of the agent.
      seed: of the garbage.
    """

    def __init__(self, rpc: str, seed: int) -> None:
        host, _, port = rpc.rpartition(":")
        self._where = (host, int(port))
        self._random = random.Random(seed)
        self._socks: list[socket.socket] = []
        self.ended = threading.Event()

    def open(self, count: int) -> None:
        """Connect them all: those that say nothing, and those that never read."""
        for number in range(count):
            sock = self._connected()
            if number % 3 == 1:
                session = ClientSession()
                for command, body in SUBSCRIPTIONS:
                    sock.sendall(session.request(command, body)[1])
            self._socks.append(sock)

    def _connected(self) -> socket.socket:
        sock = socket.create_connection(self._where, timeout=10)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return sock

    def run(self) -> None:
        """Thread: garbage, on a third of the connections, which are opened anew."""
        while not self.ended.wait(0.002):
            place = self._random.randrange(len(self._socks) // 3) * 3 + 2
            if place >= len(self._socks):
                continue
            junk = self._random.choice((KILLER, self._random.randbytes(200), b"GET / HTTP/1.1\r\n"))
            with suppress(OSError):
                self._socks[place].sendall(junk)
                self._socks[place].close()
                self._socks[place] = self._connected()

    def close(self) -> None:
        for sock in self._socks:
            sock.close()


def fire(rpc: str, ended: threading.Event) -> None:
    """Thread: events, and with each of them two records for everybody who subscribed."""
    with connect(rpc) as client:
        number = 0
        while not ended.wait(0.02):
            number += 1
            client.call("event", {"Name": f"e{number}", "Payload": b"x" * 300, "Coalesce": False})


def under_clients(rpc: str, pid: int, count: int, seconds: float) -> tuple[list[float], float]:
    """Times of answers to a client beside a crowd (seconds), and memory above rest (MiB)."""
    rest, highest = memory(pid), 0.0
    crowd = Crowd(rpc, 7)
    threads = [
        threading.Thread(target=crowd.run),
        threading.Thread(target=fire, args=(rpc, crowd.ended)),
    ]
    times: list[float] = []
    try:
        crowd.open(count)
        for thread in threads:
            thread.start()
        with connect(rpc) as client:  # behind all that want to be accepted
            end = time.perf_counter() + seconds
            while (began := time.perf_counter()) < end:
                client.call("members")
                times.append(time.perf_counter() - began)
                highest = max(highest, memory(pid))
                time.sleep(0.02)
    finally:
        crowd.ended.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        crowd.close()
    return times, highest - rest


# --- the table ----------------------------------------------------------------------------


class Report:
    """Prints figures, and keeps whether a bound was broken."""

    def __init__(self, wider: float) -> None:
        self._wider = wider
        self.broken = False

    def line(
        self, what: str, figure: float, unit: str, *, most: float, is_time: bool, go: str = ""
    ) -> None:
        bound = most * self._wider if is_time else most
        outcome = "ok" if figure <= bound else "BROKEN"
        self.broken |= figure > bound
        print(f"{outcome:6}  {what:44} {figure:8.1f} {unit:4} at most {bound:7.1f}  {go}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="few runs, wider bounds on time")
    quick = parser.parse_args().quick
    runs, seconds = (3, 3.0) if quick else (15, 20.0)
    busy = max(1.0, min(took((sys.executable, "-c", "pass")) for _ in range(5)) / USUAL)
    report = Report(WIDER * busy if quick else 1.0)
    found = shutil.which(os.environ.get("TRIOSERF_SERF_BINARY") or "serf")
    go = (found,) if found else None

    starts: dict[Sequence[str], list[float]] = {}
    for _ in range(runs):
        for program in (OURS, *([go] if go else [])):
            with agent(program) as (_, _, first):
                starts.setdefault(program, []).append(first)
    middle: Callable[[list[float]], float] = statistics.median
    beside = f"Go {middle(starts[go]) * 1000:.0f}" if go else "no serf here"
    first = middle(starts[OURS])
    report.line(
        "start to first answer", first * 1000, "ms", most=START * 1000, is_time=True, go=beside
    )
    if go:
        ours, theirs = memories(go, seconds)
        report.line(
            f"memory of an agent, {ours:.1f} MiB, to Go's",
            ours / theirs,
            "x",
            most=MEMORY,
            is_time=False,
            go=f"Go {theirs:.1f} MiB",
        )

    with agent(OURS) as (rpc, pid, _):
        commands = {
            "python": (sys.executable, "-c", "pass"),
            "ours": (*OURS, "members", f"-rpc-addr={rpc}"),
            **({"go": (*go, "members", f"-rpc-addr={rpc}")} if go else {}),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs * 3):
            for name, command in commands.items():
                times[name].append(took(command))
        python = middle(times["python"])
        beside = f"Go {middle(times['go']) / python:.1f} x" if go else ""
        report.line(
            f"members, to python -c pass ({python * 1000:.0f} ms)", middle(times["ours"]) / python,
            "x", most=COMMAND, is_time=True, go=beside,
        )  # fmt: skip
        answers, above = under_clients(rpc, pid, CLIENTS, seconds)
        answers.sort()
        late = LATE * 1000
        usual = answers[len(answers) * 99 // 100] * 1000
        report.line(
            f"answer beside {CLIENTS} clients, worst", answers[-1] * 1000, "ms", most=late,
            is_time=True, go=f"99 of 100: {usual:.1f} ms, {len(answers)} answers",
        )  # fmt: skip
        report.line(
            f"memory for {CLIENTS} clients above rest", above, "MiB", most=ABOVE_REST, is_time=False
        )
    return int(report.broken)


if __name__ == "__main__":
    sys.exit(main())
