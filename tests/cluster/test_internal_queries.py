"""What a node answers by itself."""

from __future__ import annotations

import base64

import pytest

from trioserf._cluster.internal_queries import (
    CONFLICT,
    PING,
    InternalAnswer,
    answer_internal,
    file_not_written,
    fit_key_list,
    is_internal,
)
from trioserf._cluster.key_responses import key_payload
from trioserf._cluster.member_record import member_of
from trioserf._events import Member, MemberStatus
from trioserf._swim.nodes import Node
from trioserf._wire.keyring import Keyring
from trioserf._wire.serf_messages import (
    KeyAnswer,
    MemberRecord,
    QueryMessage,
    QueryResponseMessage,
    decode_conflict_response,
    decode_key_answer,
    encode_serf,
)

from .samples import LOCAL, member, warnings

KEYS = [bytes([number]) * 16 for number in range(60)]


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def ask(
    name: str,
    payload: bytes = b"",
    *,
    keyring: Keyring | None = None,
    limit: int = 1024,
    local_name: str = LOCAL,
) -> InternalAnswer:
    members: dict[str, Member] = {"foo": member("foo", tags={"role": "web"})}
    return answer_internal(
        QueryMessage(1, 2**31 - 1, name=name, payload=payload, source_node="asker"),
        local_name=local_name,
        find_member=members.get,
        keyring=keyring,
        response_limit=limit,
    )


def answered(answer: InternalAnswer) -> KeyAnswer:
    assert answer.payload is not None
    return decode_key_answer(answer.payload)


def test_internal_names() -> None:
    """Checklist 83, 84."""
    assert "_serf_conflict" == CONFLICT
    assert is_internal("_serf_anything")
    assert not is_internal("load")
    assert not is_internal("serf_ping")


def test_a_ping_needs_no_answer() -> None:
    """Checklist 85."""
    assert InternalAnswer() == ask(PING)


def test_unknown_internal_queries_are_logged_alone() -> None:
    answer = ask("_serf_new")
    assert 1 == len(warnings(answer.effects))
    assert answer.payload is None


def test_a_conflict_about_this_node_is_not_answered() -> None:
    """Checklist 86."""
    assert InternalAnswer() == ask(CONFLICT, LOCAL.encode())


def test_a_conflict_about_a_member_is_answered_with_what_is_known() -> None:
    answer = ask(CONFLICT, b"foo")
    assert answer.payload is not None
    assert MemberRecord(
        name="foo",
        addr=bytes([10, 0, 0, 1]),
        port=7946,
        tags={"role": "web"},
        status=1,
        protocol_min=1,
        protocol_max=5,
        protocol_cur=2,
        delegate_min=2,
        delegate_max=5,
        delegate_cur=4,
    ) == decode_conflict_response(answer.payload)
    unknown = ask(CONFLICT, b"bar")
    assert b"\x06\xc0" == unknown.payload


def test_a_member_that_says_nil_for_its_tags_is_passed_on_so() -> None:
    """As Go does; a member without tags has an empty map."""
    for meta, tags in ((b"\xff\xc0", b"\xc0"), (b"\xff\x80", b"\x80")):
        node = Node(name="foo", addr=bytes([10, 0, 0, 1]), port=7946, meta=meta)
        member, _ = member_of(node, MemberStatus.ALIVE)
        assert {} == member.tags
        answer = answer_internal(
            QueryMessage(1, 2, name=CONFLICT, payload=b"foo", source_node="asker"),
            local_name=LOCAL,
            find_member=lambda _name, member=member: member,
            keyring=None,
            response_limit=1024,
        )
        assert answer.payload is not None
        assert answer.payload.endswith(b"\xa4Tags" + tags)


def test_install_adds_the_key_behind_the_others() -> None:
    """Checklist 90, the rule."""
    answer = ask("_serf_install-key", key_payload(KEYS[1]), keyring=Keyring(KEYS[:1]))
    assert Keyring(KEYS[:2]) == answer.keyring
    assert KeyAnswer(result=True) == answered(answer)


def test_installing_a_known_key_succeeds_and_writes_the_file_again() -> None:
    ring = Keyring(KEYS[:2])
    answer = ask("_serf_install-key", key_payload(KEYS[1]), keyring=ring)
    assert ring == answer.keyring
    assert answered(answer).result


def test_use_makes_the_key_primary() -> None:
    """Checklist 91, the rule."""
    answer = ask("_serf_use-key", key_payload(KEYS[1]), keyring=Keyring(KEYS[:2]))
    assert Keyring([KEYS[1], KEYS[0]]) == answer.keyring
    assert answered(answer).result


def test_remove_drops_the_key() -> None:
    """Checklist 92, the rule."""
    ring = Keyring(KEYS[:2])
    answer = ask("_serf_remove-key", key_payload(KEYS[1]), keyring=ring)
    assert Keyring(KEYS[:1]) == answer.keyring
    assert answered(ask("_serf_remove-key", key_payload(KEYS[9]), keyring=ring)).result


