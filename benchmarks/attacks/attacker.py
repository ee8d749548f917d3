"""What an attacker can do: send packets at a rate, and open streams at a rate."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator

import attrs
import trio

from trioserf._wire.keyring import Keyring
from trioserf._wire.packets import PacketCodec, encode_packet
from trioserf._wire.streams import StreamCodec, frame

TICK = 0.01
"""Seconds between two bursts of packets."""
MOST_STREAMS = 1000
"""Streams of one attacker that are open at once."""


@attrs.define(eq=False, kw_only=True)
class Attacker:
    """Somebody who reaches the victim's port and is no member.

    Args:
      target: the victim's address.
      victim, honest: names of members that an attacker might know.
      host: a loopback address of the attacker; sources are on its network.
      seconds: how long each attack takes.
      rate, stream_rate: packets and streams in a second.
      key: encrypts what is sent, for those who have a key.
      peer: the address of another member: the Go agent, if there is one.
    """

    target: tuple[str, int]
    victim: str
    honest: str
    host: str
    seconds: float
    rate: int = 1000
    stream_rate: int = 100
    key: bytes | None = None
    peer: tuple[str, int] | None = None
    rng: random.Random = attrs.Factory(lambda: random.Random(11))
    packets: int = 0
    streams: int = 0
    refused: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    _sockets: list[socket.socket] = attrs.Factory(list)
    _ended_at: float = 0.0
    _clock: int = 1000

    def start(self) -> None:
        """The attack begins: its seconds count from now."""
        self._ended_at = trio.current_time() + self.seconds

    @property
    def left(self) -> float:
        """Seconds until the attack ends."""
        return self._ended_at - trio.current_time()

    async def wait_end(self) -> None:
        """Wait until the attack ends."""
        await trio.sleep(max(0.0, self.left))

    def next_time(self) -> int:
        """A Lamport time that was not used before."""
        self._clock += 1
        return self._clock

    # --- packets ------------------------------------------------------------------------------

    def socket(self) -> socket.socket:
        """One of some sockets to send from, each with an address of its own."""
        if len(self._sockets) < 8:
            head, _, last = self.host.rpartition(".")
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((f"{head}.{(int(last) + len(self._sockets)) % 250 + 1}", 0))
            made.setblocking(False)
            self._sockets.append(made)
            return made
        return self.rng.choice(self._sockets)

    def send(self, message: bytes) -> None:
        """Send one message as a packet."""
        self.send_raw(self.seal(message))

    def seal(self, message: bytes) -> bytes:
        """A message as a packet: encrypted where there is a key."""
        if self.key is None:
            return message
        codec = PacketCodec(keyring=Keyring((self.key,)), compress=False)
        return encode_packet(message, codec, crc=False, nonce=os.urandom(12))

    def send_raw(self, data: bytes) -> None:
        self.packets += 1
        self.bytes_sent += len(data)
        try:
            self.socket().sendto(data, self.target)
        except OSError:  # the victim does not read fast enough, or does not exist
            self.refused += 1

    async def flood(
        self, messages: Iterable[bytes], *, raw: bool = False, share: float = 1
    ) -> None:
        """Send messages at the rate, until there are none or the attack ends.

        Args:
          share: of the rate.
        """
        send, iterator = self.send_raw if raw else self.send, iter(messages)
        start, sent, most = trio.current_time(), 0, max(1, self.rate // 20)
        while self.left > 0:
            due = int((trio.current_time() - start) * self.rate * share)
            # What an attacker on a busy machine missed is not made good by a burst.
            sent = max(sent, due - most)
            while sent < due:
                message = next(iterator, None)
                if message is None:
                    return
                send(message)
                sent += 1
            await trio.sleep(TICK)

    def again(self, make: Callable[[], bytes]) -> Iterator[bytes]:
        """What ``make`` gives, for ever."""
        while True:
            yield make()

    # --- streams ------------------------------------------------------------------------------

    async def open_stream(
        self, *, window: int | None = None, to: tuple[str, int] | None = None
    ) -> trio.SocketStream:
        """Connect to the victim, or elsewhere.  Raises ``OSError`` or ``trio.TooSlowError``."""
        made = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if window is not None:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            with trio.fail_after(5):
                await made.connect(to or self.target)
        except BaseException:
            made.close()
            raise
        return trio.SocketStream(made)

    def stream_frame(self, plain: bytes) -> bytes:
        """What goes on a stream: encrypted where there is a key."""
        if self.key is None:
            return plain
        codec = StreamCodec(keyring=Keyring((self.key,)), compress=False)
        return frame(plain, codec, os.urandom(12))

    async def streams_at_rate(
        self,
        use: Callable[[trio.SocketStream], Awaitable[object]],
        *,
        window: int | None = None,
        most: int = MOST_STREAMS,
    ) -> None:
        """Open streams at the rate, each used by a task of its own, until the attack ends."""
        limit = trio.CapacityLimiter(most)

        async def one() -> None:
            async with limit:
                try:
                    stream = await self.open_stream(window=window)
                except (OSError, trio.TooSlowError):
                    self.refused += 1
                    return
                self.streams += 1
                try:
                    await use(stream)
                except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                    self.refused += 1
                finally:
                    await trio.aclose_forcefully(stream)

        async with trio.open_nursery() as nursery:
            while self.left > 0:
                if limit.statistics().tasks_waiting < self.stream_rate:
                    nursery.start_soon(one)
                await trio.sleep(1 / self.stream_rate)
            nursery.cancel_scope.cancel()

    async def send_all(self, stream: trio.SocketStream, data: bytes) -> None:
        await stream.send_all(data)
        self.bytes_sent += len(data)

    async def read_all(self, stream: trio.SocketStream) -> int:
        """Read until the victim ends; the number of bytes."""
        size = 0
        async for data in stream:
            size += len(data)
            self.bytes_received += len(data)
        return size

    def close(self) -> None:
        for each in self._sockets:
            each.close()
