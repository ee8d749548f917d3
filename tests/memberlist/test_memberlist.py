"""The facade: what a user of the membership half sees."""

import pytest
import trio

from trioserf._exceptions import (
    ConfigError,
    InvalidState,
    LocalProtocolError,
    MergeRefused,
    NoAckError,
)
from trioserf._memberlist.memberlist import READY_FIRST, Memberlist
from trioserf._swim.nodes import NodeStatus
from trioserf._wire.keyring import Keyring
from trioserf._wire.messages import Ack, Alive, Ping, UserMessage, encode_message
from trioserf.abc import Address

from .kit import AWAY, HOME, Delegate, Events, Wire, alive_of, cluster, config, one_node, opened

KEY, OTHER = bytes(16), bytes(range(16))


def make(**fields):
    import random

    return Memberlist(config(**fields), transport=Wire(), rng=random.Random(1))


def test_a_node_needs_a_name():
    with pytest.raises(ConfigError, match="name"):
        make(name="")


def test_before_it_is_bound_there_is_nothing_to_announce():
    node = make()
    with pytest.raises(InvalidState):
        _ = node.advertise_address
    with pytest.raises(InvalidState):
        node.announce()
    with pytest.raises(InvalidState):
        _ = node.local_node
    assert 0 == node.statistics().alive


async def test_it_is_announced_once():
    node = make()
    await node.bind()
    node.announce(incarnation=7)
    assert 7 == node.local_node.incarnation
    with pytest.raises(InvalidState):
        node.announce()


@pytest.mark.parametrize(
    ("address", "fields", "warned"),
    [
        ("8.8.8.8", {}, True),
        ("8.8.8.8", {"secret_key": KEY}, False),
        ("10.0.0.1", {}, False),
        ("100.64.0.1", {}, False),
        ("2606:4700::1", {"keyring": ()}, True),
    ],
)
async def test_a_public_address_without_encryption_is_worth_a_warning(
    caplog, address, fields, warned
):
    await make(advertise_addr=address, **fields).bind()
    assert warned is ("is public" in caplog.text)


async def test_the_tasks_that_must_be_ready_come_first():
    names = [name for name, _ in make().tasks()]
    assert READY_FIRST == tuple(names[: len(READY_FIRST)])
    assert len(set(names)) == len(names)


async def test_what_it_says_about_itself(autojump_clock):
    events, delegate = Events(), Delegate(b"meta")
    async with one_node(
        events=events,
        delegate=delegate,
        delegate_protocol_min=2,
        delegate_protocol_max=5,
        delegate_protocol_version=4,
    ) as (node, _):
        own = node.local_node
        assert ("n1", b"meta", b"\x01\x05\x02\x02\x05\x04") == (own.name, own.meta, own.versions)
        assert ("n1", 2, HOME) == (node.name, node.protocol_version, node.advertise_address)
        assert (1, 1, 0) == (node.num_nodes, node.num_alive, node.health_score)
        assert (own,) == node.members() == node.nodes()
        assert own is node.node("n1")
        assert node.node("n2") is None
        assert [("join", "n1")] == events.seen
        assert node.config.name == "n1"


async def test_nodes_are_ordered_and_members_are_those_that_live(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3)
        await trio.sleep(2)
        await nodes[0].leave(5)
        await trio.sleep(0.1)
        assert ["n1", "n2", "n3"] == [one.name for one in nodes[1].nodes()]
        assert ["n2", "n3"] == [one.name for one in nodes[1].members()]
        assert (3, 2) == (nodes[1].num_nodes, nodes[1].num_alive)


async def test_one_user_message_in_one_packet(autojump_clock):
    async with one_node() as (node, wire):
        node.send_to_address(AWAY, "", b"hello")
        wire.deliver(encode_message(alive_of("n2")))
        await trio.sleep(0.01)
        wire.sent.clear()
        node.send_best_effort(node.node("n2"), b"you")
        assert 12 == wire.sent[0][0][0]
        assert [(UserMessage(b"you"), AWAY)] == opened(wire.sent)