NO_RING = "No keyring to modify (encryption not enabled)"


@pytest.mark.parametrize(
    ("name", "key", "ring", "message"),
    [
        ("_serf_install-key", KEYS[0], None, NO_RING),
        ("_serf_use-key", KEYS[0], None, NO_RING),
        ("_serf_remove-key", KEYS[0], None, NO_RING),
        ("_serf_list-keys", None, None, "Keyring is empty (encryption not enabled)"),
        ("_serf_install-key", b"short", KEYS[:1], "key size must be 16, 24 or 32 bytes"),
        ("_serf_use-key", KEYS[1], KEYS[:1], "Requested key is not in the keyring"),
        ("_serf_remove-key", KEYS[0], KEYS[:1], "Removing the primary key is not allowed"),
        ("_serf_remove-key", KEYS[0], [], "Keyring is empty"),
    ],
)
def test_refusals_have_the_texts_of_go(
    name: str, key: bytes | None, ring: list[bytes] | None, message: str
) -> None:
    keyring = None if ring is None else Keyring(ring)
    answer = ask(name, key_payload(key), keyring=keyring)
    assert answer.keyring is None
    assert KeyAnswer(result=False, message=message) == answered(answer)
    assert 1 == len(warnings(answer.effects))


@pytest.mark.parametrize("payload", [b"", b"\x07", b"\x08\x81\xa3Key\xa0", b"\x07\xc3"])
@pytest.mark.parametrize("name", ["_serf_install-key", "_serf_use-key", "_serf_remove-key"])
def test_a_key_request_without_payload_is_answered_as_a_failure(name: str, payload: bytes) -> None:
    answer = ask(name, payload, keyring=Keyring(KEYS[:1]))
    assert KeyAnswer(result=False, message="") == answered(answer)
    assert answer.keyring is None


def test_the_list_names_all_keys_and_the_primary() -> None:
    """Checklist 93, the rule."""
    answer = ask("_serf_list-keys", keyring=Keyring(KEYS[:3]))
    assert answer.keyring is None
    assert KeyAnswer(
        result=True, keys=tuple(map(text, KEYS[:3])), primary_key=text(KEYS[0])
    ) == answered(answer)


def test_an_empty_ring_lists_nothing() -> None:
    assert KeyAnswer(result=True) == answered(ask("_serf_list-keys", keyring=Keyring()))


KEY_44 = "x" * 44
QUERY = QueryMessage(ltime=0, id=0, name="_serf_list-keys")


def fitted(count: int, limit: int = 1024) -> KeyAnswer | None:
    payload = fit_key_list(QUERY, "", (KEY_44,) * count, "", limit)
    if payload is None:
        return None
    response = encode_serf(QueryResponseMessage(0, 0, "", 0, payload))
    assert len(response) <= limit
    return decode_key_answer(payload)


@pytest.mark.parametrize("count", [0, 1, 18, 19, 20])
def test_a_key_list_that_fits_is_sent_whole(count: int) -> None:
    """Checklist 87."""
    answer = fitted(count)
    assert answer is not None
    assert count == len(answer.keys or ())
    assert "" == answer.message


@pytest.mark.parametrize("count", [21, 32, 38, 40, 50, 1000])
def test_a_long_key_list_is_cut_and_says_so(count: int) -> None:
    """Checklist 87."""
    answer = fitted(count)
    assert answer is not None
    assert answer.result
    assert 18 == len(answer.keys or ())
    assert f"truncated key list response, showing first 18 of {count} keys" == answer.message


def test_a_higher_limit_shows_more_keys() -> None:
    """Checklist 88."""
    answer = fitted(1000, limit=10240)
    assert answer is not None
    assert len(answer.keys or ()) > 200


def test_a_list_that_cannot_fit_is_not_sent() -> None:
    assert fitted(3, limit=60) is None
    answer = ask("_serf_list-keys", keyring=Keyring(KEYS[:3]), limit=60)
    assert answer.payload is None
    assert ["Failed to truncate response so that it fits into message"] == warnings(answer.effects)


def test_a_list_of_exactly_the_limit_is_sent_whole() -> None:
    answer = fitted(20, limit=1016)
    assert answer is not None
    assert "" == answer.message
    assert len((fitted(20, limit=1015) or KeyAnswer()).keys or ()) < 20


def test_the_last_resort_is_a_list_of_no_key() -> None:
    answer = fitted(3, limit=160)
    assert answer is not None
    assert "truncated key list response, showing first 0 of 3 keys" == answer.message


def test_a_cut_list_keeps_the_primary_key() -> None:
    answer = answered(ask("_serf_list-keys", keyring=Keyring(KEYS)))
    assert "truncated" in answer.message
    assert text(KEYS[0]) == answer.primary_key


def test_a_file_that_cannot_be_written_is_reported() -> None:
    assert KeyAnswer(
        result=False, message="Failed to write keyring file: disk full"
    ) == decode_key_answer(file_not_written("disk full"))
