"""A second address for a known name."""

import pytest
import trio

from trioserf._memberlist.address_prober import CHECK_BURST, CHECK_RATE, MAX_PROBES
from trioserf._memberlist.short_tasks import ShortTasks
from trioserf._swim.nodes import Node, NodeStatus
from trioserf._wire.messages import Ack, Ping, encode_message
from trioserf.abc import Address

from .kit import Events, alive_of, cluster, one_node, opened


class Conflicts:
    def __init__(self):
        self.seen = []

    def notify_conflict(self, existing, other):
        self.seen.append((existing.name, existing.addr[-1], other.addr[-1]))


def alive(wire, name, last, incarnation=1):
    wire.deliver(encode_message(alive_of(name, bytes((10, 0, 0, last)), incarnation)))


def pings(wire, to="10.0.0.2"):
    return [m for m, at in opened(wire.sent) if type(m) is Ping and at == Address(to, 7946)]


QUIET = {"gossip_interval": 0, "probe_interval": 1000.0}


async def test_an_old_address_that_answers_keeps_its_name(autojump_clock):
    conflicts = Conflicts()
    async with one_node(conflict=conflicts, **QUIET) as (node, wire):
        alive(wire, "n2", 2)
        await trio.sleep(0.01)
        alive(wire, "n2", 3, 5)
        await trio.sleep(0.01)
        (ping,) = pings(wire)
        assert "n2" == ping.node
        assert [] == conflicts.seen
        wire.deliver(encode_message(Ack(ping.seq_no, None)))
        await trio.sleep(0.01)
        assert [("n2", 2, 3)] == conflicts.seen
        assert 2 == node.node("n2").addr[-1]
        assert 1 == node.statistics().conflicts


async def test_an_old_address_that_is_silent_loses_its_name(autojump_clock):
    conflicts, events = Conflicts(), Events()
    async with one_node(conflict=conflicts, events=events, **QUIET) as (node, wire):
        alive(wire, "n2", 2)
        await trio.sleep(0.01)
        alive(wire, "n2", 3, 5)
        await trio.sleep(0.51)
        assert 2 == len(pings(wire))
        assert [] == conflicts.seen
        assert 3 == node.node("n2").addr[-1]
        assert NodeStatus.ALIVE is node.node("n2").status
        assert ("update", "n2") in events.seen


async def test_an_address_that_cannot_be_sent_to_is_silent(autojump_clock):
    async with one_node(**QUIET) as (node, wire):
        alive(wire, "n2", 2)
        await trio.sleep(0.01)
        wire.error = trio.BrokenResourceError("unreachable")
        alive(wire, "n2", 3, 5)
        await trio.sleep(0.51)
        assert 3 == node.node("n2").addr[-1]


async def test_faithful_to_go_no_address_is_probed(autojump_clock):
    conflicts = Conflicts()
    async with one_node(conflict=conflicts, faithful_go=True, **QUIET) as (node, wire):
        alive(wire, "n2", 2)
        await trio.sleep(0.01)
        alive(wire, "n2", 3, 5)
        await trio.sleep(2)
        assert [] == pings(wire)
        assert [("n2", 2, 3)] == conflicts.seen
        assert 2 == node.node("n2").addr[-1]


async def test_probes_are_bounded(autojump_clock):
    conflicts = Conflicts()
    count = MAX_PROBES + 5
    async with one_node(conflict=conflicts, **QUIET) as (_, wire):
        for number in range(count):
            alive(wire, f"x{number}", 2)
        await trio.sleep(0.01)
        for number in range(count):
            alive(wire, f"x{number}", 3, 5)
        await trio.sleep(0.01)
        assert 5 == len(conflicts.seen)
        assert MAX_PROBES == len(pings(wire))
        # When they are over there is room again.
        await trio.sleep(1)
        alive(wire, "y", 2)
        alive(wire, "y", 3, 5)
        await trio.sleep(0.01)
        assert 5 == len(conflicts.seen)


async def test_a_moved_node_is_back_at_once(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3)
        await trio.sleep(5)
        c.kill(3)
        await trio.sleep(0.1)
        await c.start(4, name="n3", host="10.0.0.33")
        await c.nodes[4].join(["10.0.0.1"])
        await trio.sleep(2)
        for node in (*nodes[:2], c.nodes[4]):
            assert "10.0.0.33" == node.node("n3").address.host
            assert NodeStatus.ALIVE is node.node("n3").status
        assert all(("failed", "n3") not in c.events[number].seen for number in (1, 2))


async def test_a_former_address_of_this_node_is_one_warning(autojump_clock, caplog):
    """A Go agent goes on with the old record for a while: once is enough."""
    async with one_node(**QUIET) as (node, wire):
        await trio.sleep(0.1)
        for _ in range(3):
            alive(wire, "n1", 9, node.local_node.incarnation)
            await trio.sleep(5)
        lines = [r.getMessage() for r in caplog.records if "peers know this node" in r.getMessage()]
        [line] = lines
        assert "10.0.0.9:7946" in line
        assert "10.0.0.1:7946" in line


