"""`peek`: the members of a cluster, by one state exchange, without joining it.

The exchange is an ordinary one that begins with an empty state: no nodes, no state of Serf,
and not as a join.  A node that gets it replies with its whole state and then merges what it
got, which is nothing.  So no record, event, query, clock or handler of anybody changes, and the
one who looks is in no list.  What remains is a line in the log of the node, at debug level.

A reply is what one node knows.  Its records are those that memberlist keeps; of a member that
has been gone for longer, only the name is in Serf's part of the state.

Source: hashicorp/memberlist v0.2.2, net.go: handleConn, readRemoteState, mergeRemoteState (the
delegate is called for a user state alone, `Merge` for a join alone); hashicorp/serf v0.9.4,
serf/delegate.go: LocalState.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Address
from typing import Final, TypeAlias

import trio

from .. import _attrs as attrs
from .._cluster.member_record import member_of
from .._config import DEFAULT_PORT
from .._events import Member, MemberStatus
from .._exceptions import LocalProtocolError, RemoteProtocolError
from .._memberlist.metrics import Metrics
from .._memberlist.node_log import node_log
from .._memberlist.stream_io import read_message
from .._net.addresses import family_of, parse_address, to_sockaddr
from .._public_names import set_public_module
from .._settings import key_bytes
from .._swim.alive_rules import node_from
from .._swim.nodes import VERSIONS_LENGTH, NodeStatus
from .._text import raw_text
from .._wire.encryption import NONCE_SIZE
from .._wire.keyring import Keyring
from .._wire.messages import ErrorReply, MessageType, NodeRecord
from .._wire.serf_messages import PushPull, decode_push_pull
from .._wire.streams import (
    PushPullState,
    StreamCodec,
    StreamError,
    StreamRequest,
    dial_prefix,
    frame,
    push_pull_bytes,
)
from ..abc import Address, resolve
from .arguments import a_text, seconds
from .members_view import Members

Connect: TypeAlias = Callable[[Address], Awaitable[trio.abc.Stream]]

MAX_ADDRESSES: Final = 16
"""Addresses of one name that are tried."""
_QUIET_SHARE: Final = 0.25
"""Share of the time after which a silent peer is shown that no more will come."""
_OTHER_PROTOCOLS: Final = (
    (b"HTTP/", "speaks HTTP"),
    (b"<", "speaks HTTP"),
    (b"SSH-", "speaks SSH"),
    (b"\x15\x03", "speaks TLS"),
)
"""First bytes of what else listens on ports."""
_STATUSES: Final = {
    NodeStatus.ALIVE: MemberStatus.ALIVE,
    NodeStatus.SUSPECT: MemberStatus.ALIVE,
    NodeStatus.DEAD: MemberStatus.FAILED,
    NodeStatus.LEFT: MemberStatus.LEFT,
}


async def peek(
    address: str,
    *,
    encrypt_key: str | bytes | None = None,
    label: str = "",
    timeout: float = 10.0,
) -> Members:
    """The members of a cluster as one of its nodes sees them, without joining it.

    Nobody lists the caller afterwards, and no node is needed for it.  Works against agents and
    against nodes of this library.  A member that memberlist has forgotten, some time after it
    failed or left, comes with the address 0.0.0.0, port 0, and without tags.

    *Checkpoint*: always.

    Args:
      address: ``host``, ``host:port`` or ``name/host:port`` of any member.  Of a host name with
        several addresses each is tried in turn.
      encrypt_key: a key of the cluster: base64 text or raw bytes; None if it is not encrypted.
      label: of the cluster.
      timeout: longest time for everything (seconds).

    Raises:
      OSError: nobody is there, as ``ConnectionRefusedError``, ``TimeoutError`` and the like.
      RemoteProtocolError: what is there is no node, or one with another key or label; the text
        says which.
      TypeError, ConfigError: an argument of another type or out of its bounds, such as a key that
        cannot be one.
      LocalProtocolError: an address or label that cannot be one.
    """
    a_text("address", address, "host:port")
    a_text("label", label, "a label")
    codec, limit = _codec(encrypt_key, label), seconds("timeout", timeout)
    return await look(address, codec, limit, connect=_connect)


def _codec(encrypt_key: str | bytes | None, label: str) -> StreamCodec:
    keyring = None if encrypt_key is None else Keyring.create((), key_bytes(encrypt_key))
    codec = StreamCodec(label=raw_text(label), keyring=keyring, compress=False)
    dial_prefix(codec)  # a label that is too long is said at once
    return codec


async def _connect(to: Address) -> trio.abc.Stream:
    try:
        family = family_of(to)
        target = to_sockaddr(to, family)
    except ValueError as error:
        raise OSError(f"cannot connect to {to}: {error}") from error
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await sock.connect(target)
    except OSError as error:
        sock.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(error.errno, f"cannot connect to {to}: {reason}") from error
    except BaseException:
        sock.close()
        raise
    return trio.SocketStream(sock)


async def look(address: str, codec: StreamCodec, timeout: float, *, connect: Connect) -> Members:
    """`peek`, over any kind of stream."""
    deadline = trio.current_time() + timeout
    try:
        _name, host, port = parse_address(address, DEFAULT_PORT)
    except ValueError as error:
        raise LocalProtocolError(str(error)) from error
    try:
        with trio.fail_after(max(0.0, timeout)):
            found = (await resolve(host, port))[:MAX_ADDRESSES]
    except trio.TooSlowError:
        raise TimeoutError(f"no address of {host!r} was found within {timeout:.3g} s") from None
    errors: list[Exception] = []
    for number, to in enumerate(found):
        # The addresses that are left share the time, so that one that is silent costs its share.
        limit = (deadline - trio.current_time()) / (len(found) - number)
        try:
            return _members(await _exchange(to, codec, limit, connect))
        except (OSError, RemoteProtocolError) as error:
            errors.append(error)
    first, *others = errors or [OSError(f"{host!r} has no address")]
    for other in others:
        first.add_note(f"and: {other}")
    raise first


async def _exchange(
    to: Address, codec: StreamCodec, limit: float, connect: Connect
) -> PushPullState:
    stream: trio.abc.Stream | None = None
    try:
        with trio.fail_after(max(0.0, limit)):
            stream = await connect(to)
            nonce = None if codec.key is None else os.urandom(NONCE_SIZE)
            request = frame(push_pull_bytes(False, (), b""), codec, nonce)
            await stream.send_all(dial_prefix(codec) + request)
            recorder = _Recorder(stream, limit * _QUIET_SHARE)
            return await _reply(to, recorder, codec)
    except trio.TooSlowError:
        done = "accepts connections, but sent no state" if stream else "did not answer"
        raise TimeoutError(f"{to} {done} within {limit:.3g} s") from None
    except trio.BrokenResourceError as error:
        raise ConnectionResetError(
            f"{to} broke the connection off: it may be no node, or have another label"
        ) from error
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


@attrs.define(eq=False)
class _Recorder(trio.abc.ReceiveStream):
    """A stream that remembers the first bytes, and ends this side's half of it when it takes long.

    Servers of other protocols wait for the end of a request that they do not understand; once it
    has come, they send something by which they are recognised.
    """

    stream: trio.abc.Stream
    quiet_limit: float
    first: bytes = attrs.field(default=b"", init=False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray | None = None
        if not self.first:
            with trio.move_on_after(self.quiet_limit):
                data = await self.stream.receive_some(max_bytes)
            if data is None and isinstance(self.stream, trio.abc.HalfCloseableStream):
                await self.stream.send_eof()
        if data is None:
            data = await self.stream.receive_some(max_bytes)
        self.first = self.first or bytes(data[:8])
        return data

    async def aclose(self) -> None:
        await self.stream.aclose()


async def _reply(to: Address, recorder: _Recorder, codec: StreamCodec) -> PushPullState:
    metrics = Metrics(None, {}, node_log("memberlist", "peek"))
    try:
        reply = await read_message(recorder, codec, accept_side=False, metrics=metrics)
    except StreamError as error:
        raise RemoteProtocolError(f"{to} {_complaint(recorder.first, codec)}: {error}") from error
    if isinstance(reply, PushPullState):
        return reply
    raise RemoteProtocolError(f"{to} {_refusal(reply, codec)}")


def _complaint(first: bytes, codec: StreamCodec) -> str:
    """What a peer is whose reply cannot be read."""
    for beginning, what in _OTHER_PROTOCOLS:
        if first.startswith(beginning):
            return f"{what} and is no node of a cluster"
    encrypted = first[:1] == bytes((MessageType.ENCRYPT,))
    if encrypted and codec.key is None:
        return "encrypts, and no encrypt_key was given"
    if encrypted:
        return "encrypts with another key than encrypt_key"
    if codec.key is not None and first[:1] in _PLAIN_TYPES:
        return "does not encrypt, and an encrypt_key was given"
    return "sent what no node sends"


_PLAIN_TYPES: Final = tuple(
    bytes((kind,)) for kind in (MessageType.PUSH_PULL, MessageType.COMPRESS, MessageType.ERROR)
)


def _refusal(reply: StreamRequest | None, codec: StreamCodec) -> str:
    """Why a peer sent no state."""
    if isinstance(reply, ErrorReply):
        return f"replied with an error: {reply.error}"
    if reply is None:
        label = codec.label.decode(errors="replace")
        cluster = (
            f"has another label than {label!r}" if label else "has a label, and none was given"
        )
        return (
            f"closed the connection without a reply: either its cluster {cluster}, "
            "or it is no node (7373 is the port of commands)"
        )
    return f"replied with {type(reply).__name__}, expected its state"


# --- members ------------------------------------------------------------------------------


def _members(state: PushPullState) -> Members:
    serf: PushPull | None = None
    if state.user_state:
        serf = decode_push_pull(state.user_state)
    left = frozenset(serf.left_members) if serf else frozenset()
    members = [member for record in state.records if (member := _member(record, left))]
    if serf:
        known = {record.name for record in state.records}
        members += _forgotten({*serf.status_ltimes, *left} - known, left)
    return Members(sorted(members, key=lambda member: member.name))


def _member(record: NodeRecord, left: frozenset[str]) -> Member | None:
    """A record as a member; None for one that no node could use."""
    if not record.name or record.status not in tuple(NodeStatus):
        return None
    status = _STATUSES[NodeStatus(record.status)]
    if status is MemberStatus.FAILED and record.name in left:
        status = MemberStatus.LEFT
    node = node_from(record.name, record)
    node.versions = (node.versions + bytes(VERSIONS_LENGTH))[:VERSIONS_LENGTH]
    return member_of(node, status)[0]


def _forgotten(names: set[str], left: frozenset[str]) -> Iterator[Member]:
    for name in names:
        status = MemberStatus.LEFT if name in left else MemberStatus.FAILED
        yield Member(name, IPv4Address(0), 0, {}, status, *bytes(VERSIONS_LENGTH))


set_public_module(peek)
