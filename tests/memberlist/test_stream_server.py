"""Streams that peers open, friendly and hostile."""

import math
import random

import pytest
import trio

from trioserf._exceptions import JoinError, MergeRefused
from trioserf._memberlist.metrics import Metrics
from trioserf._memberlist.node_log import node_log
from trioserf._memberlist.stream_io import FREE_SIZE, read_message
from trioserf._memberlist.stream_server import FIRST_BYTE_LIMIT, MAX_PUSH_PULLS, STREAM_PROTECTED
from trioserf._swim.token_bucket import TokenBucket
from trioserf._wire.compression import compress_message
from trioserf._wire.keyring import Keyring
from trioserf._wire.messages import Ack, ErrorReply, NodeRecord, Ping, encode_message
from trioserf._wire.streams import (
    PushPullState,
    StreamCodec,
    dial_prefix,
    frame,
    push_pull_bytes,
    user_message_bytes,
)
from trioserf.abc import Address

from .kit import VERSIONS, Delegate, Events, cluster

SERVER = Address("10.0.0.1", 7946)
PLAIN = StreamCodec()
METRICS = Metrics(None, {}, node_log("memberlist", "test"))


def record(name="n9", last=9, status=0):
    return NodeRecord(name, bytes((10, 0, 0, last)), 7946, b"", 1, status, VERSIONS)


class Peer:
    """A hand-made peer on a host of its own."""

    def __init__(self, transport):
        self.transport = transport

    async def dial(self):
        return await self.transport.connect_stream(SERVER)

    async def ask(self, plain, codec=PLAIN):
        """Send one request; what comes back."""
        stream = await self.dial()
        nonce = bytes(12) if codec.encrypts else None
        await stream.send_all(dial_prefix(codec) + frame(plain, codec, nonce))
        with trio.fail_after(60):
            return await read_message(stream, codec, accept_side=False, metrics=METRICS)


async def trickle(stream, data, pause):
    for byte in data:
        await stream.send_all(bytes((byte,)))
        await trio.sleep(pause)


async def with_peer(c, **fields):
    node = await c.start(1, **fields)
    transport = c.network.transport("10.0.0.200")
    await transport.open()
    return node, Peer(transport)


async def test_a_ping_is_acked_without_payload(autojump_clock):
    async with cluster() as c:
        _, peer = await with_peer(c)
        assert Ack(77, None) == await peer.ask(encode_message(Ping(77, "n1")))
        assert Ack(78, None) == await peer.ask(encode_message(Ping(78, "")))


async def test_a_ping_for_another_name_gets_no_reply(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c)
        assert await peer.ask(encode_message(Ping(77, "n2"))) is None
        assert 1 == node.statistics().bad_input["name"]


async def test_a_user_message_reaches_the_delegate(autojump_clock):
    async with cluster() as c:
        delegate = Delegate()
        _, peer = await with_peer(c, delegate=delegate)
        assert await peer.ask(user_message_bytes(b"hello")) is None
        assert await peer.ask(user_message_bytes(b"")) is None
        assert [b"hello"] == delegate.messages


async def test_a_push_pull_sends_the_local_state_first_and_is_merged_then(autojump_clock):
    async with cluster() as c:
        delegate = Delegate(state=b"local")
        node, peer = await with_peer(c, delegate=delegate)
        reply = await peer.ask(push_pull_bytes(True, [record()], b"remote"))
        assert isinstance(reply, PushPullState)
        assert (True, b"local") == (reply.join, reply.user_state)
        assert ["n1"] == [record.name for record in reply.records]
        await trio.sleep(0.1)
        assert [(b"remote", True)] == delegate.merged
        assert ["n1", "n9"] == [member.name for member in node.members()]


async def test_a_refused_peer_still_gets_the_local_state(autojump_clock):
    class Refuse:
        def notify_merge(self, nodes):
            raise MergeRefused("not you")

    async with cluster() as c:
        node, peer = await with_peer(c, merge=Refuse())
        reply = await peer.ask(push_pull_bytes(True, [record()], b""))
        assert isinstance(reply, PushPullState)
        await trio.sleep(0.1)
        assert 1 == node.num_nodes
        assert 1 == node.statistics().bad_input["merge"]
        # Only a join asks the merge handler.
        await peer.ask(push_pull_bytes(False, [record()], b""))
        await trio.sleep(0.1)
        assert 2 == node.num_nodes


