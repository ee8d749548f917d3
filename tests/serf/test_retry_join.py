"""Addresses that a node goes on trying until one other node was reached."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import Cluster, cluster, status, until
from trioserf._config import Config
from trioserf._events import MemberStatus
from trioserf._serf.open import open_serf
from trioserf._serf.serf import Serf

PEER = "10.0.0.9"


@pytest.fixture(autouse=True)
def log_at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="trioserf")


async def retrying(net: Cluster, *addresses: str, **fields: Any) -> Serf:
    return await net.start("b", retry_join=addresses or (f"{PEER}:7946",), **fields)


def attempts(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [record.getMessage() for record in caplog.records]
    return [text for text in texts if "retry_join, attempt" in text]


def runs(node: Serf) -> bool:
    """Whether the task is there."""
    tasks: list[trio.lowlevel.Task] = [trio.lowlevel.current_root_task()]  # type: ignore[list-item]
    for task in tasks:
        tasks += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return any(task.name == f"trioserf.{node.name}.retry_join" for task in tasks)


async def test_a_peer_that_comes_late_is_joined(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        b = await retrying(net)
        await trio.sleep(100)
        assert 1 == b.num_nodes
        assert runs(b)
        a = await net.start("a", host=PEER)
        await until(lambda: status(a, "b") is MemberStatus.ALIVE, limit=45)
        assert MemberStatus.ALIVE is status(b, "a")
        await trio.sleep(1)
        assert not runs(b)
        seen = attempts(caplog)
        assert 3 <= len(seen) <= 6
        assert all("\n" not in line and PEER in line for line in seen)
        assert all("next in 30 s" in line for line in seen[:-1])
        assert "1 reached" in seen[-1]
        await trio.sleep(100)
        assert seen == attempts(caplog)


async def test_the_interval_is_that_of_the_settings(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        await retrying(net, retry_join_interval=2.0, tcp_timeout=1.0)
        await trio.sleep(60)
        assert 60 / 3 - 2 <= len(attempts(caplog)) <= 60 / 2 + 1


async def test_names_are_looked_up_anew_each_time(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        config = net.config("b", retry_join="seed.example", retry_join_interval=5.0)
        transport = config.memberlist.transport
        assert transport is not None
        resolve, known = transport.resolve, []

        async def look_up(host: str, port: int) -> Any:
            known.append(host)
            if host == "seed.example":
                if len(known) < 4:
                    raise OSError("no such host")
                host = PEER
            return await resolve(host, port)

        transport.resolve = look_up  # type: ignore[method-assign]
        a = await net.start("a", host=PEER)
        b = await net.stack.enter_async_context(open_serf(config))
        await trio.sleep(12)
        assert 1 == b.num_nodes
        await until(lambda: status(a, "b") is MemberStatus.ALIVE, limit=10)
        assert 4 == known.count("seed.example")


async def test_after_the_last_attempt_the_node_stays_alone(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        b = await retrying(net, retry_join_interval=5.0, retry_join_max_attempts=3)
        await trio.sleep(200)
        assert 3 == len(attempts(caplog))
        assert "next in" not in attempts(caplog)[-1]
        assert "gave up after 3 attempts" in caplog.text
        assert not runs(b)
        assert 1 == await b.join([(await net.start("a")).local_member.addr.compressed])


async def test_this_node_itself_is_no_other_node(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        b = await retrying(net, "10.0.0.1:7946", retry_join_interval=5.0)
        await trio.sleep(30)
        assert runs(b)
        assert len(attempts(caplog)) > 4


async def test_the_healer_goes_on_with_the_addresses_that_did_not_answer(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        await net.start("a", host=PEER)
        b = await retrying(net, PEER, "10.0.0.8", push_pull_interval=10.0)
        await until(lambda: status(b, "a") is MemberStatus.ALIVE)
        await trio.sleep(15)
        assert not runs(b)
        late = await net.start("late", host="10.0.0.8")
        await until(lambda: status(late, "b") is MemberStatus.ALIVE, limit=60)


async def test_a_node_that_leaves_tries_no_more(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        b = await retrying(net)
        await trio.sleep(15)  # between two attempts
        assert runs(b)
        await b.leave()
        before = len(attempts(caplog))
        await trio.sleep(60)
        assert before == len(attempts(caplog))
        assert not runs(b)


def test_one_address_may_be_a_string() -> None:
    assert ("a.example:1",) == Config.lan(retry_join="a.example:1").retry_join
    several = ["node/10.0.0.1", "[::1]:7946", "::1", "a.example"]
    assert tuple(several) == Config.lan(retry_join=several).retry_join
