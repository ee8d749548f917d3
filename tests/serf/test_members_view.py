"""The members as a table."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

import pytest

from trioserf._events import Member, MemberStatus
from trioserf._serf.members_view import Members, StatusFilter, TagFilter
from trioserf._tables import ROWS_SHOWN


def member(name: str, status: MemberStatus = MemberStatus.ALIVE, **tags: str) -> Member:
    return Member(
        name=name, addr=ip_address("10.0.0.1"), port=7946, tags=tags, status=status, delegate_cur=5
    )


ALICE = member("alice", role="web", dc="east")
BOB = member("bob", MemberStatus.FAILED)


def test_it_is_a_sequence() -> None:
    view = Members([ALICE, BOB])
    assert 2 == len(view)
    assert ALICE == view[0]
    assert Members([BOB]) == view[1:]
    assert [ALICE, BOB] == list(view)
    assert BOB in view
    assert 1 == view.index(BOB)


def test_members_are_found_by_name_and_status() -> None:
    view = Members([ALICE, BOB])
    assert BOB == view.get("bob")
    assert None is view.get("carol")
    assert ("alice", "bob") == view.names
    assert Members([ALICE]) == view.alive
    assert Members([BOB]) == view.failed


@pytest.mark.parametrize(
    ("status", "tags", "names"),
    [
        (None, None, ["alice", "bob", "carol"]),
        (MemberStatus.ALIVE, None, ["alice", "carol"]),
        ([MemberStatus.ALIVE, MemberStatus.FAILED], None, ["alice", "bob", "carol"]),
        ((), None, []),
        (None, {"role": "web"}, ["alice"]),
        (None, {"role": "we"}, []),
        (None, {"role": re.compile("we.|db")}, ["alice", "carol"]),
        (None, {"role": re.compile("we")}, []),
        (None, {"role": "web", "dc": "west"}, []),
        (None, {"nothing": ""}, []),
        (MemberStatus.ALIVE, {"dc": "east"}, ["alice", "carol"]),
    ],
)
def test_a_selection_is_of_any_status_and_of_all_tags(
    status: StatusFilter, tags: TagFilter, names: list[str]
) -> None:
    view = Members([ALICE, BOB, member("carol", role="db", dc="east")])
    assert names == list(view.select(status=status, tags=tags).names)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "alive"},
        {"status": 1},
        {"status": ["alive"]},
        {"status": [1]},
        {"status": 1.5},
        {"tags": ["role"]},
        {"tags": {"role": 1}},
        {"tags": {"role": None}},
        {"tags": {1: "web"}},
    ],
)
def test_a_selection_by_something_else_is_a_type_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=rf"{next(iter(wrong))}=.*expected"):
        Members([ALICE]).select(**wrong)


def test_a_status_by_its_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"as MemberStatus\.ALIVE"):
        Members([ALICE]).with_status("alive")  # type: ignore[arg-type]


def test_printing_it_gives_a_table() -> None:
    expected = (
        "name   address        status    protocol  tags\n"
        "alice  10.0.0.1:7946  alive     5         dc=east,role=web\n"
        "bob    10.0.0.1:7946  ! failed  5"
    )
    assert expected == str(Members([ALICE, BOB]))


def test_an_ipv6_address_is_in_brackets() -> None:
    six = Member(name="six", addr=ip_address("fe80::1"), port=7946)
    assert "[fe80::1]:7946" in str(Members([six]))


def test_its_repr_is_one_short_line() -> None:
    assert "<Members: 2 in all: 1 alive, 1 failed>" == repr(Members([ALICE, BOB]))
    assert "<Members: 0 in all>" == repr(Members())


def test_names_and_tags_cannot_write_to_the_terminal() -> None:
    evil = member("a\x1b[2Jb\n\udcff", role="\r\x07x")
    text = str(Members([evil]))
    assert 2 == len(text.splitlines())
    assert text.isascii()
    assert "\x1b" not in text


def test_names_and_tags_are_escaped_in_html() -> None:
    evil = member("<script>alert(1)</script>", role='"><img src=x onerror=y>')
    html = Members([evil])._repr_html_()
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_html_of_a_large_cluster_stays_small() -> None:
    many = Members(member(f"n{number:04}") for number in range(ROWS_SHOWN + 5))
    html = many._repr_html_()
    assert ROWS_SHOWN + 1 == html.count("<tr>")
    assert "… and 5 more" in html


def test_dictionaries_hold_plain_values() -> None:
    [row] = Members([ALICE]).to_dicts()
    expected = {
        "name": "alice",
        "addr": "10.0.0.1",
        "port": 7946,
        "status": "alive",
        "tags": {"role": "web", "dc": "east"},
        "protocol_min": 0,
        "protocol_max": 0,
        "protocol_cur": 0,
        "delegate_min": 0,
        "delegate_max": 0,
        "delegate_cur": 5,
    }
    assert expected == row
