"""Encryption keys of a whole cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tests.serf.clusters import cluster, drain, host, until, user_events
from trioserf._cluster.key_responses import KeyResponse
from trioserf._exceptions import KeyOperationError, KeyringError
from trioserf._serf.key_manager import KeyManager
from trioserf._serf.serf import Serf
from trioserf._wire.serf_messages import KeyAnswer, QueryResponseMessage, encode_serf

OLD, NEW, OTHER = (bytes([number] * 32) for number in (1, 2, 3))


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def ring(node: Serf) -> tuple[bytes, ...]:
    keyring = node.memberlist.keyring
    assert keyring is not None
    return keyring.keys


async def test_a_key_is_installed_everywhere_and_used_by_none(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", keyring=[OLD])
        response = await a.keys.install(text(NEW))
        assert (2, 2, 0) == (response.num_nodes, response.num_resp, response.num_err)
        assert {"": 2} == dict(response.primary_keys)
        assert (OLD, NEW) == ring(a) == ring(b)


async def test_an_installed_key_is_used_everywhere(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", keyring=[OLD, NEW])
        await a.keys.use(NEW)
        assert NEW == ring(a)[0] == ring(b)[0]
        await a.user_event("still", b"understood")
        await trio.sleep(1)
        assert [("still", b"understood")] == user_events(drain(b))


async def test_using_an_unknown_key_is_an_error_with_a_report(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b", keyring=[OLD])
        with pytest.raises(KeyOperationError, match=r"^2/2 nodes reported failure") as caught:
            await a.keys.use(NEW)
        messages = caught.value.response.messages  # type: ignore[attr-defined]
        assert {"a", "b"} == set(messages)
        assert "not in the keyring" in messages["a"]


async def test_a_key_is_removed_everywhere(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", keyring=[OLD, NEW])
        await a.keys.remove(text(NEW))
        assert (OLD,) == ring(a) == ring(b)


async def test_a_list_counts_the_nodes_with_each_key(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", keyring=[OLD, NEW])
        assert b.memberlist.keyring is not None
        b.memberlist.keyring = b.memberlist.keyring.add(OTHER)
        response = await a.keys.list()
        assert {text(OLD): 2, text(NEW): 2, text(OTHER): 1} == dict(response.keys)
        assert {text(OLD): 2} == dict(response.primary_keys)


async def test_with_go_s_rules_keys_are_listed_and_changed_too(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", keyring=[OLD], faithful_go=True)
        assert {text(OLD): 2} == dict((await a.keys.list()).keys)
        assert 2 == (await a.keys.install(NEW)).num_resp
        assert (OLD, NEW) == ring(a) == ring(b)


async def test_a_node_without_encryption_has_no_keys(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        assert not a.encryption_enabled
        with pytest.raises(KeyOperationError, match="1/1 nodes reported failure") as caught:
            await a.keys.list()
        assert ["a: Keyring is empty"] == [note[:19] for note in caught.value.__notes__]


async def test_text_that_is_no_base64_is_refused(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", keyring=[OLD])
        assert a.encryption_enabled
        with pytest.raises(KeyringError):
            await a.keys.install("not base64!")


async def test_a_node_that_does_not_respond_is_an_error(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", keyring=[OLD])
        net.network.isolate(host(b))
        with pytest.raises(KeyOperationError, match=r"^1/2 nodes reported success"):
            await a.keys.install(NEW)


async def test_keys_are_rotated_without_losing_a_member(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        nodes = await net.joined("a", "b", "c", keyring=[OLD])
        response = await nodes[1].keys.rotate(NEW)
        assert {text(NEW): 3} == dict(response.keys) == dict(response.primary_keys)
        for node in nodes:
            assert (NEW,) == ring(node)
            assert 3 == len(node.members().alive)


async def test_a_rotation_may_keep_the_old_keys(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", keyring=[OLD])
        await a.keys.rotate(NEW, remove_old=False)
        assert (NEW, OLD) == ring(a) == ring(b)


async def test_a_rotation_waits_for_a_node_without_response_and_then_gives_up(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        slow = {"probe_interval": 1000.0, "push_pull_interval": 0.0}
        a, b = await net.joined("a", "b", keyring=[OLD], **slow)
        net.network.isolate(host(b))
        with pytest.raises(KeyOperationError, match="no confirmation of list from b"):
            await a.keys.rotate(NEW)
        assert (OLD,) == ring(b)
        assert OLD == ring(a)[0]


@pytest.mark.parametrize("steps", [1, 2, 3], ids=["installed", "used", "removed"])
async def test_a_rotation_goes_on_where_its_driver_crashed(
    steps: int, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Any other node takes it up, as soon as the crash is known."""
    rings = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]

    crashed = trio.Event()

    async def drive(node: Serf) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await node.keys.rotate(NEW)
        crashed.set()

    async with cluster(latency=0.1) as net:
        a, b, c = await net.joined("a", "b", "c", keyring=[OLD])
        nursery.start_soon(drive, a)
        await until(lambda: rings[steps] in (ring(b), ring(c)))
        await a.aclose()
        await crashed.wait()
        assert rings.index(ring(b)) <= steps
        await b.keys.rotate(NEW)
        assert (NEW,) == ring(b) == ring(c)
        assert 2 == len(b.members().alive) == len(c.members().alive)


