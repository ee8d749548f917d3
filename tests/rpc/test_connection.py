"""One client: streams, monitor, queries, responses, leaving; order, bounds and ends."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.rpc.served_node import RawClient, pack, serve_node, served
from tests.serf.clusters import address, cluster, status, until
from trioserf._events import MemberStatus, Query, SerfState
from trioserf._rpc.agent_hooks import AgentHooks
from trioserf._rpc.connection import MAX_QUERIES
from trioserf._rpc.outbox import QUEUE_SIZE


async def opened(client: RawClient, wanted: str = "*") -> int:
    seq = await client.send("stream", {"Type": wanted})
    assert "" == await client.header(seq)
    return seq


# --- answers ------------------------------------------------------------------------------


async def test_answers_come_in_the_order_of_commands(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        data = b""
        for seq in range(60):
            data += pack({"Command": "stop", "Seq": seq}) + pack({"Stop": 9})
            data += pack({"Command": "get-coordinate", "Seq": seq}) + pack({"Node": "alpha"})
        await client.stream.send_all(data)
        for seq in range(60):
            assert "" == await client.header(seq)
            assert "" == await client.header(seq)
            assert (await client.next())["Ok"]


async def test_an_unknown_command_is_answered_and_ends_the_connection(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        client = await node.connect()
        assert "Unsupported command" == await client.ask("bogus")
        assert await client.next() is None


async def test_what_breaks_the_protocol_costs_one_line_and_the_connection(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with served() as node:
        for hostile in ("82a44a756e6bdf7fffffff", "82a44a756e6bdb7fffffff", "c1", "91" * 100):
            caplog.clear()
            client = await node.connect(handshake=False)
            await client.stream.send_all(bytes.fromhex(hostile))
            assert await client.next() is None
            (line,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
            assert "trioserf.agent.ipc" == line.name
            assert "failed to decode request header: " in line.getMessage()
        assert 0 == node.server.statistics().clients


async def test_a_body_of_wrong_types_is_logged_and_ends_the_connection(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with served() as node:
        client = await node.connect()
        await client.send("query", {"Timeout": "soon"})
        assert await client.next() is None
    assert "Failed to evaluate request: decode failed: query: Timeout" in caplog.text


# --- streams ------------------------------------------------------------------------------


async def test_a_stream_gives_user_events(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        seq = await opened(client, "user:deploy")
        for payload in (b"hi", b"", b"\x00\xff\x9c"):
            await node.serf.user_event("other")
            await node.serf.user_event("deploy", payload, coalesce=False)
            record = await client.record(seq)
            ltime = record.pop("LTime")
            assert isinstance(ltime, int)
            assert {
                "Coalesce": False,
                "Event": "user",
                "Name": "deploy",
                "Payload": payload or None,
            } == record
        await client.quiet()


async def test_a_stream_gives_member_events(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b", tags={"role": "db"})
        async with serve_node(a) as node:
            client = await node.connect()
            seq = await opened(client, "member-join,member-leave")
            await a.join([address(b)])
            record = await client.record(seq)
            assert "member-join" == record["Event"]
            (member,) = record["Members"]
            assert ("b", "alive", {"role": "db"}) == (
                member["Name"],
                member["Status"],
                member["Tags"],
            )
            await b.leave()
            assert "member-leave" == (await client.record(seq))["Event"]


async def test_queries_are_numbered_by_connection(autojump_clock: MockClock) -> None:
    async with served() as node:
        first, second = await node.connect(), await node.connect()
        one, two = await opened(first, "query"), await opened(first, "query:load")
        other = await opened(second, "query")
        async with node.serf.query("load", b"15m"):
            got = {}
            for _ in range(2):
                head, record = await first.next(), await first.next()
                got[head["Seq"]] = record
        assert {1, 2} == {got[one].pop("ID"), got[two].pop("ID")}
        expected = {"Event": "query", "Name": "load", "Payload": b"15m"}
        for record in got.values():
            assert isinstance(record.pop("LTime"), int)
            assert expected == record
        assert 1 == (await second.record(other))["ID"]


async def test_an_event_comes_once_for_each_stream(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        streams = [await opened(client, text) for text in ("user,user:x,*", "user:x")]
        assert "Stream with given sequence exists" == await client.ask(
            "stream", {"Type": "*"}, seq=streams[0]
        )
        await node.serf.user_event("x")
        heads = []
        for _ in range(2):
            heads.append((await client.next())["Seq"])
            await client.next()
        assert streams == sorted(heads)
        await client.quiet()


@pytest.mark.parametrize("wanted", ["bogus", "user,bogus", "member-join, user", ","])
async def test_a_bad_filter_is_refused(wanted: str, autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        assert "Invalid event filter" == await client.ask("stream", {"Type": wanted})


async def test_nothing_comes_after_the_answer_to_stop(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        seq = await opened(client)
        assert "" == await client.ask("stop", {"Stop": seq})
        await node.serf.user_event("x")
        await client.quiet()
        assert "" == await client.ask("stop", {"Stop": seq})
        assert "" == await client.ask("stop", {})
        assert "" == await client.ask("stream", {"Type": "user"}, seq=seq)
        await node.serf.user_event("y")
        assert "y" == (await client.record(seq))["Name"]


async def test_no_event_is_lost_between_acceptance_and_registration(
    autojump_clock: MockClock,
) -> None:
    """Events go on all the time; from the first record on a stream has each of them."""
    async with served() as node:
        rng = random.Random(7)

        async def fire() -> None:
            for number in range(400):
                await node.serf.user_event("n", b"%d" % number, coalesce=False)
                for _ in range(rng.randrange(4)):
                    await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fire)
            for _ in range(20):
                client = await node.connect(lockstep=rng.random() < 0.5)
                seq = await client.send("stream", {"Type": "user:n"})
                assert "" == await client.header(seq)
                # Fired after the acceptance was read, so it must be among the records.
                await node.serf.user_event("n", b"mark", coalesce=False)
                numbers = []
                while (record := await client.record(seq))["Payload"] != b"mark":
                    numbers.append(int(record["Payload"]))
                first = numbers[0] if numbers else 0
                assert list(range(first, first + len(numbers))) == numbers
                await client.stream.aclose()


async def test_no_record_comes_before_the_acceptance(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect(lockstep=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, "stream", {"Type": "user"})
            await wait_all_tasks_blocked()  # the acceptance is being written, and not read
            await node.serf.user_event("early")
            await wait_all_tasks_blocked()
        assert "" == await client.header(client.seq)
        assert "early" == (await client.record(client.seq))["Name"]


async def test_a_slow_reader_misses_events_and_nobody_waits_for_it(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with served() as node:
        slow, quick = await node.connect(lockstep=True), await node.connect()
        seq, other = await opened(slow, "user"), await opened(quick, "user")
        for number in range(2 * QUEUE_SIZE):
            await node.serf.user_event("n", b"%d" % number, coalesce=False)
            assert b"%d" % number == (await quick.record(other))["Payload"]
        assert 1 == caplog.text.count("Dropping event to ipc.client: memory")
        got = []
        with trio.move_on_after(1):
            while True:
                got.append(int((await slow.record(seq))["Payload"]))
        assert got == sorted(set(got))
        assert list(range(QUEUE_SIZE)) == got[:QUEUE_SIZE]
        assert len(got) < 2 * QUEUE_SIZE
        await node.serf.user_event("n", b"last")
        assert b"last" == (await slow.record(seq))["Payload"]
        assert "" == await slow.ask("stop", {"Stop": seq})
        assert 2 * QUEUE_SIZE - len(got) == node.server.statistics().records_dropped


# --- monitor ------------------------------------------------------------------------------


async def lines_until(client: RawClient, seq: int, text: str) -> list[str]:
    lines: list[str] = []
    while not lines or text not in lines[-1]:
        record = await client.record(seq)
        assert ["Log"] == list(record)
        lines.append(record["Log"])
    return lines


async def test_a_monitor_gives_remembered_and_new_lines(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level(logging.DEBUG, "trioserf")
    async with served() as node:
        client, other = await node.connect(), await node.connect()
        seq = await client.send("monitor", {"LogLevel": "dEbug"})
        assert "" == await client.header(seq)
        assert "" == await other.ask("event", {"Name": "deploy", "Payload": b'h"i'})
        text = (
            r'[DEBUG] agent: Requesting user event send: deploy. Coalesced: false. Payload: "h\"i"'
        )
        lines = await lines_until(client, seq, text)
        assert any("[INFO] agent.ipc: Accepted client: memory" in line for line in lines)
        await lines_until(client, seq, "[INFO] agent: Received event: user-event: deploy")


async def test_a_monitor_has_a_lowest_level(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level(logging.DEBUG, "trioserf")
    async with served() as node:
        client = await node.connect()
        seq = await client.send("monitor", {"LogLevel": "WARN"})
        assert "" == await client.header(seq)
        logging.getLogger("trioserf.x").info("not this")
        logging.getLogger("trioserf.x").warning("but this")
        assert ["x: but this"] == [
            line.partition("[WARN] ")[2] for line in await lines_until(client, seq, "this")
        ]


@pytest.mark.parametrize("level", ["loud", "", "INFO ", "err or", "error"])
async def test_a_monitor_of_no_level_is_refused(level: str, autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        error = f"Unknown log level: {level.upper()}"
        assert error == await client.ask("monitor", {"LogLevel": level})


async def test_there_is_one_monitor_at_a_time(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        for _ in range(3):
            first = await client.send("monitor", {"LogLevel": "ERR"})
            assert "" == await client.header(first)
            assert "Monitor already exists" == await client.ask("monitor", {"LogLevel": "ERR"})
            assert "" == await client.ask("stop", {"Stop": first})


async def test_slow_monitors_are_noted_in_the_log(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level(logging.WARNING, "trioserf")
    async with served() as node:
        for _ in range(20):
            slow = await node.connect(lockstep=True)
            assert "" == await slow.ask("monitor", {"LogLevel": "DEBUG"})
        for number in range(3000):
            logging.getLogger("trioserf.x").warning("%d", number)
            if number % 500 == 0:
                await wait_all_tasks_blocked()
        assert 20 == caplog.text.count("Dropping logs to memory")


# --- queries ------------------------------------------------------------------------------


async def answers_of(client: RawClient, seq: int) -> list[dict[str, Any]]:
    """All records of a query; the last must be ``done``."""
    records: list[dict[str, Any]] = []
    while not records or records[-1]["Type"] != "done":
        records.append(await client.record(seq))
    assert {"From": "", "Payload": None, "Type": "done"} == records.pop()
    return records


async def test_a_query_ends_with_done_at_its_deadline_and_not_before(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        client = await node.connect()
        started = trio.current_time()
        body = {"Name": "q", "RequestAck": True, "Timeout": 400_000_000}
        assert "" == await client.ask("query", body)
        assert [{"From": "alpha", "Payload": None, "Type": "ack"}] == await answers_of(
            client, client.seq
        )
        assert 0.4 <= trio.current_time() - started < 0.5
        await client.quiet()


async def test_answers_wait_for_a_slow_client(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that find no room are dropped; of the answers to a query none is."""
    monkeypatch.setattr("trioserf._rpc.connection.QUEUE_SIZE", 2)
    names = [f"n{number}" for number in range(8)]
    async with cluster() as net:
        first, *_ = await net.joined(*names)
        async with serve_node(first) as node:
            client = await node.connect(lockstep=True)
            body = {"Name": "q", "RequestAck": True, "Timeout": 2_000_000_000}
            assert "" == await client.ask("query", body)
            await trio.sleep(10)
            with trio.fail_after(60):
                records = await answers_of(client, client.seq)
            assert names == sorted(record["From"] for record in records)


