"""The commands of the agent's RPC protocol: what each asks, and what comes back.

A request is a header and, for most commands, a body; so is a reply.  After the reply to
``stream``, ``monitor`` and ``query`` come records: each has the header of a reply with the
number of the command, and a body.

A header must always have both keys: Go reads every header into one struct that is used again,
so a missing key keeps the value of the header before.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc.go, ipc_event_stream.go,
ipc_log_stream.go, ipc_query_response_stream.go; client/const.go, client/rpc_client.go.
"""

from __future__ import annotations

from .._tuples import NamedTuple
from .rpc_codec import (
    list_of,
    map_of,
    pack,
    read_bool,
    read_bytes,
    read_float,
    read_int32,
    read_int64,
    read_text,
    read_uint8,
    read_uint16,
    read_uint64,
    struct,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from .rpc_codec import Fields, Reader

VERSION: Final = 1
"""The only version of the protocol that there is."""

# --- error texts --------------------------------------------------------------------------

HANDSHAKE_REQUIRED: Final = "Handshake required"
HANDSHAKE_TWICE: Final = "Handshake already performed"
UNSUPPORTED_VERSION: Final = "Unsupported IPC version"
AUTH_REQUIRED: Final = "Authentication required"
WRONG_AUTH_KEY: Final = "Invalid authentication token"
UNSUPPORTED_COMMAND: Final = "Unsupported command"
INVALID_FILTER: Final = "Invalid event filter"
STREAM_EXISTS: Final = "Stream with given sequence exists"
MONITOR_EXISTS: Final = "Monitor already exists"
NO_SUCH_QUERY: Final = "No pending queries matching ID"
INTERNAL_QUERY: Final = "Queries cannot contain the '_serf_' prefix"

WITHOUT_BODY: Final = frozenset({HANDSHAKE_REQUIRED, AUTH_REQUIRED, UNSUPPORTED_COMMAND})
"""Errors that the server gives before it looks at the command: no body follows, whatever is due."""

# --- structs ------------------------------------------------------------------------------

REQUEST_HEADER: Final[Fields] = {"Command": read_text, "Seq": read_uint64}
REPLY_HEADER: Final[Fields] = {"Error": read_text, "Seq": read_uint64}

MEMBER: Final[Fields] = {
    "Addr": read_bytes,
    "DelegateCur": read_uint8,
    "DelegateMax": read_uint8,
    "DelegateMin": read_uint8,
    "Name": read_text,
    "Port": read_uint16,
    "ProtocolCur": read_uint8,
    "ProtocolMax": read_uint8,
    "ProtocolMin": read_uint8,
    "Status": read_text,
    "Tags": map_of(read_text),
}
_MEMBERS: Final = struct({"Members": list_of(struct(MEMBER))})
_KEY: Final[Fields] = {"Key": read_text}
_KEY_RESPONSE: Final = struct(
    {
        "Keys": map_of(read_int64),
        "Messages": map_of(read_text),
        "NumErr": read_int64,
        "NumNodes": read_int64,
        "NumResp": read_int64,
    }
)
_COORDINATE: Final[Fields] = {
    "Adjustment": read_float,
    "Error": read_float,
    "Height": read_float,
    "Vec": list_of(read_float),
}
_EVENT_RECORD: Final = struct(
    {
        "Coalesce": read_bool,
        "Event": read_text,
        "ID": read_uint64,
        "LTime": read_uint64,
        "Members": list_of(struct(MEMBER)),
        "Name": read_text,
        "Payload": read_bytes,
    }
)
"""Fields of all three kinds of events; those that a kind does not have are zero."""
_QUERY_RECORD: Final = struct({"From": read_text, "Payload": read_bytes, "Type": read_text})

# --- commands -----------------------------------------------------------------------------


class Command(NamedTuple):
    """One command.

    Args:
      request: the fields of its body; None if it has none.
      reply: reads the body of the reply, that of an error too; None if it has none.
      record: reads a record, for commands that go on; None for others.
    """

    request: Fields | None = None
    reply: Reader | None = None
    record: Reader | None = None


COMMANDS: Final[Mapping[str, Command]] = {
    "handshake": Command({"Version": read_int32}),
    "auth": Command({"AuthKey": read_text}),
    "event": Command({"Coalesce": read_bool, "Name": read_text, "Payload": read_bytes}),
    "force-leave": Command({"Node": read_text, "Prune": read_bool}),
    "join": Command(
        {"Existing": list_of(read_text), "Replay": read_bool}, struct({"Num": read_int32})
    ),
    "members": Command(None, _MEMBERS),
    "members-filtered": Command(
        {"Name": read_text, "Status": read_text, "Tags": map_of(read_text)}, _MEMBERS
    ),
    "tags": Command({"DeleteTags": list_of(read_text), "Tags": map_of(read_text)}),
    "stream": Command({"Type": read_text}, record=_EVENT_RECORD),
    "monitor": Command({"LogLevel": read_text}, record=struct({"Log": read_text})),
    "stop": Command({"Stop": read_uint64}),
    "leave": Command(),
    "query": Command(
        {
            "FilterNodes": list_of(read_text),
            "FilterTags": map_of(read_text),
            "Name": read_text,
            "Payload": read_bytes,
            "RelayFactor": read_uint8,
            "RequestAck": read_bool,
            "Timeout": read_int64,
        },
        record=_QUERY_RECORD,
    ),
    "respond": Command({"ID": read_uint64, "Payload": read_bytes}),
    "install-key": Command(_KEY, _KEY_RESPONSE),
    "use-key": Command(_KEY, _KEY_RESPONSE),
    "remove-key": Command(_KEY, _KEY_RESPONSE),
    "list-keys": Command(None, _KEY_RESPONSE),
    "stats": Command(None, map_of(map_of(read_text))),
    "get-coordinate": Command(
        {"Node": read_text}, struct({"Coord": struct(_COORDINATE), "Ok": read_bool})
    ),
    # Of this library alone: an agent written in Go answers `UNSUPPORTED_COMMAND`.
    "explain": Command({"Subject": read_text}, struct({"Json": read_text, "Text": read_text})),
}
"""Every command by its name."""


# --- writing ------------------------------------------------------------------------------


def pack_request(command: str, seq: int, body: Mapping[str, Any] | None) -> bytes:
    """Header and body of a request; the keys of the body must be in alphabetical order."""
    header = pack({"Command": command, "Seq": seq})
    return header if body is None else header + pack(body)


def pack_reply_header(error: str, seq: int) -> bytes:
    """The header of a reply or of a record."""
    return pack({"Error": error, "Seq": seq})


def pack_query_record(kind: str, node: str = "", payload: bytes = b"") -> bytes:
    """A record of a query: kind ``ack``, ``response`` or ``done``."""
    return pack({"From": node, "Payload": payload or None, "Type": kind})
