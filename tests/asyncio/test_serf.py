"""A node in a program that runs on asyncio: what a user calls, and how it ends."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio

import trioserf
from tests.asyncio.kit import (
    address,
    assert_no_thread,
    calls_left,
    cancelled_at,
    config,
    crash,
    eventually,
    run,
)
from tests.source_tree import ROOT
from trioserf import EventsDropped, MemberStatus, Query, UserEvent
from trioserf.asyncio import Serf


def loops() -> list[Any]:
    found: list[Any] = [pytest.param(None, id="asyncio")]
    try:
        import uvloop
    except ImportError:
        why = pytest.mark.skip(reason="uvloop is not installed")
        return [*found, pytest.param(None, id="uvloop", marks=why)]
    return [*found, pytest.param(uvloop.new_event_loop, id="uvloop")]


# --- two nodes ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("loop_factory", loops())
def test_two_nodes_join_send_ask_and_follow(loop_factory: Any) -> None:
    async def answer(serf: Serf) -> None:
        async for event in serf.events:
            if isinstance(event, Query):
                left = event.deadline - asyncio.get_running_loop().time()
                assert 0 < left < 5.5  # uvloop takes its time once in each turn
                await event.respond(b"42")

    async def main() -> None:
        async with (
            trioserf.asyncio.open(config("a")) as a,
            trioserf.asyncio.open(config("b")) as b,
            b.follow(status=MemberStatus.ALIVE) as states,
            a.subscribe(UserEvent) as messages,
        ):
            answering = asyncio.create_task(answer(a))
            assert ("b",) == (await anext(states)).names
            assert 1 == await b.join([address(a)])
            assert ("a", "b") == (await anext(states)).names
            await eventually(lambda: 2 == a.num_nodes)
            await b.user_event("deploy", b"v42")
            b.user_event_nowait("again")
            names = set()
            for _ in range(2):
                message = await messages.receive()
                assert isinstance(message, UserEvent)
                names.add(message.name)
            assert {"deploy", "again"} == names
            result = await b.ask("load", filter_nodes=["a"], timeout=5)
            assert [b"42"] == [response.payload for response in result.responses]
            async with b.query("load", filter_nodes=["a"], request_ack=True, timeout=5) as query:
                assert 0 < query.deadline - asyncio.get_running_loop().time() < 6
                assert not query.finished
                assert b"42" == (await anext(query)).payload
                assert query.acks is not None
                assert "a" == await query.acks.receive()
                query.close()
                assert query.finished
                assert 1 == len(query.result().responses)
                with pytest.raises(StopAsyncIteration):
                    await anext(query)
            await a.set_tags({"role": "web"})
            async for members in states:
                if members.select(tags={"role": "web"}):
                    break
            assert "alive" == str(a.state)
            assert "alive" in str(a.explain("b"))
            assert "2 alive" in a._repr_html_()  # type: ignore[attr-defined]
        await answering  # ends with the node

    run(main, loop_factory)


def test_a_node_answers_its_peers_while_the_loop_stands_still() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            at = address(a)
            found: list[int] = []

            def peer() -> None:
                async def join() -> None:
                    async with trioserf.open(config("b", leave_on_exit=False)) as b:
                        found.append(await b.join([at]))

                trio.run(join)

            thread = threading.Thread(target=peer)
            thread.start()
            thread.join()  # the loop stands still meanwhile
            assert [1] == found

    run(main)


def test_leaving_the_block_normally_leaves_the_cluster() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            async with trioserf.asyncio.open(config("b")) as b:
                await b.join(address(a))
            left = a.members().get("b")
            assert left is not None
            assert MemberStatus.LEFT is left.status

    run(main)


def test_leaving_it_by_an_exception_shows_that_and_stops_at_once() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            states: list[Serf] = []

            async def node() -> None:
                async with trioserf.asyncio.open(config("b")) as b:
                    states.append(b)
                    await b.join(address(a))
                    raise KeyError("mine")

            with pytest.raises(KeyError) as caught:
                await node()
            assert "'mine'" == str(caught.value)
            assert "shutdown" == str(states[0].state)
            there = a.members().get("b")
            assert there is not None
            assert there.status is not MemberStatus.LEFT

    run(main)


def test_a_start_that_fails_raises_its_cause() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            taken = trioserf.Config.local(node_name="b", bind=address(a))
            with pytest.raises(OSError, match=r"127\.0\.0\.1"):
                async with trioserf.asyncio.open(taken):
                    pass
            with pytest.raises(trioserf.JoinError):
                await a.join("127.0.0.1:1")
            with pytest.raises(trioserf.UserEventTooLarge):
                await a.user_event("x", bytes(10_000))
            with pytest.raises(trioserf.UserEventTooLarge):
                a.user_event_nowait("x", bytes(10_000))

    run(main)


async def test_on_trio_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"outside of asyncio.*trioserf\.open\(\)"):
        async with trioserf.asyncio.open(config("a")):
            pass


def test_peek_looks_without_a_node() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            assert ("a",) == (await trioserf.asyncio.peek(address(a))).names
            assert 1 == a.num_nodes

    run(main)


def test_what_has_no_method_here_runs_on_trio() -> None:
    async def ping(node: trioserf.Serf, name: str) -> float:
        return await node.memberlist.ping(name, node.memberlist.node(name).address)  # type: ignore[union-attr]

    async def main() -> None:
        async with (
            trioserf.asyncio.open(config("a")) as a,
            trioserf.asyncio.open(config("b")) as b,
        ):
            await b.join(address(a))
            assert 0 < await b.in_trio(ping, "a") < 5

    run(main)


# --- the methods --------------------------------------------------------------------------


def public(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


@pytest.mark.parametrize("name", ["Serf", "KeyManager", "QueryResponse"])
def test_the_classes_have_the_methods_of_those_of_trio(name: str) -> None:
    ours, theirs = getattr(trioserf.asyncio, name), getattr(trioserf, name)
    assert set() == public(theirs) - public(ours)
    assert public(ours) - public(theirs) <= {"in_trio"}
    for each in public(theirs):
        here = inspect.getattr_static(ours, each)
        there = inspect.getattr_static(theirs, each)
        assert inspect.getdoc(here), each
        if not isinstance(there, property):
            assert [
                (p.name, p.kind, p.default) for p in inspect.signature(there).parameters.values()
            ] == [(p.name, p.kind, p.default) for p in inspect.signature(here).parameters.values()]
            assert inspect.iscoroutinefunction(there) == inspect.iscoroutinefunction(here), each


# --- cancellation -------------------------------------------------------------------------


async def enter(block: Any) -> None:
    async with block:
        pass


async def first(block: Any) -> None:
    async with block as stream:
        await anext(stream)


async def sleep(_node: trioserf.Serf, seconds: float) -> None:
    await trio.sleep(seconds)


Calls = Callable[[Serf, Serf], Awaitable[object]]
CALLS: dict[str, Calls] = {
    "join": lambda a, b: a.join(address(b)),
    "user_event": lambda a, b: a.user_event("x"),
    "set_tags": lambda a, b: a.set_tags({"x": "y"}),
    "ask": lambda a, b: a.ask("load", timeout=0.05),
    "query": lambda a, b: enter(a.query("load", timeout=0.05)),
    "a response": lambda a, b: first(a.query("_serf_ping", filter_nodes=["b"], timeout=0.2)),
    "subscribe": lambda a, b: enter(a.subscribe(UserEvent)),
    "follow": lambda a, b: enter(a.follow()),
    "a state": lambda a, b: first(a.follow()),
    "remove_failed_node": lambda a, b: a.remove_failed_node("gone"),
    "keys": lambda a, b: a.keys.list(),
    "in_trio": lambda a, b: a.in_trio(sleep, 0.01),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_call_can_be_cancelled_at_each_of_its_steps(name: str) -> None:
    async def main() -> None:
        key = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
        async with (
            trioserf.asyncio.open(config("a", encrypt_key=key)) as a,
            trioserf.asyncio.open(config("b", encrypt_key=key)) as b,
        ):
            await a.join(address(b))

            async def call() -> None:
                with suppress(StopAsyncIteration):  # of a query without a response
                    await CALLS[name](a, b)

            for turns in range(4):  # before the call has come to Trio
                task = asyncio.create_task(call())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait((task,))
                assert 0 == calls_left(a)
            step = 0
            while await cancelled_at(a, step, call):
                assert 0 == calls_left(a)
                step += 1
                assert step < 200
            await call()  # and undisturbed
            assert 0 == calls_left(a)
            assert {asyncio.current_task()} == asyncio.all_tasks()

    run(main)


@pytest.mark.parametrize("delay", [0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05])
def test_opening_and_peeking_can_be_cancelled(delay: float) -> None:
    async def node() -> None:
        async with trioserf.asyncio.open(config("b")):
            await asyncio.sleep(5)

    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            for call in (node, lambda: trioserf.asyncio.peek(address(a))):
                task = asyncio.create_task(call())
                await asyncio.sleep(delay)
                task.cancel()
                await asyncio.wait((task,))
                names = [each.name for each in threading.enumerate()]
                assert 1 == names.count("trioserf.asyncio")

    run(main)


@pytest.mark.parametrize("delay", [0, 0.001, 0.005, 0.02])
def test_leaving_can_be_cancelled(delay: float) -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            inside = asyncio.Event()

            async def node() -> None:
                async with trioserf.asyncio.open(config("b", leave_propagate_delay=5.0)) as b:
                    await b.join(address(a))
                    inside.set()

            began = time.monotonic()
            task = asyncio.create_task(node())
            await inside.wait()
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled()
            assert time.monotonic() - began < 4

    run(main)


def test_wait_for_ends_a_call_and_loses_no_event() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a, a.subscribe(UserEvent) as events:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(events.receive(), 0.02)
            got = 0
            for number in range(60):
                a.user_event_nowait(f"x{number}")
            while got < 60:
                try:
                    event = await asyncio.wait_for(anext(events), 0.0003)
                except TimeoutError:
                    continue
                assert isinstance(event, UserEvent)
                assert f"x{got}" == event.name
                got += 1

    run(main)


def test_a_cancelled_call_has_ended_on_trio_before_it_comes_back() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            ended: list[str] = []

            async def slow(node: trioserf.Serf) -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.sleep(0.05)
                    ended.append("clean")

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(a.in_trio(slow), 0.02)
            assert ["clean"] == ended
            task = asyncio.create_task(a.in_trio(slow))
            await asyncio.sleep(0.02)
            for _ in range(3):  # asking again does not make it come back earlier
                task.cancel()
                await asyncio.sleep(0.005)
            await asyncio.wait((task,))
            assert task.cancelled()
            assert ["clean", "clean"] == ended

    run(main)


# --- the end ------------------------------------------------------------------------------


def test_calls_that_wait_end_with_the_block() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            reading = asyncio.create_task(count(a.events))
            waiting = asyncio.create_task(a.in_trio(sleep, 60))
            closing = asyncio.create_task(a.wait_closed())
            await asyncio.sleep(0.02)
        assert 2 == await reading  # it joins, and leaves
        with pytest.raises(trio.ClosedResourceError):
            await waiting
        await closing
        with pytest.raises(trio.ClosedResourceError):
            await a.join("127.0.0.1:1")
        with pytest.raises(trio.ClosedResourceError):
            a.user_event_nowait("x")
        assert ("a",) == a.members().names  # reads go on
        assert "shutdown" == str(a.state)

    run(main)


@pytest.mark.slow
def test_a_state_ends_with_the_node_however_slow_the_loop_is() -> None:
    async def follow(serf: Serf, entered: asyncio.Event) -> str:
        async with serf.follow() as states:
            async for _ in states:
                entered.set()
        return "ended"

    async def hog(stop: asyncio.Event) -> None:
        while not stop.is_set():
            time.sleep(0.1)  # noqa: ASYNC251 - what comes from Trio meanwhile comes at once
            await asyncio.sleep(0)

    async def main() -> None:
        stop, entered = asyncio.Event(), asyncio.Event()
        async with trioserf.asyncio.open(config("a")) as a:
            following = asyncio.create_task(follow(a, entered))
            await entered.wait()
            hogging = asyncio.create_task(hog(stop))
        assert "ended" == await following
        stop.set()
        await hogging

    run(main)


@pytest.mark.slow
def test_a_task_that_stays_in_a_block_of_a_closed_node_is_cancelled() -> None:
    async def stay(serf: Serf, entered: asyncio.Event) -> None:
        async with serf.follow():
            entered.set()
            await asyncio.sleep(60)

    async def main() -> None:
        entered = asyncio.Event()
        async with trioserf.asyncio.open(config("a")) as a:
            staying = asyncio.create_task(stay(a, entered))
            await entered.wait()
        with pytest.raises(trio.ClosedResourceError):
            await staying

    run(main)


async def count(events: AsyncIterator[object]) -> int:
    return len([event async for event in events])


def test_reads_are_those_of_the_node_on_trio_and_go_on_after_the_block() -> None:
    async def main() -> None:
        async with (
            trioserf.asyncio.open(config("a", secret_key=bytes(16))) as a,
            a.query("load", timeout=60) as query,
        ):
            for name in ("name", "state", "local_member", "num_nodes", "protocol_version"):
                assert getattr(a._node, name) == getattr(a, name)
            assert a.encryption_enabled
            assert repr(a._node) == repr(a)
            assert "a" in repr(a)
            assert repr(query._node) == repr(query)
            assert not query.finished
        assert query.finished
        assert () == query.result().responses
        query.close()  # nothing to do
        assert "shutdown" == str(a.state)
        assert ("a", 1) == (a.name, a.num_nodes)

    run(main)


def test_events_can_be_read_after_the_block() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a", event_buffer_size=100)) as a:
            for number in range(200):
                a.user_event_nowait(f"x{number}")
        found = [event async for event in a.events]
        assert isinstance(found[-1], EventsDropped)
        assert 101 == len(found)
        with pytest.raises(trio.EndOfChannel):
            await a.events.receive()

    run(main)


def test_aclose_ends_the_node_and_not_the_block() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            await a.aclose()
            await a.aclose()
            assert "shutdown" == str(a.state)
            with pytest.raises(trio.ClosedResourceError):
                await a.user_event("x")
            await asyncio.sleep(0.01)

    run(main)


async def waits() -> None:
    await asyncio.sleep(10)


async def has_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(waits())


async def raises_in_turn() -> None:
    try:
        await waits()
    finally:
        raise ValueError("a consequence")


async def swallows_it() -> None:
    with suppress(asyncio.CancelledError):
        await waits()


@pytest.mark.parametrize("body", [waits, has_a_group, raises_in_turn, swallows_it])
def test_a_crashed_node_cancels_the_block_and_says_why(body: Callable[[], Any]) -> None:
    async def node() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            crash(a)
            await body()

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        with pytest.raises(trioserf.SerfInternalError, match="a bug") as caught:
            await node()
        assert isinstance(caught.value.__cause__, BaseExceptionGroup)
        assert before == task.cancelling()
        await asyncio.sleep(0)  # nothing of the cancellation is left

    run(main)


def test_a_cancellation_by_others_comes_before_a_crash(caplog: pytest.LogCaptureFixture) -> None:
    async def node() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            crash(a)
            try:
                await asyncio.sleep(10)
            finally:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

    async def main() -> None:
        task = asyncio.create_task(node())
        await asyncio.wait((task,))
        assert task.cancelled()

    with caplog.at_level(logging.ERROR, "trioserf.asyncio"):
        run(main)
    assert "a bug" in caplog.text  # it is not lost


def test_an_interrupt_inside_the_block_comes_out_bare() -> None:
    async def main() -> None:
        async with trioserf.asyncio.open(config("a")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(main)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a process")
def test_ctrl_c_ends_a_program_with_one_interrupt() -> None:
    program = """
