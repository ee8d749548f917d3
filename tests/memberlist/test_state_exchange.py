"""Full state: its bytes, how often they are made anew, the delegate's part; when it is sent."""

import itertools
import threading
from contextlib import asynccontextmanager
from types import SimpleNamespace

import attrs
import pytest
import trio

from trioserf._exceptions import RemoteProtocolError
from trioserf._memberlist import state_exchange
from trioserf._memberlist.state_exchange import (
    MERGE_SLICE,
    MERGE_TIME,
    QUIET_STATE,
    RECORDS_SLICE,
    REPAIR_PERIOD,
    REPAIRS,
    USER_STEP,
    PushPuller,
    UserState,
)
from trioserf._swim.nodes import Node
from trioserf._wire.limits import THREAD_THRESHOLD
from trioserf._wire.messages import Ack, ErrorReply, NodeRecord, encode_message
from trioserf._wire.streams import PushPullState, StreamCodec, StreamParser, decode_frame
from trioserf.abc import Address

from .kit import VERSIONS, Delegate, Tap, alive_of, cluster, one_node

RECORDS = [
    NodeRecord(f"x{number}", bytes((10, 0, 1, number)), 7946, b"", 1, 0, VERSIONS)
    for number in range(200)
]


def parsed(data, codec):
    return decode_frame(StreamParser(codec, accept_side=False).receive(data), codec)


def receive_alive(node):
    """As if an alive message about "n2" came out of the handoff queue."""
    node._apply(node._table.on_alive(alive_of("n2"), trio.current_time()))


async def test_nothing_is_encoded_twice_while_nothing_changes(autojump_clock, monkeypatch):
    calls = []
    real = state_exchange.push_pull_bytes
    monkeypatch.setattr(
        state_exchange, "push_pull_bytes", lambda *args: calls.append(args) or real(*args)
    )
    delegate = Delegate(state=b"1")
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        exchange = node._exchange
        first = await exchange.local_frame(join=False)
        assert first == await exchange.local_frame(join=False)
        assert 1 == len(calls)
        delegate.state = b"2"
        assert first != await exchange.local_frame(join=False)
        await exchange.local_frame(join=True)
        assert 3 == len(calls)
        receive_alive(node)
        state = parsed(await exchange.local_frame(join=True), node._wire.stream)
        assert 4 == len(calls)
        assert {"n1", "n2"} == {record.name for record in state.records}


async def test_each_frame_has_a_nonce_of_its_own(autojump_clock):
    async with one_node(secret_key=bytes(16)) as (node, _):
        exchange, codec = node._exchange, node._wire.stream
        first = await exchange.local_frame(join=False)
        second = await exchange.local_frame(join=False)
        assert first != second
        assert parsed(first, codec) == parsed(second, codec)


async def test_compression_can_be_off(autojump_clock):
    async with one_node(enable_compression=False) as (node, _):
        data = await node._exchange.local_frame(join=False)
        assert 6 == data[0]
        assert ["n1"] == [record.name for record in parsed(data, StreamCodec()).records]


async def test_a_state_whose_delegate_has_much_to_say_is_compressed_in_a_thread(
    autojump_clock, monkeypatch
):
    """One node, and the events of a busy cluster: it is not the records that take the time."""
    threads, real = [], state_exchange.compress_message
    monkeypatch.setattr(
        state_exchange,
        "compress_message",
        lambda data, pause: threads.append(threading.current_thread()) or real(data, pause),
    )
    delegate = Delegate(state=bytes(THREAD_THRESHOLD))
    async with one_node(delegate=delegate) as (node, _):
        await node._exchange.local_frame(join=False)
        delegate.state = b"little"
        await node._exchange.local_frame(join=False)
    large, small = threads
    assert threading.current_thread() is not large
    assert threading.current_thread() is small


async def test_nodes_are_counted_for_the_tap_on_every_exchange(autojump_clock):
    tap = Tap()
    async with one_node(tap=tap) as (node, _):
        await node._exchange.local_frame(join=False)
        gauges = {
            labels["node_state"]: value
            for _, name, value, labels in tap.seen
            if name == "memberlist.node.instances"
        }
        assert {"alive": 1, "suspect": 0, "dead": 0, "left": 0} == gauges
        assert 1 == len(tap.values("memberlist.size.local"))


async def test_a_delegate_that_raises_spoils_no_merge(autojump_clock):
    class Broken(Delegate):
        def merge_remote_state(self, state, join):
            raise RuntimeError("delegate")

    async with one_node(delegate=Broken()) as (node, _):
        await node._exchange.merge(PushPullState(False, (), b"state"), join=False, source=None)
        assert 1 == node.statistics().bad_input["handler"]


