"""Joining, leaving, failing, removing, and tags, on clusters of a few nodes."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import (
    about,
    address,
    cluster,
    drain,
    host,
    known,
    status,
    until,
    without,
)
from trioserf._config import Config
from trioserf._events import EventType, MemberEvent, MemberStatus, SerfState
from trioserf._exceptions import (
    BroadcastTimeout,
    ConfigError,
    InvalidState,
    JoinError,
    LocalProtocolError,
    MergeRefused,
    TagsTooLarge,
)
from trioserf._serf.open import open_serf
from trioserf._serf.serf import Serf
from trioserf._wire.serf_messages import LeaveIntent, SerfMessageType, encode_serf

QUICK = {"probe_interval": 0.5, "probe_timeout": 0.2, "suspicion_mult": 1}
"""Failures are found within a few seconds."""
FORGETFUL = {"reconnect_timeout": 0.000001, "tombstone_timeout": 0.000001, "reap_interval": 1.0}
"""Members that left or failed are reaped within a second."""


# --- alone --------------------------------------------------------------------------------


async def test_a_node_alone_knows_itself(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", tags={"role": "web"})
        assert ("a",) == a.members().names
        assert a.members()[0] == a.local_member
        assert MemberStatus.ALIVE is a.local_member.status
        assert {"role": "web"} == dict(a.local_member.tags)
        assert (1, 5, 2, 2, 5, 4) == (
            a.local_member.protocol_min,
            a.local_member.protocol_max,
            a.local_member.protocol_cur,
            a.local_member.delegate_min,
            a.local_member.delegate_max,
            a.local_member.delegate_cur,
        )
        assert 1 == a.num_nodes


async def test_the_first_event_is_the_local_join(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        assert [MemberEvent(EventType.MEMBER_JOIN, (a.local_member,))] == drain(a)


async def test_a_fresh_node_has_the_numbers_of_go(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        expected = {
            "members": "1",
            "failed": "0",
            "left": "0",
            "health_score": "0",
            "member_time": "1",
            "event_time": "1",
            "query_time": "1",
            "intent_queue": "0",
            "event_queue": "0",
            "query_queue": "0",
            "encrypted": "false",
            "coordinate_resets": "0",
        }
        assert expected == a.stats()


async def test_the_configured_protocol_version_is_spoken(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        for version in (2, 3, 4, 5):
            node = await net.start(f"v{version}", protocol_version=version)
            assert version == node.protocol_version
            assert version == node.local_member.delegate_cur


# --- join ---------------------------------------------------------------------------------


async def test_a_join_is_seen_once_on_both_sides(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        assert 1 == await b.join([address(a)])
        await trio.sleep(10)
        assert 2 == a.num_nodes == b.num_nodes
        assert ["member-join"] == about(drain(a), "b")
        assert ["member-join"] == about(drain(b), "a")


async def test_a_join_moves_the_clock_of_the_other_node(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        assert "1" == a.stats()["member_time"]
        await b.join([address(a)])
        await until(lambda: int(a.stats()["member_time"]) > 1)


async def test_a_join_that_reaches_nobody_names_every_address(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        with pytest.raises(JoinError) as caught:
            await a.join(["10.9.9.1:7946", "10.9.9.2:7946"])
        assert 2 == len(caught.value.exceptions)
        notes = [getattr(error, "__notes__", []) for error in caught.value.exceptions]
        assert all("10.9.9" in str(note) for note in notes)


async def test_a_join_counts_the_addresses_it_reached(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        assert 1 == await b.join([address(a), "10.9.9.1:7946"])


async def test_a_single_address_may_be_given_as_text(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        assert 1 == await b.join(address(a))


async def test_joining_no_address_reaches_none(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        assert 0 == await a.join([])
        assert "1" == a.stats()["member_time"]


async def test_a_join_after_a_leave_is_refused(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        await a.leave()
        with pytest.raises(InvalidState, match="Leave"):
            await a.join([address(b)])


async def test_members_carry_their_roles(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", tags={"role": "web"})
        b = await net.start("b", tags={"role": "lb"})
        await b.join([address(a)])
        await until(lambda: 2 == a.num_nodes == b.num_nodes)
        assert {"role": "lb"} == dict(known(a, "b").tags)
        assert {"role": "web"} == dict(known(b, "a").tags)


# --- leave --------------------------------------------------------------------------------


async def test_a_node_that_leaves_is_seen_as_left(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        await b.leave()
        assert SerfState.LEFT is b.state
        await until(lambda: status(a, "b") is MemberStatus.LEFT)
        assert ["member-leave"] == about(drain(a), "b")
        assert ["member-leave"] == about(drain(b), "b")


async def test_a_leave_moves_the_clock_of_the_other_node(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        before = int(a.stats()["member_time"])
        await b.leave()
        assert before < int(a.stats()["member_time"])


async def test_leaving_twice_is_leaving_once(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        await b.leave()
        before = trio.current_time()
        await b.leave()
        assert before == trio.current_time()
        await trio.sleep(10)
        assert ["member-leave"] == about(drain(a), "b")


async def test_a_leave_during_a_leave_waits_for_it(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        _, b = await net.joined("a", "b")
        nursery.start_soon(b.leave)
        await trio.sleep(0.1)
        assert SerfState.LEAVING is b.state
        await b.leave()
        assert SerfState.LEFT is b.state


async def test_a_leave_that_was_cancelled_can_be_made_again(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        with trio.move_on_after(0.05):
            await b.leave()
        assert SerfState.LEAVING is b.state
        await b.leave()
        assert SerfState.LEFT is b.state
        await until(lambda: status(a, "b") is MemberStatus.LEFT)


async def test_a_leave_that_reaches_no_node_comes_to_its_end(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        slow = {"gossip_interval": 100.0, "eager_gossip": False}
        _, b = await net.joined("a", "b", **slow)
        net.network.isolate(host(b))
        before = trio.current_time()
        await b.leave()
        assert SerfState.LEFT is b.state
        assert 11.5 > trio.current_time() - before


async def test_a_leave_that_cannot_be_gossiped_says_so_and_comes_to_its_end(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        fields = {"faithful_go": True, "gossip_interval": 1000.0, "probe_interval": 1000.0}
        a, b = await net.joined("a", "b", broadcast_timeout=2.0, **fields)
        started = trio.current_time()
        await a.leave()
        assert 4.0 <= trio.current_time() - started < 10.0
        assert SerfState.LEFT is a.state
        assert MemberStatus.ALIVE is status(b, "a")
        assert "a: timeout while waiting for graceful leave" in caplog.text
        assert "a: timeout while leaving: " in caplog.text


async def test_nodes_that_leave_together_do_not_wait_for_each_other(
    autojump_clock: MockClock,
) -> None:
    for latency in (0.0002, 0.002, 0.02):
        took = []

        async def leave(node: Serf, took: list[float] = took) -> None:
            start = trio.current_time()
            await node.leave()
            took.append(trio.current_time() - start)

        async with cluster(latency=latency) as net:
            nodes = await net.joined("a", "b", "c", "d", "e")
            async with trio.open_nursery() as nursery:
                for node in nodes:
                    nursery.start_soon(leave, node)
                    await trio.sleep(0.05)
        assert max(took) < 2.5, (latency, took)


async def moment(at: Serf, name: str, *wanted: MemberStatus) -> float:
    """When a member has one of these statuses (trio clock)."""
    with trio.fail_after(60):
        async with at.follow() as states:
            async for _ in states:
                if status(at, name) in wanted:
                    break
    return trio.current_time()


async def test_a_leave_ends_at_once_when_the_last_other_member_leaves(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Not at the next look: the propagation delay of the one is cut short by the other."""
    ended: dict[str, float] = {}

    async def leave(node: Serf) -> None:
        await node.leave()
        ended[node.name] = trio.current_time()

    async with cluster() as net:
        a, b = await net.joined("a", "b", leave_propagate_delay=1000.0)
        nursery.start_soon(leave, a)
        await trio.sleep(3)
        assert {} == ended
        nursery.start_soon(leave, b)
        known_at = await moment(
            a, "b", MemberStatus.LEAVING, MemberStatus.LEFT, MemberStatus.FAILED
        )
        await trio.sleep(10)
        assert known_at == ended["a"]
        watchers = a._core.members.watchers
        assert not any("while_needed" in str(watcher) for watcher in watchers), "it is gone"