async def test_versions_that_cannot_live_together_are_refused(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c)
        alien = NodeRecord("n9", b"\x0a\x00\x00\x09", 7946, b"", 1, 0, b"\x03\x05\x04\0\0\0")
        await peer.ask(push_pull_bytes(False, [alien], b""))
        await trio.sleep(0.1)
        assert 1 == node.num_nodes
        assert 1 == node.statistics().bad_input["merge"]


async def test_a_peer_that_does_not_encrypt_gets_an_error_reply(autojump_clock):
    async with cluster() as c:
        key = bytes(16)
        node, peer = await with_peer(c, secret_key=key)
        codec = StreamCodec(keyring=Keyring((key,)))
        reply = await peer.ask(encode_message(Ping(1, "n1")), codec)
        assert Ack(1, None) == reply
        stream = await peer.dial()
        await stream.send_all(encode_message(Ping(1, "n1")))
        reply = await read_message(stream, codec, accept_side=False, metrics=METRICS)
        assert isinstance(reply, ErrorReply)
        assert "encryption is configured" in reply.error
        assert 1 == node.statistics().bad_input["stream"]


async def test_a_label_must_fit(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c, label="blue")
        blue, red = StreamCodec(label=b"blue"), StreamCodec(label=b"red")
        assert Ack(1, None) == await peer.ask(encode_message(Ping(1, "n1")), blue)
        assert await peer.ask(encode_message(Ping(1, "n1")), red) is None
        assert 1 == node.statistics().bad_input["stream"]


async def test_a_peer_that_says_nothing_and_goes_is_no_problem(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c)
        stream = await peer.dial()
        await stream.aclose()
        await trio.sleep(1)
        assert {} == dict(node.statistics().bad_input)
        assert 0 == node.statistics().streams


async def test_a_request_byte_by_byte_has_one_deadline_for_all(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c, tcp_timeout=10.0)
        data = push_pull_bytes(True, [record()], b"x" * 100)
        stream = await peer.dial()
        start = trio.current_time()
        with pytest.raises(trio.BrokenResourceError):
            await trickle(stream, data, 1)
        assert 9 <= trio.current_time() - start <= 13
        assert 1 == node.num_nodes
        assert 0 == node.statistics().streams


async def test_a_fast_request_byte_by_byte_is_served(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c)
        stream = await peer.dial()
        await trickle(stream, push_pull_bytes(True, [record()], b"x" * 100), 0.001)
        reply = await read_message(stream, PLAIN, accept_side=False, metrics=METRICS)
        assert isinstance(reply, PushPullState)
        await trio.sleep(0.1)
        assert 2 == node.num_nodes


async def test_a_reply_has_a_time_limit_of_its_own(autojump_clock):
    async with cluster(stream_window=10_000) as c:
        delegate = Delegate(state=b"x" * 50_000)
        _, peer = await with_peer(c, delegate=delegate, enable_compression=False)
        data = push_pull_bytes(True, [record()], b"")
        stream = await peer.dial()
        await stream.send_all(data[:-1])
        await trio.sleep(9)
        await stream.send_all(data[-1:])
        await trio.sleep(5)
        reply = await read_message(stream, PLAIN, accept_side=False, metrics=METRICS)
        assert 50_000 == len(reply.user_state)


async def test_a_peer_that_never_reads_its_reply_is_dropped(autojump_clock):
    async with cluster(stream_window=1000) as c:
        delegate = Delegate(state=b"x" * 100_000)
        node, peer = await with_peer(c, delegate=delegate, enable_compression=False)
        stream = await peer.dial()
        await stream.send_all(push_pull_bytes(True, [record()], b""))
        await trio.sleep(5)
        assert 1 == node.statistics().streams
        await trio.sleep(6)
        assert 0 == node.statistics().streams
        await stream.aclose()


async def test_idle_connections_do_not_lock_peers_out(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c, max_streams=8)
        idle = [await peer.dial() for _ in range(8)]
        await trio.sleep(1)
        assert 8 == node.statistics().streams
        assert Ack(1, None) == await peer.ask(encode_message(Ping(1, "n1")))
        assert 1 == node.statistics().bad_input["streams"]
        for stream in idle:
            await stream.aclose()