async def test_a_ping_is_timed(autojump_clock):
    async with cluster(latency=0.05) as c:
        nodes = await c.start_many(2)
        assert pytest.approx(0.1) == await nodes[1].ping("n1", Address("10.0.0.1", 7946))
        with pytest.raises(NoAckError, match=r"n9 at 10.* did not answer within 0\.5 s"):
            await nodes[1].ping("n9", Address("10.0.0.1", 7946))
        assert 0 == nodes[1].statistics().pending_acks


@pytest.mark.parametrize("faithful", [False, True])
async def test_a_ping_is_answered_by_the_host_that_was_pinged_alone(faithful, autojump_clock):
    quiet = {"probe_interval": 0, "gossip_interval": 0}
    answers = []
    async with one_node(faithful_go=faithful, **quiet) as (node, wire):

        async def ping():
            try:
                answers.append(await node.ping("n2", AWAY))
            except NoAckError:
                answers.append(None)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ping)
            await wire.until_sent()
            (sent, to), *_ = opened(wire.sent)
            assert (Ping, AWAY) == (type(sent), to)
            wire.deliver(encode_message(Ack(sent.seq_no, None)), Address("10.0.0.9", 7946))
        assert faithful is (answers != [None])


async def test_what_is_to_be_gossiped_goes_along_with_a_ping(autojump_clock):
    async with one_node(probe_interval=0, gossip_interval=0) as (node, wire):
        wire.deliver(encode_message(alive_of("n3")))
        await trio.sleep(0.01)
        wire.sent.clear()
        with pytest.raises(NoAckError):
            await node.ping("n2", AWAY)
        kinds = [type(message) for message, to in opened(wire.sent) if to == AWAY]
        assert Ping is kinds[0]
        assert Alive in kinds


async def test_a_closed_node_says_so(autojump_clock):
    async with one_node() as (node, _):
        await trio.sleep(1)
    for call in (
        node.join(["10.0.0.2"]),
        node.leave(1),
        node.update_node(1),
        node.ping("n2", AWAY),
        node.send_reliable(node.local_node, b"x"),
    ):
        with pytest.raises(trio.ClosedResourceError):
            await call


@pytest.mark.parametrize(
    "call",
    [
        lambda node: node.ping("n2", AWAY),
        lambda node: node.update_node(0),
        lambda node: node.leave(0),
    ],
    ids=["ping", "update_node", "leave"],
)
async def test_a_call_that_waits_ends_when_the_node_closes(autojump_clock, call):
    async with one_node(gossip_interval=0, eager_gossip=False) as (node, wire):
        wire.deliver(encode_message(alive_of("n2")))
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _waits():
                with pytest.raises(trio.ClosedResourceError, match="this node is closed"):
                    await call(node)

            await trio.testing.wait_all_tasks_blocked()
            node.close()
        assert began == trio.current_time()
        assert set() == node._calls


async def test_keys_are_rotated_while_the_cluster_runs(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, secret_key=KEY)
        steps = [lambda ring: ring.add(OTHER), lambda ring: ring.with_primary(OTHER)]
        steps.append(lambda ring: ring.remove(KEY))
        for step in steps:
            for node in nodes:
                await trio.sleep(1.5)
                node.keyring = step(node.keyring)
        await trio.sleep(60)
        for node in nodes:
            assert Keyring((OTHER,)) == node.keyring
            assert 3 == node.num_alive
            assert 0 == node.statistics().probes_failed
            assert {} == dict(node.statistics().bad_input)


async def test_encryption_starts_in_a_running_cluster(autojump_clock):
    async with cluster() as c:
        lenient = {"gossip_verify_incoming": False, "keyring": ()}
        nodes = await c.start_many(3, **lenient)
        await trio.sleep(5)
        for node in nodes:
            node.keyring = Keyring((KEY,))
            await trio.sleep(2)
        await trio.sleep(40)
        assert all(3 == node.num_alive for node in nodes)
        # A peer that does not know the key is ignored where incoming packets are verified.
        strict = await c.start(4, secret_key=KEY)
        await strict.join(["10.0.0.1"])
        await trio.sleep(10)
        assert 4 == strict.num_alive
        assert {} == dict(strict.statistics().bad_input)


