"""The laws of streams; see `trioserf.testing.check_transport`."""

from __future__ import annotations

import trio

from .law_ground import MakeTransport, in_time, law, must_raise, opened, read_all, stream_pair


@law
async def check_a_stream_carries_bytes_both_ways(make: MakeTransport) -> None:
    """In order and complete, more than any buffer holds, and to the end of the stream."""
    async with opened(make, 2) as (a, b):
        near, far, source = await stream_pair(a, b)
        there, back = bytes(range(256)) * 8192, b"answer" * 1000

        async def answer() -> None:
            got = b""
            while len(got) < len(there):
                got += await far.receive_some(65536)
            assert got == there, "the bytes that arrived are not those that were sent"
            await far.send_all(back)
            await far.aclose()

        assert source.host == a.local_address.host, (source, a.local_address)
        with in_time("an exchange on a stream"):
            async with near, far, trio.open_nursery() as nursery:
                nursery.start_soon(answer)
                await near.send_all(there)
                assert await read_all(near) == back


@law
async def check_half_a_stream_can_be_closed(make: MakeTransport) -> None:
    """After the end of one direction the other still works."""
    async with opened(make, 2) as (a, b):
        near, far, _ = await stream_pair(a, b)
        assert isinstance(near, trio.abc.HalfCloseableStream), near
        async with near, far:
            await near.send_all(b"question")
            await near.send_eof()
            assert await read_all(far) == b"question"
            await far.send_all(b"answer")
            await far.aclose()
            assert await read_all(near) == b"answer"


@law
async def check_a_closed_peer_breaks_a_stream(make: MakeTransport) -> None:
    """Sending to a peer that has closed fails soon, though not always at once."""
    async with opened(make, 2) as (a, b):
        near, far, _ = await stream_pair(a, b)
        async with near:
            await far.aclose()
            with in_time("an error from sending"), must_raise(trio.BrokenResourceError):
                while True:
                    await near.send_all(bytes(1000))
                    await trio.sleep(0.001)


@law
async def check_unread_bytes_make_closing_a_reset(make: MakeTransport) -> None:
    """A peer that closes without reading is noticed by the reader too."""
    async with opened(make, 2) as (a, b):
        near, far, _ = await stream_pair(a, b)
        async with near:
            await near.send_all(b"never read")
            await trio.sleep(0.01)
            await far.aclose()
            with in_time("an error from reading"), must_raise(trio.BrokenResourceError):
                await near.receive_some(1)


@law
async def check_a_refused_stream_is_an_os_error(make: MakeTransport) -> None:
    """Dialling a port where nobody listens raises ``OSError``, soon."""
    async with opened(make, 1) as (a,):
        async with opened(make, 1) as (gone,):
            nobody = gone.local_address
        with in_time("the refusal of a stream"), must_raise(OSError):
            await a.connect_stream(nobody)


@law
async def check_one_acceptor_at_a_time(make: MakeTransport) -> None:
    """A second acceptor is told so; a cancelled one takes no stream with it."""
    async with opened(make, 2) as (a, b):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(b.accept_stream)
            await trio.sleep(0.01)
            with must_raise(trio.BusyResourceError):
                await b.accept_stream()
            nursery.cancel_scope.cancel()
        near, far, _ = await stream_pair(a, b)
        await near.aclose()
        await far.aclose()


@law
async def check_streams_outlive_their_transports(make: MakeTransport) -> None:
    """Closing a transport leaves open the streams that it gave out."""
    async with opened(make, 2) as (a, b):
        near, far, _ = await stream_pair(a, b)
        a.close()
        b.close()
        async with near, far:
            await near.send_all(b"still here")
            with in_time("bytes on a stream"):
                assert await far.receive_some(10) == b"still here"
