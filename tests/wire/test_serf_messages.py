"""The messages of Serf: byte for byte as Go writes them, and all that Go's decoder takes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._wire.codec import pack_value
from trioserf._wire.query_filters import encode_filters
from trioserf._wire.serf_messages import (
    QUERY_FLAG_ACK,
    QUERY_FLAG_NO_BROADCAST,
    RESPONSE_FLAG_ACK,
    CoordinateRecord,
    JoinIntent,
    KeyAnswer,
    KeyRequest,
    LeaveIntent,
    MemberRecord,
    PushPull,
    QueryMessage,
    QueryResponseMessage,
    RelayHeader,
    SerfMessageType,
    UDPAddr,
    UserEventMessage,
    UserEventRecord,
    UserEventSlot,
    decode_conflict_response,
    decode_key_answer,
    decode_key_request,
    decode_ping_payload,
    decode_push_pull,
    decode_relay,
    decode_serf,
    encode_conflict_response,
    encode_ping_payload,
    encode_relay,
    encode_serf,
)


def h(text: str) -> bytes:
    return bytes.fromhex(text)


# --- the bytes of Go ----------------------------------------------------------------------

LOOPBACK = h("7f000001")
KEY = b"0123456789abcdef"
KEY_TEXT = "MDEyMzQ1Njc4OWFiY2RlZg=="

QUERY = QueryMessage(
    ltime=9,
    id=0x12345678,
    addr=LOOPBACK,
    port=7946,
    source_node="n1",
    filters=encode_filters(["n1", "n2"], {"role": "^web"}),
    flags=QUERY_FLAG_ACK,
    relay_factor=2,
    timeout=3_200_000_000,
    name="load",
    payload=b"x",
)
QUERY_HEX = (
    "04 8b a441646472 a47f000001 a746696c74657273 92 a80092a26e31a26e32"
    "b50182a445787072a45e776562a3546167a4726f6c65 a5466c616773 01 a24944 ce12345678"
    "a54c54696d65 09 a44e616d65 a46c6f6164 a75061796c6f6164 a178 a4506f7274 cd1f0a"
    "ab52656c6179466163746f72 02 aa536f757263654e6f6465 a26e31 a754696d656f7574"
)
PLAIN_QUERY = QueryMessage(
    9, 0x12345678, LOOPBACK, 7946, "n1", None, 0, 0, 16_000_000_000, "load", None
)
PLAIN_QUERY_HEX = (
    "04 8b a441646472 a47f000001 a746696c74657273 c0 a5466c616773 00 a24944 ce12345678"
    "a54c54696d65 09 a44e616d65 a46c6f6164 a75061796c6f6164 c0 a4506f7274 cd1f0a"
    "ab52656c6179466163746f72 00 aa536f757263654e6f6465 a26e31"
    "a754696d656f7574 cf00000003b9aca000"
)
RESPONSE_HEX = (
    "05 85 a5466c616773 00 a446726f6d a26e32 a24944 ce12345678"
    "a54c54696d65 09 a75061796c6f6164 a26f6b"
)
ACK_HEX = (
    "05 85 a5466c616773 01 a446726f6d a26e32 a24944 ce12345678a54c54696d65 09 a75061796c6f6164 c0"
)
KEY_LIST_HEX = (
    "08 84 a44b657973 91 b84d4445794d7a51314e6a63344f5746695932526c5a673d3d"
    "a74d657373616765 a0 aa5072696d6172794b6579"
    "b84d4445794d7a51314e6a63344f5746695932526c5a673d3d a6526573756c74 c3"
)
KEY_FAILURE_HEX = (
    "08 84 a44b657973 c0 a74d657373616765"
    "da0023526571756573746564206b6579206973206e6f7420696e20746865206b657972696e67"
    "aa5072696d6172794b6579 a0 a6526573756c74 c2"
)
STATE = PushPull(
    ltime=42,
    status_ltimes={"n1": 20},
    left_members=(),
    event_ltime=50,
    events=(
        None,
        UserEventSlot(49, (UserEventRecord("a", b"b"), UserEventRecord("c", None))),
    ),
    query_ltime=100,
)
STATE_HEX = (
    "02 86 aa4576656e744c54696d65 32 a64576656e7473 92 c0 82 a64576656e7473 92"
    "82 a44e616d65 a161 a75061796c6f6164 a162 82 a44e616d65 a163 a75061796c6f6164 c0"
    "a54c54696d65 31 a54c54696d65 2a ab4c6566744d656d62657273 90"
    "aa51756572794c54696d65 64 ac5374617475734c54696d6573 81 a26e31 14"
)
EXAMPLES: list[tuple[Any, str]] = [
    (JoinIntent(5, "n1"), "01 82 a54c54696d65 05 a44e6f6465 a26e31"),
    (
        LeaveIntent(70000, "n1", False),
        "00 83 a54c54696d65 ce00011170 a44e6f6465 a26e31 a55072756e65 c2",
    ),
    (
        LeaveIntent(300, "n1", True),
        "00 83 a54c54696d65 cd012c a44e6f6465 a26e31 a55072756e65 c3",
    ),
    (
        UserEventMessage(7, "deploy", b"v1", True),
        "03 84 a24343 c3 a54c54696d65 07 a44e616d65 a66465706c6f79 a75061796c6f6164 a27631",
    ),
    (
        UserEventMessage(7, "deploy", None, False),
        "03 84 a24343 c2 a54c54696d65 07 a44e616d65 a66465706c6f79 a75061796c6f6164 c0",
    ),
    (QUERY, QUERY_HEX + "cebebc2000"),
    (PLAIN_QUERY, PLAIN_QUERY_HEX),
    (QueryResponseMessage(9, 0x12345678, "n2", 0, b"ok"), RESPONSE_HEX),
    (QueryResponseMessage(9, 0x12345678, "n2", RESPONSE_FLAG_ACK, None), ACK_HEX),
    (KeyRequest(KEY), "07 81 a34b6579 b030313233343536373839616263646566"),
    (KeyRequest(b""), "07 81 a34b6579 a0"),
    (KeyAnswer(True, "", (KEY_TEXT,), KEY_TEXT), KEY_LIST_HEX),
    (KeyAnswer(False, "Requested key is not in the keyring", None, ""), KEY_FAILURE_HEX),
    (STATE, STATE_HEX),
]
READERS = {
    SerfMessageType.PUSH_PULL: decode_push_pull,
    SerfMessageType.KEY_REQUEST: decode_key_request,
    SerfMessageType.KEY_RESPONSE: decode_key_answer,
}


@pytest.mark.parametrize(("message", "expected"), EXAMPLES)
def test_messages_are_go_s_byte_for_byte(message: Any, expected: str) -> None:
    raw = h(expected)
    assert raw == encode_serf(message)
    assert message == READERS.get(SerfMessageType(raw[0]), decode_serf)(raw)


def test_the_signed_forms_of_newer_nodes_are_read() -> None:
    assert QUERY == decode_serf(h(QUERY_HEX + "d300000000bebc2000"))


def test_the_flags_have_go_s_numbers() -> None:
    """Checklist of Serf, item 3."""
    assert (1, 2, 1) == (QUERY_FLAG_ACK, QUERY_FLAG_NO_BROADCAST, RESPONSE_FLAG_ACK)


# --- relays -------------------------------------------------------------------------------

RELAY_HEX = (
    "09 82 a84465737441646472 83 a24950 a47f000001 a4506f7274 cd1f0a a45a6f6e65 a0"
    "a8446573744e616d65 a26e31"
)


def test_a_relay_is_a_header_and_a_whole_message() -> None:
    """Checklist of Serf, item 5."""
    header = RelayHeader(UDPAddr(LOOPBACK, 7946), "n1")
    raw = encode_relay(header, h(RESPONSE_HEX))
    assert h(RELAY_HEX + RESPONSE_HEX) == raw
    assert (header, h(RESPONSE_HEX)) == decode_relay(raw)


def test_the_port_of_newer_nodes_is_read() -> None:
    raw = h(RELAY_HEX.replace("cd1f0a", "d11f0a")) + b"\x05"
    assert (RelayHeader(UDPAddr(LOOPBACK, 7946), "n1"), b"\x05") == decode_relay(raw)


@given(st.binary(min_size=1))
def test_what_is_relayed_passes_unchanged(inner: bytes) -> None:
    header = RelayHeader(UDPAddr(LOOPBACK, 7946), "n1")
    assert (header, inner) == decode_relay(encode_relay(header, inner))


@pytest.mark.parametrize(
    "data", ["", "05", "09", "09c0", "0980", "0905", RELAY_HEX, RELAY_HEX[:-6], "0182"]
)
def test_broken_or_empty_relays_are_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_relay(h(data))


@pytest.mark.parametrize(("addr", "size"), [(LOOPBACK, 44), (bytes(16), 56)])
def test_a_relay_adds_a_known_number_of_bytes(addr: bytes, size: int) -> None:
    header = RelayHeader(UDPAddr(addr, 7946), "n1")
    assert size + len("n1") == len(encode_relay(header, b"x")) - 1


# --- inside queries -----------------------------------------------------------------------

MEMBER = MemberRecord(
    name="n1",
    addr=LOOPBACK,
    port=7946,
    tags={"role": "web"},
    status=1,
    protocol_min=1,
    protocol_max=5,
    protocol_cur=2,
    delegate_min=2,
    delegate_max=5,
    delegate_cur=4,
)
MEMBER_HEX = (
    "06 8b a441646472 a47f000001 ab44656c6567617465437572 04 ab44656c65676174654d6178 05"
    "ab44656c65676174654d696e 02 a44e616d65 a26e31 a4506f7274 cd1f0a"
    "ab50726f746f636f6c437572 02 ab50726f746f636f6c4d6178 05 ab50726f746f636f6c4d696e 01"
    "a6537461747573 01 a454616773 81 a4726f6c65 a3776562"
)


def test_a_conflict_response_holds_a_member_or_nothing() -> None:
    assert h(MEMBER_HEX) == encode_conflict_response(MEMBER)
    assert MEMBER == decode_conflict_response(h(MEMBER_HEX))
    assert h("06c0") == encode_conflict_response(None)
    assert decode_conflict_response(h("06c0")) is None


@pytest.mark.parametrize("payload", ["", "06", "05c0", "0605", "0681a4506f7274ce00010000"])
def test_a_broken_conflict_response_is_refused(payload: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_conflict_response(h(payload))


@pytest.mark.parametrize("payload", ["", "08c0", "0180", "0705", "07"])
def test_a_key_request_is_refused_when_empty_or_of_another_type(payload: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_key_request(h(payload))


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("", "Invalid key query response type: []"),
        ("0781a0", "Invalid key query response type: [7 129 160]"),
        ("08", "Failed to decode key query response: [8]"),
        ("08a161", "Failed to decode key query response: [8 161 97]"),
    ],
)
def test_a_broken_key_answer_is_refused_with_go_s_text(payload: str, text: str) -> None:
    with pytest.raises(RemoteProtocolError) as refusal:
        decode_key_answer(h(payload))
    assert text == str(refusal.value)


def test_a_long_broken_key_answer_is_not_shown_whole() -> None:
    with pytest.raises(RemoteProtocolError) as refusal:
        decode_key_answer(bytes(60_000))
    assert len(str(refusal.value)) < 200


def test_keys_do_not_show_in_a_repr() -> None:
    assert "0123" not in repr(KeyRequest(KEY))
    assert KEY_TEXT not in repr(KeyAnswer(True, "", (KEY_TEXT,), KEY_TEXT))


ORIGIN = CoordinateRecord((0.0,) * 8, 1.5, 0.0, 1.0e-5)
ORIGIN_HEX = (
    "01 84 aa41646a7573746d656e74 cb0000000000000000 a54572726f72 cb3ff8000000000000"
    "a6486569676874 cb3ee4f8b588e368f1 a3566563 98" + "cb0000000000000000" * 8
)


def test_a_ping_payload_is_a_version_and_a_coordinate() -> None:
    raw = encode_ping_payload(ORIGIN)
    assert h(ORIGIN_HEX) == raw
    assert 130 == len(raw)
    assert ORIGIN == decode_ping_payload(raw)


def test_no_ping_payload_is_no_coordinate() -> None:
    assert decode_ping_payload(b"") is None


@pytest.mark.parametrize("payload", ["02" + ORIGIN_HEX[3:], "00", "01", "01a161", ORIGIN_HEX[:-2]])
def test_other_versions_and_broken_payloads_are_refused(payload: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_ping_payload(h(payload))


# --- what Go's decoders accept ------------------------------------------------------------


def packed(kind: int, value: Any) -> bytes:
    return bytes((kind,)) + pack_value(value)


JOIN = JoinIntent(5, "n")
ACCEPTED: list[tuple[str, bytes, Any]] = [
    ("unknown keys", packed(1, {"LTime": 5, "Node": "n", "X": [1, {"a": None}]}), JOIN),
    ("unknown key with an ext value", h("0183 a54c54696d6505 a44e6f6465a16e a158 d40501"), JOIN),
    ("unknown key that is no string", h("0183 a54c54696d6505 a44e6f6465a16e 05c0"), JOIN),
    ("missing keys", packed(1, {}), JoinIntent(0, "")),
    ("nil values", packed(1, {"LTime": None, "Node": None}), JoinIntent(0, "")),
    ("a key twice", h("0183 a54c54696d6504 a54c54696d6505 a44e6f6465a16e"), JOIN),
    ("a key in other letter case", packed(1, {"ltime": 9, "Node": "n"}), JoinIntent(0, "n")),
    ("a struct as an array", packed(1, [5, "n"]), JOIN),
    ("a short array", packed(1, [5]), JoinIntent(5, "")),
    ("a long array", packed(1, [5, "n", 7, []]), JOIN),
    ("an array with nil", packed(1, [None, "n"]), JoinIntent(0, "n")),
    (
        "an array in the order of declaration",
        packed(0, [5, "n", True]),
        LeaveIntent(5, "n", True),
    ),
    ("nil as a whole", packed(1, None), JoinIntent(0, "")),
    ("bytes behind the value", packed(1, {"LTime": 5, "Node": "n"}) + b"\xc1", JOIN),
    ("signed formats", h("0182 a54c54696d65d005 a44e6f6465a16e"), JOIN),
    ("int 64", h("0182 a54c54696d65d30000000000000005 a44e6f6465a16e"), JOIN),
    ("uint 64 for a small number", h("0182 a54c54696d65cf0000000000000005 a44e6f6465a16e"), JOIN),
    ("str 8", h("0182 a54c54696d6505 a44e6f6465d9016e"), JOIN),
    ("a key as str 8", h("0182 a54c54696d6505 d9044e6f6465a16e"), JOIN),
    ("a string as bin", h("0182 a54c54696d6505 a44e6f6465c4016e"), JOIN),
    ("map 16", h("01de0002 a54c54696d6505 a44e6f6465a16e"), JOIN),
    ("not UTF-8", h("0182 a54c54696d6505 a44e6f6465a2ff6e"), JoinIntent(5, "\udcffn")),
    ("an old leave without Prune", packed(0, {"LTime": 5, "Node": "n"}), LeaveIntent(5, "n")),
    ("a bool as 1", packed(0, {"Prune": 1}), LeaveIntent(0, "", True)),
    ("a bool as 0", packed(0, {"Prune": 0}), LeaveIntent(0, "", False)),
    ("a negative timeout", packed(4, {"Timeout": -1}), QueryMessage(timeout=-1)),
    ("a timeout that wraps", packed(4, {"Timeout": 2**63}), QueryMessage(timeout=-(2**63))),
    ("bytes as raw", packed(3, {"Payload": b"\x01\x02"}), UserEventMessage(payload=b"\1\2")),
    ("bytes as str 8", h("0381 a75061796c6f6164 d9020102"), UserEventMessage(payload=b"\1\2")),
    ("bytes as bin 8", h("0381 a75061796c6f6164 c4020102"), UserEventMessage(payload=b"\1\2")),
    ("bytes as bin 16", h("0381 a75061796c6f6164 c500020102"), UserEventMessage(payload=b"\1\2")),
    (
        "bytes as bin 32",
        h("0381 a75061796c6f6164 c6000000020102"),
        UserEventMessage(payload=b"\1\2"),
    ),
    ("bytes as nil", packed(3, {"Payload": None}), UserEventMessage(payload=None)),
    ("bytes as numbers", packed(3, {"Payload": [1, 2]}), UserEventMessage(payload=b"\1\2")),
    ("a nil filter", packed(4, {"Filters": [None]}), QueryMessage(filters=(None,))),
]


@pytest.mark.parametrize(
    ("data", "expected"), [pytest.param(d, e, id=name) for name, d, e in ACCEPTED]
)
def test_what_go_accepts_is_accepted(data: bytes, expected: Any) -> None:
    assert expected == decode_serf(data)


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [("01", 1.0), ("ff", -1.0), ("ca3f000000", 0.5), ("cb3fe0000000000000", 0.5), ("c0", 0.0)],
)
def test_a_float_may_be_an_integer_or_short_or_nil(encoded: str, expected: float) -> None:
    record = decode_ping_payload(h("0181 a54572726f72") + h(encoded))
    assert CoordinateRecord((), expected, 0.0, 0.0) == record


REFUSED: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("a type byte alone", b"\x01"),
    ("a number", packed(1, 5)),
    ("a string", packed(1, "n")),
    ("a bool", packed(1, True)),
    ("cut in the header", h("01de00")),
    ("cut in a key", h("0182a54c54")),
    ("cut in a value", h("0182 a54c54696d6505 a44e6f6465a26e")),
    ("a negative number", packed(1, {"LTime": -1})),
    ("a float for a number", packed(1, {"LTime": 5.0})),
    ("a string for a number", packed(1, {"LTime": "5"})),
    ("a bool for a number", packed(1, {"LTime": True})),
    ("a number for a string", packed(1, {"Node": 5})),
    ("a list for a string", packed(1, {"Node": []})),
    ("a number for bytes", packed(3, {"Payload": 5})),
    ("a map for bytes", packed(3, {"Payload": {}})),
    ("large numbers for bytes", packed(3, {"Payload": [256]})),
    ("port 65536", packed(4, {"Port": 65536})),
    ("relay factor 256", packed(4, {"RelayFactor": 256})),
    ("an ID of 33 bits", packed(4, {"ID": 2**32})),
    ("flags of 33 bits", packed(5, {"Flags": 2**32})),
    ("2 for a bool", packed(0, {"Prune": 2})),
    ("a list of two billion", h("0181a1 58 dd7fffffff")),
    ("a map for a list", packed(4, {"Filters": {}})),
    ("a number in a list of bytes", packed(4, {"Filters": [5]})),
    ("a key that is a list", h("01819001")),
]


@pytest.mark.parametrize("data", [pytest.param(d, id=name) for name, d in REFUSED])
def test_what_go_refuses_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_serf(data)


@pytest.mark.parametrize("kind", [2, 6, 7, 8, 9, 10, 0x80, 0xFF])
def test_types_that_are_no_message_of_their_own_are_unknown(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"unknown type {kind}"):
        decode_serf(bytes((kind,)) + b"\x80")


@pytest.mark.parametrize("data", ["", "01" + STATE_HEX[3:], "02", "0205", "0281a64576656e747305"])
def test_a_state_that_is_none_is_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_push_pull(h(data))


def test_nil_slots_records_and_lists_of_a_state_are_read() -> None:
    data = packed(2, {"Events": [None, {"LTime": 3, "Events": [None]}], "LeftMembers": None})
    assert PushPull(events=(None, UserEventSlot(3, (None,)))) == decode_push_pull(data)


@pytest.mark.parametrize(
    "message",
    [
        JoinIntent(-1, "n"),
        JoinIntent(2**64, "n"),
        QueryMessage(port=65536),
        QueryMessage(timeout=2**63),
        KeyRequest(object()),  # type: ignore[arg-type]
        JoinIntent(1, "\ud800"),
    ],
)
def test_what_cannot_be_written_is_a_local_protocol_error(message: Any) -> None:
    with pytest.raises(LocalProtocolError):
        encode_serf(message)


NAMES = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
U64 = st.integers(0, 2**64 - 1)
PAYLOADS = st.none() | st.binary(max_size=300)


@given(
    st.one_of(
        st.builds(JoinIntent, U64, NAMES),
        st.builds(LeaveIntent, U64, NAMES, st.booleans()),
        st.builds(UserEventMessage, U64, NAMES, PAYLOADS, st.booleans()),
        st.builds(QueryResponseMessage, U64, st.integers(0, 2**32 - 1), NAMES, payload=PAYLOADS),
        st.builds(
            QueryMessage,
            ltime=U64,
            source_node=NAMES,
            filters=st.none() | st.lists(PAYLOADS, max_size=4).map(tuple),
            timeout=st.integers(-(2**63), 2**63 - 1),
            payload=PAYLOADS,
        ),
    )
)
def test_any_message_comes_back(message: Any) -> None:
    assert message == decode_serf(encode_serf(message))
