"""Signals: the first one leaves, the second one stops at once, and the library installs none."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import trioserf
from tests.interop.processes import Child, child
from tests.serf.clusters import Cluster, cluster, status, until
from tests.source_tree import ROOT
from trioserf._events import MemberStatus, SerfState
from trioserf._serf import signals
from trioserf._serf.serf import Serf
from trioserf._serf.signals import leave_on_signals

LEFT, FAILED = MemberStatus.LEFT, MemberStatus.FAILED

PROGRAM = """
import logging, sys, trio, trioserf
logging.basicConfig(level=logging.INFO, format="%(message)s")

async def main():
    config = trioserf.Config.local(node_name="program", bind="127.0.0.1:0", probe_interval=0.2,
                                   probe_timeout=0.1, leave_propagate_delay=float(sys.argv[2]),
                                   leave_timeout=60.0)
    async with trioserf.open(config) as serf:
        async with trioserf.leave_on_signals(serf) as scope:
            await serf.join([sys.argv[1]])
            print("joined", flush=True)
            await trio.sleep_forever()
        print("after the block", scope.cancelled_caught, serf.state, flush=True)

trio.run(main)
"""


async def becomes(expected: object, read: Callable[[], object]) -> None:
    with trio.fail_after(30):
        while read() != expected:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def seen_by_a_peer(
    tmp_path: Path, delay: float, numbers: list[signal.Signals]
) -> tuple[MemberStatus | None, Child]:
    """Run the program, send it these signals, and wait until it has ended and a peer knows."""
    config = trioserf.Config.local(
        node_name="peer", bind="127.0.0.1:0", probe_interval=0.2, probe_timeout=0.1
    )
    async with trioserf.open(config) as peer:
        address = str(peer.memberlist.advertise_address)
        command = [sys.executable, "-c", PROGRAM, address, str(delay)]
        with child(command, output_path=tmp_path / "output", cwd=ROOT) as program:
            await becomes(True, lambda: "joined" in program.output)
            first, *more = numbers
            program.process.send_signal(first)
            for number in more:
                await becomes(True, lambda: "leaving; one more" in program.output)
                program.process.send_signal(number)
            with trio.fail_after(30):
                while program.exit_status is None:  # noqa: ASYNC110
                    await trio.sleep(0.02)
        with trio.fail_after(30):
            while status(peer, "program") not in (LEFT, FAILED):  # noqa: ASYNC110
                await trio.sleep(0.02)
        await trio.sleep(0.5)
        return status(peer, "program"), program


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_signal_is_a_graceful_leave(tmp_path: Path, number: signal.Signals) -> None:
    seen, program = await seen_by_a_peer(tmp_path, 0.2, [number])
    assert (LEFT, 0) == (seen, program.exit_status)
    assert "after the block True left" in program.output
    assert f"{number.name}: leaving" in program.output


@pytest.mark.slow
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_stops_at_once(tmp_path: Path, second: signal.Signals) -> None:
    before = trio.current_time()
    _, program = await seen_by_a_peer(tmp_path, 50.0, [signal.SIGTERM, second])
    assert trio.current_time() - before < 30
    assert 0 == program.exit_status
    assert "after the block True shutdown" in program.output
    assert f"{second.name}: stopping at once" in program.output


# --- the same in one process, where a test can look inside -------------------------------


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


async def with_peer(net: Cluster, **fields: object) -> tuple[Serf, Serf]:
    a, b = await net.joined("a", "b", **fields)
    return a, b


async def test_handlers_are_there_for_the_length_of_the_block(autojump_clock: MockClock) -> None:
    before = handlers()
    async with cluster() as net:
        a = await net.start("a")
        assert before == handlers()
        async with leave_on_signals(a) as scope:
            assert not set(before) & set(handlers())
        assert before == handlers()
        assert not scope.cancelled_caught
        assert SerfState.ALIVE == a.state
        with pytest.raises(ValueError, match="mine"):
            async with leave_on_signals(a):
                raise ValueError("mine")
        assert before == handlers()
        assert SerfState.ALIVE == a.state


async def test_the_nodes_leave_once_the_block_has_cleaned_up(autojump_clock: MockClock) -> None:
    order: list[str] = []
    async with cluster() as net:
        a, b = await with_peer(net)
        c = await net.start("c")
        async with leave_on_signals(a, c):
            signal.raise_signal(signal.SIGTERM)
            try:
                await trio.sleep_forever()
            finally:
                order.append(str(a.state))
        order.append(str(a.state))
        assert ["alive", "left"] == order
        assert SerfState.LEFT == c.state
        await until(lambda: LEFT == status(b, "a"))


async def test_a_leave_that_fails_comes_out_bare_once_the_other_nodes_have_left(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = signals.leave_in_time

    async def fails(node: Serf, delegate: Any) -> None:
        if node.name == "c":
            raise ZeroDivisionError("a bug")
        await real(node, delegate)

    async with cluster() as net:
        a, b = await with_peer(net)
        c = await net.start("c")
        monkeypatch.setattr(signals, "leave_in_time", fails)

        async def main() -> None:
            async with leave_on_signals(c, a):
                signal.raise_signal(signal.SIGTERM)
                await trio.sleep_forever()

        with pytest.raises(ZeroDivisionError, match="a bug"):
            await main()
        assert SerfState.LEFT == a.state
        await until(lambda: LEFT == status(b, "a"))


async def test_a_signal_as_the_block_ends_is_a_leave_too(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await with_peer(net)
        async with leave_on_signals(a):
            signal.raise_signal(signal.SIGTERM)
        assert SerfState.LEFT == a.state


async def test_the_second_ends_the_leave_and_a_third_is_not_taken(
    autojump_clock: MockClock,
) -> None:
    before = handlers()
    async with cluster() as net:
        a, b = await with_peer(net, leave_propagate_delay=1000.0)
        async with trio.open_nursery() as nursery:

            async def second() -> None:
                await until(lambda: LEFT == status(b, "a"))
                signal.raise_signal(signal.SIGINT)
                assert before == handlers()

            nursery.start_soon(second)
            async with leave_on_signals(a):
                signal.raise_signal(signal.SIGTERM)
                await trio.sleep_forever()
        assert SerfState.SHUTDOWN == a.state
        assert trio.current_time() < 100


async def test_the_second_stops_the_nodes_while_the_block_still_cleans_up(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, _ = await with_peer(net)
        async with leave_on_signals(a):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            with trio.CancelScope(shield=True):
                await a.wait_closed()
        assert SerfState.SHUTDOWN == a.state


async def test_a_node_that_leaves_at_no_exit_leaves_when_asked(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await with_peer(net, leave_on_exit=False)
        async with leave_on_signals(a, signals=[signal.SIGUSR1]):
            signal.raise_signal(signal.SIGUSR1)
            await trio.sleep_forever()
        assert SerfState.LEFT == a.state


async def test_an_end_from_elsewhere_is_no_leave_and_loses_no_signal(
    autojump_clock: MockClock,
) -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: received.append(number))
    try:
        async with cluster() as net:
            a, _ = await with_peer(net)
            with trio.CancelScope() as scope:
                async with leave_on_signals(a, signals=[signal.SIGUSR1]):
                    scope.cancel()
                    await trio.lowlevel.checkpoint_if_cancelled()
            assert SerfState.ALIVE == a.state

            def fail() -> None:
                signal.raise_signal(signal.SIGUSR1)
                raise ValueError("mine")

            with pytest.raises(ValueError, match="mine"):
                async with leave_on_signals(a, signals=[signal.SIGUSR1]):
                    fail()
            assert SerfState.ALIVE == a.state
            assert [signal.SIGUSR1] == received
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_on_another_thread_it_says_what_to_do_instead() -> None:
    async def on_thread() -> None:
        async with cluster() as net:
            a = await net.start("a")
            with pytest.raises(RuntimeError, match=r"main thread alone.*serf.leave\(\)"):
                async with leave_on_signals(a):
                    pass

    async def main() -> None:
        await trio.to_thread.run_sync(trio.run, on_thread)

    trio.run(main)


async def test_what_is_no_node_is_a_type_error() -> None:
    for wrong in ((), (trioserf.open(),), ("a",)):
        with pytest.raises(TypeError, match="expected the nodes that shall leave"):
            async with leave_on_signals(*wrong):  # type: ignore[arg-type]
                pass