async def test_a_burst_beyond_the_limit_is_turned_away(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c, max_streams=4)
        streams = [await peer.dial() for _ in range(6)]
        await trio.sleep(0.1)
        assert 4 == node.statistics().streams
        assert 2 == node.statistics().bad_input["streams"]
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def test_the_bytes_of_incomplete_requests_are_bounded(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c)
        node._stream_server.budget.limit = 100_000
        big = user_message_bytes(b"x" * 300_000)
        stream = await peer.dial()
        await stream.send_all(big[:250_000])
        reply = await reply_on(stream)
        assert reply.error.startswith("busy: requests hold ")
        assert 1 == node.statistics().bad_input["stream"]
        assert 0 == node._stream_server.budget.used


async def reply_on(stream):
    return await read_message(stream, PLAIN, accept_side=False, metrics=METRICS)


async def test_a_stream_that_says_nothing_has_a_short_limit(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c, tcp_timeout=30.0)
        stream, start = await peer.dial(), trio.current_time()
        assert ErrorReply("too slow") == await reply_on(stream)
        assert FIRST_BYTE_LIMIT == pytest.approx(trio.current_time() - start, abs=0.1)
        stream, start = await peer.dial(), trio.current_time()
        await stream.send_all(b"\x06")
        assert ErrorReply("too slow") == await reply_on(stream)
        assert 30 == pytest.approx(trio.current_time() - start, abs=0.1)
        assert 0 == node.statistics().streams


async def test_who_said_nothing_is_shed_first_and_the_oldest_of_them_first(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c, max_streams=4)
        talking = await peer.dial()
        await talking.send_all(b"\x06")
        silent = [await peer.dial() for _ in range(3)]
        await trio.sleep(1)
        late = [await peer.dial() for _ in range(2)]
        for stream in silent[:2]:
            assert ErrorReply("4 streams are open already") == await reply_on(stream)
        assert 4 == node.statistics().streams
        await silent[2].send_all(encode_message(Ping(1, "n1")))
        assert Ack(1, None) == await reply_on(silent[2])
        for stream in (talking, *late):
            await stream.aclose()


async def test_of_those_that_send_their_requests_slowly_the_oldest_makes_room(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c, max_streams=2)
        slow = [await peer.dial() for _ in range(2)]
        for stream in slow:
            await stream.send_all(b"\x06")
        await trio.sleep(STREAM_PROTECTED - 0.1)
        assert ErrorReply("2 streams are open already") == await peer.ask(
            encode_message(Ping(1, "n1"))
        )
        assert 2 == node.statistics().streams
        await trio.sleep(0.2)
        assert Ack(2, None) == await peer.ask(encode_message(Ping(2, "n1")))
        assert ErrorReply("2 streams are open already") == await reply_on(slow[0])
        assert 1 == node.statistics().streams
        await slow[1].aclose()


async def test_hundreds_of_silent_connections_keep_no_join_out(autojump_clock):
    async with cluster() as c:
        _, peer = await with_peer(c)
        other = await c.start(2)
        silent = [await peer.dial() for _ in range(300)]
        await trio.sleep(0.1)
        start = trio.current_time()
        assert 1 == await other.join([str(SERVER)])
        assert trio.current_time() - start < 0.5
        for stream in silent:
            await trio.aclose_forcefully(stream)


async def test_a_peer_that_finds_no_place_learns_why(autojump_clock):
    async with cluster() as c:
        _, peer = await with_peer(c, max_streams=2)
        other = await c.start(2)
        busy = [await peer.dial() for _ in range(2)]
        for stream in busy:
            await stream.send_all(b"\x06")
        with pytest.raises(JoinError) as caught:
            await other.join([str(SERVER)])
        assert "2 streams are open already" in str(caught.value.exceptions[0])
        for stream in busy:
            await trio.aclose_forcefully(stream)


async def test_a_refused_peer_that_still_writes_learns_why(autojump_clock):
    async with cluster(stream_window=1000) as c:
        _, peer = await with_peer(c, max_streams=1)
        other = await c.start(2, delegate=Delegate(state=b"x" * 100_000), enable_compression=False)
        busy = await peer.dial()
        await busy.send_all(b"\x06")
        with pytest.raises(JoinError) as caught:
            await other.join([str(SERVER)])
        assert "1 streams are open already" in str(caught.value.exceptions[0])
        await trio.aclose_forcefully(busy)


def bomb(size):
    """A push/pull of a few kilobytes that holds ``size`` bytes."""
    return compress_message(push_pull_bytes(True, [record()], bytes(size)))