async def test_a_change_while_a_frame_is_made_is_in_the_next(autojump_clock):
    async with one_node(probe_interval=0) as (node, _):
        exchange, codec = node._exchange, node._wire.stream
        frames = []

        async def make():
            frames.append(await exchange.local_frame(join=False))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(make)
            await trio.lowlevel.checkpoint()
            receive_alive(node)
        state = parsed(await exchange.local_frame(join=False), codec)
        assert {"n1", "n2"} == {record.name for record in state.records}


async def test_a_delegate_without_state_does_not_keep_the_nodes_back(autojump_clock):
    class Broken(Delegate):
        def local_state(self, join):
            raise RuntimeError("delegate")

    async with one_node(delegate=Broken()) as (node, _):
        exchange = node._exchange
        state = parsed(await exchange.local_frame(join=False), node._wire.stream)
        assert (["n1"], b"") == ([record.name for record in state.records], state.user_state)
        assert 1 == node.statistics().bad_input["handler"]


def count_builds(monkeypatch, clock, seconds):
    """The calls that encode the state, each of which takes so long."""
    calls = []
    real = state_exchange.push_pull_bytes

    def build(*args):
        calls.append(args)
        clock.jump(seconds)
        return real(*args)

    monkeypatch.setattr(state_exchange, "push_pull_bytes", build)
    return calls


async def test_peers_that_alternate_the_join_flag_do_not_make_it_encode_anew(
    autojump_clock, monkeypatch
):
    calls = count_builds(monkeypatch, autojump_clock, 0.0)
    async with one_node(probe_interval=0) as (node, _):
        for turn in range(20):
            data = await node._exchange.local_frame(join=turn % 2 == 0, fresh=False)
            assert ["n1"] == [one.name for one in parsed(data, node._wire.stream).records]
        assert 2 == len(calls)


async def test_what_takes_long_to_encode_is_not_encoded_for_every_request(
    autojump_clock, monkeypatch
):
    delegate = Delegate(state=b"")
    calls = count_builds(monkeypatch, autojump_clock, 0.05)
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        exchange = node._exchange

        async def state(*, fresh):
            delegate.state += b"x"
            data = await exchange.local_frame(join=False, fresh=fresh)
            return parsed(data, node._wire.stream).user_state

        assert b"x" == await state(fresh=False)
        assert b"x" == await state(fresh=False)
        assert 1 == len(calls)
        assert b"xxx" == await state(fresh=True), "what this node begins itself"
        autojump_clock.jump(0.6)
        assert b"xxxx" == await state(fresh=False)
        assert 3 == len(calls)


async def test_what_is_encoded_quickly_is_always_of_this_moment(autojump_clock):
    delegate = Delegate(state=b"")
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        for turn in range(3):
            delegate.state = b"%d" % turn
            data = await node._exchange.local_frame(join=True, fresh=False)
            assert delegate.state == parsed(data, node._wire.stream).user_state


async def test_large_states_of_many_peers_are_merged_one_slice_at_a_time(autojump_clock):
    turns = []
    async with one_node(probe_interval=0) as (node, _):
        exchange = node._exchange
        real = node._table.merge_checked

        def merge(records, now, **fields):
            turns.append(len(records))
            return real(records, now, **fields)

        async def tick():
            while True:
                await trio.lowlevel.checkpoint()
                turns.append("tick")

        async def one(number):
            records = tuple(
                attrs.evolve(record, name=f"{record.name}-{number}") for record in RECORDS
            )
            state = PushPullState(False, records, b"")
            await exchange.merge(state, join=False, source=Address("10.0.0.9", 1))

        node._table.merge_checked = merge
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            async with trio.open_nursery() as merging:
                for number in range(10):
                    merging.start_soon(one, number)
            nursery.cancel_scope.cancel()
        assert 1 + 10 * len(RECORDS) == node._table.num_nodes
    longest = 0
    for is_tick, group in itertools.groupby(turns, lambda turn: turn == "tick"):
        if not is_tick:
            longest = max(longest, sum(group))
    assert longest <= 2 * MERGE_SLICE, "other tasks run after each slice"