import asyncio, trioserf

async def main():
    async with trioserf.asyncio.open(trioserf.Config.local(node_name="a", bind="127.0.0.1:0")) as a:
        print("ready", flush=True)
        async for event in a.events:
            pass

asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert "ready\n" == process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert 1 == errors.count("\nKeyboardInterrupt\n")
    assert "ignored" not in errors


# --- the loop -----------------------------------------------------------------------------


def test_a_loop_that_is_closed_early_ends_the_node() -> None:
    loop = asyncio.new_event_loop()
    block = trioserf.asyncio.open(config("a"))
    serf = loop.run_until_complete(block.__aenter__())
    assert "alive" == str(serf.state)
    loop.close()
    assert_no_thread()
    assert "shutdown" == str(serf.state)
    del block, serf


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_so_does_one_that_is_closed_with_a_task_in_the_block() -> None:
    states: list[Serf] = []

    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            states.append(a)
            await a.events.receive()
            await a.events.receive()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # "destroyed but it is pending"
    task = loop.create_task(main())
    while not states:
        loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    del task
    assert_no_thread()
    assert "shutdown" == str(states[0].state)


def test_a_block_may_be_left_by_another_task_than_it_was_entered_by() -> None:
    """As cells of a notebook do, and fixtures of pytest."""
    with asyncio.Runner() as runner:
        block = trioserf.asyncio.open(config("a"))
        serf = runner.run(block.__aenter__())
        runner.run(serf.user_event("x"))
        runner.run(block.__aexit__(None, None, None))
    assert_no_thread()


def test_a_node_may_be_used_from_another_loop() -> None:
    async def main() -> None:
        async with (
            trioserf.asyncio.open(config("a")) as a,
            a.subscribe(trioserf.UserEvent) as events,
        ):
            await asyncio.to_thread(asyncio.run, a.user_event("x"))
            event = await asyncio.wait_for(anext(aiter(events)), 10)
            assert "x" == event.name

    with asyncio.Runner() as runner:
        runner.run(main())
    assert_no_thread()
