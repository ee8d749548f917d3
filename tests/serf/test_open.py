# ruff: noqa: PT012, PT017 -- what comes out of whole blocks is the subject here
"""Every way into and out of a node's block, and what the user sees of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import about, address, cluster, drain, host, status, until
from trioserf._config import Config
from trioserf._events import MemberStatus, SerfState
from trioserf._exceptions import SerfInternalError
from trioserf._serf.open import open_serf, serve

QUICK = {"probe_interval": 0.5, "probe_timeout": 0.2, "suspicion_mult": 1}


class Oops(Exception):
    pass


# --- the ways out -------------------------------------------------------------------------


async def test_the_end_of_the_block_leaves_the_cluster(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", **QUICK)
        async with open_serf(net.config("b", leave_on_exit=True, **QUICK)) as b:
            await b.join([address(a)])
            await trio.sleep(5)
        assert SerfState.SHUTDOWN is b.state
        await trio.sleep(10)
        assert MemberStatus.LEFT is status(a, "b")
        assert ["member-join", "member-leave"] == about(drain(a), "b")


async def test_the_leave_at_the_end_can_be_turned_off(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", **QUICK)
        async with open_serf(net.config("b", leave_on_exit=False, **QUICK)) as b:
            await b.join([address(a)])
        await until(lambda: status(a, "b") is MemberStatus.FAILED)


async def test_an_exception_comes_out_bare_and_the_others_see_a_failure(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a = await net.start("a", **QUICK)
        error = Oops("mine")
        with pytest.raises(Oops) as caught:
            async with open_serf(net.config("b", leave_on_exit=True, **QUICK)) as b:
                await b.join([address(a)])
                before = trio.current_time()
                raise error
        assert error is caught.value
        assert None is error.__cause__
        assert None is error.__context__
        assert before == trio.current_time()
        await until(lambda: status(a, "b") is MemberStatus.FAILED)


async def test_a_group_of_the_user_stays_as_it_is(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        group = ExceptionGroup("mine", [Oops("one"), ValueError("two")])
        with pytest.raises(ExceptionGroup) as caught:
            async with open_serf(net.config("a")):
                raise group
        assert group is caught.value


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, trio.TooSlowError, StopIteration])
async def test_whatever_is_raised_comes_out_as_itself(
    autojump_clock: MockClock, kind: type[BaseException]
) -> None:
    async with cluster() as net:
        error = kind()
        with pytest.raises(kind) as caught:
            async with open_serf(net.config("a")):
                raise error
        assert error is caught.value


async def test_a_cancelled_block_ends_at_once_and_quietly(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", **QUICK)
        before = trio.current_time()
        with trio.move_on_after(2) as scope:
            async with open_serf(net.config("b", leave_on_exit=True, **QUICK)) as b:
                await b.join([address(a)])
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert before + 2 == trio.current_time()
        assert SerfState.SHUTDOWN is b.state
        await until(lambda: status(a, "b") is MemberStatus.FAILED)


async def test_a_cancellation_stays_bare(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        with trio.CancelScope() as scope:
            try:
                async with open_serf(net.config("a")):
                    scope.cancel()
                    await trio.sleep_forever()
            except BaseException as error:
                assert isinstance(error, trio.Cancelled)
                raise
        assert scope.cancelled_caught


async def test_a_cancellation_while_leaving_ends_the_leave(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        before = trio.current_time()
        with trio.CancelScope() as scope:
            async with open_serf(net.config("b", leave_on_exit=True)) as b:
                await b.join([address(a)])
                scope.deadline = trio.current_time() + 0.05
        assert scope.cancelled_caught
        assert 1 > trio.current_time() - before


async def test_the_leave_at_the_end_is_bounded(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        config = net.config("b", leave_on_exit=True, leave_timeout=0.5, broadcast_timeout=100.0)
        async with open_serf(config) as b:
            await b.join([address(a)])
            net.network.isolate(host(b))
            before = trio.current_time()
        assert before + 0.5 == trio.current_time()


async def test_outer_timeouts_work_through_the_block(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        with pytest.raises(trio.TooSlowError):
            with trio.fail_after(1):
                async with open_serf(net.config("a")):
                    await trio.sleep_forever()


# --- our own crashes ----------------------------------------------------------------------


async def test_a_crash_of_a_task_is_an_internal_error(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        crash = Oops("a bug")

        def explode() -> None:
            raise crash

        with pytest.raises(SerfInternalError, match="a bug") as caught:
            async with open_serf(net.config("a")) as a:
                a._delegate.deadlines.call_at(trio.current_time() + 1, explode)
                await trio.sleep_forever()
        assert pytest.RaisesGroup(Oops).matches(caught.value.__cause__)
        assert SerfState.SHUTDOWN is a.state


async def test_an_exception_before_the_crash_comes_first(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        with pytest.raises(ValueError, match="mine"):
            async with open_serf(net.config("a")) as a:

                def explode() -> None:
                    raise Oops

                a._delegate.deadlines.call_at(trio.current_time(), explode)
                raise ValueError("mine")


async def test_what_the_block_raises_because_of_a_crash_does_not_hide_it(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        with pytest.raises(SerfInternalError):
            async with open_serf(net.config("a")) as a:

                def explode() -> None:
                    raise Oops

                a._delegate.deadlines.call_at(trio.current_time() + 1, explode)
                try:
                    await trio.sleep_forever()
                finally:
                    raise ValueError("the block did not like that")


async def test_an_interrupt_in_a_task_is_an_interrupt(autojump_clock: MockClock) -> None:
    async with cluster() as net:

        def interrupt() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            async with open_serf(net.config("a")) as a:
                a._delegate.deadlines.call_at(trio.current_time() + 1, interrupt)
                await trio.sleep_forever()


# --- the ways in --------------------------------------------------------------------------


async def test_an_address_in_use_is_an_os_error(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        await net.start("a", host="10.0.0.9")
        with pytest.raises(OSError, match=r"10\.0\.0\.9"):
            await net.start("b", host="10.0.0.9")


def test_under_asyncio_it_says_what_to_do() -> None:
    async def main() -> None:
        async with open_serf(Config(node_name="a")):
            pass

    with pytest.raises(RuntimeError, match=r"%load_ext trioserf\.notebook") as caught:
        asyncio.run(main())
    assert "trioserf.asyncio.open()" in str(caught.value)


def test_a_real_interrupt_ends_the_program_with_one_interrupt() -> None:
    program = """
