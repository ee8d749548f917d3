"""Streams that this node opens, to peers of every kind."""

from contextlib import suppress

import pytest
import trio

from trioserf._config import MemberlistConfig
from trioserf._exceptions import LocalProtocolError, MergeRefused, RemoteProtocolError
from trioserf._memberlist.metrics import Metrics
from trioserf._memberlist.node_log import node_log
from trioserf._memberlist.stream_io import read_message
from trioserf._swim.nodes import Node
from trioserf._swim.probing import ProbeRound, StreamPing
from trioserf._wire.limits import MAX_USER_MESSAGE
from trioserf._wire.messages import Ack, ErrorReply, NodeRecord, encode_message
from trioserf._wire.streams import (
    StreamCodec,
    UserMessageStream,
    frame,
    push_pull_bytes,
)
from trioserf.abc import Address

from .kit import VERSIONS, Delegate, Tap, cluster

PEER = "10.0.0.200"
THERE = Address(PEER, 7946)
PLAIN = StreamCodec()
METRICS = Metrics(None, {}, node_log("memberlist", "test"))


def record(name="n9", status=0):
    return NodeRecord(name, b"\x0a\x00\x00\x09", 7946, b"", 1, status, VERSIONS)


async def serve(c, reply, requests=None):
    """A peer that reads requests and sends ``reply``, bytes or None, to each."""
    transport = c.network.transport(PEER)
    await transport.open()

    async def run():
        while True:
            stream, _ = await transport.accept_stream()
            request = await read_message(stream, PLAIN, accept_side=True, metrics=METRICS)
            if requests is not None:
                requests.append(request)
            if reply is not None:
                await stream.send_all(reply)
                await stream.aclose()

    c.nursery.start_soon(run)


async def test_state_is_exchanged_and_merged(autojump_clock):
    async with cluster() as c:
        delegate, requests, tap = Delegate(state=b"local"), [], Tap()
        node = await c.start(1, delegate=delegate, tap=tap)
        await serve(c, frame(push_pull_bytes(False, [record()], b"remote"), PLAIN, None), requests)
        await node._push_puller.push_pull(THERE, "", join=True)
        assert [(b"remote", True)] == delegate.merged
        assert ["n1", "n9"] == [member.name for member in node.members()]
        (request,) = requests
        assert (True, b"local") == (request.join, request.user_state)
        assert [1] == tap.values("memberlist.tcp.connect")
        assert 1 == len(tap.values("memberlist.pushPullNode"))
        assert 1 == len(tap.values("memberlist.size.remote"))
        assert 1 == node.statistics().push_pulls


@pytest.mark.parametrize(
    ("reply", "error", "text"),
    [
        (frame(encode_message(ErrorReply("boom")), PLAIN, None), RemoteProtocolError, "boom"),
        (frame(encode_message(Ack(1, None)), PLAIN, None), RemoteProtocolError, "Ack"),
        (b"", RemoteProtocolError, "without a reply"),
        (b"\x0a\xff\xff\xff\xff", RemoteProtocolError, "encrypt"),
        (push_pull_bytes(False, [record()], b"")[:-3], RemoteProtocolError, "early"),
        (None, TimeoutError, "did not complete the exchange in 10 s"),
    ],
)
async def test_what_goes_wrong_is_an_error(autojump_clock, reply, error, text):
    async with cluster() as c:
        node = await c.start(1)
        await serve(c, reply)
        with pytest.raises(error, match=text):
            await node._push_puller.push_pull(THERE, "", join=True)
        assert 1 == node.num_nodes
        assert 1 == node.statistics().push_pulls_failed


async def test_the_local_merge_handler_may_refuse(autojump_clock):
    class Refuse:
        def notify_merge(self, nodes):
            raise MergeRefused(f"no {nodes[0].name}")

    async with cluster() as c:
        node = await c.start(1, merge=Refuse())
        await serve(c, frame(push_pull_bytes(False, [record()], b""), PLAIN, None))
        with pytest.raises(MergeRefused, match="no n9"):
            await node._push_puller.push_pull(THERE, "", join=True)
        assert 1 == node.num_nodes