async def test_labels_keep_clusters_apart(autojump_clock):
    from trioserf._exceptions import JoinError

    async with cluster() as c:
        blue = await c.start(1, label="blue")
        red = await c.start(2, label="red")
        also_blue = await c.start(3, label="blue")
        with pytest.raises(JoinError):
            await red.join(["10.0.0.1"])
        assert 1 == await also_blue.join(["10.0.0.1"])
        await trio.sleep(20)
        assert [2, 1, 2] == [node.num_alive for node in (blue, red, also_blue)]


async def test_required_names_work_with_names(autojump_clock):
    from trioserf._exceptions import JoinError

    async with cluster() as c:
        nodes = [await c.start(number, require_node_names=True) for number in (1, 2)]
        with pytest.raises(JoinError):
            await nodes[1].join(["10.0.0.1"])
        assert 1 == await nodes[1].join(["n1/10.0.0.1"])
        await trio.sleep(20)
        assert [2, 2] == [node.num_alive for node in nodes]
        assert all({} == dict(node.statistics().bad_input) for node in nodes)
        with pytest.raises(LocalProtocolError):
            nodes[0].send_to_address(AWAY, "", b"x")


async def test_networks_that_are_not_allowed_are_kept_out(autojump_clock):
    async with cluster() as c:
        node = await c.start(1, cidrs_allowed=["10.0.0.0/30"])
        good = await c.start(2)
        await c.start(3, host="10.9.0.1")
        await good.join(["10.0.0.1"])
        await c.nodes[3].join(["10.0.0.1"])
        await trio.sleep(5)
        assert ["n1", "n2"] == [member.name for member in node.members()]


async def test_an_alive_handler_may_refuse(autojump_clock):
    class Refuse:
        def notify_alive(self, node):
            if node.name == "n2":
                raise MergeRefused("not n2")
            if node.name == "n3":
                raise RuntimeError("crash")

    async with one_node(alive=Refuse()) as (node, wire):
        for name in ("n2", "n3", "n4"):
            wire.deliver(encode_message(alive_of(name)))
        await trio.sleep(0.01)
        assert ["n1", "n4"] == [member.name for member in node.members()]
        assert 1 == node.statistics().bad_input["handler"]


async def test_events_handlers_that_raise_break_nothing(autojump_clock):
    class Broken(Events):
        def notify_join(self, node):
            super().notify_join(node)
            raise RuntimeError("events")

    events = Broken()
    async with cluster() as c:
        nodes = await c.start_many(2, events=events)
        await trio.sleep(5)
        assert [2, 2] == [node.num_alive for node in nodes]
        assert nodes[0].statistics().bad_input["handler"] >= 2


async def test_a_suspect_message_is_refuted(autojump_clock):
    from trioserf._wire.messages import Dead, Suspect

    async with one_node(probe_interval=0) as (node, wire):
        wire.deliver(encode_message(Suspect(1, "n1", "n2")))
        await trio.sleep(0.01)
        assert (2, NodeStatus.ALIVE) == (node.local_node.incarnation, node.local_node.status)
        wire.deliver(encode_message(Dead(9, "n1", "n2")))
        await trio.sleep(0.01)
        assert 10 == node.local_node.incarnation
        assert (2, 2) == (node.statistics().refuted, node.health_score)


async def test_a_reliable_message_to_nobody_is_an_os_error_and_closed_says_so(autojump_clock):
    async with cluster() as c:
        first, second = await c.start_many(2, dead_on_refusal=False)
        await first.send_reliable(second.local_node, b"x")
        c.kill(2)
        await trio.sleep(0.1)
        with pytest.raises(OSError, match="refused"):
            await first.send_reliable(second.local_node, b"x")
    with pytest.raises(trio.ClosedResourceError):
        await first.send_reliable(second.local_node, b"x")