async def test_a_response_goes_to_the_one_who_asked(autojump_clock: MockClock) -> None:
    async with served() as node:
        asking, answering = await node.connect(), await node.connect()
        seq = await opened(answering, "query:load")
        await asking.ask("query", {"Name": "load", "Timeout": 900_000_000})
        record = await answering.record(seq)
        reply = {"ID": record["ID"], "Payload": b"0.42\n"}
        assert "" == await answering.ask("respond", reply)
        again = "failed to respond to key query: response already sent"
        assert again == await answering.ask("respond", reply)
        expected = [{"From": "alpha", "Payload": b"0.42\n", "Type": "response"}]
        assert expected == await answers_of(asking, asking.seq)
        late = "No pending queries matching ID"
        assert late == await answering.ask("respond", reply)


async def test_a_response_that_is_too_long_may_be_shortened(autojump_clock: MockClock) -> None:
    async with served() as node:
        asking, answering = await node.connect(), await node.connect()
        seq = await opened(answering, "query")
        await asking.ask("query", {"Name": "load", "Timeout": 900_000_000})
        number = (await answering.record(seq))["ID"]
        error = "failed to respond to key query: response exceeds limit of 1024 bytes"
        assert error == await answering.ask("respond", {"ID": number, "Payload": b"x" * 1024})
        assert "" == await answering.ask("respond", {"ID": number, "Payload": None})
        expected = [{"From": "alpha", "Payload": None, "Type": "response"}]
        assert expected == await answers_of(asking, asking.seq)