async def test_a_rotation_does_not_use_a_key_that_an_alive_member_did_not_confirm(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The member falls silent after it installed the key; nobody knows whether it did."""
    slow = {"probe_interval": 1000.0, "push_pull_interval": 0.0}
    async with cluster(latency=0.1) as net:
        a, b, c = await net.joined("a", "b", "c", keyring=[OLD], **slow)

        async def fall_silent() -> None:
            await until(lambda: NEW in ring(c))
            net.network.isolate(host(c))

        nursery.start_soon(fall_silent)
        with pytest.raises(KeyOperationError, match=r"no confirmation of \w+ from c$"):
            await a.keys.rotate(NEW)
        assert (OLD, NEW) == ring(a) == ring(b)
        net.network.heal()
        await a.keys.rotate(NEW)
        assert (NEW,) == ring(a) == ring(b) == ring(c)


async def test_changes_of_keys_never_overlap(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster(latency=0.1) as net:
        a, _ = await net.joined("a", "b", keyring=[OLD])
        open_queries = []
        changes = [a.keys.install(NEW), a.keys.install(OTHER), a.keys.rotate(NEW)]
        done = 0

        async def change(work: Awaitable[object]) -> None:
            nonlocal done
            await work
            done += 1

        for work in changes:
            nursery.start_soon(change, work)
        while done < len(changes):
            queries = a._delegate.tracker.open
            open_queries.append(sum(not each.finished(trio.current_time()) for each in queries))
            await trio.sleep(0.01)
        assert 1 == max(open_queries)
        assert NEW == ring(a)[0]


async def test_an_error_of_one_change_does_not_stop_the_next(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", keyring=[OLD])
        with pytest.raises(KeyOperationError):
            await a.keys.use(NEW)
        await a.keys.install(NEW)
        assert (OLD, NEW) == ring(a)


async def test_a_cancelled_change_lets_the_next_one_begin(autojump_clock: MockClock) -> None:
    async with cluster(latency=0.1) as net:
        a, b = await net.joined("a", "b", keyring=[OLD])
        net.network.isolate(host(b))
        with trio.move_on_after(0.05) as limit:
            await a.keys.install(NEW)
        assert limit.cancelled_caught
        net.network.heal()
        await a.keys.install(OTHER)
        assert OTHER in ring(b)


async def test_changes_end_when_the_node_closes(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    ended = []

    async def install(node: Serf, key: bytes) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await node.keys.install(key)
        ended.append(key)

    async with cluster(latency=0.1) as net:
        a, _ = await net.joined("a", "b", keyring=[OLD])
        nursery.start_soon(install, a, NEW)
        nursery.start_soon(install, a, OTHER)
        await trio.testing.wait_all_tasks_blocked()
        await a.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert {NEW, OTHER} == set(ended)
        with pytest.raises(trio.ClosedResourceError):
            await a.keys.install(NEW)


async def test_the_keyring_file_follows_every_change(
    tmp_path: Path,
) -> None:
    async with cluster() as net:
        path = tmp_path / "keyring.json"
        a = await net.start("a", keyring=[OLD], keyring_file=str(path))
        await a.keys.install(NEW)
        lines = path.read_text().split("\n")
        assert ["[", f'  "{text(OLD)}",', f'  "{text(NEW)}"', "]"] == lines
        assert 0o600 == path.stat().st_mode & 0o777
        await a.keys.use(NEW)
        assert [text(NEW), text(OLD)] == json.loads(path.read_text())
        await a.keys.remove(OLD)
        lines = path.read_text().split("\n")
        assert ["[", f'  "{text(NEW)}"', "]"] == lines


async def test_a_keyring_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    async with cluster() as net:
        path = tmp_path / "no" / "such" / "directory" / "keyring.json"
        a = await net.start("a", keyring=[OLD], keyring_file=str(path))
        with pytest.raises(KeyOperationError) as caught:
            await a.keys.install(NEW)
        messages = caught.value.response.messages  # type: ignore[attr-defined]
        assert messages["a"].startswith("Failed to write keyring file")
        assert (OLD, NEW) == ring(a)


async def test_only_nodes_that_were_alive_when_asked_count(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Made-up answers before the real ones neither complete a key operation nor fill its room."""
    async with cluster() as net:
        a, b = await net.joined("a", "b", keyring=[OLD])
        responses: list[KeyResponse] = []

        async def install() -> None:
            responses.append(await a.keys.install(text(NEW)))

        nursery.start_soon(install)
        await trio.testing.wait_all_tasks_blocked(0.0)
        (collector,) = a._core.pending._collectors.values()
        query, good = collector.query, encode_serf(KeyAnswer(result=True))
        for number in range(60):
            forged = QueryResponseMessage(query.ltime, query.id, f"x{number}", 0, good)
            a._delegate.notify_message(encode_serf(forged))
        await until(lambda: responses, limit=10)
        assert (2, 2) == (responses[0].num_nodes, responses[0].num_resp)
        assert NEW in ring(b)


async def test_it_is_not_made_by_hand() -> None:
    with pytest.raises(TypeError, match=r"that of a running node is 'serf\.keys'"):
        KeyManager()
