"""A node against hostile input, in one command.

::

    python -m trioserf.testing.campaign.fuzz --seed 1 --inputs 100000

Inputs come in blocks; each block has a cluster of its own, of a victim and an honest peer on a
simulated network.  The victim gets the inputs of the block, and all the time

* no exception leaves a handler, and no task of a node dies;
* no packet and no turn of the event loop takes long;
* memory stays within its bound;

and at the end victim and peer list each other as alive, get each other's events, and answer each
other's queries.  A block that fails is shrunk to the inputs that it needs, and to the bytes that
these need; they are written to a file that ``--replay`` takes.

A seed and the number of a block fix everything but times and memory.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import trio

from ... import _attrs as attrs
from ..._config import Config
from ..._events import MemberStatus, Query, UserEvent
from ..._exceptions import SerfError
from ...abc import Address
from ..determinism import run
from ..sim_cluster import SimCluster
from ..sim_network import SimNetwork
from ..sim_node import SimNode
from .explore import shrink
from .fuzz_inputs import KEY, LABEL, PEER, VICTIM, Input, Setup, draw_inputs, draw_setup

BLOCK: Final = 2500
"""Inputs for one cluster."""
PACKET_LIMIT: Final = 0.025
"""Most time for taking a packet apart (seconds)."""
TURN_LIMIT: Final = 0.5
"""Most time of one turn of the event loop (seconds).  It has the work of both nodes, of the
network and of threads, which a simulation does in place."""
TRIES: Final = 3
"""A block is slow if it is slow so many times: another process may have had the processor."""
MEMORY_LIMIT: Final = 128 * 1024 * 1024
"""Most memory that may be used beyond that after the first block (bytes)."""
SETTLE: Final = 240.0
"""Longest time until victim and peer are well again (simulated seconds)."""
STREAM_LIMIT: Final = 15.0
"""How long a stream lasts at most (simulated seconds)."""
_BATCH: Final = 50
"""Inputs that arrive at one moment."""
_PAUSE: Final = 0.02
"""Time between two such moments (simulated seconds)."""
_FEW: Final = 6
"""So many inputs are shrunk each by itself."""
_SOURCES: Final = 6
"""Addresses that inputs come from."""


@final
@attrs.frozen(kw_only=True)
class Outcome:
    """How a block went.

    Args:
      kind: of the failure: ``crash``, ``exception``, ``slow``, ``memory`` or ``unwell``; "" if
        nothing failed.
      failure: what was wrong, in words.
      inputs: how many were given.
      slowest_packet, slowest_turn: how long they took (seconds).
      settled_after: simulated seconds until all was well after the last input.
      refused: dropped input, by layer.
    """

    kind: str
    failure: str
    inputs: int
    slowest_packet: float
    slowest_turn: float
    settled_after: float
    refused: dict[str, int] = attrs.field(factory=dict, repr=False)

    def alike(self, other: Outcome) -> bool:
        """Whether both failed in the same way."""
        if self.kind != other.kind:
            return False
        return self.kind in ("slow", "exception") or self.failure == other.failure

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.kind


class _Unwell(Exception):
    """What was wrong, with its kind."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class _Stopwatch:
    """Measures time less that in which another process had the processor, where the system says.

    Linux says it; asking for the processor time of a thread costs fifty times as much.
    """

    def __init__(self) -> None:
        try:
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self._file = -1
        self._waited = self._start = 0.0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    def _wait(self) -> float:
        """How long this thread could have run and did not (seconds)."""
        if self._file < 0:
            return 0.0
        return int(os.pread(self._file, 64, 0).split()[1]) / 1e9

    def start(self) -> None:
        self._waited, self._start = self._wait(), time.perf_counter()

    def passed(self, took: float | None = None) -> float:
        """How long it is since the start; of some piece since then, how long it took at least."""
        if took is None:
            took = time.perf_counter() - self._start
        return max(0.0, took - (self._wait() - self._waited))


class _Turns(trio.abc.Instrument):
    """The longest turn of the event loop (seconds)."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.watch = _Stopwatch()
        self.watch.start()

    def after_io_wait(self, timeout: float) -> None:
        self.watch.start()

    def before_io_wait(self, timeout: float) -> None:
        self.longest = max(self.longest, self.watch.passed())


class _Exceptions(logging.Handler):
    """Notes exceptions that nodes caught and logged: each is a bug."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not self.first:
            self.first = f"{record.getMessage()[:300]}: {record.exc_info[1]!r}"


