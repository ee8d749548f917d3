"""Leaving, and new metadata."""

import pytest
import trio

from trioserf._config import MemberlistConfig
from trioserf._exceptions import BroadcastTimeout, InvalidState, LocalProtocolError
from trioserf._memberlist.announce import meta_limit
from trioserf._memberlist.wire_format import WireFormat
from trioserf._swim.nodes import META_LIMIT, NodeStatus
from trioserf._wire.messages import Dead, encode_message

from .kit import Delegate, alive_of, cluster, one_node


async def test_leaving_is_known_to_all_when_it_returns(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(4)
        await trio.sleep(5)
        start = trio.current_time()
        await nodes[3].leave(5)
        assert trio.current_time() - start < 2
        await trio.sleep(0.1)
        for node in nodes:
            assert NodeStatus.LEFT is node.node("n4").status
        assert all(("left", "n4") in events.seen for events in c.events.values())
        # It goes on serving until it is stopped.
        assert 3 == nodes[3].num_alive
        await trio.sleep(20)
        assert all(("failed", "n4") not in events.seen for events in c.events.values())
        await nodes[3].leave(5)


async def test_a_node_alone_need_not_wait(autojump_clock):
    async with one_node(delegate=Delegate(b"1")) as (node, _):
        start = trio.current_time()
        await node.update_node(5)
        await node.leave(5)
        assert start == trio.current_time()


async def test_a_leave_that_cannot_be_sent_times_out(autojump_clock):
    async with one_node(gossip_interval=0, probe_interval=0) as (node, wire):
        await learn(node, wire)
        with pytest.raises(BroadcastTimeout, match="the leave was not sent out within 3 s"):
            await node.leave(3)
        assert NodeStatus.LEFT is node.local_node.status
        await node.leave(3)


@pytest.mark.parametrize("way", ["leave", "update_node"])
async def test_the_wait_ends_with_the_last_node_that_needs_it(nursery, autojump_clock, way):
    """At that moment, though nothing looks at the time meanwhile."""
    async with one_node(delegate=Delegate(), gossip_interval=0, probe_interval=0) as (node, wire):
        await learn(node, wire)
        wire.deliver(encode_message(alive_of("n3", b"\x0a\x00\x00\x03")))
        await trio.sleep(0.01)
        ended = []

        async def wait():
            await getattr(node, way)(5)
            ended.append(trio.current_time())

        nursery.start_soon(wait)
        await trio.sleep(1)
        wire.deliver(encode_message(Dead(1, "n2", "n2")))
        await trio.sleep(1)
        assert [] == ended
        gone = trio.current_time()
        wire.deliver(encode_message(Dead(1, "n3", "n4")))
        await trio.sleep(1)
        assert [gone] == ended
        assert [] == node._apply.watchers


async def learn(node, wire):
    """Let the node know another one, for ever."""
    wire.deliver(encode_message(alive_of("n2")))
    await trio.sleep(0.01)
    assert 2 == node.num_alive


async def test_no_limit_waits_as_long_as_it_takes(autojump_clock):
    async with one_node(gossip_interval=0, probe_interval=0) as (node, wire):
        await learn(node, wire)
        with trio.move_on_after(1000) as scope:
            await node.leave(0)
        assert scope.cancelled_caught


async def test_new_metadata_is_known_to_all_when_it_returns(autojump_clock):
    async with cluster() as c:
        delegate = Delegate(b"old")
        await c.start(1)
        node = await c.start(2, delegate=delegate)
        await node.join(["10.0.0.1"])
        await trio.sleep(1)
        assert b"old" == c.nodes[1].node("n2").meta
        delegate.meta = b"new"
        await node.update_node(5)
        assert b"new" == node.local_node.meta
        await trio.sleep(0.1)
        assert b"new" == c.nodes[1].node("n2").meta
        assert ("update", "n2") in c.events[1].seen


async def test_metadata_that_is_too_long_changes_nothing(autojump_clock):
    delegate = Delegate(b"old")
    async with one_node(delegate=delegate) as (node, _):
        delegate.meta = bytes(513)
        with pytest.raises(LocalProtocolError):
            await node.update_node(5)
        assert b"old" == node.local_node.meta


def test_a_faithful_node_does_not_ask_whether_its_metadata_fits():
    small = {"name": "n1", "udp_buffer_size": 300}
    for faithful in (False, True):
        config = MemberlistConfig.lan(faithful_go=faithful, **small)
        limit = meta_limit(config, WireFormat(config, bytes, None))
        assert faithful is (limit == META_LIMIT)


async def test_after_leaving_nothing_is_announced(autojump_clock):
    async with one_node(delegate=Delegate()) as (node, _):
        await node.leave(5)
        with pytest.raises(InvalidState):
            await node.update_node(5)