async def test_records_that_take_long_to_merge_let_others_in_sooner(mock_clock):
    turns = []
    async with one_node(probe_interval=0, gossip_interval=0) as (node, _):
        real = node._table.merge_checked

        def merge(records, now, **fields):
            mock_clock.jump(MERGE_TIME)
            turns.append(len(records))
            return real(records, now, **fields)

        async def tick():
            while True:
                await trio.lowlevel.checkpoint()
                turns.append(0)

        node._table.merge_checked = merge
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            state = PushPullState(False, tuple(RECORDS), b"")
            await node._exchange.merge(state, join=False, source=Address("10.0.0.9", 1))
            nursery.cancel_scope.cancel()
        assert 1 + len(RECORDS) == node.num_nodes
    longest = max(sum(group) for is_tick, group in itertools.groupby(turns, bool) if is_tick)
    assert longest < MERGE_SLICE


async def test_the_state_of_a_large_cluster_is_taken_from_the_table_in_pieces(autojump_clock):
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with one_node(probe_interval=0, gossip_interval=0) as (node, _):
        for number in range(2 * RECORDS_SLICE):
            addr = (0x0A010000 + number).to_bytes(4, "big")
            node._table._store.insert(Node(name=f"x{number}", addr=addr, port=7946))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            records, others_ran = await node._exchange._records(), turns
            nursery.cancel_scope.cancel()
    assert {f"x{number}" for number in range(2 * RECORDS_SLICE)} < {one.name for one in records}
    assert len(records) == 1 + 2 * RECORDS_SLICE
    assert others_ran


@pytest.mark.parametrize(
    ("count", "fields", "known", "gossiped"),
    [
        (QUIET_STATE, {}, False, 0),
        (QUIET_STATE - 1, {}, False, QUIET_STATE - 1),
        (QUIET_STATE, {"faithful_go": True}, False, QUIET_STATE),
        (QUIET_STATE, {}, True, QUIET_STATE),
    ],
)
async def test_a_newcomer_does_not_gossip_the_state_of_a_large_cluster(
    autojump_clock, count, fields, known, gossiped
):
    async with one_node(probe_interval=0, gossip_interval=0, **fields) as (node, _):
        if known:
            receive_alive(node)
        before = len(node._queue)
        records = [
            NodeRecord(
                f"m{n}", bytes((10, 1, n >> 8, n & 255)), 7946, b"", 1, 0, alive_of("m").versions
            )
            for n in range(count)
        ]
        state = PushPullState(True, records, b"")
        await node._exchange.merge(state, join=True, source=Address("10.1.0.1", 7946))
        assert count + 1 + known == node.num_nodes
        assert before + gossiped == len(node._queue)
        # What this node says of itself goes out in any case.
        suspected = NodeRecord("n1", b"", 0, b"", 9, 1, alive_of("m").versions)
        node._apply(node._table.merge([suspected, *records], 1.0))
        assert node.local_node.incarnation > 9


class Large(Delegate):
    """A delegate whose state is handled in pieces, and that says what was done with it."""

    def __init__(self, pieces=3, pause=0.0):
        super().__init__(state=b"first")
        self.pieces, self.pause = pieces, pause
        self.encoded, self.steps, self.began = 0, [], []

    def state_version(self):
        return self.state

    def state_encoder(self, join):
        state = self.state

        def encode():
            self.encoded += 1
            return state

        return encode

    def decode_state(self, state):
        return state.decode()

    def merge_decoded(self, decoded, join, began):
        for number in range(self.pieces):
            self.steps.append((decoded, number, join))
            self.began.append(began)
            if self.pause:
                trio.lowlevel.current_clock().jump(self.pause)
            yield


async def test_a_state_is_not_encoded_while_its_version_is_the_same(autojump_clock):
    delegate = Large()
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        for _ in range(3):
            await node._exchange.local_frame(join=False)
        assert 1 == delegate.encoded
        delegate.state = b"second"
        frame = await node._exchange.local_frame(join=False)
        assert 2 == delegate.encoded
        assert b"second" in frame or node.config.enable_compression


async def test_other_tasks_run_between_the_pieces_of_a_merge(mock_clock):
    delegate = Large(pieces=20, pause=USER_STEP / 2)
    state = UserState(delegate, None)
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await state.merge(b"theirs", join=True, began=True)
        nursery.cancel_scope.cancel()
    assert [("theirs", number, True) for number in range(20)] == delegate.steps
    assert turns >= 8


async def test_each_exchange_knows_who_began_it_while_others_are_merged(mock_clock):
    delegate = Large(pieces=20, pause=USER_STEP)
    state = UserState(delegate, None)
    async with trio.open_nursery() as nursery:
        for began in (True, False):

            async def merge(began=began):
                await state.merge(b"%d" % began, join=False, began=began)

            nursery.start_soon(merge)
    seen = {
        (decoded, began)
        for (decoded, *_), began in zip(delegate.steps, delegate.began, strict=True)
    }
    assert {("1", True), ("0", False)} == seen
    assert [d for d, *_ in delegate.steps] != sorted(d for d, *_ in delegate.steps), "in turns"