@contextlib.contextmanager
def _watched_log() -> Iterator[_Exceptions]:
    logger, handler = logging.getLogger("trioserf"), _Exceptions()
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False  # what hostile input writes is of no use to a terminal
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def run_inputs(inputs: Sequence[Input], setup: Setup, *, seed: int | str = 0) -> Outcome:
    """Give inputs to a fresh victim, on a jumping clock."""
    for _ in range(TRIES):
        outcome = run(seed, _Run(inputs, setup, seed).outcome)
        if outcome.kind != "slow":
            break
    return outcome


@attrs.define(eq=False)
class _Run:
    inputs: Sequence[Input]
    setup: Setup
    seed: int | str
    slowest_packet: float = attrs.field(default=0.0, init=False)
    settled_after: float = attrs.field(default=0.0, init=False)
    refused: dict[str, int] = attrs.field(factory=dict, init=False)
    _given: int = attrs.field(default=0, init=False)
    _watch: _Stopwatch = attrs.field(factory=_Stopwatch, init=False)
    _seen: dict[str, set[bytes]] = attrs.field(factory=dict, init=False)

    async def outcome(self) -> Outcome:
        kind = failure = ""
        turns = _Turns()
        with _watched_log() as exceptions:
            trio.lowlevel.add_instrument(turns)
            try:
                await self._live(exceptions)
            except Exception as error:  # whatever it is, it is what the run was made to find
                while isinstance(error, ExceptionGroup):
                    error = error.exceptions[0]
                if isinstance(error, _Unwell):
                    kind, failure = error.kind, str(error)
                else:
                    kind, failure = "crash", f"{type(error).__name__}: {error}"
            finally:
                trio.lowlevel.remove_instrument(turns)
                turns.watch.close()
                self._watch.close()
        if not kind and turns.longest > TURN_LIMIT:
            kind, failure = "slow", f"a turn of the event loop took {turns.longest * 1e3:.0f} ms"
        return Outcome(
            kind=kind,
            failure=failure,
            inputs=self._given,
            slowest_packet=self.slowest_packet,
            slowest_turn=turns.longest,
            settled_after=self.settled_after,
            refused=self.refused,
        )

    def _config(self) -> Config:
        setup = self.setup
        config = Config.lan(node_name="?", encrypt_key=KEY if setup.encrypted else None)
        memberlist = attrs.evolve(
            config.memberlist,
            label=LABEL.decode() if setup.labelled else "",
            enable_compression=setup.compressed,
        )
        return attrs.evolve(config, memberlist=memberlist)

    async def _live(self, exceptions: _Exceptions) -> None:
        cluster = SimCluster(seed=self.seed, config=self._config(), record=False)
        async with cluster:
            victim, peer = await cluster.spawn(VICTIM, PEER, tags={"role": "web"})
            for node in (victim, peer):
                node.start_soon(self._read, node)
            async with trio.open_nursery() as streams:
                hosts = [cluster.network.free_host() for _ in range(_SOURCES)]
                for start in range(0, len(self.inputs), _BATCH):
                    self._watch.start()
                    for each in self.inputs[start : start + _BATCH]:
                        self._give(cluster.network, hosts[each.source], victim, each, streams)
                    await trio.sleep(_PAUSE)
                    if exceptions.first:
                        raise _Unwell("exception", exceptions.first)
                await trio.sleep(1.0)
                await self._settle(victim, peer)
                streams.cancel_scope.cancel()
            statistics = victim.serf.statistics()
            self.refused = {**statistics.bad_input, **statistics.memberlist.bad_input}
            if exceptions.first:
                raise _Unwell("exception", exceptions.first)

    def _give(
        self, network: SimNetwork, host: str, victim: SimNode, each: Input, streams: trio.Nursery
    ) -> None:
        self._given += 1
        to = Address(victim.host, victim.config.memberlist.bind_port)
        if each.stream:
            streams.start_soon(_stream, network, host, to, each)
            return
        start = time.perf_counter()
        network.inject_packet(each.data, Address(host, 7946), to)
        took = time.perf_counter() - start
        if took > PACKET_LIMIT / 5:
            took = self._watch.passed(took)
        self.slowest_packet = max(self.slowest_packet, took)
        if took > PACKET_LIMIT:
            raise _Unwell("slow", f"a packet of {len(each.data)} bytes took {took * 1e3:.0f} ms")

    async def _read(self, node: SimNode) -> None:
        """Note the events of a node, and answer its queries."""
        seen = self._seen.setdefault(node.name, set())
        async with node.serf.subscribe(max_buffer_size=100_000) as events:
            async for event in events:
                if isinstance(event, UserEvent) and event.name == "still there":
                    seen.add(event.payload)
                elif isinstance(event, Query) and event.name == "still there?":
                    with contextlib.suppress(SerfError):
                        await event.respond(b"yes")

    async def _settle(self, victim: SimNode, peer: SimNode) -> None:
        """Wait until both are well."""
        start, turn, problem = trio.current_time(), 0, ""
        while trio.current_time() < start + SETTLE:
            turn += 1
            problem = await self._problem(victim, peer, turn) or await self._problem(
                peer, victim, turn
            )
            if not problem:
                self.settled_after = trio.current_time() - start
                return
            await trio.sleep(1.0)
        raise _Unwell("unwell", f"{problem}, {SETTLE:.0f} s after the last input")

    async def _problem(self, one: SimNode, other: SimNode, turn: int) -> str:
        """What is wrong between two nodes; "" if nothing is."""
        if one.serf.state.name != "ALIVE":
            return f"{one.name} is {one.serf.state}"
        status = one.view().get(other.name)
        if status is not MemberStatus.ALIVE:
            return f"{one.name} sees {other.name} {status}"
        word = f"{one.name} {turn}".encode()
        with trio.move_on_after(5.0) as scope:
            await one.serf.user_event("still there", word, coalesce=False)
        if scope.cancelled_caught:
            return f"{one.name} cannot send an event"
        result = await one.serf.ask("still there?", filter_nodes=[other.name], timeout=2.0)
        if other.name not in {response.node for response in result.responses}:
            return f"{other.name} does not answer {one.name}"
        if word not in self._seen[other.name]:
            return f"{other.name} did not get an event of {one.name}"
        return ""


