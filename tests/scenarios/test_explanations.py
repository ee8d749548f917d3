"""Canned incidents: `Serf.explain` alone must say, in words, what was wrong."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from trioserf import Explanation, MemberStatus
from trioserf.testing import SimCluster

KEYS = b"k" * 16, b"o" * 16


def status(cluster: SimCluster, observer: int | str, name: str) -> MemberStatus | None:
    return cluster[observer].view().get(name)


async def fails(cluster: SimCluster, observer: int | str, name: str) -> None:
    await cluster.until(lambda: status(cluster, observer, name) is MemberStatus.FAILED)


def cause(explanation: Explanation) -> str:
    """The causes as a reader sees them, once."""
    text, html = str(explanation), explanation._repr_html_()
    for each in explanation.causes:
        assert each in text
        assert each[:20].replace("'", "&#x27;") in html
    return " ".join(explanation.causes)


async def test_a_crash(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(5, dead_on_refusal=False)
        await cluster.converged()
        await trio.sleep(10)
        await cluster.crash("node-3")
        for each in ("node-1", "node-2", "node-4"):
            await fails(cluster, each, "node-3")
        by = [cluster[each].serf.explain("node-3") for each in ("node-1", "node-2", "node-4")]
        assert all(each.status is MemberStatus.FAILED for each in by)
        found = [each for each in by if each.probe is not None]
        assert found, "one of them probed it"
        assert all("the process has ended" in cause(each) for each in found)
        for each in found:
            assert each.probe is not None
            assert {"nack"} == {reply for _, reply in each.probe.helpers}
        assert {each.suspected_by for each in by} <= {"node-1", "node-2", "node-4", "node-5"}
        assert any(each.confirmed_by for each in by)
        assert all(each.declared_by for each in by)
        for each in by:
            assert each.since is not None
            assert each.last_contact is not None
            assert 2 < each.last_contact
            assert {"suspected", "declared dead"} <= {entry.what for entry in each.timeline}
        await trio.sleep(120)  # long after the record was dropped
        later = cluster["node-1"].serf.explain("node-3")
        assert {"suspected", "forgotten"} <= {entry.what for entry in later.timeline}
        assert MemberStatus.FAILED is later.status


async def test_a_blocked_event_loop(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=2) as cluster:
        await cluster.spawn(4)
        await cluster.converged()
        cluster.stop("node-2")
        for each in ("node-1", "node-3", "node-4"):
            await fails(cluster, each, "node-2")
        by = [cluster[each].serf.explain("node-2") for each in ("node-1", "node-3", "node-4")]
        found = [each for each in by if each.probe is not None]
        assert found
        assert all("it is blocked or stopped" in cause(each) for each in found)
        cluster.resume("node-2")
        await cluster.converged()
        itself = cluster["node-2"].serf.explain()
        assert "event loop was blocked once" in cause(itself)
        assert "suspected it or declared it dead" in cause(itself)
        assert "blocked" in {entry.what for entry in itself.timeline}
        after = [cluster[each].serf.explain("node-2") for each in ("node-1", "node-3", "node-4")]
        assert all(each.status is MemberStatus.ALIVE for each in after)
        assert all("alive again" in cause(each) for each in after)


@pytest.mark.parametrize("whole", [False, True], ids=["packets", "packets and streams"])
async def test_udp_blocked_one_way(autojump_clock: MockClock, whole: bool) -> None:
    async with SimCluster(seed=3) as cluster:
        await cluster.spawn(4)
        await cluster.converged()
        if whole:
            cluster.cut("node-1", "node-2")
        else:
            cluster.change_link("node-1", "node-2", mtu=1)
        await trio.sleep(90)
        sender = cluster["node-1"].serf.explain("node-2")
        assert MemberStatus.ALIVE is sender.status
        assert "UDP is blocked in that direction." in cause(sender)
        assert f"lost from this node to {cluster['node-2'].address}" in cause(sender)
        receiver = cluster["node-2"].serf.explain("node-1")
        assert MemberStatus.ALIVE is receiver.status
        assert f"packets from {cluster['node-1'].address} to this node are lost" in cause(receiver)
        assert "answered" in cause(cluster["node-3"].serf.explain("node-2"))


async def test_a_moved_address(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=4) as cluster:
        await cluster.spawn(4)
        await cluster.converged()
        before = cluster["node-3"].address
        await cluster.crash("node-3")
        await cluster.restart("node-3", new_address=True)
        await trio.sleep(30)
        await cluster.converged()
        for each in ("node-1", "node-2", "node-4"):
            found = cluster[each].serf.explain("node-3")
            assert f"It moved from {before} to {cluster['node-3'].address}" in cause(found)
            assert [before] == [str(address) for address in found.former_addresses]


async def test_a_name_conflict(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=5) as cluster:
        await cluster.spawn(4, enable_name_conflict_resolution=False)
        await cluster.converged()
        (twin,) = await cluster.spawn("twin", node_name="node-3", join="first")
        await trio.sleep(30)
        texts = [cause(cluster[each].serf.explain("node-3")) for each in ("node-1", "node-2")]
        assert all("(a name conflict)" in text and twin.address in text for text in texts)
        itself = cause(cluster["node-3"].serf.explain())
        assert "(a name conflict)" in itself


async def test_a_wrong_key(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=6) as cluster:
        await cluster.spawn(3, secret_key=KEYS[0])
        await cluster.converged()
        (other,) = await cluster.spawn("other", join=None, secret_key=KEYS[1])
        with pytest.raises(ExceptionGroup):
            await other.serf.join([cluster[0].address])
        asked = cluster[0].serf.explain(other.host)
        assert "address" == asked.kind
        assert "it has another encryption key" in cause(asked)
        assert f"What {other.host} sends cannot be decrypted" in cause(cluster[0].serf.explain())
        itself = cause(other.serf.explain())
        assert "This node is alone" in itself
        assert "another encryption key" in itself


async def test_a_member_whose_keys_were_changed_alone(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=6) as cluster:
        await cluster.spawn(3, secret_key=KEYS[0])
        await cluster.converged()
        changed = cluster["node-3"].serf.memberlist
        assert changed.keyring is not None
        changed.keyring = type(changed.keyring).create((), KEYS[1])
        await fails(cluster, "node-1", "node-3")
        assert "it has another encryption key" in cause(cluster["node-1"].serf.explain("node-3"))


async def test_another_label(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=7) as cluster:
        await cluster.spawn(2, label="blue")
        await cluster.converged()
        (other,) = await cluster.spawn("other", join=None, label="red")
        with pytest.raises(ExceptionGroup):
            await other.serf.join([cluster[0].address])
        asked = cluster[0].serf.explain(f"{other.host}:7946")
        assert "has another label: it belongs to another cluster" in cause(asked)


async def test_a_partition(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=8) as cluster:
        await cluster.spawn(6)
        await cluster.converged()
        cluster.partition([0, 1, 2])
        for name in ("node-4", "node-5", "node-6"):
            await fails(cluster, "node-1", name)
        found = cluster["node-1"].serf.explain()
        assert "3 of 5 other members failed within" in cause(found)
        assert "a partition" in cause(found)
        assert "Reached are 'node-2' and 'node-3'" in cause(found)
        member = cause(cluster["node-1"].serf.explain("node-5"))
        assert "2 other members failed at about the same time" in member


async def test_isolation(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=9) as cluster:
        await cluster.spawn(5)
        await cluster.converged()
        await trio.sleep(10)
        cluster.partition([0])
        await cluster.until(
            lambda: all(
                status(cluster, 0, f"node-{number}") is MemberStatus.FAILED
                for number in range(2, 6)
            )
        )
        found = cluster[0].serf.explain()
        assert "This node is isolated: none of the 4 other members answers" in cause(found)
        assert found.last_contact is not None
        assert 5 < found.last_contact
        assert found.health_score > 0


async def test_a_leave_and_a_removal_are_no_failures(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=10) as cluster:
        await cluster.spawn(4)
        await cluster.converged()
        await cluster.leave("node-2")
        await cluster.crash("node-3")
        await fails(cluster, "node-1", "node-3")
        await cluster["node-1"].serf.remove_failed_node("node-3")
        left = cluster["node-1"].serf.explain("node-2")
        assert "It left by itself" in cause(left)
        assert "node-2" == left.declared_by
        removed = cluster["node-1"].serf.explain("node-3")
        assert "removed on purpose (force-leave)" in cause(removed)
        assert MemberStatus.LEFT is removed.status


async def test_nothing_unusual_is_said_to_be_so(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=11) as cluster:
        await cluster.spawn(3)
        await cluster.converged()
        await trio.sleep(60)
        serf = cluster[0].serf
        assert "Nothing unusual is known about this node." == cause(serf.explain())
        assert "this node" == serf.explain("node-1").kind
        member = serf.explain("node-2")
        assert "It is alive and answered" in cause(member)
        assert member.rtt is not None
        assert 0 < member.rtt < 0.1
        unknown = serf.explain("node-9")
        assert ("unknown", None) == (unknown.kind, unknown.status)
        assert "knows no member 'node-9'" in cause(unknown)
        assert "Nothing is known of 10.9.9.9" in cause(serf.explain("10.9.9.9"))
        assert "The member 'node-2' is there: alive" in cause(serf.explain(cluster[1].host))