async def test_a_query_is_answered_on_the_connection_that_was_shown_it(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        shown, other = await node.connect(), await node.connect()
        seq = await opened(shown, "query")
        async with node.serf.query("load"):
            number = (await shown.record(seq))["ID"]
            error = "No pending queries matching ID"
            for body in ({"ID": number}, {"ID": 0}, {}, {"ID": 2**63}):
                assert error == await other.ask("respond", body)
            assert "" == await shown.ask("respond", {"ID": number, "Payload": b"x"})


async def test_queries_past_their_deadline_are_forgotten(autojump_clock: MockClock) -> None:
    async with served(query_buffer=2000) as node:
        client = await node.connect()
        seq = await opened(client, "query")
        for _ in range(300):
            async with node.serf.query("load", timeout=0.01):
                await client.record(seq)
        async with node.serf.query("load", timeout=5):
            number = (await client.record(seq))["ID"]
            assert 301 == number
            assert "" == await client.ask("respond", {"ID": number})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"Name": "_serf_anything"}, "Queries cannot contain the '_serf_' prefix"),
        ({"Name": "_serf_ping", "Payload": b"x"}, "Queries cannot contain the '_serf_' prefix"),
        ({"Name": "q", "Payload": b"x" * 1024}, "query exceeds limit of 1024 bytes"),
    ],
)
async def test_a_query_may_be_refused(
    body: dict[str, Any], error: str, autojump_clock: MockClock
) -> None:
    async with served() as node:
        client = await node.connect()
        assert error == await client.ask("query", body)
        await client.quiet()