# --- nodes that were never reached --------------------------------------------------------


def ping_of(name, last, number=1):
    address = bytes((10, 0, 0, last))
    return encode_message(Ping(number, "n1", address, 7946, name))


SLOWLY = {"gossip_interval": 0, "push_pull_interval": 0, "probe_interval": 1000.0}


async def test_a_node_that_opens_a_stream_is_known_as_reached_at_once(autojump_clock):
    async with cluster() as c:
        await c.start(1, **SLOWLY)
        await c.start(2, **SLOWLY)
        await c.nodes[2].join(["10.0.0.1"])
        await trio.sleep(0.1)
        assert c.nodes[1].node("n2").reached
        assert 0 == c.nodes[1].statistics().probes


async def test_silence_of_a_node_that_is_checked_says_nothing(autojump_clock):
    async with one_node(**SLOWLY) as (node, wire):
        alive(wire, "n2", 2)
        await trio.sleep(0.01)
        wire.deliver(ping_of("n2", 2), Address("10.0.0.2", 7946))
        await trio.sleep(0.01)
        (ping,) = pings(wire)
        assert "n2" == ping.node
        wire.deliver(ping_of("n2", 2), Address("10.0.0.2", 7946))
        await trio.sleep(5)
        assert 1 == len(pings(wire)), "one at a time"
        assert not node.node("n2").reached
        assert NodeStatus.ALIVE is node.node("n2").status
        assert 0 == node.statistics().health_score
        wire.deliver(ping_of("n2", 2), Address("10.0.0.2", 7946))
        await trio.sleep(0.01)
        wire.deliver(encode_message(Ack(pings(wire)[-1].seq_no, None)))
        await trio.sleep(0.01)
        assert node.node("n2").reached
        wire.deliver(ping_of("n2", 2), Address("10.0.0.2", 7946))
        await trio.sleep(0.01)
        assert 2 == len(pings(wire)), "once reached it is not checked again"


async def test_a_ping_from_another_host_makes_no_check(autojump_clock):
    async with one_node(**SLOWLY) as (_node, wire):
        alive(wire, "n2", 2)
        await trio.sleep(0.01)
        wire.deliver(ping_of("n2", 2), Address("10.0.0.3", 7946))
        await trio.sleep(1)
        assert [] == pings(wire)


@pytest.mark.parametrize("setting", [{"faithful_go": True}, {"probe_interval": 0}])
async def test_nothing_is_checked_like_go_or_without_probes(setting, autojump_clock):
    async with one_node(**{**SLOWLY, **setting}) as (_node, wire):
        alive(wire, "n2", 2)
        await trio.sleep(0.01)
        wire.deliver(ping_of("n2", 2), Address("10.0.0.2", 7946))
        await trio.sleep(1)
        assert [] == pings(wire)


async def test_strangers_can_make_a_node_send_few_checks(autojump_clock):
    async with one_node(**SLOWLY) as (node, wire):
        for last in range(2, 2 + 2 * CHECK_BURST):
            alive(wire, f"x{last}", last)
        await trio.sleep(0.1)
        before = len(wire.sent)
        for _ in range(3):
            for last in range(2, 2 + 2 * CHECK_BURST):
                wire.deliver(ping_of(f"x{last}", last), Address(f"10.0.0.{last}", 7946))
        node._queue.queue(encode_message(alive_of("new")), name="new")
        await trio.sleep(0.001)
        sent = [m for m, _ in opened(wire.sent[before:]) if type(m) is Ping]
        assert CHECK_BURST == len(sent)
        packets = [[type(m) for m, _ in opened([packet])] for packet in wire.sent[before:]]
        # Nothing goes along to where perhaps nobody is.
        assert CHECK_BURST == packets.count([Ping])
        await trio.sleep(4.5 / CHECK_RATE)
        for last in range(2, 2 + 2 * CHECK_BURST):
            wire.deliver(ping_of(f"x{last}", last), Address(f"10.0.0.{last}", 7946))
        await trio.sleep(0.01)
        sent = [m for m, _ in opened(wire.sent[before:]) if type(m) is Ping]
        assert CHECK_BURST + 4 == len(sent)


async def test_a_node_whose_tasks_do_not_run_checks_nobody(autojump_clock):
    async with one_node() as (node, _):
        prober = node._address_prober
        await trio.sleep(0.1)
        running, prober.tasks = prober.tasks, ShortTasks()
        unreached = Node(name="n2", addr=bytes((10, 0, 0, 2)), port=7946)
        prober.check_reached(unreached)
        assert "n2" not in prober._checked
        prober.tasks = running
        prober.check_reached(unreached)
        assert "n2" in prober._checked
