"""Expressions over members; the behaviour on the wire is in `test_commands`."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
import trio

from trioserf._events import Member, MemberStatus
from trioserf._exceptions import RemoteProtocolError
from trioserf._rpc.member_filter import filter_members

MEMBERS = [
    Member(f"node-{n}", ip_address("10.0.0.1"), 7946, {"n": str(n)}, MemberStatus.ALIVE)
    for n in range(100)
]


async def names(name: str = "", status: str = "", **tags: str) -> list[str]:
    return [member.name for member in await filter_members(MEMBERS, name, status, tags)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("node-7", ["node-7"]), ("node-7.", [f"node-7{n}" for n in range(10)]), ("node", [])],
)
async def test_a_name_is_a_word_or_an_expression(name: str, expected: list[str]) -> None:
    assert expected == await names(name)


async def test_all_must_fit() -> None:
    assert ["node-42"] == await names("node-.*", "alive", n="42")
    assert [] == await names("node-.*", "failed", n="42")


async def test_others_run_meanwhile() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await names("(a|b)*.*7")
        nursery.cancel_scope.cancel()
    assert turns >= 3


@pytest.mark.parametrize("what", ["name", "status", "tag"])
async def test_an_error_says_which_expression(what: str) -> None:
    with pytest.raises(RemoteProtocolError, match=f"Failed to compile .*{what}.* regex"):
        await names(
            *(["["] if what == "name" else ["", "["] if what == "status" else []),
            **({"a": "["} if what == "tag" else {}),
        )
