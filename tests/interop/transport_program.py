"""A transport as a program of its own, on a host of a wire: listens, or sends and connects.

Its one argument is a JSON object; each line of its output is one, too.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trio

from trioserf._net.udp_tcp import NetTransport
from trioserf.abc import Address, DialRefused, Packet

ROUNDS = 4
PAUSE = 0.15
"""Seconds between two rounds, and for the last answers to come."""


def say(**fields: Any) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def listen(transport: NetTransport) -> None:
    """Say what arrives; take each connection, and close it."""
    while True:
        stream, _ = await transport.accept_stream()
        await stream.aclose()


async def dial(transport: NetTransport, to: Address, seconds: float) -> str:
    """What a connect leads to, in a word or a few."""
    with trio.move_on_after(seconds):
        try:
            stream = await transport.connect_stream(to)
        except DialRefused as error:
            return error.source
        except OSError as error:
            return str(error.strerror).rpartition(": ")[2]
        await stream.aclose()
        return "connected"
    return "no answer"


async def probe(transport: NetTransport, peers: list[Address], seconds: float) -> None:
    """Send to all in turns, then connect to each; say what came of it."""
    refusals = transport.refusals()
    assert refusals is not None, "Linux has an error queue"
    refused: list[str] = []

    async def gather() -> None:
        async for address in refusals:
            refused.append(str(address))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gather)
        for number in range(ROUNDS):
            for to in peers:
                transport.send_packet(b"%d" % number, to)
            await trio.sleep(PAUSE)
        dialled = {str(to): await dial(transport, to, seconds) for to in peers}
        await trio.sleep(PAUSE)
        nursery.cancel_scope.cancel()
    counts = transport.statistics()
    errors = counts.send_errors + counts.receive_errors
    say(refused=sorted(set(refused)), dialled=dialled, errors=errors, wake_ups=counts.wake_ups)


async def main(settings: dict[str, Any]) -> None:
    transport = NetTransport(settings["host"], settings["port"])
    await transport.open()

    def received(packet: Packet) -> None:
        say(received=packet.data.decode(), source=packet.source.host)

    async with trio.open_nursery() as nursery:
        await nursery.start(transport.receive_packets, received)
        say(ready=True)
        if (peers := settings.get("peers")) is None:
            await listen(transport)
        else:
            await probe(transport, [Address(*peer) for peer in peers], settings["seconds"])
            nursery.cancel_scope.cancel()
    transport.close()


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
