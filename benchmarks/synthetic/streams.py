"""The streams of a large cluster: every member answers push/pulls, and begins them on command.

What a node sends is read and dropped: it came from this cluster.  The reply was
encoded before, so that it does not take the time of those who are measured.
"""

from __future__ import annotations

import json
import random
import sys
import time
from functools import partial
from typing import Any

import trio

from benchmarks.events import lines_of
from benchmarks.synthetic.world import PORT, World, host
from trioserf._wire.compression import compress_message
from trioserf._wire.messages import MessageType
from trioserf._wire.streams import StreamCodec, StreamParser

CHUNK = 1 << 16


class Members:
    """All members of the world, at one listening socket."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.start = float("inf")
        self.frame = b""
        self.served = 0
        self._rng = random.Random(3)

    def prepare(self) -> int:
        now = time.monotonic() - self.start
        self.frame = compress_message(self.world.state(max(now, 0.0)))
        return len(self.frame)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Reply to a push/pull, whatever it says; anything else is a ping, and gets no reply."""
        try:
            first = b""
            while not first:
                first = bytes(await stream.receive_some(CHUNK))
                if not first:
                    return
            parser = StreamParser(StreamCodec(), accept_side=True)
            if first[0] == MessageType.PING or parser.receive(first[:64]) is not None:
                return
            self.served += 1
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._drain, stream)
                await stream.send_all(self.frame)
        except (trio.BrokenResourceError, BaseExceptionGroup):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async def _drain(self, stream: trio.SocketStream) -> None:
        while await stream.receive_some(CHUNK):
            pass

    async def exchange(self, to: str, port: int) -> tuple[float, int]:
        """A member exchanges state with a real node: seconds until the reply is here, its size."""
        start, size = time.monotonic(), 0
        sock = trio.socket.socket()
        await sock.bind((host(self._rng.randint(1, self.world.size)), 0))
        await sock.connect((to, port))
        async with trio.SocketStream(sock) as stream:
            await stream.send_all(self.frame)
            while data := await stream.receive_some(CHUNK):
                size += len(data)
        return time.monotonic() - start, size

    async def obey(self, nursery: trio.Nursery) -> None:
        async for command in lines_of(trio.lowlevel.FdStream(0)):
            answer: dict[str, Any] = {}
            if command["do"] == "clock":
                self.start = command["start"]
            elif command["do"] == "prepare":
                answer = {"size": self.prepare()}
            elif command["do"] == "exchange":
                seconds, size = await self.exchange(command["host"], command["port"])
                answer = {"seconds": seconds, "size": size}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        nursery.cancel_scope.cancel()


async def main(settings: dict[str, Any]) -> None:
    members = Members(World(**settings["world"]))
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, members.serve, PORT, host="0.0.0.0")
        await nursery.start(serve)
        nursery.start_soon(members.obey, nursery)


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
