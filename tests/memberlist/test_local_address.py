"""The address that a node advertises, and what becomes of it when it is gone."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from trioserf._exceptions import ConfigError, InvalidState
from trioserf._memberlist.local_address import ABSENT_LOOKS, CHECK_PERIOD, LocalAddress
from trioserf.abc import Address

from .kit import HOME, Wire, cluster, config, one_node

LONG = CHECK_PERIOD * (ABSENT_LOOKS + 0.5)


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
        nursery.start_soon(address.watch, node._table, node._apply)
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
