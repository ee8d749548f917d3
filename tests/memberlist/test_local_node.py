"""What a node says of itself: leaving, new metadata, and its address, which may go."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from trioserf._config import MemberlistConfig
from trioserf._exceptions import BroadcastTimeout, ConfigError, InvalidState, LocalProtocolError
from trioserf._memberlist.local_node import ABSENT_CHECKS, CHECK_PERIOD, LocalAddress, meta_limit
from trioserf._memberlist.wire_format import WireFormat
from trioserf._swim.nodes import META_LIMIT, NodeStatus
from trioserf._wire.messages import Dead, encode_message
from trioserf.abc import Address

from .kit import HOME, Delegate, Wire, alive_of, cluster, config, one_node

LONG = CHECK_PERIOD * (ABSENT_CHECKS + 0.5)


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


# --- the address --------------------------------------------------------------------------


@attrs.define(eq=False)
class Machine(Wire):
    """A transport whose machine loses and gets addresses."""

    hosts: set = attrs.field(factory=lambda: {HOME.host})

    def has_address(self, host):
        return host in self.hosts


@asynccontextmanager
async def watched(wire, choices=(), **fields):
    """A node, and the watcher of its address, which chooses from ``choices`` one by one."""
    left = list(choices)

    def choose(settings, bound):
        if not left:
            raise ConfigError("bind_addr", bound.host, "an address, because there is none")
        return Address(left.pop(0), bound.port)

    async with one_node() as (node, _), trio.open_nursery() as nursery:
        address = LocalAddress(
            config=config(**fields), transport=wire, log=node._log, choose=choose
        )
        address.settle(encrypted=False)
        nursery.start_soon(address.watch, node._table, node._apply, lambda earliest: earliest)
        await trio.sleep(0.1)
        yield node, address
        nursery.cancel_scope.cancel()


def warnings(caplog):
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


async def test_an_address_that_is_gone_is_replaced_where_it_was_chosen_here(autojump_clock, caplog):
    wire = Machine(address=Address("0.0.0.0", 7946))
    choices = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    async with watched(wire, choices) as (node, address):
        before = node.local_node.incarnation
        wire.hosts = {"10.0.0.2"}
        await trio.sleep(LONG)
        assert Address("10.0.0.2", 7946) == address.advertised == node.local_node.address
        assert before + 1 == node.local_node.incarnation
        assert any("10.0.0.1:7946 is no longer" in line for line in warnings(caplog))
        wire.hosts = {"10.0.0.3"}
        await trio.sleep(LONG)
        assert Address("10.0.0.3", 7946) == node.local_node.address


async def test_an_address_that_is_away_for_a_moment_is_kept(autojump_clock, caplog):
    wire = Machine(address=Address("0.0.0.0", 7946))
    async with watched(wire, ["10.0.0.1", "10.0.0.2"]) as (_, address):
        wire.hosts = set()
        await trio.sleep(CHECK_PERIOD * 1.5)
        wire.hosts = {"10.0.0.1"}
        await trio.sleep(10 * CHECK_PERIOD)
        assert "10.0.0.1" == address.advertised.host
        assert [] == warnings(caplog)


@pytest.mark.parametrize("bound", ["0.0.0.0", "10.0.0.1"])
async def test_where_it_cannot_be_replaced_one_warning_says_so(bound, autojump_clock, caplog):
    wire = Machine(address=Address(bound, 7946))
    async with watched(wire, ["10.0.0.1"]) as (node, address):
        wire.hosts = set()
        await trio.sleep(20 * CHECK_PERIOD)
        [line] = warnings(caplog)
        assert "10.0.0.1:7946 is no longer an address of this machine" in line
        assert ("none" in line) is (bound == "0.0.0.0")
        assert "10.0.0.1" == address.advertised.host == node.local_node.address.host


async def test_what_the_user_gave_is_not_replaced(autojump_clock, caplog):
    wire = Machine(address=Address("0.0.0.0", 7946))
    async with watched(wire, ["10.0.0.1", "10.0.0.2"], advertise_addr="10.0.0.1") as (_, address):
        wire.hosts = set()
        await trio.sleep(20 * CHECK_PERIOD)
        assert "10.0.0.1" == address.advertised.host
        assert 1 == len(warnings(caplog))


@pytest.mark.parametrize("fields", [{"faithful_go": True}, {}])
async def test_go_and_a_gateway_are_not_watched(fields, autojump_clock, caplog):
    wire = Machine(address=Address("0.0.0.0", 7946))
    wire.hosts = {"10.0.0.1"} if fields else set()
    async with watched(wire, ["10.0.0.1", "10.0.0.2"], **fields) as (_, address):
        wire.hosts = set()
        await trio.sleep(20 * CHECK_PERIOD)
        assert "10.0.0.1" == address.advertised.host
        assert [] == warnings(caplog)


async def test_a_node_that_leaves_moves_no_more(autojump_clock):
    wire = Machine(address=Address("0.0.0.0", 7946))
    async with watched(wire, ["10.0.0.1", "10.0.0.2"]) as (node, _):
        await node.leave(1)
        before = node.local_node.record
        wire.hosts = {"10.0.0.2"}
        await trio.sleep(LONG)
        assert before == node.local_node.record


async def test_there_is_none_before_it_is_settled():
    wire = Machine()
    address = LocalAddress(config=config(), transport=wire, log=logging.getLogger("x"))
    with pytest.raises(InvalidState):
        address.advertised  # noqa: B018
    assert not address.leads_here(Address("10.9.9.9", 7946))
    address.settle(encrypted=True)
    assert address.leads_here(HOME)


@pytest.mark.slow
async def test_peers_follow_a_node_that_changes_its_address(autojump_clock, caplog):
    for latency in (0.0002, 0.002, 0.02):
        async with cluster(latency=latency) as c:
            nodes = await c.start_many(4)
            await trio.sleep(5)
            node = nodes[3]
            c.network.move("10.0.0.4", "10.0.0.44")
            node._apply(node._table.move_local(bytes((10, 0, 0, 44)), 7946, trio.current_time()))
            await trio.sleep(30)
            assert ["10.0.0.44"] * 4 == [one.node("n4").address.host for one in nodes]
            assert [4] * 4 == [one.num_alive for one in nodes]
            assert all(("failed", "n4") not in events.seen for events in c.events.values())
    assert not any("peers know this node at" in line for line in warnings(caplog))
