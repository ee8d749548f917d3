"""Our client against our server: every command, streams, and many tasks on one connection."""

from __future__ import annotations

import base64
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.rpc.served_node import pack, serve_node, served
from tests.serf.clusters import address, cluster, status, until
from trioserf import client as public
from trioserf._cluster.key_responses import KeyResponse
from trioserf._cluster.query_collector import NodeAck, NodeResponse
from trioserf._events import (
    EventsDropped,
    EventType,
    MemberEvent,
    MemberStatus,
    Query,
    UserEvent,
)
from trioserf._exceptions import ConfigError, RPCError
from trioserf._rpc.client import RPCClient, RPCStream, client_on, open_client

KEY = bytes(range(32))


# --- commands -----------------------------------------------------------------------------


async def test_members_are_those_of_the_agent(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", tags={"role": "web"})
        async with serve_node(b) as node:
            agent = await node.client()
            assert a.members() == await agent.members()
            assert ("b",) == (await agent.members(name="b", status="al.*")).names
            assert () == (await agent.members(tags={"role": "db"})).names
            with pytest.raises(RPCError, match="Failed to compile name regex") as caught:
                await agent.members(name="[")
            assert "members-filtered" == caught.value.command


async def test_a_cluster_is_joined_and_left(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        async with serve_node(a) as node:
            agent = await node.client()
            assert 0 == await agent.join([])
            assert 1 == await agent.join(address(b), replay=True)
            with pytest.raises(RPCError, match=r"1 error occurred:\n\t\* Failed to join"):
                await agent.join(["10.0.0.99:1"])
            await agent.leave()
            await a.wait_closed()
            await until(lambda: status(b, "a") is MemberStatus.LEFT)


async def test_force_leave(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with serve_node(a) as node:
            agent = await node.client()
            await b.aclose()
            await until(lambda: status(a, "b") is MemberStatus.FAILED)
            await agent.force_leave("b", prune=True)
            await until(lambda: status(a, "b") is None)


async def test_tags_are_updated(autojump_clock: MockClock) -> None:
    async with served(tags={"a": "1", "b": "2"}) as node:
        agent = await node.client()
        await agent.update_tags({"c": "3"}, delete=["a"])
        await agent.update_tags(delete=["b"])
        assert {"c": "3"} == node.serf.local_member.tags


async def test_keys_are_changed(autojump_clock: MockClock) -> None:
    async with served(secret_key=b"x" * 16) as node:
        agent = await node.client()
        await agent.install_key(KEY)
        await agent.use_key(base64.b64encode(KEY).decode())
        await agent.remove_key(b"x" * 16)
        keys = await agent.list_keys()
        assert {base64.b64encode(KEY).decode(): 1} == keys.keys
        assert (1, 1, 0) == (keys.num_nodes, keys.num_resp, keys.num_err)


async def test_a_failed_key_operation_has_its_report(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        with pytest.raises(RPCError, match="1/1 nodes reported failure") as caught:
            await agent.list_keys()
        report = caught.value.response
        assert isinstance(report, KeyResponse)
        assert {"alpha": "Keyring is empty (encryption not enabled)"} == report.messages


async def test_an_explanation_of_the_node_and_of_an_address(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        itself = await agent.explain()
        assert ("this node", str(node.serf.explain())) == (itself["kind"], itself["text"])
        assert "address" == (await agent.explain("10.9.9.9"))["kind"]


async def test_stats_and_coordinates(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        assert node.serf.stats() == (await agent.stats())["serf"]
        assert node.serf.coordinate() == await agent.coordinate("alpha")
        assert await agent.coordinate("nobody") is None
        assert node.serf.rtt("alpha") == await agent.rtt("alpha")
        assert await agent.rtt("alpha", "nobody") is None


async def test_an_event_that_is_refused(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        with pytest.raises(RPCError, match=r"^user event exceeds configured limit of 512 bytes"):
            await agent.user_event("x", b"y" * 512)


# --- streams ------------------------------------------------------------------------------


async def test_a_stream_gives_events_as_a_node_does(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        async with serve_node(a) as node:
            agent = await node.client()
            async with agent.stream() as events:
                await agent.user_event("deploy", b"v42", coalesce=False)
                event = await anext(events)
                assert isinstance(event, UserEvent)
                assert ("deploy", b"v42", False) == (event.name, event.payload, event.coalesce)
                await a.join([address(b)])
                event = await anext(events)
                assert isinstance(event, MemberEvent)
                assert EventType.MEMBER_JOIN is event.type
                assert a.members().get("b") == event.members[0]


async def test_a_query_of_a_stream_is_answered(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        async with agent.stream("query:load") as events, node.serf.query("load", b"?") as answers:
            query = await anext(events)
            assert isinstance(query, Query)
            assert b"?" == query.payload
            await query.respond(b"0.42")
            assert NodeResponse("alpha", b"0.42") == await anext(answers)
            with pytest.raises(RPCError, match="response already sent"):
                await query.respond(b"again")


async def test_streams_are_independent(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        async with agent.stream("user:a") as first, agent.stream("user:b", "user:c") as second:
            for name in "abc":
                await agent.user_event(name)
            assert "a" == str(await anext(first))[-1]
            assert ["b", "c"] == [str(await anext(second))[-1] for _ in range(2)]


async def test_a_slow_reader_meets_the_gap(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        async with agent.stream("user", max_buffer_size=3) as events:
            for number in range(10):
                await agent.user_event("n", b"%d" % number, coalesce=False)
            await trio.sleep(1)
            got = [await anext(events) for _ in range(4)]
            payloads = [event.payload for event in got if isinstance(event, UserEvent)]
            assert [b"0", b"1", b"2"] == payloads
            assert EventsDropped(7) == got[-1]
            await agent.user_event("n", b"new")
            event = await anext(events)
            assert isinstance(event, UserEvent)
            assert (b"new", 7) == (event.payload, events.lost)


async def test_a_stream_is_stopped_when_its_block_is_left(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        async with agent.stream() as events:
            pass
        with pytest.raises(trio.ClosedResourceError):
            await anext(events)
        for _ in range(3):
            async with agent.monitor("ERR"):  # one at a time: the one before has ended
                pass


async def test_a_stream_that_is_refused(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        with pytest.raises(RPCError, match=r"^Invalid event filter$"):
            async with agent.stream("bogus"):
                raise AssertionError("there is no such stream")
        with pytest.raises(ValueError, match="max_buffer_size=0"):
            async with agent.stream(max_buffer_size=0):
                raise AssertionError("there is no such stream")


async def test_a_monitor_gives_lines(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trioserf")
    async with served() as node:
        agent = await node.client()
        async with agent.monitor("warn") as lines:
            logging.getLogger("trioserf.x").warning("look here")
            async for line in lines:
                if line.endswith("[WARN] x: look here"):
                    break


# --- queries ------------------------------------------------------------------------------


async def test_a_query_gives_acks_and_responses_until_its_deadline(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        agent = await node.client()
        async with agent.stream("query") as events:
            started = trio.current_time()
            got = []
            async with agent.query("load", request_ack=True, timeout=0.5) as answers:
                query = await anext(events)
                assert isinstance(query, Query)
                await query.respond(b"x")
                async for answer in answers:
                    got.append(answer)
            assert {NodeAck("alpha"), NodeResponse("alpha", b"x")} == set(got)
            assert 0.5 <= trio.current_time() - started < 0.6


async def test_answers_are_collected(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        nodes = await net.joined("a", "b", "c")
        async with serve_node(nodes[0]) as node, trio.open_nursery() as nursery:

            async def respond(number: int) -> None:
                async for event in nodes[number].events:
                    if isinstance(event, Query):
                        await event.respond(b"%d" % number)

            for number in range(3):
                nursery.start_soon(respond, number)
            agent = await node.client()
            result = await agent.ask("load", b"x", request_ack=True, timeout=2)
            assert {"a": b"0", "b": b"1", "c": b"2"} == {
                response.node: response.payload for response in result.responses
            }
            assert ["a", "b", "c"] == sorted(result.acks)
            started = trio.current_time()
            result = await agent.ask("load", timeout=60, expected=["a", "b", "c"])
            assert result.complete
            assert trio.current_time() - started < 5
            result = await agent.ask("load", timeout=1, expected=["a", "z"], filter_nodes=["a"])
            assert frozenset("z") == result.missing
            assert ["b"] == [
                r.node for r in (await agent.ask("q", filter_nodes=["b"], timeout=1)).responses
            ]
            nursery.cancel_scope.cancel()


async def test_a_query_that_cannot_be(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        with pytest.raises(ConfigError, match="relay_factor"):
            await agent.ask("q", relay_factor=256)
        with pytest.raises(RPCError, match="Queries cannot contain the '_serf_' prefix"):
            await agent.ask("_serf_x")


async def test_a_query_whose_block_is_left_disturbs_nobody(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        async with agent.query("q", request_ack=True, timeout=1):
            pass
        assert 1 == len(await agent.members())
        await trio.sleep(2)
        assert 1 == len(await agent.members())


# --- many tasks, cancellation, ends -------------------------------------------------------


async def test_many_tasks_share_a_connection(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        done = 0

        async def work(number: int) -> None:
            nonlocal done
            for _ in range(5):
                assert ("alpha",) == (await agent.members()).names
                assert await agent.coordinate(str(number)) is None
                assert "alpha" == (await agent.stats())["agent"]["name"]
            done += 1

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(work, number)
        assert 20 == done


async def test_a_cancelled_call_disturbs_no_other(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        with trio.move_on_after(0.01) as limit:
            await agent.join(["10.0.0.99:1"])
        assert limit.cancelled_caught
        with trio.move_on_after(0.01) as limit:
            async with agent.stream():
                raise AssertionError("the join is still under way")
        assert limit.cancelled_caught
        assert ("alpha",) == (await agent.members()).names
        async with agent.stream("user:x") as events:
            await agent.user_event("x")
            assert "user-event: x" == str(await anext(events))


async def test_the_end_of_the_agent_ends_calls_and_streams(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        async with agent.stream() as events, agent.query("q", timeout=100) as answers:
            async with trio.open_nursery() as nursery:

                async def long_call() -> None:
                    with pytest.raises(trio.BrokenResourceError, match="connection to the agent"):
                        await agent.join(["10.0.0.99:1"])

                nursery.start_soon(long_call)
                await trio.sleep(0.01)
                nursery.start_soon(node.serf.aclose)
                with pytest.raises(trio.BrokenResourceError):
                    async for _ in events:
                        pass
            with pytest.raises(trio.BrokenResourceError):
                async for _ in answers:
                    pass
        with pytest.raises(trio.BrokenResourceError):
            await agent.members()
        assert "ended" in repr(agent)


async def test_a_closed_client_says_so(autojump_clock: MockClock) -> None:
    async with served() as node:
        agent = await node.client()
        assert "<RPCClient of memory: open>" == repr(agent)
        async with agent.stream() as events:
            await agent.aclose()
            await agent.aclose()
            with pytest.raises(trio.ClosedResourceError):
                await anext(events)
        with pytest.raises(trio.ClosedResourceError):
            await agent.members()


async def test_the_exception_of_the_block_comes_bare(autojump_clock: MockClock) -> None:
    async with served() as node:
        with pytest.raises(ZeroDivisionError):
            async with client_on(node.listener.connect(), "x", None, connect_timeout=9):
                raise ZeroDivisionError
        with trio.move_on_after(1) as limit:
            async with client_on(node.listener.connect(), "x", None, connect_timeout=9):
                await trio.sleep_forever()
        assert limit.cancelled_caught


# --- opening ------------------------------------------------------------------------------


async def test_a_wrong_key_is_an_error_of_opening(autojump_clock: MockClock) -> None:
    async with served(auth_key="s3cret") as node:
        with pytest.raises(RPCError, match=r"^Invalid authentication token$") as caught:
            async with client_on(node.listener.connect(), "x", "wrong", connect_timeout=9):
                raise AssertionError("it must not open")
        assert "auth" == caught.value.command
        async with client_on(node.listener.connect(), "x", None, connect_timeout=9) as agent:
            for _ in range(2):
                with pytest.raises(RPCError, match=r"^Authentication required$"):
                    await agent.user_event("x")
        agent = await node.client()
        assert "s3cret" not in repr(agent)
        await agent.user_event("x")


async def test_what_never_answers_is_too_slow(autojump_clock: MockClock) -> None:
    ours, _theirs = trio.testing.memory_stream_pair()
    with pytest.raises(trio.TooSlowError):
        async with client_on(ours, "x", None, connect_timeout=3):
            raise AssertionError("it must not open")


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xc1", b"\x90", b""])
async def test_what_is_no_agent_is_broken(text: bytes, autojump_clock: MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    await theirs.send_all(text)
    await theirs.send_eof()
    with pytest.raises(trio.BrokenResourceError):
        async with client_on(ours, "x", None, connect_timeout=3):
            raise AssertionError("it must not open")


async def test_an_agent_that_ends_before_it_answers_a_leave_has_left(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        agent = await node.client()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent.leave)
            await trio.sleep(0.001)
            await node.serf.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await agent.leave()  # it had ended before


async def test_address_and_key_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERF_RPC_ADDR", "nonsense")
    with pytest.raises(ConfigError, match="address nonsense: missing port in address"):
        async with open_client():
            raise AssertionError("it must not open")


async def test_nobody_listening_is_an_os_error() -> None:
    with pytest.raises(OSError, match=r"."):
        async with open_client("127.0.0.1:1"):
            raise AssertionError("it must not open")
    with pytest.raises(OSError, match=r"."):
        async with open_client("unix:/nowhere/serf.sock"):
            raise AssertionError("it must not open")


def test_the_public_module() -> None:
    assert public.open_client is open_client
    assert public.RPCClient is RPCClient
    assert "0 lost" in repr(RPCStream[str](lambda fields: "", 1))


class ScriptedAgent:
    """The other end of a connection, which answers what the test says."""

    def __init__(self) -> None:
        self.ours, self.stream = trio.testing.memory_stream_pair()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[RPCClient]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.answer, {"Error": "", "Seq": 1})
            async with client_on(self.ours, "x", None, connect_timeout=3) as client:
                yield client

    async def answer(self, *objects: object) -> None:
        """Read whatever comes, and send these."""
        await self.stream.receive_some()
        await self.stream.send_all(b"".join(map(pack, objects)))


async def test_a_response_of_nobody_is_none(autojump_clock: MockClock) -> None:
    """A Go agent sends one at the end of a query."""
    agent, header = ScriptedAgent(), {"Error": "", "Seq": 2}

    def record(kind: str, sender: str) -> dict[str, object]:
        return {"Type": kind, "From": sender, "Payload": b""}

    async with agent.client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(
            agent.answer,
            *(header, header, record("response", ""), header, record("response", "b")),
            *(header, record("done", "")),
        )
        async with client.query("q") as answers:
            assert [NodeResponse("b", b"")] == [answer async for answer in answers]


async def test_a_connection_that_takes_no_more_ends_calls_to_come(
    autojump_clock: MockClock,
) -> None:
    agent = ScriptedAgent()
    async with agent.client() as client:
        with trio.fail_after(60):
            assert isinstance(agent.stream.receive_stream, trio.testing.MemoryReceiveStream)
            agent.stream.receive_stream.close()
            for _ in range(2):
                with pytest.raises(trio.BrokenResourceError, match="connection to the agent ended"):
                    await client.members()
            await agent.stream.aclose()  # its end is no further failure
            with pytest.raises(trio.BrokenResourceError, match="connection to the agent ended"):
                await client.members()


async def test_a_key_operation_that_is_not_allowed_has_no_report(
    autojump_clock: MockClock,
) -> None:
    async with served(auth_key="s3cret") as node:
        stream = node.listener.connect()
        async with client_on(stream, "x", None, connect_timeout=3) as agent:
            with pytest.raises(RPCError, match=r"^Authentication required$") as caught:
                await agent.list_keys()
            assert caught.value.response is None


async def consumed(context: AbstractAsyncContextManager[Any]) -> None:
    async with context:
        pass


WRONG: list[Callable[[RPCClient], Awaitable[object]]] = [
    lambda c: c.members(name=5),  # type: ignore[arg-type]
    lambda c: c.members(tags=["a"]),  # type: ignore[arg-type]
    lambda c: c.coordinate(None),  # type: ignore[arg-type]
    lambda c: c.explain(b"a"),  # type: ignore[arg-type]
    lambda c: c.rtt(None),  # type: ignore[arg-type]
    lambda c: c.join(5),  # type: ignore[arg-type]
    lambda c: c.join(["\ud800"]),
    lambda c: c.join([], replay="no"),  # type: ignore[arg-type]
    lambda c: c.force_leave(5),  # type: ignore[arg-type]
    lambda c: c.force_leave("a", prune=1),  # type: ignore[arg-type]
    lambda c: c.update_tags({"a": 1}),  # type: ignore[dict-item]
    lambda c: c.update_tags(delete="abc"),
    lambda c: c.user_event(b"deploy"),  # type: ignore[arg-type]
    lambda c: c.user_event("\ud800"),
    lambda c: c.user_event("deploy", "v42"),  # type: ignore[arg-type]
    lambda c: c.user_event("deploy", coalesce=1),  # type: ignore[arg-type]
    lambda c: c.ask("x", 5),  # type: ignore[arg-type]
    lambda c: c.ask(5),  # type: ignore[arg-type]
    lambda c: c.ask("x", filter_nodes="web-1"),
    lambda c: c.ask("x", filter_tags={"role": "(["}),
    lambda c: c.ask("x", timeout=math.inf),
    lambda c: c.ask("x", request_ack=1),  # type: ignore[arg-type]
    lambda c: c.install_key(5),  # type: ignore[arg-type]
    lambda c: c.use_key(None),  # type: ignore[arg-type]
    lambda c: consumed(c.stream(5)),  # type: ignore[arg-type]
    lambda c: consumed(c.stream(max_buffer_size=0)),
    lambda c: consumed(c.monitor(5)),  # type: ignore[arg-type]
]


async def test_a_wrong_argument_is_an_error_of_the_call_and_the_connection_goes_on(
    autojump_clock: MockClock,
) -> None:
    """An agent ends a connection on which comes what it cannot read, and with it every call."""
    async with served() as node:
        agent = await node.client()
        for call in WRONG:
            with pytest.raises((TypeError, ValueError), match="expected"):
                await call(agent)
        assert ("alpha",) == (await agent.members()).names
