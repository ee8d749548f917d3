"""Service discovery: backends announce where they serve, a front sends each request to one of them.

In three terminals::

    python discovery.py backend --name shop-1 --bind 127.0.0.1:7946
    python discovery.py backend --name shop-2 --bind 127.0.0.1:7947 --join 127.0.0.1:7946
    python discovery.py front   --name front  --bind 127.0.0.1:7948 --join 127.0.0.1:7946

The front asks a backend every second.  Stop a backend, in any way: the front goes on with the
others.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools

import trio

import trioserf


async def serve(stream: trio.SocketStream, name: str) -> None:
    """The service itself: one line for one request."""
    with contextlib.suppress(trio.BrokenResourceError):
        async for _request in stream:
            await stream.send_all(f"hello from {name}\n".encode())


async def backend(serf: trioserf.Serf, listeners: list[trio.SocketListener]) -> None:
    async def handle(stream: trio.SocketStream) -> None:
        await serve(stream, serf.name)

    await trio.serve_listeners(handle, listeners)


class Backends:
    """The backends of this moment, one after the other."""

    def __init__(self) -> None:
        self.members: trioserf.Members | tuple[()] = ()
        self.turn = itertools.count()

    async def watch(self, serf: trioserf.Serf) -> None:
        """Keep the list up to date; `follow` gives it now, and again after each change."""
        alive = trioserf.MemberStatus.ALIVE
        async with serf.follow(status=alive, tags={"role": "backend"}) as states:
            async for self.members in states:
                print("backends:", *(member.name for member in self.members), flush=True)

    async def ask(self) -> str:
        """One answer from whichever backend is next; one that just died is passed over."""
        for _ in range(len(self.members)):
            member = self.members[next(self.turn) % len(self.members)]
            try:
                with trio.fail_after(1):
                    async with await trio.open_tcp_stream(
                        str(member.addr), int(member.tags["port"])
                    ) as stream:
                        await stream.send_all(b"hello\n")
                        return (await stream.receive_some()).decode().strip()
            except (OSError, trio.BrokenResourceError, trio.TooSlowError):
                continue  # it is gone, and the cluster will say so in a moment
        return "no backend answers"


async def front(serf: trioserf.Serf) -> None:
    backends = Backends()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backends.watch, serf)
        while True:
            await trio.sleep(1)
            print(await backends.ask(), flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("role", choices=["backend", "front"])
    parser.add_argument("--name", required=True)
    parser.add_argument("--bind", required=True, help="of the cluster: host:port")
    parser.add_argument("--port", type=int, default=0, help="of the service; 0 takes a free one")
    parser.add_argument("--join", action="append", default=[], help="any member: host:port")
    args = parser.parse_args()

    tags = {"role": args.role}
    listeners: list[trio.SocketListener] = []
    if args.role == "backend":
        # Serve first, then say so: nobody is sent to a port where nobody listens yet.
        host = args.bind.rpartition(":")[0]
        listeners = await trio.open_tcp_listeners(args.port, host=host)
        tags["port"] = str(listeners[0].socket.getsockname()[1])

    config = trioserf.Config.lan(
        node_name=args.name,
        bind=args.bind,
        tags=tags,
        retry_join=args.join,
        retry_join_interval=2.0,
    )
    async with trioserf.open(config) as serf, trioserf.leave_on_signals(serf):
        if args.role == "backend":
            await backend(serf, listeners)
        else:
            await front(serf)


if __name__ == "__main__":
    trio.run(main)