async def test_nobody_there_is_an_os_error(autojump_clock):
    async with cluster() as c:
        node = await c.start(1, tcp_timeout=3.0)
        c.network.transport(PEER)
        with pytest.raises(ConnectionRefusedError):
            await node._push_puller.push_pull(THERE, "", join=True)
        c.network.cut("10.0.0.1", PEER)
        start = trio.current_time()
        with pytest.raises(TimeoutError, match=r"no connection to 10.0.0.200:7946 within 3 s"):
            await node._push_puller.push_pull(THERE, "", join=True)
        assert 3.0 == pytest.approx(trio.current_time() - start)


async def test_a_stream_that_breaks_is_an_os_error(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        await serve(c, None)

        async def cut():
            await trio.sleep(1)
            c.network.reset_streams(PEER)

        c.nursery.start_soon(cut)
        with pytest.raises(ConnectionResetError):
            await node._push_puller.push_pull(THERE, "", join=True)


async def test_required_names_must_be_there(autojump_clock):
    async with cluster() as c:
        node = await c.start(1, require_node_names=True)
        with pytest.raises(LocalProtocolError, match="node names are required"):
            await node._push_puller.push_pull(THERE, "", join=True)


async def test_a_reliable_message_arrives_whole(autojump_clock):
    async with cluster() as c:
        delegates = Delegate(), Delegate()
        first = await c.start(1, delegate=delegates[0], label="blue", secret_key=bytes(16))
        second = await c.start(2, delegate=delegates[1], label="blue", secret_key=bytes(16))
        await second.join(["10.0.0.1"])
        message = b"x" * 200_000
        await second.send_reliable(second.node("n1"), message)
        await trio.sleep(0.5)
        assert [message] == delegates[0].messages
        await first.send_reliable(first.node("n2"), b"back")
        await trio.sleep(0.5)
        assert [b"back"] == delegates[1].messages


async def test_a_message_too_long_for_a_stream_is_refused_before(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        with pytest.raises(LocalProtocolError, match="expected at most"):
            await node._client.send_user_message(THERE, "", bytes(MAX_USER_MESSAGE + 1))
        assert 0 == node.statistics().counts.get("memberlist.tcp.sent", 0)


async def test_a_user_message_needs_no_reply(autojump_clock):
    async with cluster() as c:
        requests = []
        node = await c.start(1)
        await serve(c, None, requests)
        await node._client.send_user_message(THERE, "", b"hi")
        await trio.sleep(0.1)
        assert [UserMessageStream(b"hi")] == requests


@pytest.mark.parametrize(
    ("reply", "answered"),
    [
        (frame(encode_message(Ack(1, None)), PLAIN, None), StreamPing.ACKED),
        (frame(encode_message(Ack(6, None)), PLAIN, None), StreamPing.FAILED),
        (frame(encode_message(ErrorReply("no")), PLAIN, None), StreamPing.FAILED),
        (b"\xff", StreamPing.FAILED),
        (None, StreamPing.CONNECTED),
    ],
)
async def test_a_ping_on_a_stream_says_how_far_it_came(autojump_clock, reply, answered):
    async with cluster() as c:
        node = await c.start(1)
        await serve(c, reply)
        target = node.local_node.copy()
        target.move(b"\x0a\x00\x00\xc8", 7946)
        probe = probe_of(node, target)
        await node._client.ping(probe)
        assert answered is probe.stream
        assert trio.current_time() <= probe.deadline + 0.001


def probe_of(node, target, **fields):
    return ProbeRound(
        target,
        local=node.local_node,
        seq_no=1,
        now=trio.current_time(),
        config=MemberlistConfig(**fields),
        score=0,
    )


async def test_a_ping_on_a_stream_tells_a_refusal_from_silence(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        nobody = Node(name="n9", addr=bytes((10, 9, 9, 9)), port=7946)
        refusing = node.local_node.copy()
        refusing.move(refusing.addr, 1)
        for target, expected in (
            (nobody, StreamPing.CONNECTING),
            (refusing, StreamPing.REFUSED),
        ):
            probe = probe_of(node, target)
            await node._client.ping(probe)
            assert expected is probe.stream


@pytest.mark.parametrize("what", ["push/pull", "ping"])
async def test_a_reply_that_drips_has_one_deadline_for_all(autojump_clock, what):
    async with cluster() as c:
        node = await c.start(1, tcp_timeout=5.0)
        transport = c.network.transport(PEER)
        await transport.open()

        async def drip():
            stream, _ = await transport.accept_stream()
            with suppress(trio.BrokenResourceError):
                for byte in frame(push_pull_bytes(False, [record()] * 20, b""), PLAIN, None):
                    await stream.send_all(bytes((byte,)))
                    await trio.sleep(1)

        c.nursery.start_soon(drip)
        started = trio.current_time()
        if what == "ping":
            peer = Node(name="n9", addr=bytes((10, 0, 0, 200)), port=7946)
            with trio.fail_after(20):
                probe = probe_of(node, peer, probe_interval=5.0)
                await node._client.ping(probe)
                assert StreamPing.CONNECTED is probe.stream
        else:
            with pytest.raises(TimeoutError):
                await node._push_puller.push_pull(THERE, "", join=True)
        assert 5.0 == pytest.approx(trio.current_time() - started, abs=0.5)


@pytest.mark.parametrize("faithful", [False, True])
async def test_a_ping_on_a_stream_does_not_hang_on_one_lost_packet(faithful, autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(2, probe_interval=0, faithful_go=faithful)
        c.network.cut("10.0.0.1", "10.0.0.2")
        probe = probe_of(nodes[0], nodes[0].node("n2"))
        with trio.move_on_at(probe.deadline):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(nodes[0]._client.ping, probe)
                await trio.sleep(0.1)
                c.network.mend("10.0.0.1", "10.0.0.2")
        assert (StreamPing.CONNECTING if faithful else StreamPing.ACKED) is probe.stream


async def test_no_stream_is_begun_after_the_probe(autojump_clock):
    async with cluster() as c:
        node = await c.start(1, tcp_timeout=5.0)
        transport = c.network.transport(PEER)
        await transport.open()
        real, begun = node._transport.connect_stream, []

        async def connect(to):
            begun.append(trio.current_time())
            return await real(to)

        node._transport.connect_stream = connect
        peer = Node(name="n9", addr=bytes((10, 0, 0, 200)), port=7946)
        started = trio.current_time()
        probe = probe_of(node, peer, probe_interval=0.3, probe_timeout=0.1)
        await node._client.ping(probe)
        # The third would begin after 0.45 s.
        assert [0.0, 0.15] == pytest.approx([at - started for at in begun], abs=0.01)
        assert StreamPing.CONNECTED is probe.stream


async def test_a_ping_is_sent_on_a_few_streams_at_most_and_leaves_none_open(autojump_clock):
    async with cluster() as c:
        node = await c.start(1, tcp_timeout=5.0)
        transport = c.network.transport(PEER)
        await transport.open()
        accepted, closed = [], []

        async def accept():
            while True:
                stream, _ = await transport.accept_stream()
                accepted.append(trio.current_time())
                c.nursery.start_soon(read, stream)

        async def read(stream):
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
            closed.append(stream)

        c.nursery.start_soon(accept)
        peer = Node(name="n9", addr=bytes((10, 0, 0, 200)), port=7946)
        started = trio.current_time()
        await node._client.ping(probe_of(node, peer, probe_interval=2.0))
        assert [0.0, 0.15, 0.45] == pytest.approx([at - started for at in accepted], abs=0.01)
        await trio.sleep(0.1)
        assert 3 == len(closed)