async def test_what_a_request_holds_counts_until_it_is_dropped(autojump_clock):
    async with cluster(stream_window=1000) as c:
        delegate = Delegate(state=b"x" * 100_000)
        node, peer = await with_peer(c, delegate=delegate, enable_compression=False)
        budget = node._stream_server.budget
        stream = await peer.dial()  # does not read the reply
        with trio.move_on_after(1):
            await stream.send_all(bomb(1_000_000))
        await trio.sleep(1)
        assert 1 == node.statistics().streams
        assert 1_000_000 - FREE_SIZE < budget.used < 1_000_000
        await stream.aclose()
        await trio.sleep(10)
        assert 0 == budget.used


async def test_large_requests_of_peers_that_do_not_read_are_few_at_once(autojump_clock):
    async with cluster(stream_window=100_000) as c:
        delegate = Delegate(state=b"x" * 200_000)
        node, peer = await with_peer(c, delegate=delegate, enable_compression=False)
        budget = node._stream_server.budget
        node._stream_server._strangers = TokenBucket(math.inf, 1.0)
        budget.limit, most, data = 8_000_000, [], bomb(1_000_000)

        async def attack():
            while True:
                stream = await peer.dial()
                try:
                    with trio.move_on_after(20):
                        await stream.send_all(data)
                        await trio.sleep_forever()
                except trio.BrokenResourceError:
                    pass
                finally:
                    await trio.aclose_forcefully(stream)

        async def watch():
            while True:
                most.append(budget.used)
                await trio.sleep(0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            for _ in range(12):
                nursery.start_soon(attack)
            await trio.sleep(5)
            # Small exchanges need nothing of the budget.
            start = trio.current_time()
            assert Ack(1, None) == await peer.ask(encode_message(Ping(1, "n1")))
            reply = await peer.ask(push_pull_bytes(True, [record()], b""))
            assert isinstance(reply, PushPullState)
            assert trio.current_time() - start < 1
            nursery.cancel_scope.cancel()
        assert 1_000_000 < max(most) <= 8_000_000
        await trio.sleep(15)
        assert 0 == budget.used


async def test_large_exchanges_of_strangers_are_rate_limited(autojump_clock):
    async with cluster(latency=0.001) as c:
        node, peer = await with_peer(c, gossip_interval=0, push_pull_interval=0)
        many = push_pull_bytes(False, [record(f"x{number}") for number in range(2000)], b"")
        few = push_pull_bytes(False, [record()], b"")

        async def served():
            replies = [await peer.ask(many) for _ in range(20)]
            return sum(isinstance(reply, PushPullState) for reply in replies)

        assert 5 <= await served() <= 15
        reply = await peer.ask(many)
        assert isinstance(reply, ErrorReply)
        assert "busy" in reply.error
        assert isinstance(await peer.ask(few), PushPullState), "small ones are not concerned"
        await trio.sleep(5)
        assert isinstance(await peer.ask(many), PushPullState)
        # A member that was reached may send as much as it likes.
        await peer.ask(push_pull_bytes(True, [record("member", 200)], b""))
        node.node("member").answered(trio.current_time())
        assert 20 == await served()


async def test_whatever_arrives_on_a_stream_nothing_is_raised(autojump_clock):
    rng = random.Random(3)
    samples = [
        frame(plain, PLAIN, None)
        for plain in (
            encode_message(Ping(1, "n1")),
            user_message_bytes(b"x" * 50),
            push_pull_bytes(True, [record(), record("n8", 8, 2)], b"state"),
        )
    ]
    samples += [push_pull_bytes(True, [record()], b"state"), b"\x0a\xff\xff\xff\xff", b"\xf4"]
    async with cluster() as c:
        events = Events()
        node, peer = await with_peer(c, events=events)
        for _ in range(300):
            data = bytearray(rng.choice(samples))
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            stream = await peer.dial()
            try:
                await stream.send_all(bytes(data[: rng.randrange(1, len(data) + 1)]))
                await stream.send_eof()
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            await trio.aclose_forcefully(stream)
        await trio.sleep(30)
        statistics = node.statistics()
        assert 0 == statistics.streams
        assert "handler" not in statistics.bad_input
        assert Ack(1, None) == await peer.ask(encode_message(Ping(1, "n1")))


async def test_a_reply_without_a_request_is_no_request(autojump_clock):
    async with cluster() as c:
        node, peer = await with_peer(c)
        assert await peer.ask(encode_message(Ack(1, None))) is None
        assert 1 == node.statistics().bad_input["stream"]


async def test_a_failed_accept_is_tried_again_and_logged_once(autojump_clock, caplog):
    async with cluster() as c:
        node, peer = await with_peer(c)
        server = node._stream_server
        real = server.transport.accept_stream
        failures = iter([OSError("too many open files")] * 3)

        class Flaky:
            async def accept_stream(self):
                error = next(failures, None)
                if error is not None:
                    await trio.lowlevel.checkpoint()
                    raise error
                return await real()

        server.transport = Flaky()
        silent = await peer.dial()  # the accept that was under way
        assert Ack(2, None) == await peer.ask(encode_message(Ping(2, "n1")))
        # What a stream that says nothing has is needed more elsewhere.
        assert ErrorReply("the system takes no more streams") == await reply_on(silent)
        assert 3 == node.statistics().bad_input["accept"]
        assert 1 == caplog.text.count("too many open files")


async def test_the_128th_push_pull_at_once_learns_that_there_are_too_many(autojump_clock):
    async with cluster(stream_window=1000) as c:
        delegate = Delegate(state=b"x" * 100_000)
        node, peer = await with_peer(
            c, delegate=delegate, max_streams=200, enable_compression=False
        )
        held = []
        for _ in range(MAX_PUSH_PULLS):
            stream = await peer.dial()
            await stream.send_all(push_pull_bytes(True, [record()], b""))
            held.append(stream)
        await trio.sleep(1)
        assert MAX_PUSH_PULLS == node.statistics().streams
        reply = await peer.ask(push_pull_bytes(True, [record()], b""))
        assert ErrorReply("127 push/pulls already") == reply
        assert Ack(1, None) == await peer.ask(encode_message(Ping(1, "n1")))
        assert 1 == node.statistics().bad_input["streams"]
        for stream in held:
            await stream.aclose()


async def test_a_stream_that_breaks_while_it_is_served_is_no_fault_of_anybody(
    autojump_clock, caplog, monkeypatch
):
    caplog.set_level("DEBUG", logger="trioserf")
    async with cluster() as c:
        node, peer = await with_peer(c)
        server = node._stream_server

        async def breaks(*_arguments):
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("reset by peer")

        with monkeypatch.context() as patch:
            patch.setattr(type(server), "_converse", breaks)
            await peer.dial()
            await trio.sleep(1)
        assert "broke: reset by peer" in caplog.text
        assert 0 == len(server)
        assert {} == node.statistics().bad_input
        assert Ack(1, None) == await peer.ask(encode_message(Ping(1, "n1")))


class Odd(trio.abc.Stream):
    """A stream of a transport of the user's own, which cannot close one direction alone."""

    def __init__(self, stream, error=None):
        self.stream, self.error = stream, error

    async def receive_some(self, max_bytes=None):
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        return await self.stream.receive_some(max_bytes)

    async def send_all(self, data):
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self):
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self):
        await self.stream.aclose()