async def _stream(network: SimNetwork, host: str, to: Address, each: Input) -> None:
    """One stream of a peer that is no member."""
    transport = network.transport(host, 0)
    await transport.open()
    try:
        with trio.move_on_after(STREAM_LIMIT):
            stream = await transport.connect_stream(to)
            try:
                await stream.send_all(each.data)
                if each.end == "half" and isinstance(stream, trio.abc.HalfCloseableStream):
                    await stream.send_eof()
                if each.end == "stall":
                    await trio.sleep_forever()
                if each.end != "reset":
                    while await stream.receive_some(65536):
                        pass
            finally:
                await trio.aclose_forcefully(stream)
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        transport.close()


# --- shrinking ----------------------------------------------------------------------------


def shrink_inputs(
    inputs: Sequence[Input], setup: Setup, like: Outcome, *, seed: int | str = 0, tries: int = 150
) -> list[Input]:
    """The inputs, and of those that are left the bytes, that the same kind of failure needs."""

    def fails(some: Sequence[Input]) -> bool:
        return run_inputs(some, setup, seed=seed).alike(like)

    kept = shrink(inputs, fails, tries=tries)
    if len(kept) <= _FEW:
        for index in range(len(kept)):
            data = shrink(kept[index].data, partial(_fails_with, kept, index, fails), tries=tries)
            kept[index] = attrs.evolve(kept[index], data=bytes(data))
    return kept


def _fails_with(
    kept: Sequence[Input],
    index: int,
    fails: Callable[[Sequence[Input]], bool],
    data: Sequence[int],
) -> bool:
    """Whether it fails with other bytes in one of the inputs."""
    changed = list(kept)
    changed[index] = attrs.evolve(kept[index], data=bytes(data))
    return fails(changed)