@pytest.mark.parametrize(
    "broken", ["state_version", "state_encoder", "encode", "decode_state", "merge_decoded"]
)
async def test_what_a_delegate_raises_costs_its_part_alone(autojump_clock, broken):
    delegate = Large()

    def crash(*_):
        raise ValueError("a bug of the user")

    if broken == "encode":
        delegate.state_encoder = lambda join: crash
    else:
        setattr(delegate, broken, crash)
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        assert await node._exchange.local_frame(join=False)
        await node._exchange.user_state.merge(b"theirs", join=False, began=False)
        assert 1 == node.statistics().bad_input["handler"]


async def test_a_plain_delegate_is_asked_as_in_go(autojump_clock):
    delegate = Delegate(state=b"whole")
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        await node._exchange.user_state.merge(b"theirs", join=True, began=False)
        assert [b"theirs"] == [state for state, *_ in delegate.merged]


async def test_what_gossip_lost_is_repaired(autojump_clock):
    async with cluster() as c:
        delegates = [Delegate(b"old"), Delegate(b"old")]
        nodes = [
            await c.start(
                number,
                delegate=delegate,
                gossip_interval=0,
                probe_interval=0,
                push_pull_interval=10,
            )
            for number, delegate in enumerate(delegates, 1)
        ]
        await nodes[1].join(["10.0.0.1"])
        delegates[1].meta = b"new"
        with trio.move_on_after(0.001):
            await nodes[1].update_node(0)
        assert b"old" == nodes[0].node("n2").meta
        await trio.sleep(21)
        assert b"new" == nodes[0].node("n2").meta
        assert nodes[0].statistics().push_pulls >= 1