async def accept_odd(node, error=None):
    """Let the streams that are accepted from now on be odd ones."""
    real = node._stream_server.transport

    class Transport:
        async def accept_stream(self):
            stream, source = await real.accept_stream()
            return Odd(stream, error), source

    node._stream_server.transport = Transport()


async def test_a_stream_that_cannot_close_one_direction_says_why_a_peer_is_turned_away(
    autojump_clock,
):
    async with cluster() as c:
        node, peer = await with_peer(c, max_streams=1)
        await accept_odd(node)
        busy = [await peer.dial() for _ in range(2)]  # the first accept was under way
        await busy[0].aclose()
        await busy[1].send_all(b"\x06")
        assert ErrorReply("1 streams are open already") == await peer.ask(
            encode_message(Ping(1, "n1"))
        )
        await busy[1].aclose()


async def test_a_stream_that_raises_what_nobody_expects_ends_alone(autojump_clock, caplog):
    async with cluster() as c:
        node, peer = await with_peer(c)
        real = node._stream_server.transport
        await accept_odd(node, ZeroDivisionError("a bug of the transport"))
        streams = [await peer.dial() for _ in range(2)]
        await trio.sleep(0.1)
        node._stream_server.transport = real
        assert 1 == node.statistics().bad_input["handler"]
        assert "a bug of the transport" in caplog.text
        for stream in streams:
            await stream.aclose()
        await trio.sleep(0.1)
        await peer.dial()  # the accept that was under way
        assert Ack(2, None) == await peer.ask(encode_message(Ping(2, "n1")))