import signal, trio
from trioserf._config import Config
from trioserf._serf.open import open_serf

async def main():
    config = Config.local(bind="127.0.0.1:0", node_name="a")
    async with open_serf(config):
        signal.raise_signal(signal.SIGINT)
        await trio.sleep(10)

try:
    trio.run(main)
except KeyboardInterrupt as error:
    print("one", type(error).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, text=True
    )
    assert "one KeyboardInterrupt\n" == done.stdout, done.stderr


# --- serve --------------------------------------------------------------------------------


async def test_a_node_may_live_in_a_nursery_of_the_user(autojump_clock: MockClock) -> None:
    async with cluster() as net, trio.open_nursery() as nursery:
        a = await nursery.start(serve, net.config("a"))
        b = await nursery.start(serve, net.config("b"))
        assert 1 == await b.join([address(a)])
        await b.aclose()
        await a.aclose()


async def test_cancelling_it_stops_at_once(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        async with trio.open_nursery() as nursery:
            a = await nursery.start(serve, net.config("a", leave_on_exit=True))
            nursery.cancel_scope.cancel()
        assert SerfState.SHUTDOWN is a.state


# --- closing ------------------------------------------------------------------------------


async def test_after_closing_the_block_goes_on(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        steps = []
        async with open_serf(net.config("a", leave_on_exit=True)) as a:
            await a.aclose()
            await a.aclose()
            await a.wait_closed()
            await trio.sleep(1)
            steps.append("still here")
        assert ["still here"] == steps


async def test_a_cancelled_close_closes_all_the_same(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        with trio.CancelScope() as scope:
            scope.cancel()
            await a.aclose()
        await a.wait_closed()
        assert SerfState.SHUTDOWN is a.state


async def test_calls_on_a_closed_node_say_so(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", secret_key=bytes(16))
        await a.aclose()
        calls: list[Callable[[], object]] = [
            lambda: a.join(["10.0.0.2"]),
            a.leave,
            lambda: a.remove_failed_node("b"),
            lambda: a.set_tags({}),
            lambda: a.user_event("x"),
            lambda: a.ask("x"),
            a.keys.list,
            lambda: a.keys.install(bytes(16)),
            lambda: a.query("x").__aenter__(),
            lambda: a.subscribe().__aenter__(),
        ]
        for call in calls:
            with pytest.raises(trio.ClosedResourceError):
                await call()  # type: ignore[misc]
        with pytest.raises(trio.ClosedResourceError):
            a.user_event_nowait("x")


async def test_reads_of_a_closed_node_give_the_last_state(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        await a.aclose()
        assert ("a", "b") == a.members().names
        assert "2" == a.stats()["members"]
        assert a.statistics().members[MemberStatus.ALIVE] == 2
        assert "a" == a.local_member.name
        assert SerfState.ALIVE is b.state


async def test_closing_during_calls_ends_them(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", gossip_interval=100.0, eager_gossip=False)
        net.network.isolate(host(b))
        ended: list[str] = []

        async def call(name: str, fn: Callable[[], object]) -> None:
            with pytest.raises(trio.ClosedResourceError):
                await fn()  # type: ignore[misc]
            ended.append(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, "join", lambda: a.join(["10.7.7.7"]))
            nursery.start_soon(call, "remove", lambda: a.remove_failed_node("x"))
            nursery.start_soon(call, "tags", lambda: a.set_tags({"x": "y"}))
            nursery.start_soon(call, "ask", lambda: a.ask("x"))
            await trio.sleep(0.1)
            before = trio.current_time()
            await a.aclose()
        assert ["ask", "join", "remove", "tags"] == sorted(ended)
        assert before == trio.current_time()


async def test_no_task_outlives_the_block(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        before = trio.lowlevel.current_statistics().tasks_living
        async with open_serf(net.config("a")):
            assert before < trio.lowlevel.current_statistics().tasks_living
        assert before == trio.lowlevel.current_statistics().tasks_living


async def test_an_idle_node_hardly_ever_wakes(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        await net.start("a", probe_interval=0.0, push_pull_interval=0.0)
        runs = Wakes()
        trio.lowlevel.add_instrument(runs)
        await trio.sleep(600)
        trio.lowlevel.remove_instrument(runs)
        assert 150 > runs.count


@attrs.define(eq=False)
class Wakes(trio.abc.Instrument):  # type: ignore[misc]
    """Counts task steps."""

    count: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


async def test_a_crash_that_comes_after_the_exception_of_the_block_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        with pytest.raises(ValueError, match="mine"):
            async with open_serf(net.config("a")) as a:

                async def crash_at_the_end() -> None:
                    try:
                        await trio.sleep_forever()
                    finally:
                        raise Oops("too late")

                a.memberlist._short_tasks.start(crash_at_the_end)
                await trio.sleep(1)
                raise ValueError("mine")
    assert 1 == caplog.text.count("a task crashed while the node was closing")
    assert "Oops: too late" in caplog.text
