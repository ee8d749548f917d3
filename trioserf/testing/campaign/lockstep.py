"""A node that is faithful to Go, beside an agent: the same messages make the same state.

::

    python -m trioserf.testing.campaign.lockstep --seed 1 --steps 3000

A peer sends each message, valid or odd, to a Go agent and to a node with ``faithful_go``, neither
of which knows of the other, and then asks both for their state, by push/pull, until the states
are equal: every record of membership, every Lamport time, the events, and who left.  The answers
to queries are compared, too, and at the end of each series the members as their users see them.
Both are started anew for each series, because time does things as well: suspicions end.

Not compared is what a node refuses in either mode, because it harms every node that takes it:
malformed alive messages (`trioserf._swim.admission.defect`) and a filter without its type byte,
which ends the process of Go.  Nor are the last Lamport times among those of members in one state:
Go takes these in random order, and whether its clock wraps last or first is chance.

Every other series is encrypted: the peer installs, uses and removes keys, and sends some packets
without encryption or under keys that nobody has.  A relayed answer is compared as it arrives; who
relays an answer of the node itself is not, since both draw that at random.

All is on loopback.  The made-up members are sockets of the peer that answer every ping.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final, TypeAlias

import trio

from ... import _attrs as attrs
from ..._config import Config
from ..._serf.open import open_serf
from ..._serf.peek import _connect, _exchange
from ..._serf.serf import Serf
from ..._text import key_to_text
from ..._wire.encryption import NONCE_SIZE
from ..._wire.keyring import Keyring
from ..._wire.messages import Ack, Alive, Dead, NodeRecord, Ping, Suspect, UserMessage
from ..._wire.messages import encode_message as membership
from ..._wire.packets import PacketCodec, PacketError, decode_packet, encode_packet
from ..._wire.query_filters import encode_filters
from ..._wire.serf_messages import (
    QUERY_FLAG_ACK,
    QUERY_FLAG_NO_BROADCAST,
    JoinIntent,
    KeyRequest,
    LeaveIntent,
    PushPull,
    QueryMessage,
    QueryResponseMessage,
    RelayHeader,
    UDPAddr,
    UserEventMessage,
    UserEventRecord,
    UserEventSlot,
    decode_push_pull,
    decode_serf,
    encode_relay,
    encode_serf,
)
from ..._wire.streams import StreamCodec, frame, push_pull_bytes, user_message_bytes
from ...abc import Address
from ...client import open_client

LOCAL: Final = "local"
"""The name of both nodes."""
SERIES: Final = 120
"""Steps of one series."""
AGREE_WITHIN: Final = 10.0
"""How long the states may differ (seconds): to prune a member that is leaving Go waits for 6
seconds, and does nothing else meanwhile."""
TIME: Final = 25.0
"""A series that takes longer ends: suspicions of the profile ``wan`` last 30 seconds."""
NAMES: Final = ("n1", "n2", "n3", "n4", "n5/x", "ü", LOCAL)
INCARNATIONS: Final = (1, 1, 2, 2, 3, 4, 2**31, 2**32 - 2, 2**32 - 1)
_TIMES: Final = (0, 1, 2, 511, 512, 513, 2**31, 2**32, 2**63, 2**64 - 2, 2**64 - 1)
METAS: Final = (
    *(b"", None, b"\xff\x80", b"\xff\x81\xa4role\xa3web", b"\xff\x82\xa1a\xa1b\xa1c\xa0"),
    *(b"web", b"\xff\xc0", b"\xff\xc1", b"\xff\x81\xa1a", b"\xff\x81\xa1a\x01", bytes(512)),
)
VERSIONS: Final = (
    *(b"\x01\x05\x02\x02\x05\x04",) * 6,
    *(b"\x01\x05\x05\x02\x05\x05", b"\x01\x05\x01\x02\x05\x02", b"\x02\x03\x02\x02\x05\x04"),
    *(b"\x01\x05\x09\x02\x05\x09",),
)
KEYS: Final = tuple(bytes([number]) * 16 for number in range(1, 4))
"""The first one is in both key rings, always."""
FOREIGN_KEY: Final = bytes(16)
_NODE_COMMAND: Final = ("agent", "-profile=wan", "-log-level=err", f"-node={LOCAL}")
State: TypeAlias = dict[str, Any]


@attrs.frozen
class Step:
    """One message.

    Args:
      kind: "packet" or "stream".
      data: gives its bytes, which may say where the node itself is.
      shown: how it is shown.
      key: encrypts it where a series is encrypted; None for none.
    """

    kind: str
    data: Callable[[Address], bytes]
    shown: str
    key: bytes | None = KEYS[0]


# --- what is sent ---------------------------------------------------------------------------


@attrs.define(eq=False)
class Draw:
    """Draws steps that have something to do with each other.

    Args:
      rng: all of it comes from here.
      places: addresses of made-up members.
      times: the Lamport times of the last state: of intents, events and queries.
    """

    rng: random.Random
    places: list[Address]
    encrypted: bool = False
    times: tuple[int, int, int] = (1, 1, 1)
    number: int = 0

    def step(self) -> Step:
        rng = self.rng
        kinds = (
            *(self._alive, self._suspect, self._dead, self._serf, self._state, self._streamed),
            *(self._alive_itself, self._relay),
        )
        step = rng.choices(kinds, (4, 2, 2, 6, 3, 1, 1, 1))[0]()
        if not self.encrypted:
            return step
        key = rng.choices((*KEYS, FOREIGN_KEY, None), (12, 2, 2, 1, 1))[0]
        if key is None and step.kind == "stream":
            key = FOREIGN_KEY
        return attrs.evolve(step, key=key, shown=f"{step.shown} under {key!r}")

    def _packet(self, message: Any, data: bytes) -> Step:
        return Step("packet", lambda _: data, repr(message))

    def _alive_itself(self) -> Step:
        """About the node itself, at its own address: that of an earlier run, or forged."""
        rng = self.rng
        incarnation, meta = rng.choice(INCARNATIONS), rng.choice(METAS)
        versions = rng.choice(VERSIONS)

        def data(at: Address) -> bytes:
            return membership(Alive(incarnation, LOCAL, at.to_bytes(), at.port, meta, versions))

        return Step("packet", data, f"alive of itself {incarnation} {meta!r} {versions!r}")

    def _relay(self) -> Step:
        """An answer that the node shall pass on, to the peer or to nowhere."""
        rng, to = self.rng, self.places[0]
        flags = rng.choice((0, QUERY_FLAG_ACK))
        answer = QueryResponseMessage(
            self._time(2), rng.getrandbits(32), "n1", flags, rng.choice((None, b"", b"answer"))
        )
        ip, port = rng.choice(((to.to_bytes(), to.port),) * 6 + ((b"", to.port), (b"\x7f", 1)))
        relayed = encode_relay(
            RelayHeader(UDPAddr(ip, port, ""), rng.choice(NAMES)), encode_serf(answer)
        )
        if rng.random() < 0.1:
            relayed = relayed[: rng.randrange(1, len(relayed))]
        return self._packet(f"relay to {ip!r} {answer}", membership(UserMessage(relayed)))

    def _address(self) -> Address:
        return self.rng.choices(self.places, [8, *[1] * (len(self.places) - 1)])[0]

    def _node(self, *, local: bool = True) -> str:
        return self.rng.choice(NAMES if local else NAMES[:-1])

    def _alive(self) -> Step:
        rng, to = self.rng, self._address()
        # Not about the nodes themselves: each would find the address of the other one there.
        alive = Alive(
            rng.choice(INCARNATIONS),
            self._node(local=False),
            to.to_bytes(),
            to.port,
            rng.choice(METAS),
            rng.choice(VERSIONS),
        )
        return self._packet(alive, membership(alive))

    def _suspect(self) -> Step:
        message = Suspect(self.rng.choice((0, *INCARNATIONS)), self._node(), self._node())
        return self._packet(message, membership(message))

    def _dead(self) -> Step:
        name = self._node()
        by = name if self.rng.random() < 0.5 else self._node()
        message = Dead(self.rng.choice((0, *INCARNATIONS)), name, by)
        return self._packet(message, membership(message))

    def _time(self, which: int) -> int:
        if self.rng.random() < 0.1:
            return self.rng.choice(_TIMES)
        return max(0, self.times[which] + self.rng.choice((-600, -3, -1, 0, 0, 1, 2, 600))) % 2**64

    def _serf_message(self) -> Any:
        rng = self.rng
        self.number += 1
        choice = rng.randrange(4)
        if choice == 0:
            return JoinIntent(self._time(0), self._node())
        if choice == 1:
            return LeaveIntent(self._time(0), self._node(), rng.random() < 0.03)
        if choice == 2:
            name = rng.choice(("deploy", "", f"e{self.number}"))
            payload = rng.choice((None, b"", b"x", bytes(700)))
            return UserEventMessage(self._time(1), name, payload, rng.random() < 0.5)
        return self._query()

    def _query(self) -> QueryMessage:
        rng, to = self.rng, self.places[0]
        nodes = rng.choice(((), (), (LOCAL,), ("n1", "n2")))
        tags = rng.choice(({}, {}, {"role": "w.*"}, {"none": "^$"}))
        filters = encode_filters(nodes, tags) or None
        if rng.random() < 0.15:
            filters = (rng.choice((b"\x00", b"\x01\x80", b"\x02\x80", b"\x01\xc1")),)
        name = rng.choice(("load", "_serf_ping", "_serf_conflict", "_serf_list-keys", "_serf_x"))
        payload = rng.choice((None, b"", b"n1", b"nobody", b"\x81\xa3Key\xc0"))
        if self.encrypted and rng.random() < 0.3:
            name = f"_serf_{rng.choice(('install', 'use', 'remove'))}-key"
            keys = KEYS[1:] if "remove" in name else KEYS
            payload = encode_serf(KeyRequest(rng.choice((*keys, *keys, b"short"))))
            filters = None
        return QueryMessage(
            ltime=self._time(2),
            id=rng.getrandbits(32),
            addr=to.to_bytes(),
            port=to.port,
            source_node=rng.choice(("", "n1", "asker")),
            filters=filters,
            flags=rng.choice((0, QUERY_FLAG_ACK, QUERY_FLAG_ACK, QUERY_FLAG_NO_BROADCAST, 3, 9)),
            relay_factor=0,
            timeout=rng.choice((0, 10**9, -1, 10**10)),
            name=name,
            payload=payload,
        )

    def _serf(self) -> Step:
        message = self._serf_message()
        raw = encode_serf(message)
        if self.rng.random() < 0.05:
            raw = raw[: self.rng.randrange(len(raw))] or b"\x7f"
            return self._packet(f"cut {message}", membership(UserMessage(raw)))
        return self._packet(message, membership(UserMessage(raw)))

    def _streamed(self) -> Step:
        message = self._serf_message()
        data = user_message_bytes(encode_serf(message))
        return Step("stream", lambda _: data, f"on a stream {message}")

    def _state(self) -> Step:
        rng = self.rng
        records = []
        for name in rng.sample(NAMES, rng.randrange(4)):
            to = self._address()
            versions = rng.choice(VERSIONS[:9] if rng.random() < 0.9 else VERSIONS)
            at = to.to_bytes(), to.port, rng.choice(METAS)
            incarnation, status = rng.choice(INCARNATIONS), rng.choice((0, 0, 0, 1, 2, 3))
            records.append(NodeRecord(name, *at, incarnation, status, versions))
        names = rng.sample(NAMES, rng.randrange(4))
        left = tuple(name for name in names if rng.random() < 0.3)
        if LOCAL in left:
            # Go refutes that in another goroutine, which is before the other times, or after.
            names, left = [LOCAL], (LOCAL,)
        slots = []
        for _ in range(rng.randrange(3)):
            self.number += 1
            one = UserEventRecord(
                rng.choice(("deploy", f"e{self.number}")), rng.choice((None, b"x"))
            )
            slots.append(UserEventSlot(self._time(1), (one,)))
        state = PushPull(
            self._time(0),
            {name: min(self._time(0), 2**63) for name in names},
            left,
            self._time(1),
            tuple(rng.choice((slot, slot, None)) for slot in slots),
            self._time(2),
        )
        join = rng.random() < 0.5
        user_state = encode_serf(state)

        def data(at: Address) -> bytes:
            itself = [
                attrs.evolve(one, addr=at.to_bytes(), port=at.port) if one.name == LOCAL else one
                for one in records
            ]
            return push_pull_bytes(join, itself, user_state)

        return Step("stream", data, f"push/pull join={join} {records} {state}")


# --- the two, and the peer --------------------------------------------------------------------


@attrs.define(eq=False)
class Side:
    """One of the two.

    Args:
      answers: what it sent for queries, by id and flags.
    """

    title: str
    address: Address
    encrypted: bool = False
    answers: Counter[tuple[int, int, bytes]] = attrs.field(factory=Counter)

    async def state(self) -> tuple[State, tuple[int, int, int]]:
        """Its state as it tells a peer, and its Lamport times."""
        codec = StreamCodec(keyring=Keyring(KEYS) if self.encrypted else None, compress=False)
        reply = await _exchange(self.address, codec, AGREE_WITHIN, _connect)
        serf = decode_push_pull(reply.user_state)
        records = {}
        for one in reply.records:
            at: Any = (one.addr, one.port)
            if one.name == LOCAL and one.addr == self.address.to_bytes():
                at = "itself"
            key = (at, one.meta or b"", one.incarnation, one.status, one.versions)
            records[one.name] = key
        state = {
            "records": records,
            "times": (serf.ltime, serf.event_ltime, serf.query_ltime),
            "status times": serf.status_ltimes,
            "left": sorted(serf.left_members),
            "events": {s.ltime: s.events for s in serf.events if s is not None},
            "answers": dict(self.answers),
        }
        return state, (serf.ltime, serf.event_ltime, serf.query_ltime)

    async def send_stream(self, step: Step) -> None:
        """Send a request, and wait until the node closes the stream."""
        keyring = Keyring((step.key,)) if self.encrypted and step.key is not None else None
        codec = StreamCodec(keyring=keyring, compress=False)
        nonce = os.urandom(NONCE_SIZE)
        data = frame(step.data(self.address), codec, nonce)
        stream = await _connect(self.address)
        with suppress(trio.BrokenResourceError), trio.move_on_after(AGREE_WITHIN):
            async with stream:
                await stream.send_all(data)
                if isinstance(stream, trio.SocketStream):
                    await stream.send_eof()
                while await stream.receive_some():
                    pass


class Peer:
    """The sockets of the peer: they answer pings, and note the answers to queries."""

    def __init__(self, host: str, sides: list[Side]) -> None:
        self._sides = {side.address.host: side for side in sides}
        self._keyring = Keyring(KEYS) if sides[0].encrypted else None
        self._sockets = []
        for last in range(11, 15):
            made = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sockets.append((made, f"{host}.{last}"))
        self.places: list[Address] = []

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with trio.open_nursery() as nursery:
                for made, host in self._sockets:
                    await made.bind((host, 0))
                    self.places.append(Address(*made.getsockname()))
                    nursery.start_soon(self._listen, made)
                task_status.started()
        finally:
            for made, _ in self._sockets:
                made.close()

    async def _listen(self, made: trio.socket.SocketType) -> None:
        while True:
            with suppress(OSError):
                data, (host, port) = await made.recvfrom(65536)
                await self._on_packet(made, data, host, port)

    async def _on_packet(
        self, made: trio.socket.SocketType, data: bytes, host: str, port: int
    ) -> None:
        try:
            messages = decode_packet(data, PacketCodec(keyring=self._keyring)).messages
        except PacketError:
            return
        for message in messages:
            if isinstance(message, Ping):
                ack = self._sealed(membership(Ack(message.seq_no, None)), KEYS[0])
                await made.sendto(ack, (host, port))
            elif isinstance(message, UserMessage) and host in self._sides:
                with suppress(Exception):
                    answer = decode_serf(message.body)
                    if isinstance(answer, QueryResponseMessage):
                        payload = (
                            b"" if LOCAL.encode() in (answer.payload or b"") else answer.payload
                        )
                        key = answer.id, answer.flags, payload or b""
                        self._sides[host].answers[key] += 1

    def _sealed(self, data: bytes, key: bytes | None) -> bytes:
        if self._keyring is None or key is None:
            return data
        codec = PacketCodec(keyring=Keyring((key,)), compress=False)
        return encode_packet(data, codec, crc=False, nonce=os.urandom(NONCE_SIZE))

    async def send(self, step: Step, to: Address) -> None:
        data = self._sealed(step.data(to), step.key)
        await self._sockets[0][0].sendto(data, (to.host, to.port))


@attrs.frozen(kw_only=True)
class Difference:
    """Where the two went apart, and the last steps before."""

    seed: int
    step: int
    steps: tuple[str, ...]
    what: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, step {self.step}:", *(f"  {line}" for line in self.what)]
        return "\n".join([*lines, "after", *(f"  {line}" for line in self.steps)])


@asynccontextmanager
async def both(
    binary: str, rng: random.Random, *, encrypted: bool = False
) -> AsyncIterator[tuple[Side, Side, Peer, Serf, Any]]:
    """A Go agent and a node, of which neither knows the other, and a peer of both."""
    host = f"127.{rng.randint(2, 250)}.{rng.randint(1, 250)}"
    probe = socket.socket()
    with probe:
        probe.bind((f"{host}.1", 0))
        port = probe.getsockname()[1]
    go = Side("Go", Address(f"{host}.1", port), encrypted)
    ours = Side("trioserf", Address(f"{host}.2", port), encrypted)
    peer = Peer(host, [go, ours])
    command = [binary, *_NODE_COMMAND, f"-bind={go.address}", f"-rpc-addr={host}.1:{port + 1}"]
    if encrypted:
        command.append(f"-encrypt={key_to_text(KEYS[0])}")
    config = Config.wan(
        node_name=LOCAL,
        bind=str(ours.address),
        protocol_version=5,
        leave_on_exit=False,
        faithful_go=True,
        encrypt_key=KEYS[0] if encrypted else None,
    )
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, stdout=subprocess.DEVNULL, check=False)
        process = await nursery.start(partial(start, stderr=subprocess.DEVNULL))
        try:
            await nursery.start(peer.run)
            async with open_serf(config) as serf:
                with trio.fail_after(30):
                    while True:
                        try:
                            await go.state()
                            break
                        except OSError:
                            await trio.sleep(0.05)
                async with open_client(f"{host}.1:{port + 1}") as client:
                    yield go, ours, peer, serf, client
        finally:
            process.kill()
            nursery.cancel_scope.cancel()


def differences(one: State, other: State) -> tuple[str, ...]:
    """Every part that differs, as Go has it and as the node does."""
    found = []
    for part, value in one.items():
        if value == other[part]:
            continue
        if not isinstance(value, dict):
            found.append(f"{part}: Go {value}, trioserf {other[part]}")
            continue
        for key in sorted({*value, *other[part]}, key=repr):
            left, right = value.get(key), other[part].get(key)
            if left != right:
                found.append(f"{part} of {key!r}: Go {left}, trioserf {right}")
    return tuple(found)


async def agree(go: Side, ours: Side) -> tuple[tuple[str, ...], tuple[int, int, int]]:
    """Wait until the states are equal: what differs in the end, and the times of the node."""
    end = trio.current_time() + AGREE_WITHIN
    while True:
        (one, _), (other, times) = await go.state(), await ours.state()
        found = differences(one, other)
        if not found or trio.current_time() > end:
            return found, times
        await trio.sleep(0.01)


def _seen(members: Any) -> dict[str, tuple[Any, ...]]:
    return {
        m.name: (str(m.status), dict(m.tags), m.port, m.protocol_cur, m.delegate_cur)
        for m in members
    }


async def series(binary: str, seed: int, steps: int = SERIES) -> Difference | None:
    """One series, encrypted if the seed is odd; None if the two never differed."""
    rng, encrypted = random.Random(seed), seed % 2 == 1
    everybody = both(binary, random.Random(), encrypted=encrypted)
    async with everybody as (go, ours, peer, serf, client):
        draw = Draw(rng, peer.places, encrypted)
        shown: list[str] = []
        problem = partial(Difference, seed=seed)
        end = trio.current_time() + TIME
        for number in range(steps):
            if trio.current_time() > end:
                break
            step = draw.step()
            shown.append(step.shown)
            for side in (go, ours):
                if step.kind == "packet":
                    await peer.send(step, side.address)
                else:
                    await side.send_stream(step)
            # What has no effect is as good as what has one that is equal; but the next message
            # must not overtake it in the queue of Go, which takes the newest first.
            await trio.sleep(0.003)
            try:
                found, draw.times = await agree(go, ours)
            except OSError as error:
                return problem(step=number, steps=tuple(shown[-3:]), what=(str(error),))
            if found:
                return problem(step=number, steps=tuple(shown[-3:]), what=found)
        theirs, mine = _seen(await client.members()), _seen(serf.members())
        found = differences({"members": theirs}, {"members": mine})
        return problem(step=steps, steps=tuple(shown[-3:]), what=found) if found else None


async def campaign(binary: str, seeds: range, steps: int, report: Callable[[str], object]) -> int:
    """Series after series; how many had a difference."""
    failed = 0
    for seed in seeds:
        found = await series(binary, seed, steps)
        if found is not None:
            failed += 1
            report(str(found))
        else:
            report(f"seed {seed}: {steps} steps alike")
    return failed


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--binary", default="serf", help="Go's program")
    options = parser.parse_args()
    binary = shutil.which(options.binary)
    if binary is None:
        sys.stderr.write(f"there is no {options.binary!r}\n")
        return 2
    seeds = range(options.seed, options.seed + -(-options.steps // SERIES))
    failed = trio.run(campaign, binary, seeds, SERIES, _print)
    _print(f"{failed} of {len(seeds)} series with a difference")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