async def test_a_failed_exchange_is_no_end(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(2, push_pull_interval=10, probe_interval=0)
        await trio.sleep(20)
        c.kill(2)
        await trio.sleep(25)
        before = nodes[0].statistics()
        assert before.push_pulls_failed >= 1
        await trio.sleep(20)
        assert nodes[0].statistics().push_pulls > before.push_pulls


async def test_turned_off_there_is_no_exchange(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(2, push_pull_interval=0, seed_memory=0)
        await trio.sleep(200)
        assert 0 == nodes[0].statistics().push_pulls


async def test_an_exchange_that_brought_something_new_is_soon_followed_by_another(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=1000, seed_memory=0)
        before = nodes[2].statistics().push_pulls
        await trio.sleep(4)
        after = nodes[2].statistics().push_pulls
        assert after == before + 1  # it joined, and learned of the others
        await trio.sleep(100)
        assert after == nodes[2].statistics().push_pulls  # that brought nothing new


async def test_as_go_does_it_waits_for_the_next_interval(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=1000, faithful_go=True)
        before = nodes[2].statistics().push_pulls
        await trio.sleep(100)
        assert before == nodes[2].statistics().push_pulls


async def test_what_peers_lack_is_sent_to_a_few_of_them_at_once_and_not_again_within_a_second(
    autojump_clock,
):
    async with cluster() as c:
        nodes = await c.start_many(6, push_pull_interval=1000, seed_memory=0)
        await trio.sleep(10)
        before = nodes[0].statistics().push_pulls
        nodes[0].exchange_soon()
        nodes[0].exchange_soon()
        await trio.sleep(0.1)
        assert before + 3 == nodes[0].statistics().push_pulls
        nodes[0].exchange_soon()
        await trio.sleep(0.1)
        assert before + 3 == nodes[0].statistics().push_pulls
        await trio.sleep(1)
        assert before + 6 == nodes[0].statistics().push_pulls


@pytest.mark.parametrize("faithful", [False, True])
async def test_nodes_that_were_turned_away_are_soon_asked_for(faithful, autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=1000, faithful_go=faithful)
        await trio.sleep(20)
        before = nodes[0].statistics().push_pulls
        nodes[0]._table._alive_rules.has_room = lambda *_: False
        message = alive_of("n9", bytes((10, 0, 0, 9)))
        for _ in range(100):
            nodes[0]._apply(nodes[0]._table.on_alive(message, trio.current_time()))
        await trio.sleep(2.1)
        exchanges = nodes[0].statistics().push_pulls - before
        if faithful:
            assert 0 == exchanges
            return
        assert 1 == exchanges
        await trio.sleep(50)
        assert REPAIRS == nodes[0].statistics().push_pulls - before
        # However long that lasts, there is no more than one in a while.
        before = nodes[0].statistics().push_pulls
        for _ in range(100):
            nodes[0]._apply(nodes[0]._table.on_alive(message, trio.current_time()))
            await trio.sleep(0.1 * REPAIR_PERIOD)
        assert 8 <= nodes[0].statistics().push_pulls - before <= 11


@pytest.mark.parametrize("faithful", [False, True])
async def test_instead_of_a_silent_node_that_was_never_reached_another_is_asked(
    faithful, autojump_clock
):
    async with cluster() as c:
        nodes = await c.start_many(2, push_pull_interval=10, faithful_go=faithful)
        await trio.sleep(15)
        for number in range(20):
            message = alive_of(f"ghost-{number}", bytes((10, 9, 9, number)))
            nodes[0]._apply(nodes[0]._table.on_alive(message, trio.current_time()))
        before = nodes[0].statistics()
        await trio.sleep(60)
        after = nodes[0].statistics()
        went_well = [one.push_pulls - one.push_pulls_failed for one in (before, after)]
        assert after.push_pulls_failed > before.push_pulls_failed
        assert (went_well[1] > went_well[0]) is not faithful


async def test_an_exchange_out_of_turn_leaves_the_regular_ones_their_times(
    autojump_clock, monkeypatch
):
    times = []
    exchange_with = PushPuller._exchange_with

    async def noted(self, node):
        times.append(trio.current_time())
        await exchange_with(self, node)

    monkeypatch.setattr(PushPuller, "_exchange_with", noted)
    async with cluster() as c:
        await c.start_many(8, push_pull_interval=100)
        await trio.sleep(10)
        assert times  # those that follow a join
        times.clear()
        await trio.sleep(200)
        assert 90 < min(times)
        times.sort()
        assert 10 < times[5] - times[0]  # one after another, at random: seldom below 60


@pytest.mark.parametrize("faithful", [False, True])
async def test_a_suspect_that_answers_on_streams_alone_may_refute(faithful, autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(6, push_pull_interval=1000, faithful_go=faithful)
        await trio.sleep(20)
        c.network.reject(None, None, streams=None)
        node, before = nodes[0], nodes[0].statistics()
        for number in range(2, 7):
            suspect = node.node(f"n{number}")
            node._apply(node._table.suspect_failed(suspect.name, 1, trio.current_time()))
        await trio.sleep(15)
        statuses = {node.node(f"n{number}").status.name for number in range(2, 7)}
        exchanges = node.statistics().push_pulls - before.push_pulls
        if faithful:
            assert {"SUSPECT"} == statuses
            assert 0 == exchanges
        else:
            assert {"ALIVE"} == statuses
            assert {2} == {node.node(f"n{number}").incarnation for number in range(2, 7)}
            assert exchanges <= 2 * 5


async def test_exchanges_with_suspects_are_the_rarer_the_larger_the_state(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3, push_pull_interval=1000)
        await trio.sleep(20)
        for number in range(100):
            message = alive_of(f"ghost-{number}", bytes((10, 9, 9, number)))
            nodes[0]._apply(nodes[0]._table.on_alive(message, trio.current_time()))
        before = nodes[0].statistics().push_pulls
        c.network.partition(["10.0.0.1", "10.0.0.2"])
        puller, suspect = nodes[0]._push_puller, nodes[0]._table.nodes["n2"]
        for _ in range(60):
            await puller.let_refute(suspect)
            await trio.sleep(0.1)
        # Six seconds, and twice the time for some hundred nodes; the suspect is none any more.
        assert 2 <= nodes[0].statistics().push_pulls - before <= 3


async def test_a_request_that_breaks_gives_what_the_peer_has_said_or_the_error(autojump_clock):
    """A peer that has no room answers and closes, while this node may still send."""

    class Broken:
        def __init__(self, reply):
            self.reply = reply

        async def send_all(self, data):
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("the peer closed")

        async def receive_some(self, most=None):
            await trio.lowlevel.checkpoint()
            reply, self.reply = self.reply, b""
            return reply

    async with one_node() as (node, _):
        puller = node._push_puller

        def dial(stream):
            @asynccontextmanager
            async def dialled(*_arguments):
                await trio.lowlevel.checkpoint()
                yield stream

            return dialled

        client = puller.client
        for reply, error, text in (
            (encode_message(ErrorReply("no room")), RemoteProtocolError, "no room"),
            (encode_message(Ack(1, None)), trio.BrokenResourceError, "the peer closed"),
        ):
            puller.client = SimpleNamespace(
                dial=dial(Broken(reply)), wire=client.wire, budget=client.budget
            )
            with pytest.raises(error, match=text):
                await puller.peek(Address("10.0.0.2", 7946), "n2")