async def test_a_removal_ends_with_the_last_node_that_needs_it(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    ended: list[float] = []

    async def remove(node: Serf) -> None:
        await node.remove_failed_node("gone")
        ended.append(trio.current_time())

    async with cluster() as net:
        a, b = await net.joined("a", "b", broadcast_timeout=600.0)
        a._core.broadcasts.take = lambda *args, **options: []  # type: ignore[method-assign]
        nursery.start_soon(remove, a)
        await trio.sleep(1)
        assert [] == ended
        nursery.start_soon(b.leave)
        await moment(a, "b", MemberStatus.LEAVING)
        await trio.testing.wait_all_tasks_blocked()
        assert [] == ended, "it is up, and could refute"
        known_at = await moment(a, "b", MemberStatus.LEFT)
        await until(lambda: b.state is SerfState.LEFT)
        assert [known_at] == ended


async def test_who_stays_is_waited_for(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c, d = await net.joined("a", "b", "c", "d")
        async with trio.open_nursery() as nursery:
            for node in (a, b, c):
                nursery.start_soon(node.leave)
        assert ["member-leave"] == about(drain(d), "a")
        await until(lambda: all(status(d, name) is MemberStatus.LEFT for name in "abc"))


async def test_a_leave_does_not_wait_for_a_node_that_fails(autojump_clock: MockClock) -> None:
    """Nothing is sent any more, so that only the failure can end the wait."""
    async with cluster() as net:
        a, b = await net.joined("a", "b", broadcast_timeout=600.0)
        for queue in (a._core.broadcasts, a.memberlist._queue):
            queue.take = lambda *args, **options: []  # type: ignore[union-attr]
        net.network.cut(host(a), host(b), both_ways=True)
        start = trio.current_time()
        await a.leave()
        assert 2 < trio.current_time() - start < 60


async def test_a_node_alone_leaves_at_once(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        before = trio.current_time()
        await a.leave()
        assert SerfState.LEFT is a.state
        assert before == trio.current_time()


async def test_a_node_passes_through_all_its_states(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        assert SerfState.ALIVE is a.state
        await a.leave()
        assert SerfState.LEFT is a.state
        await a.aclose()
        assert SerfState.SHUTDOWN is a.state


async def test_both_nodes_reap_the_one_that_left(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", **FORGETFUL)
        await b.leave()
        await until(lambda: 1 == a.num_nodes == b.num_nodes)
        assert ("b",) != b.members().names
        assert "b" == b.local_member.name


async def test_a_node_may_leave_and_come_back(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", tags={"role": "old"})
        await b.leave()
        await b.aclose()
        await until(lambda: status(a, "b") is MemberStatus.LEFT)
        again = await net.start("b", host=host(b), tags={"role": "new"})
        await again.join([address(a)])
        await until(lambda: status(a, "b") is MemberStatus.ALIVE)
        assert {"role": "new"} == dict(known(a, "b").tags)
        await until(lambda: 2 == len(again.members().alive))


async def test_leaves_and_returns_leave_no_intent_in_the_queues_for_ever(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b, c, d = await net.joined("a", "b", "c", "d")
        await a.leave()
        await a.aclose()
        net.network.partition([host(b), "10.0.0.9"], [host(c), host(d)])
        again = await net.start("a", host="10.0.0.9")
        await again.join([address(b)])
        await until(lambda: status(b, "a") is MemberStatus.ALIVE)
        await again.leave()
        await again.aclose()
        net.network.heal()
        for node in (b, c, d):
            await until(lambda node=node: status(node, "a") is MemberStatus.LEFT)
        await until(lambda: all("0" == node.stats()["intent_queue"] for node in (b, c, d)))
        expected = ["member-leave", "member-join", "member-leave"]
        assert expected == about(drain(b), "a")


# --- failing ------------------------------------------------------------------------------


async def test_a_node_that_stops_is_seen_as_failed_then_reaped(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", **QUICK, **FORGETFUL)
        await b.aclose()
        await until(lambda: 1 == a.num_nodes)
        assert ["member-failed", "member-reap"] == about(drain(a), "b")


async def test_the_age_of_a_failed_member_may_be_decided_for_each(
    autojump_clock: MockClock,
) -> None:
    asked: list[tuple[str, float]] = []

    def override(member: object, timeout: float) -> float:
        asked.append((getattr(member, "name", ""), timeout))
        return 0.000001

    async with cluster() as net:
        fields = {"reconnect_timeout": 30.0, "reconnect_timeout_override": override}
        a, b = await net.joined("a", "b", **QUICK, reap_interval=1.0, **fields)
        await b.aclose()
        await until(lambda: status(a, "b") is MemberStatus.FAILED)
        before = trio.current_time()
        await until(lambda: 1 == a.num_nodes)
        assert 2 > trio.current_time() - before
        assert ("b", 30.0) in asked


async def test_a_failed_node_that_returns_is_found_again(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", **QUICK, reconnect_interval=1.0)
        await b.aclose()
        await until(lambda: status(a, "b") is MemberStatus.FAILED)
        again = await net.start("b", host=host(b), **QUICK)
        await until(lambda: 2 == len(a.members().alive) == len(again.members().alive))
        assert ["member-failed", "member-join"] == about(drain(a), "b")


async def test_two_nodes_on_one_address_and_two_ports_reconnect(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a = await net.start("a", host="10.0.0.1", reconnect_interval=1.0, **QUICK)

        def on_other_port() -> Config:
            config = net.config("b", host="10.0.0.1", **QUICK)
            transport = net.network.transport("10.0.0.1", 7947)
            memberlist = attrs.evolve(config.memberlist, transport=transport, bind_port=7947)
            return attrs.evolve(config, memberlist=memberlist)

        b = await net.stack.enter_async_context(open_serf(on_other_port()))
        await b.join([address(a)])
        await until(lambda: 2 == a.num_nodes)
        await b.aclose()
        await until(lambda: status(a, "b") is MemberStatus.FAILED)
        await net.stack.enter_async_context(open_serf(on_other_port()))
        await until(lambda: status(a, "b") is MemberStatus.ALIVE)


# --- removing -----------------------------------------------------------------------------


async def test_a_failed_node_can_be_removed_everywhere(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c", **QUICK)
        await b.aclose()
        await until(lambda: MemberStatus.FAILED is status(a, "b") is status(c, "b"))
        await a.remove_failed_node("b")
        await until(lambda: MemberStatus.LEFT is status(a, "b") is status(c, "b"))
        assert ["member-failed", "member-leave"] == about(drain(c), "b")


async def test_removing_an_unknown_node_alone_is_no_error(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        await a.remove_failed_node("nobody")
        assert ("a",) == a.members().names


async def test_a_failed_node_can_be_pruned_everywhere(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c", **QUICK)
        await b.aclose()
        await until(lambda: MemberStatus.FAILED is status(a, "b") is status(c, "b"))
        await a.remove_failed_node("b", prune=True)
        await until(lambda: 2 == a.num_nodes == c.num_nodes)


async def test_a_node_that_left_can_be_pruned(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c", tombstone_timeout=3600.0)
        await b.leave()
        await b.aclose()
        await until(lambda: MemberStatus.LEFT is status(a, "b") is status(c, "b"))
        await a.remove_failed_node("b", prune=True)
        await until(lambda: 2 == a.num_nodes == c.num_nodes)


async def test_a_node_that_is_leaving_can_be_pruned(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c", leave_propagate_delay=5.0)
        nursery.start_soon(b.leave)
        await until(lambda: MemberStatus.ALIVE is not status(a, "b"))
        await a.remove_failed_node("b", prune=True)
        await until(lambda: 2 == a.num_nodes == c.num_nodes)


async def test_pruning_an_alive_node_neither_stalls_nor_hides_it(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b, c = await net.joined("a", "b", "c")
        before = trio.current_time()
        await a.remove_failed_node("b", prune=True)
        assert 5 > trio.current_time() - before
        await a.user_event("still", b"here")
        await trio.sleep(30)
        for node in (a, b, c):
            assert MemberStatus.ALIVE is status(node, "b")


async def test_a_removal_that_is_not_sent_out_in_time_is_an_error(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        slow = {"gossip_interval": 1000.0, "eager_gossip": False, "probe_interval": 1000.0}
        a, b = await net.start("a", **slow), await net.start("b", **slow)
        await b.join([address(a)])
        with pytest.raises(BroadcastTimeout, match="'gone' after 5"):
            await a.remove_failed_node("gone")


# --- tags ---------------------------------------------------------------------------------


async def test_new_tags_are_seen_everywhere(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b")
        await b.join([address(a)])
        await a.set_tags({"port": "8000"})
        assert {"port": "8000"} == dict(a.local_member.tags)
        await b.set_tags({"datacenter": "east-aws"})
        await until(lambda: {"port": "8000"} == dict(known(b, "a").tags))
        await until(lambda: {"datacenter": "east-aws"} == dict(known(a, "b").tags))
        assert ["member-join", "member-update"] == about(drain(a), "b")


async def test_tags_that_are_too_large_change_nothing(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", tags={"role": "web"})
        with pytest.raises(TagsTooLarge, match="512"):
            await a.set_tags({"a": "x" * 513})
        assert {"role": "web"} == dict(a.local_member.tags)
        await a.set_tags({"a": "x" * 505})


async def test_tags_that_are_too_large_keep_a_node_from_starting(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        with pytest.raises(TagsTooLarge, match="512"):
            await net.start("a", tags={"a": "x" * 513})


async def test_tags_that_fit_no_packet_change_nothing(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", tags={"role": "web"}, udp_buffer_size=400)
        limit = a.memberlist.meta_limit
        with pytest.raises(TagsTooLarge, match=rf"most {limit} bytes, .*: what fits into a packet"):
            await a.set_tags({"a": "x" * (limit - 6)})
        assert {"role": "web"} == dict(a.local_member.tags)
        longest = {"a": "x" * (limit - 7)}
        await a.set_tags(longest)
        await until(lambda: longest == dict(known(b, "a").tags))


async def test_tags_that_fit_no_packet_keep_a_node_from_starting(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        with pytest.raises(TagsTooLarge, match="what fits into a packet"):
            await net.start("a", tags={"a": "x" * 300}, udp_buffer_size=256)
        with pytest.raises(ConfigError, match="udp_buffer_size=256"):
            await net.start("a" * 300, udp_buffer_size=256)


async def test_new_tags_after_leaving_are_refused_and_the_old_ones_stay(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b", tags={"role": "web"})
        await a.leave()
        with pytest.raises(InvalidState, match="'a' has left: its tags can no longer be changed"):
            await a.set_tags({"role": "db"})
        assert {"role": "web"} == dict(a.local_member.tags)
        # What is asked for the local tags, queries with filters, sees the old ones as well.
        result = await a.ask("q", filter_tags={"role": "db"}, timeout=1.0)
        assert () == result.responses
        assert {"role": "web"} == dict(a._core.tags)


async def test_a_member_whose_name_fits_no_packet_is_not_announced(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, _ = await net.joined("a", "b")
        with pytest.raises(LocalProtocolError, match="2000 bytes"):
            await a.remove_failed_node("x" * 2000)
        assert "0" == a.stats()["intent_queue"]


async def test_a_quick_restart_with_other_tags_is_an_update(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        await b.aclose()
        again = await net.start("b", host=host(b), tags={"new": "yes"}, protocol_version=3)
        await again.join([address(a)])
        await until(lambda: {"new": "yes"} == dict(known(a, "b").tags))
        assert ["member-update"] == about(drain(a), "b")
        assert 3 == known(a, "b").delegate_cur


# --- refusing -----------------------------------------------------------------------------


async def test_a_merge_callback_may_refuse_every_node(autojump_clock: MockClock) -> None:
    calls: list[int] = []

    def refuse(members: object) -> None:
        calls.append(1)
        raise MergeRefused("merge canceled by the test")

    async with cluster() as net:
        a, b = await net.start("a", merge=refuse), await net.start("b", merge=refuse)
        with pytest.raises(JoinError) as caught:
            await b.join([address(a)])
        assert "merge canceled by the test" in str(caught.value.exceptions[0])
        # Each is a node of its own all the same.
        assert ["a"] == [member.name for member in a.members()]
        assert ["b"] == [member.name for member in b.members()]
        assert 2 == len(calls), "one on each side"
        await trio.sleep(60)
        assert MemberStatus.ALIVE is status(a, "a")


async def test_a_merge_callback_that_crashes_refuses(autojump_clock: MockClock) -> None:
    def crash(members: object) -> None:
        raise ZeroDivisionError

    async with cluster() as net:
        a, b = await net.start("a"), await net.start("b", merge=crash)
        with pytest.raises(JoinError):
            await b.join([address(a)])
        assert 1 == b.num_nodes


# --- name conflicts -----------------------------------------------------------------------


async def test_the_second_owner_of_a_name_stops(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        intruder = await net.start("a")
        await intruder.join([address(b)])
        with trio.fail_after(60):
            await intruder.wait_closed()
        assert SerfState.SHUTDOWN is intruder.state
        assert SerfState.ALIVE is a.state is b.state


async def test_an_alive_node_that_is_removed_by_its_only_peer_is_notified(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        joined = b._core.members.status_ltime("b")
        await a.remove_failed_node("b")
        await until(lambda: b._core.members.status_ltime("b") > joined)
        await until(lambda: status(a, "b") is MemberStatus.ALIVE)
        assert a._core.members.status_ltime("b") > joined + 1, "a leave, and the refutation"


async def test_a_forged_leave_as_new_as_the_join_is_refuted_although_both_were_lost(
    autojump_clock: MockClock,
) -> None:
    """Both know one time for b, one of a leave and one of a join: a push/pull says no more."""
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        forged = LeaveIntent(256, "b", False)
        b._delegate.notify_message(encode_serf(forged))  # b refutes
        time = b._core.members.status_ltime("b")
        with without(a, SerfMessageType.JOIN), without(b, SerfMessageType.LEAVE):
            a._delegate.notify_message(encode_serf(attrs.evolve(forged, ltime=time)))
            await trio.sleep(5)
        assert status(a, "b") is MemberStatus.LEAVING
        assert time == a._core.members.status_ltime("b") == b._core.members.status_ltime("b")
        await until(lambda: status(a, "b") is MemberStatus.ALIVE, limit=60)
        assert status(b, "b") is MemberStatus.ALIVE


async def test_a_member_has_the_address_it_can_be_reached_at(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        assert host(b) == str(known(a, "b").addr)
        assert 7946 == known(a, "b").port