# --- the command --------------------------------------------------------------------------


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def memory() -> int:
    """The most memory that this process had (bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def report_failure(outcome: Outcome, inputs: Sequence[Input], setup: Setup, folder: str) -> None:
    """Print a failure with its inputs, and write them where ``--replay`` finds them."""
    descriptor, path = tempfile.mkstemp(prefix="fuzz-", suffix=".txt", dir=folder)
    os.close(descriptor)
    lines = [f"# {outcome.kind}: {outcome.failure}".replace("\n", " ")]
    lines.append(f"# {setup}")
    lines += [each.to_text() for each in inputs]
    Path(path).write_text("\n".join(lines) + "\n")
    _print(f"{outcome.kind}: {outcome.failure}\n{len(inputs)} inputs are enough:")
    for each in inputs[:10]:
        _print(f"  {each.to_text()[:300]}")
    _print(f"replay with:\n  python -m trioserf.testing.campaign.fuzz --replay {path}")


def replay(path: str) -> Outcome:
    """Run the inputs of a file."""
    lines = Path(path).read_text().splitlines()
    comments = " ".join(line for line in lines if line.startswith("#"))
    names = (field.name for field in attrs.fields(Setup))
    setup = Setup(**{name: f"{name}=True" in comments for name in names})
    inputs = [Input.from_text(line) for line in lines if line and not line.startswith("#")]
    return run_inputs(inputs, setup)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trioserf.testing.campaign.fuzz",
        description="Give hostile packets and streams to a node, and check that it stays well.",
    )
    parser.add_argument("--seed", type=int, default=1, help="fixes all inputs")
    parser.add_argument("--inputs", type=int, default=50_000, help="packets and streams in all")
    parser.add_argument("--first", type=int, default=0, help="number of the first block")
    parser.add_argument("--block", type=int, default=BLOCK, help="inputs for one cluster")
    parser.add_argument("--no-shrink", action="store_true", help="leave failures as they are")
    parser.add_argument("--go-on", action="store_true", help="go on after a failure")
    parser.add_argument("--replay", metavar="FILE", help="run the inputs of a file instead")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where failures go")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two reports")
    return parser


@attrs.define(eq=False)
class _Totals:
    inputs: int = 0
    failed: int = 0
    slowest_packet: float = 0.0
    slowest_turn: float = 0.0
    settled_after: float = 0.0
    rest: int = 0
    refused: dict[str, int] = attrs.field(factory=dict)

    def add(self, outcome: Outcome) -> None:
        self.inputs += outcome.inputs
        self.failed += not outcome.ok
        self.slowest_packet = max(self.slowest_packet, outcome.slowest_packet)
        self.slowest_turn = max(self.slowest_turn, outcome.slowest_turn)
        self.settled_after = max(self.settled_after, outcome.settled_after)
        self.rest = self.rest or memory()
        for layer, count in outcome.refused.items():
            self.refused[layer] = self.refused.get(layer, 0) + count

    def text(self, seconds: float) -> str:
        more = (memory() - self.rest) / 2**20
        return (
            f"{self.inputs} inputs in {seconds:.0f} s, {self.failed} blocks failed; slowest packet"
            f" {self.slowest_packet * 1e3:.1f} ms, turn {self.slowest_turn * 1e3:.0f} ms; well"
            f" after {self.settled_after:.0f} s at most; memory +{more:.0f} MB"
        )


def fuzz(options: Any) -> int:
    """Run blocks until there were enough inputs; the exit code."""
    totals, start = _Totals(), time.monotonic()
    number, reported = options.first, start
    while totals.inputs < options.inputs:
        setup = draw_setup(options.seed, number)
        count = min(options.block, options.inputs - totals.inputs)
        inputs = draw_inputs(options.seed, number, count)
        seed = f"{options.seed} {number}"
        outcome = run_inputs(inputs, setup, seed=seed)
        totals.add(outcome)
        if outcome.ok and memory() > totals.rest + MEMORY_LIMIT:
            used = (memory() - totals.rest) >> 20
            outcome = attrs.evolve(outcome, kind="memory", failure=f"{used} MB more than at first")
            totals.failed += 1
        if not outcome.ok:
            _print(f"block {number} of seed {options.seed}:")
            if not options.no_shrink and outcome.kind != "memory":
                inputs = shrink_inputs(inputs, setup, outcome, seed=seed)
            report_failure(outcome, inputs, setup, options.folder)
            if not options.go_on:
                break
        number += 1
        if time.monotonic() > reported + options.every:
            reported = time.monotonic()
            _print(f"block {number}: {totals.text(reported - start)}")
    _print(totals.text(time.monotonic() - start))
    refused = sorted(totals.refused.items(), key=lambda item: -item[1])
    _print("dropped: " + ", ".join(f"{layer} {count}" for layer, count in refused))
    return 1 if totals.failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    options = _parser().parse_args(arguments)
    if options.replay is None:
        return fuzz(options)
    outcome = replay(options.replay)
    _print(f"{outcome.kind or 'ok'}: {outcome.failure}" if outcome.kind else "ok")
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())
