"""The command table against what was recorded between Go's command line and Go's agent.

The bytes of ``RECORDED`` were taken by a relay between ``serf`` 0.9.4 and an agent 0.9.4.
"""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from trioserf._wire.rpc_codec import read_fields
from trioserf._wire.rpc_messages import (
    COMMANDS,
    REQUEST_HEADER,
    pack_query_record,
    pack_reply_header,
    pack_request,
)

RECORDED: list[tuple[str, int, dict[str, Any] | None, str]] = [
    (
        "handshake",
        1,
        {"Version": 1},
        "82a7436f6d6d616e64a968616e647368616b65a353657101 81a756657273696f6e01",
    ),
    (
        "event",
        2,
        {"Coalesce": False, "Name": "deploy", "Payload": b"abc"},
        "82a7436f6d6d616e64a56576656e74a353657102 83a8436f616c65736365c2a44e616d65a66465706c6f79a7"
        "5061796c6f6164c403616263",
    ),
    (
        "join",
        2,
        {"Existing": ["127.0.77.2:7946"], "Replay": False},
        "82a7436f6d6d616e64a46a6f696ea353657102 82a84578697374696e6791af3132372e302e37372e323a3739"
        "3436a65265706c6179c2",
    ),
    (
        "query",
        2,
        {
            "FilterNodes": None,
            "FilterTags": {},
            "Name": "load",
            "Payload": b"15m",
            "RelayFactor": 0,
            "RequestAck": True,
            "Timeout": 700_000_000,
        },
        "82a7436f6d6d616e64a57175657279a353657102 87ab46696c7465724e6f646573c0aa46696c746572546167"
        "7380a44e616d65a46c6f6164a75061796c6f6164c40331356dab52656c6179466163746f7200aa526571756573"
        "7441636bc3a754696d656f7574ce29b92700",
    ),
    ("leave", 3, None, "82a7436f6d6d616e64a56c65617665a353657103"),
    (
        "install-key",
        3,
        {"Key": "y8KTGf9GDnr/m9ab1zNkIQ6trTMaFNrRL7GccTwtdoc="},
        "82a7436f6d6d616e64ab696e7374616c6c2d6b6579a353657103 81a34b6579d92c79384b5447663947446e72"
        "2f6d396162317a4e6b4951367472544d61464e72524c37476363547774646f633d",
    ),
]


@pytest.mark.parametrize(("command", "seq", "body", "recorded"), RECORDED)
def test_requests_are_written_as_go_writes_them(
    command: str, seq: int, body: dict[str, Any] | None, recorded: str
) -> None:
    assert bytes.fromhex(recorded).hex() == pack_request(command, seq, body).hex()


@pytest.mark.parametrize(("command", "seq", "body", "recorded"), RECORDED)
def test_requests_of_go_are_read(
    command: str, seq: int, body: dict[str, Any] | None, recorded: str
) -> None:
    unpacker = msgpack.Unpacker(raw=True)
    unpacker.feed(bytes.fromhex(recorded))
    header, *rest = list(unpacker)
    assert {"Command": command, "Seq": seq} == read_fields(REQUEST_HEADER, header)
    fields = COMMANDS[command].request
    if body is None:
        assert fields is None
        assert [] == rest
    else:
        assert fields is not None
        assert {k: v or type(fields[k](None))() for k, v in body.items()} == read_fields(
            fields, rest[0]
        )


def test_replies_are_written_as_go_writes_them() -> None:
    assert "82a54572726f72a0a353657101" == pack_reply_header("", 1).hex()
    refused = "82a54572726f72b741757468656e7469636174696f6e207265717569726564a353657102"
    assert refused == pack_reply_header("Authentication required", 2).hex()
    done = "83a446726f6da0a75061796c6f6164c0a454797065a4646f6e65"
    assert done == pack_query_record("done").hex()
    response = "83a446726f6da5616c706861a75061796c6f6164c405302e34320aa454797065a8726573706f6e7365"
    assert response == pack_query_record("response", "alpha", b"0.42\n").hex()


def test_fields_are_in_alphabetical_order() -> None:
    """It is the order of the array form, and of what is written."""
    for name, command in COMMANDS.items():
        fields = list(command.request or ())
        assert sorted(fields) == fields, name
    member = COMMANDS["members"].reply
    assert member is not None
    (zero,) = member({b"Members": [None]})["Members"]
    assert sorted(zero) == list(zero)


def test_a_reply_of_keys_and_one_of_coordinates_are_read() -> None:
    raw = bytes.fromhex(
        "85a44b657973c0a84d6573736167657380a64e756d45727200a84e756d4e6f64657302a74e756d5265737002"
    )
    read = COMMANDS["install-key"].reply
    assert read is not None
    expected = {"Keys": {}, "Messages": {}, "NumErr": 0, "NumNodes": 2, "NumResp": 2}
    assert expected == read(msgpack.unpackb(raw, raw=True))
    read = COMMANDS["get-coordinate"].reply
    assert read is not None
    nothing = {"Adjustment": 0.0, "Error": 0.0, "Height": 0.0, "Vec": []}
    assert {"Coord": nothing, "Ok": False} == read({b"Ok": False})