async def test_old_protocols_know_no_queries(autojump_clock: MockClock) -> None:
    async with served(protocol_version=3) as node:
        client = await node.connect()
        assert "Feature not supported" == await client.ask("query", {"Name": "q"})


async def test_a_ping_of_all_is_no_internal_query(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        body = {"Name": "_serf_ping", "Payload": b"", "RequestAck": True, "Timeout": 10**8}
        assert "" == await client.ask("query", body)
        assert ["alpha"] == [record["From"] for record in await answers_of(client, client.seq)]


@pytest.mark.parametrize(
    ("filters", "asked"),
    [
        ({"FilterNodes": ["nobody"]}, []),
        ({"FilterNodes": ["alpha", "nobody"]}, ["alpha"]),
        ({"FilterTags": {"role": "w.b"}}, ["alpha"]),
        ({"FilterTags": {"role": "db"}}, []),
        ({"FilterNodes": None, "FilterTags": None}, ["alpha"]),
    ],
)
async def test_a_query_has_filters(
    filters: dict[str, Any], asked: list[str], autojump_clock: MockClock
) -> None:
    async with served(tags={"role": "web"}) as node:
        client = await node.connect()
        body = {"Name": "q", "RequestAck": True, "Timeout": 10**8, **filters}
        assert "" == await client.ask("query", body)
        assert asked == [record["From"] for record in await answers_of(client, client.seq)]


async def test_a_negative_timeout_ends_at_once(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        assert "" == await client.ask("query", {"Name": "q", "Timeout": -1})
        assert [] == await answers_of(client, client.seq)


async def test_commands_are_answered_while_queries_run(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        assert "" == await client.ask("query", {"Name": "q", "Timeout": 900_000_000})
        assert "" == await client.ask("query", {"Name": "q", "Timeout": 500_000_000})
        started = trio.current_time()
        await client.get("stats")
        assert started == trio.current_time()
        first = await client.next()
        await client.next()
        second = await client.next()
        assert [3, 2] == [first["Seq"], second["Seq"]]


async def test_a_client_has_only_so_many_queries_at_once(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        for _ in range(MAX_QUERIES):
            assert "" == await client.ask("query", {"Name": "q", "Timeout": 10**10})
        error = await client.ask("query", {"Name": "q"})
        assert f"More than {MAX_QUERIES} queries are under way" == error


# --- ends ---------------------------------------------------------------------------------


async def test_a_leave_is_answered_and_then_the_node_closes(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with serve_node(a) as node:
            client = await node.connect()
            assert "" == await client.ask("leave")
            assert await client.next() is None
            await a.wait_closed()
            await until(lambda: status(b, "a") is MemberStatus.LEFT)


async def test_a_program_may_end_in_its_own_way_after_a_leave(autojump_clock: MockClock) -> None:
    ended = trio.Event()
    async with served(hooks=AgentHooks(shut_down=ended.set)) as node:
        client = await node.connect()
        assert "" == await client.ask("leave")
        await ended.wait()
        assert SerfState.LEFT is node.serf.state


async def test_a_second_leave_ends_the_agent_at_once(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b")
        async with serve_node(a) as node:
            first, second = await node.connect(), await node.connect()
            await first.send("leave")
            await trio.sleep(0.01)
            assert "Leave already in progress" == await second.ask("leave")
            assert await second.next() is None
            assert await first.next() is None
            await a.wait_closed()


async def test_a_client_that_goes_takes_its_streams_and_queries_with_it(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        client = await node.connect()
        await opened(client)
        await client.ask("monitor", {"LogLevel": "DEBUG"})
        await client.ask("query", {"Name": "q", "Timeout": 10**12})
        assert 1 == node.serf.statistics().open_queries
        await client.stream.aclose()
        await until(lambda: node.server.statistics().clients == 0)
        await node.serf.user_event("x")
        logging.getLogger("trioserf.x").error("nobody there")


async def test_the_end_of_the_node_ends_all_connections(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        await opened(client)
        await node.serf.aclose()
        while await client.next() is not None:
            pass


async def test_a_crash_in_one_command_ends_that_connection_alone(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    def broken() -> dict[str, str]:
        raise ZeroDivisionError("a mistake in the handler")

    async with served(hooks=AgentHooks(event_handlers=broken)) as node:
        client, other = await node.connect(), await node.connect()
        await client.send("stats")
        assert await client.next() is None
        await other.get("members")
    (crash,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "the connection of client memory crashed" in crash.getMessage()


async def test_a_query_that_was_dropped_cannot_be_answered(autojump_clock: MockClock) -> None:
    """Its number was never shown, so none is given."""
    async with served(query_buffer=4 * QUEUE_SIZE) as node:
        client = await node.connect(lockstep=True)
        seq = await opened(client, "query")
        queries: list[Query] = []
        async with node.serf.subscribe(Query, max_buffer_size=4096) as events:
            for _ in range(QUEUE_SIZE + 100):
                async with node.serf.query("q", timeout=1000):
                    query = await events.receive()
                    assert isinstance(query, Query)
                    queries.append(query)
        numbers = []
        with trio.move_on_after(1):
            while True:
                numbers.append((await client.record(seq))["ID"])
        assert list(range(1, len(numbers) + 1)) == numbers
        assert len(numbers) < len(queries)


async def test_an_event_for_many_clients_holds_up_no_command(autojump_clock: MockClock) -> None:
    """The answer comes before even a half of the streams have their record."""
    async with served() as node:
        clients = [await node.connect() for _ in range(500)]
        for client in clients:
            await opened(client, "user")
        other = await node.connect()
        got = 0

        async def read(client: RawClient) -> None:
            nonlocal got
            await client.record(client.seq)
            got += 1

        async with trio.open_nursery() as nursery:
            for client in clients:
                nursery.start_soon(read, client)
            await wait_all_tasks_blocked()
            await node.serf.user_event("x")
            await other.get("stats")
            assert got < 250
        assert 500 == got


async def test_unfinished_requests_of_all_clients_have_one_limit(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    begun = pack({"Command": "event", "Seq": 5}) + b"\x81\xa4Name\xdb\x00\x0f\x00\x00"
    async with served() as node:
        clients = [await node.connect() for _ in range(40)]
        for client in clients:
            await client.stream.send_all(begun + b"x" * 900_000)
        await until(lambda: "too many bytes of unfinished requests" in caplog.text)
        assert 16 <= node.server.statistics().clients < 20
        other = await node.connect()
        await other.get("members")
