"""Internal queries, which nodes answer without the application: pings, name conflicts, keys.

Source: hashicorp/serf v0.9.4, serf/internal_query.go; main for the bound of the key list.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import _attrs as attrs
from .._events import NIL_TAGS, Member
from .._exceptions import KeyringError, RemoteProtocolError
from .._text import key_to_text, text
from .._wire.keyring import Keyring
from .._wire.serf_messages import (
    KeyAnswer,
    MemberRecord,
    QueryMessage,
    QueryResponseMessage,
    decode_key_request,
    encode_conflict_response,
    encode_serf,
)
from .effects import Effect, Log
from .key_responses import KeyAction

INTERNAL_PREFIX = "_serf_"
PING = "_serf_ping"
CONFLICT = "_serf_conflict"

_SMALLEST_KEY = 25
"""Least size of a key in a response (bytes of text): an upper bound of how many fit."""
_NO_RING = "No keyring to modify (encryption not enabled)"
_NO_RING_LIST = "Keyring is empty (encryption not enabled)"
_EMPTY_RING = "Keyring is empty"
# What Go answers when the key ring refuses; operators search for these texts.
_REFUSALS = {
    KeyAction.INSTALL: "key size must be 16, 24 or 32 bytes",
    KeyAction.USE: "Requested key is not in the keyring",
    KeyAction.REMOVE: "Removing the primary key is not allowed",
}


def is_internal(name: str) -> bool:
    """Whether a query of this name never reaches the application."""
    return name.startswith(INTERNAL_PREFIX)


@attrs.frozen(kw_only=True)
class InternalAnswer:
    """What to do for an internal query, in this order.

    Args:
      effects: lines to log.
      keyring: the ring to install and to write to the keyring file; None for no change.
      payload: the response then; None for none.
    """

    effects: tuple[Effect, ...] = ()
    keyring: Keyring | None = attrs.field(default=None, repr=False)
    payload: bytes | None = attrs.field(default=None, repr=False)


def answer_internal(
    query: QueryMessage,
    *,
    local_name: str,
    find_member: Callable[[str], Member | None],
    keyring: Keyring | None,
    response_limit: int,
) -> InternalAnswer:
    """Handle an internal query.

    Args:
      keyring: the ring in use; None if encryption is off.
      response_limit: longest encoded answer (bytes); a key list is cut to fit.
    """
    if query.name == PING:
        return InternalAnswer()  # the ack suffices
    if query.name == CONFLICT:
        return _conflict(text(query.payload or b""), local_name, find_member)
    try:
        action = KeyAction(query.name)
    except ValueError:
        return InternalAnswer(
            effects=(Log(f"Unhandled internal query '{query.name}' of {query.source_node}"),)
        )
    if action is KeyAction.LIST:
        return _list_keys(query, local_name, keyring, response_limit)
    return _change_keys(action, query, keyring)


def file_not_written(reason: object) -> bytes:
    """The response if the keyring file could not be written; the ring stays changed."""
    return encode_serf(KeyAnswer(result=False, message=f"Failed to write keyring file: {reason}"))


def _conflict(
    name: str, local_name: str, find_member: Callable[[str], Member | None]
) -> InternalAnswer:
    """The member of that name as this node knows it; no response if it is this node's name."""
    if name == local_name:
        return InternalAnswer()
    member = find_member(name)
    record = None if member is None else _record(member)
    return InternalAnswer(payload=encode_conflict_response(record))


def _record(member: Member) -> MemberRecord:
    return MemberRecord(
        name=member.name,
        addr=member.addr.packed,
        port=member.port,
        tags=None if member.tags is NIL_TAGS else dict(member.tags),
        status=int(member.status),
        protocol_min=member.protocol_min,
        protocol_max=member.protocol_max,
        protocol_cur=member.protocol_cur,
        delegate_min=member.delegate_min,
        delegate_max=member.delegate_max,
        delegate_cur=member.delegate_cur,
    )


def _change_keys(action: KeyAction, query: QueryMessage, keyring: Keyring | None) -> InternalAnswer:
    """Install, use or remove a key.

    DIFFERS: an empty request and an empty ring, which crash Go, are answered as failures
    (test_a_key_request_without_payload_is_answered_as_a_failure).
    """
    try:
        key = decode_key_request(query.payload or b"").key or b""
    except RemoteProtocolError as error:
        return _refused("", f"Failed to decode key request: {error}")
    if keyring is None:
        return _refused(_NO_RING, _NO_RING)
    if action is KeyAction.REMOVE and not keyring.keys:
        return _refused(_EMPTY_RING, _EMPTY_RING)
    change = {
        KeyAction.INSTALL: keyring.add,
        KeyAction.USE: keyring.with_primary,
        KeyAction.REMOVE: keyring.remove,
    }
    try:
        changed = change[action](key)
    except KeyringError as error:
        return _refused(_REFUSALS[action], f"Failed to change the key ring: {error}")
    return InternalAnswer(keyring=changed, payload=encode_serf(KeyAnswer(result=True)))


def _refused(message: str, log: str) -> InternalAnswer:
    return InternalAnswer(
        effects=(Log(log, "error"),),
        payload=encode_serf(KeyAnswer(result=False, message=message)),
    )


def _list_keys(
    query: QueryMessage, local_name: str, keyring: Keyring | None, limit: int
) -> InternalAnswer:
    if keyring is None:
        return _refused(_NO_RING_LIST, _NO_RING_LIST)
    keys = tuple(key_to_text(key) for key in keyring.keys)
    primary = keys[0] if keys else ""
    payload = fit_key_list(query, local_name, keys, primary, limit)
    if payload is None:
        return InternalAnswer(
            effects=(Log("Failed to truncate response so that it fits into message", "error"),)
        )
    return InternalAnswer(payload=payload)


def fit_key_list(
    query: QueryMessage, local_name: str, keys: tuple[str, ...], primary: str, limit: int
) -> bytes | None:
    """A list of as many keys as fit into an answer of ``limit`` bytes; None if none does."""
    count = len(keys)
    answer = KeyAnswer(result=True, keys=keys or None, primary_key=primary)
    payload = encode_serf(answer)
    shown = min(limit // _SMALLEST_KEY, count)
    while len(_as_response(query, local_name, payload)) > limit:
        if shown < 0:
            return None
        answer = KeyAnswer(
            result=True,
            message=f"truncated key list response, showing first {shown} of {count} keys",
            keys=keys[:shown],
            primary_key=primary,
        )
        payload = encode_serf(answer)
        shown -= 1
    return payload


def _as_response(query: QueryMessage, local_name: str, payload: bytes) -> bytes:
    return encode_serf(QueryResponseMessage(query.ltime, query.id, local_name, 0, payload))
