"""`members` and `wait`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agent.fake_agent import CLOSE, CommandLine, Records, Refused, fake_agent, member, members
from trioserf._agent.members_command import member_address

TWO = members(member("b", role="db"), member("alpha", "failed", x="1", a="2"))
ASK = "members-filtered"


def test_members_are_sorted_and_so_are_their_tags(serf: CommandLine) -> None:
    with fake_agent({ASK: TWO}) as agent:
        assert (
            "alpha  10.0.0.5:7946  failed  a=2,x=1\n"
            "b      10.0.0.1:7946  alive   role=db\n" == serf(agent, "members")
        )
        assert [(ASK, {"Name": "", "Status": "", "Tags": {}})] == agent.asked[1:]


def test_details_are_two_more_columns(serf: CommandLine) -> None:
    with fake_agent({ASK: members(member("a"))}) as agent:
        row = "a  10.0.0.1:7946  alive    Protocol Version: 4  Available Protocol Range: [2, 5]\n"
        assert row == serf(agent, "members", "-detailed")


def test_filters_are_sent(serf: CommandLine) -> None:
    with fake_agent({ASK: members()}) as agent:
        words = ["-name=a.*", "-status", "alive", "-tag", "x=1=2", "-tag=y=", "-role=web"]
        text = serf(agent, "members", *words)
        assert "Deprecation warning: 'Role' has been replaced with 'Tags'\n\n" == text
        tags = {"x": "1=2", "y": "", "role": "web"}
        assert {"Name": "a.*", "Status": "alive", "Tags": tags} == agent.asked[1][1]


def test_json_as_go_prints_it(serf: CommandLine) -> None:
    with fake_agent({ASK: members(member("a", x="<é>"))}) as agent:
        expected = """{
  "members": [
    {
      "name": "a",
      "addr": "10.0.0.1:7946",
      "port": 7946,
      "tags": {
        "x": "\\u003cé\\u003e"
      },
      "status": "alive",
      "protocol": {
        "max": 5,
        "min": 2,
        "version": 4
      }
    }
  ]
}
"""
        assert expected == serf(agent, "members", "-format=json")


def test_one_object_a_line(serf: CommandLine) -> None:
    with fake_agent({ASK: TWO}) as agent:
        lines = serf(agent, "members", "-format=jsonl").splitlines()
        assert ["alpha", "b"] == [json.loads(line)["name"] for line in lines]


def test_nobody_is_an_empty_line_or_null(serf: CommandLine) -> None:
    with fake_agent({ASK: members()}) as agent:
        assert "\n" == serf(agent, "members")
        assert '{\n  "members": null\n}\n' == serf(agent, "members", "-format=json")
        assert "" == serf(agent, "members", "-format=jsonl")


def test_the_format_is_looked_at_when_the_agent_has_answered(serf: CommandLine) -> None:
    with fake_agent({ASK: TWO}) as agent:
        error = serf.fails(agent, "members", "-format=xml")
        assert 'Encoding error: Invalid output format "xml"\n' == error
        assert 2 == len(agent.asked)


@pytest.mark.parametrize("tag", ["role", "=x", ""])
def test_a_tag_needs_a_key_and_a_sign(serf: CommandLine, tag: str) -> None:
    assert f"Error: Invalid tag: '{tag}'\n" == serf.fails(None, "members", "-tag", tag)


def test_what_the_agent_refuses_is_said(serf: CommandLine) -> None:
    with fake_agent({ASK: (Refused("Authentication required"), CLOSE)}) as agent:
        text = "Error retrieving members: Authentication required\n"
        assert text == serf.fails(agent, "members")
    with fake_agent({ASK: CLOSE}) as agent:
        assert "Error retrieving members: client closed\n" == serf.fails(agent, "members")


@pytest.mark.parametrize(
    ("packed", "address"),
    [
        (bytes((127, 0, 0, 1)), "127.0.0.1:80"),
        (bytes(15) + b"\x01", "[::1]:80"),
        (bytes(10) + b"\xff\xff\x0a\x00\x00\x01", "10.0.0.1:80"),
        (b"\x01\x02", "?0102:80"),
        (b"", ":80"),
    ],
)
def test_addresses_as_go_prints_them(packed: bytes, address: str) -> None:
    assert address == member_address({"Addr": packed, "Port": 80})


# --- watch --------------------------------------------------------------------------------


def changing(*found: dict[str, Any]) -> dict[str, Any]:
    """One event, which makes the command ask again."""
    change = {"Event": "member-update", "Members": []}
    return {"stream": Records([change]), ASK: found}


WATCH = ("members", "-watch", "-timeout=300ms")


def test_a_watch_prints_what_changes(serf: CommandLine) -> None:
    first = members(member("a"), member("b"))
    second = members(member("a", "failed"), member("ccc"))
    with fake_agent(changing(first, second)) as agent:
        assert (
            "a  10.0.0.1:7946  alive  \n"
            "b  10.0.0.1:7946  alive\n"
            "~  a    10.0.0.1:7946  failed  \n"
            "+  ccc  10.0.0.3:7946  alive   \n"
            "-  b    10.0.0.1:7946  alive\n" == serf(agent, *WATCH)
        )


def test_a_watch_in_lines_says_what_kind_of_change(serf: CommandLine) -> None:
    with fake_agent(changing(members(member("a")), members(member("b")))) as agent:
        lines = serf(agent, *WATCH, "-format=jsonl").splitlines()
        assert [(None, "a"), ("appeared", "b"), ("gone", "a")] == [
            (found.get("change"), found["name"]) for found in map(json.loads, lines)
        ]


def test_a_watch_in_documents_prints_the_whole_list_again(serf: CommandLine) -> None:
    with fake_agent(changing(members(member("a")), members(member("b")))) as agent:
        assert 2 == serf(agent, *WATCH, "-format=json").count('"members": [')
    with fake_agent(changing(members(member("a")))) as agent:  # nothing that shows has changed
        assert 1 == serf(agent, *WATCH, "-format=json").count('"members": [')


def test_a_watch_ends_with_its_agent(serf: CommandLine) -> None:
    with fake_agent({"stream": Records([{"Event": "x"}]), ASK: (members(), CLOSE)}) as agent:
        assert "\n" == serf(agent, "members", "-watch", status=1)
        assert "Error retrieving members: client closed\n" == serf.err
    with fake_agent(stream=Refused("Authentication required")) as agent:
        error = serf.fails(agent, "members", "-watch")
        assert "Error retrieving members: Authentication required\n" == error


def test_a_watch_ends_with_its_time(serf: CommandLine) -> None:
    with fake_agent({ASK: members(member("a"))}) as agent:
        text = serf(agent, "members", "-watch", "-timeout=100ms")
        assert "a  10.0.0.1:7946  alive\n" == text
        assert [ASK, "stream"] == sorted(name for name, _ in agent.asked[1:])


# --- wait ---------------------------------------------------------------------------------


def test_wait_asks_until_there_are_enough(serf: CommandLine) -> None:
    one, two = members(member("a")), members(member("a"), member("b"))
    with fake_agent({ASK: (one, two)}) as agent:
        text = serf(agent, "wait", "-members=2", "-tag", "x=1", "-format=jsonl")
        assert 2 == len(text.splitlines())
        assert {"Name": "", "Status": "alive", "Tags": {"x": "1"}} == agent.asked[-1][1]
        assert 3 == len(agent.asked)


def test_wait_gives_up_in_time(serf: CommandLine) -> None:
    with fake_agent({ASK: members(member("a"))}) as agent:
        error = serf.fails(agent, "wait", "-members=3", "-timeout=300ms")
        assert "Error waiting for members: 1 of 3 members\n" == error


def test_wait_waits_for_the_agent_too(serf: CommandLine, tmp_path: Path) -> None:
    error = serf.fails(None, "wait", f"-rpc-addr=unix:{tmp_path}/none", "-timeout=300ms")
    assert error.startswith("Error waiting for members: Error connecting to Serf agent: dial unix")
    with fake_agent({ASK: (CLOSE, members(member("a")))}) as agent:
        serf.fails(agent, "wait", "-timeout=500ms")  # each connection begins with the refusal
        assert 2 <= sum(name == ASK for name, _ in agent.asked)


def test_wait_does_not_wait_for_what_will_not_come(serf: CommandLine) -> None:
    with fake_agent(auth=Refused("Invalid authentication token")) as agent:
        error = serf.fails(agent, "wait", "-rpc-auth=wrong")
        assert "Error connecting to Serf agent: Invalid authentication token\n" == error
    assert serf.fails(None, "wait", "-members=0", status=2).startswith("The number of members")
    assert 'Invalid output format "x"\n' == serf.fails(None, "wait", "-format=x", status=2)
