"""Each command with one reply, as a raw client sees it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.rpc.served_node import ServedNode, serve_node, served
from tests.serf.clusters import address, cluster, status, until
from trioserf._events import MemberStatus, UserEvent
from trioserf._exceptions import BroadcastTimeout
from trioserf._rpc.agent_hooks import AgentHooks

KEY = base64.b64encode(bytes(range(32))).decode()


async def names(node: ServedNode, **body: Any) -> list[str]:
    client = await node.connect()
    reply = await client.get("members-filtered", body)
    return [member["Name"] for member in reply["Members"]]


# --- members ------------------------------------------------------------------------------


async def test_members_have_gos_eleven_fields(autojump_clock: MockClock) -> None:
    async with served(tags={"role": "web", "dc": "x"}) as node:
        client = await node.connect()
        me = node.serf.local_member
        assert {
            "Members": [
                {
                    "Addr": me.addr.packed,
                    "DelegateCur": me.delegate_cur,
                    "DelegateMax": 5,
                    "DelegateMin": 2,
                    "Name": "alpha",
                    "Port": me.port,
                    "ProtocolCur": 2,
                    "ProtocolMax": 5,
                    "ProtocolMin": 1,
                    "Status": "alive",
                    "Tags": {"dc": "x", "role": "web"},
                }
            ]
        } == await client.get("members")


async def test_members_are_encoded_anew_when_they_change(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        first = await client.get("members")
        assert first == await client.get("members")
        await node.serf.set_tags({"a": "1"})
        (member,) = (await client.get("members"))["Members"]
        assert {"a": "1"} == member["Tags"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, True),
        ({"Name": "", "Status": "", "Tags": {}}, True),
        ({"Tags": None, "Status": "alive"}, True),
        ({"Name": "alpha"}, True),
        ({"Name": "alph"}, False),
        ({"Name": "alph."}, True),
        ({"Name": "al|zz"}, True),
        ({"Name": "zz|pha"}, True),
        ({"Name": "(al|zz)"}, False),
        ({"Name": "(?i)ALPHA"}, True),
        ({"Name": "alpha", "Status": "failed"}, False),
        ({"Status": "alive|left"}, True),
        ({"Tags": {"nosuch": ".+"}}, False),
        ({"Tags": {"nosuch": ".*"}}, True),
        ({"Tags": {"nosuch": ""}}, True),
        ({"Tags": {"role": "w.b", "nosuch": "x"}}, False),
        ({"Tags": {"role": "w.b"}}, True),
    ],
)
async def test_members_are_filtered_as_go_filters_them(
    body: dict[str, Any], found: bool, autojump_clock: MockClock
) -> None:
    async with served(tags={"role": "web"}) as node:
        assert (["alpha"] if found else []) == await names(node, **body)


@pytest.mark.parametrize("body", [{"Name": "["}, {"Status": "("}, {"Tags": {"a": "x(?=y)"}}])
async def test_a_bad_pattern_is_answered(body: dict[str, Any], autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        error = await client.header(await client.send("members-filtered", body))
        assert error.startswith("Failed to compile ")
        assert {"Members": []} == await client.next()
        assert "" == await client.ask("stop", {})


async def test_a_pattern_that_takes_too_long_is_answered(autojump_clock: MockClock) -> None:
    async with served(tags={"t": "x" * 300}) as node:
        client = await node.connect()
        body = {"Tags": {"t": "(x?){300}x{200}y"}}
        error = await client.header(await client.send("members-filtered", body))
        assert "regex" in error


# --- events -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "name", "payload", "coalesce"),
    [
        ({"Name": "a"}, "a", b"", False),
        ({"Name": "a", "Payload": "text", "Coalesce": True}, "a", b"text", True),
        ({"Name": "", "Payload": b"\xff"}, "", b"\xff", False),
        ({}, "", b"", False),
        (None, "", b"", False),
    ],
)
async def test_an_event_is_sent(
    body: object, name: str, payload: bytes, coalesce: bool, autojump_clock: MockClock
) -> None:
    async with served() as node:
        client = await node.connect()
        async with node.serf.subscribe(UserEvent) as events:
            await client.send("event", {} if body is None else body)
            assert "" == await client.header(client.seq)
            event = await events.receive()
        assert isinstance(event, UserEvent)
        assert (name, payload, coalesce) == (event.name, event.payload, event.coalesce)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {"Name": "n", "Payload": b"x" * 512},
            "user event exceeds configured limit of 512 bytes before encoding",
        ),
        (
            {"Name": "n", "Payload": b"x" * 500},
            "encoded user event exceeds configured limit of 512 bytes after encoding",
        ),
    ],
)
async def test_an_event_that_is_too_long_is_refused_in_gos_words(
    body: dict[str, Any], error: str, autojump_clock: MockClock
) -> None:
    async with served() as node:
        client = await node.connect()
        assert error == await client.ask("event", body)
        assert "" == await client.ask("event", {"Name": "short"})


# --- membership ---------------------------------------------------------------------------


async def test_join_tells_how_many_were_reached(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        async with serve_node(a) as node:
            client = await node.connect()
            assert {"Num": 0} == await client.get("join", {"Existing": []})
            assert {"Num": 0} == await client.get("join", {})
            both = {"Existing": [address(b), "10.0.0.99:7946"], "Replay": True}
            assert {"Num": 1} == await client.get("join", both)
            assert 2 == len((await client.get("members"))["Members"])


async def test_a_join_of_the_agent_itself_counts_as_with_go(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        async with serve_node(a) as node:
            client = await node.connect()
            both = {"Existing": [address(a), "10.0.0.99:7946"], "Replay": False}
            assert {"Num": 1} == await client.get("join", both)
            assert 1 == len((await client.get("members"))["Members"])


async def test_a_join_that_reaches_nobody_has_an_error_and_a_body(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        client = await node.connect()
        seq = await client.send("join", {"Existing": ["10.0.0.99:7946"]})
        error = await client.header(seq)
        head = "1 error occurred:\n\t* Failed to join 10.0.0.99: dial tcp 10.0.0.99:7946: "
        assert error.startswith(head)
        assert error.endswith("\n\n")
        assert {"Num": 0} == await client.next()


async def test_join_after_leave_is_refused(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        await node.serf.leave()
        error = "Serf can't Join after Leave or Shutdown"
        assert {"Num": 0} == await client.get("join", {"Existing": ["10.0.0.9"]}, error=error)


async def test_force_leave_makes_a_failed_member_a_left_one(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with serve_node(a) as node:
            client = await node.connect()
            await b.aclose()
            await until(lambda: status(a, "b") is MemberStatus.FAILED)
            assert "" == await client.ask("force-leave", {"Node": "b"})
            await until(lambda: status(a, "b") is MemberStatus.LEFT)
            assert "" == await client.ask("force-leave", {"Node": "b", "Prune": True})
            await until(lambda: status(a, "b") is None)


@pytest.mark.parametrize("body", [{"Node": "nobody"}, {"Node": "nobody", "Prune": True}, {}])
async def test_force_leave_of_nobody_succeeds(
    body: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with served() as node:
        client = await node.connect()
        assert "" == await client.ask("force-leave", body)


async def test_force_leave_may_take_too_long(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b", gossip_interval=0, broadcast_timeout=0.5)
        async with serve_node(a) as node:
            client = await node.connect()
            error = "timed out broadcasting node removal"
            assert error == await client.ask("force-leave", {"Node": "nobody"})


# --- tags ---------------------------------------------------------------------------------


async def test_tags_are_set_and_deleted_and_a_tag_in_both_is_set(autojump_clock: MockClock) -> None:
    async with served(tags={"a": "1", "b": "2"}) as node:
        client, serf = await node.connect(), node.serf
        for body, tags in (
            ({"Tags": {"c": "x=y"}, "DeleteTags": ["a", "none"]}, {"b": "2", "c": "x=y"}),
            ({"DeleteTags": ["c"]}, {"b": "2"}),
            ({"Tags": {"b": "3"}, "DeleteTags": ["b"]}, {"b": "3"}),
            ({"Tags": None, "DeleteTags": None}, {"b": "3"}),
        ):
            assert "" == await client.ask("tags", body)
            assert tags == serf.local_member.tags


async def test_tags_that_are_too_long_are_refused_and_change_nothing(
    autojump_clock: MockClock,
) -> None:
    async with served(tags={"a": "1"}) as node:
        client = await node.connect()
        error = "Encoded length of tags exceeds limit of 512 bytes"
        assert error == await client.ask("tags", {"Tags": {"b": "x" * 600}})
        assert {"a": "1"} == node.serf.local_member.tags


async def test_two_clients_that_change_tags_at_once_lose_no_change(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        clients = [await node.connect() for _ in range(5)]
        for index, client in enumerate(clients):
            await client.send("tags", {"Tags": {str(index): "x"}})
        for client in clients:
            assert "" == await client.header(client.seq)
        assert dict.fromkeys("01234", "x") == node.serf.local_member.tags


async def test_tags_may_be_kept_elsewhere_first(autojump_clock: MockClock) -> None:
    kept: list[dict[str, str]] = []

    async def keep(tags: Any) -> None:
        kept.append(dict(tags))
        if "bad" in tags:
            raise OSError("Failed to write tags file: disk full")
        if "slow" in tags:
            raise BroadcastTimeout("too slow")

    async with served(hooks=AgentHooks(set_tags=keep)) as node:
        client = await node.connect()
        assert "" == await client.ask("tags", {"Tags": {"a": "1"}})
        error = "Failed to write tags file: disk full"
        assert error == await client.ask("tags", {"Tags": {"bad": "1"}})
        error = "timeout waiting for update broadcast"
        assert error == await client.ask("tags", {"Tags": {"slow": "1"}})
    assert [{"a": "1"}, {"bad": "1"}, {"slow": "1"}] == kept


# --- keys ---------------------------------------------------------------------------------


async def test_keys_of_a_cluster_without_encryption_are_refused_by_each_node(
    autojump_clock: MockClock,
) -> None:
    async with served() as node:
        client = await node.connect()
        error = "1/1 nodes reported failure"
        counts = {"NumErr": 1, "NumNodes": 1, "NumResp": 1}
        empty = {"alpha": "Keyring is empty (encryption not enabled)"}
        listed = await client.get("list-keys", error=error)
        assert {**counts, "Keys": {}, "Messages": empty} == listed
        for command in ("install-key", "use-key", "remove-key"):
            got = await client.get(command, {"Key": KEY}, error=error)
            refused = {"alpha": "No keyring to modify (encryption not enabled)"}
            assert {**counts, "Keys": None, "Messages": refused} == got


async def test_keys_are_installed_used_removed_and_listed(autojump_clock: MockClock) -> None:
    first = base64.b64encode(b"x" * 16).decode()
    async with served(secret_key=b"x" * 16) as node:
        client = await node.connect()
        fine = {"Messages": {}, "NumErr": 0, "NumNodes": 1, "NumResp": 1}
        for command, key in (("install-key", KEY), ("use-key", KEY), ("remove-key", first)):
            assert {**fine, "Keys": None} == await client.get(command, {"Key": key})
        assert {**fine, "Keys": {KEY: 1}} == await client.get("list-keys")


async def test_a_key_that_is_no_base64_is_asked_of_nobody(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        got = await client.get(
            "install-key", {"Key": "???"}, error="illegal base64 data at input byte 0"
        )
        assert {"Keys": None, "Messages": {}, "NumErr": 0, "NumNodes": 0, "NumResp": 0} == got


async def test_old_protocols_know_no_keys(autojump_clock: MockClock) -> None:
    async with served(protocol_version=3) as node:
        client = await node.connect()
        got = await client.get("list-keys", error="Feature not supported")
        assert {} == got["Keys"]
        got = await client.get("use-key", {"Key": KEY}, error="Feature not supported")
        assert (None, 0) == (got["Keys"], got["NumNodes"])


# --- reads --------------------------------------------------------------------------------


async def test_stats_have_gos_sections_and_texts(autojump_clock: MockClock) -> None:
    hooks = AgentHooks(event_handlers=lambda: {"query:load": "uptime", "*:": "h.sh"})
    async with served(tags={"role": "web"}, hooks=hooks) as node:
        client = await node.connect()
        got = await client.get("stats")
        assert ["agent", "event_handlers", "runtime", "serf", "tags"] == sorted(got)
        assert {"name": "alpha"} == got["agent"]
        assert {"role": "web"} == got["tags"]
        assert {"query:load": "uptime", "*:": "h.sh"} == got["event_handlers"]
        assert node.serf.stats() == got["serf"]
        runtime = {"arch", "cpu_count", "goroutines", "max_procs", "os", "version"}
        assert runtime == set(got["runtime"])
        assert all(isinstance(v, str) for section in got.values() for v in section.values())


async def test_a_coordinate_is_given_if_it_is_known(autojump_clock: MockClock) -> None:
    nothing = {"Adjustment": 0.0, "Error": 0.0, "Height": 0.0, "Vec": None}
    async with served() as node:
        client = await node.connect()
        got = await client.get("get-coordinate", {"Node": "alpha"})
        here = node.serf.coordinate()
        assert got["Ok"] is True
        assert (list(here.vec), here.height) == (got["Coord"]["Vec"], got["Coord"]["Height"])
        unknown = await client.get("get-coordinate", {"Node": "nobody"})
        assert {"Coord": nothing, "Ok": False} == unknown
    async with served(disable_coordinates=True) as node:
        client = await node.connect()
        unknown = await client.get("get-coordinate", {"Node": "alpha"})
        assert {"Coord": nothing, "Ok": False} == unknown


async def test_an_explanation_is_given_as_text_and_as_values(autojump_clock: MockClock) -> None:
    async with served() as node:
        client = await node.connect()
        got = await client.get("explain", {"Subject": ""})
        assert str(node.serf.explain()) == got["Text"]
        values = json.loads(got["Json"])
        assert ("this node", "alpha") == (values["kind"], values["subject"])
        got = await client.get("explain", {"Subject": "nobody"})
        assert "unknown" == json.loads(got["Json"])["kind"]


async def test_commands_wait_for_each_other_on_one_connection_alone(
    autojump_clock: MockClock,
) -> None:
    """A join that takes its time holds up the client that asked for it, and nobody else."""
    async with served() as node:
        slow, quick = await node.connect(), await node.connect()
        join = await slow.send("join", {"Existing": ["10.0.0.99:7946"]})
        stats = await slow.send("stats")
        started = trio.current_time()
        await quick.get("stats")
        assert started == trio.current_time()
        assert "" != await slow.header(join)
        await slow.next()
        assert "" == await slow.header(stats)
