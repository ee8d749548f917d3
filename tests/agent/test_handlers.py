"""Commands that run on events: in order, side by side, and whatever they do."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.testing

import trioserf
from tests.interop.waiting import becomes
from trioserf import Query, UserEvent
from trioserf._agent.handler_rules import HandledEvent, parse_handlers
from trioserf._agent.handlers import MAX_WAITING, HandlerRunner
from trioserf._agent.metrics import AgentMetrics
from trioserf._serf.serf import Serf

pytestmark = [
    pytest.mark.slow,
    # As in Go, commands that still run when the agent ends go on.
    pytest.mark.filterwarnings("ignore:.*still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Node:
    """As much of a node as handlers look at."""

    local_member = trioserf.Member("alpha", cast(Any, "127.0.0.1"), 7946, {"role": "web"})


@asynccontextmanager
async def running(*handlers: str, **settings: Any) -> AsyncIterator[HandlerRunner]:
    runner = HandlerRunner(cast(Serf, Node()), parse_handlers(handlers), **settings)
    send, receive = trio.open_memory_channel[Any](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runner.run, receive)
        await trio.testing.wait_all_tasks_blocked()
        yield runner
        send.close()


def event(name: str = "deploy", payload: bytes = b"") -> HandledEvent:
    return UserEvent(1, name, payload)


def query(answers: list[bytes]) -> HandledEvent:
    async def respond(payload: bytes) -> None:
        await trio.lowlevel.checkpoint()
        answers.append(payload)

    return Query(1, "load", b"", "b", 0.0, respond)


async def test_handlers_of_an_event_start_in_their_order(tmp_path: Path) -> None:
    out = tmp_path / "out"
    handlers = [f"sleep 0.1; echo first >> {out}", f"echo second >> {out}"]
    async with running(*handlers) as runner:
        for _ in range(3):
            runner.publish(event())
        await becomes(True, lambda: bool(out.exists() and 6 == len(out.read_text().split())))
    lines = out.read_text().split()
    # The second of an event comes behind the first of the same event.
    assert all(lines[:place].count("second") <= lines[:place].count("first") for place in range(7))
    assert (3, 3) == (lines.count("first"), lines.count("second"))


async def test_one_handler_takes_events_in_their_order(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with running(f"cat >> {out}") as runner:
        for number in range(10):
            runner.publish(event(payload=b"%d" % number))
        await becomes(True, lambda: bool(out.exists() and 10 == len(out.read_text().split())))
    assert [str(number) for number in range(10)] == out.read_text().split()


async def test_a_slow_handler_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    async with running("sleep 4", f"echo x >> {out}") as runner:
        for _ in range(5):
            runner.publish(event())
        await becomes(True, lambda: bool(out.exists() and 10 == len(out.read_text())))
        runner._nursery.cancel_scope.cancel()  # type: ignore[union-attr]
    assert "Script 'sleep 4' slow, execution exceeding 1s" in caplog.text


async def test_a_handler_that_ignores_its_input_stalls_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    huge = event(payload=b"x" * 1_000_000)
    async with running("sleep 0.2", "exit 0", f"wc -c >> {out}") as runner:
        runner.publish(huge)
        await becomes(True, lambda: bool(out.exists() and out.read_text() != ""))
    assert 1_000_001 == int(out.read_text())


async def test_a_background_job_holds_up_nothing(tmp_path: Path) -> None:
    out, late = tmp_path / "out", tmp_path / "late"
    command = f"(sleep 0.6; echo talks; echo x > {late}) & echo x >> {out}"
    async with running(command) as runner:
        runner.publish(event())
        runner.publish(event())
        with trio.fail_after(5):
            await becomes(True, lambda: bool(out.exists() and 4 == len(out.read_text())))
        assert not late.exists()
        await becomes(True, late.exists)  # its output is still read, so it was not ended


async def test_output_answers_a_query() -> None:
    answers: list[bytes] = []
    async with running("true", "echo no; exit 3", "echo err >&2") as runner:
        runner.publish(query(answers))
        await becomes(True, lambda: bool(answers))
    assert [b"err\n"] == answers


async def test_the_end_of_a_long_output_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[bytes] = []
    async with running("head -c 100000 /dev/zero | tr '\\0' x; echo end") as runner:
        runner.publish(query(answers))
        await becomes(True, lambda: bool(answers))
    assert (8192, b"xend\n") == (len(answers[0]), answers[0][-5:])
    assert "generated 100004 bytes of output, truncated to 8192" in caplog.text


async def test_how_commands_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    metrics = AgentMetrics()
    handlers = ["exit 3", "no-such-command", "kill -9 $$", "echo hi"]
    async with running(*handlers, metrics=metrics) as runner:
        runner.publish(event())
        await becomes(True, lambda: bool("agent_invoke_echo_hi_count 1" in metrics.text()))
    assert "Error invoking script 'exit 3': exit status 3" in caplog.text
    assert "Error invoking script 'no-such-command': exit status 127" in caplog.text
    assert "Error invoking script 'kill -9 $$': signal: killed" in caplog.text
    assert "Event 'user' script output: hi\n" in caplog.text
    assert "serf_events_deploy_total 1" in metrics.text()


async def test_a_command_may_be_given_a_limit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    async with running("sleep 4 | sleep 4", f"echo x > {out}", timeout=0.2) as runner:
        runner.publish(event())
        await becomes(True, out.exists)
    assert "is ended after 0.2 s" in caplog.text
    assert "signal: terminated" in caplog.text


async def test_new_handlers_run_from_the_next_event_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with running(f"sleep 0.1; echo old >> {out}") as runner:
        runner.publish(event())
        runner.publish(event())
        runner.replace(parse_handlers([f"echo new >> {out}"]))
        runner.publish(event())
        await becomes(True, lambda: bool(out.exists() and 3 == len(out.read_text().split())))
    assert {"new": 1, "old": 2} == {w: out.read_text().split().count(w) for w in ("new", "old")}


async def test_events_without_room_are_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running("exec sleep 4") as runner:
        for _ in range(MAX_WAITING + 10):
            runner.publish(event())
        assert "Dropping events for script 'exec sleep 4'" in caplog.text
        assert 0 < runner._workers[0].dropped <= 10
        runner._nursery.cancel_scope.cancel()  # type: ignore[union-attr]


async def test_the_agent_s_own_variables_are_not_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("OTHER", "seen")
    out = tmp_path / "out"
    async with running(f"env > {out}.new; mv {out}.new {out}") as runner:
        runner.publish(event())
        await becomes(True, out.exists)
    lines = out.read_text().splitlines()
    assert "OTHER=seen" in lines
    assert "SERF_SELF_ROLE=web" in lines
    assert [] == [line for line in lines if line.startswith("NOTIFY")]
