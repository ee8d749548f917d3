"""`reachability`."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.agent.fake_agent import CommandLine, Records, Refused, fake_agent, member, members

START = "Starting reachability test...\n"


def pinged(*nodes: str) -> dict[str, Any]:
    records = [{"Type": "ack", "From": node, "Payload": None} for node in nodes]
    done = {"Type": "done", "From": "", "Payload": None}
    found = members(member("a"), member("b"), member("gone", "failed"))
    return {"members": found, "query": Records([*records, done])}


def test_all_live_nodes_answer(serf: CommandLine) -> None:
    with fake_agent(pinged("b", "a")) as agent:
        head = f"Total members: 3, live members: 2\n{START}"
        success = "Successfully contacted all live nodes\n"
        assert head + success == serf(agent, "reachability")
        asked = agent.asked[-1][1]
        assert ("_serf_ping", None, True) == (
            asked["Name"],
            asked["Payload"],
            asked["RequestAck"],
        )
        text = serf(agent, "reachability", "-verbose")
        times = r"Query time: \d+\.\d\d sec, time to last response: \d+\.\d\d sec\n"
        pattern = re.escape(head) + "\tAck from 'b'\n\tAck from 'a'\n" + times + success
        assert re.fullmatch(pattern, text)
        found = json.loads(serf(agent, "reachability", "-verbose", "-format=json"))
        assert (3, 2, 2, []) == (
            found["members"],
            found["live"],
            found["acks"],
            found["missing"],
        )


def test_a_node_that_does_not_answer(serf: CommandLine) -> None:
    with fake_agent(pinged("a")) as agent:
        text = serf(agent, "reachability", status=1)
        assert (
            "Received less acks than live nodes! Missing acks from:\n\tb\n"
            "This could mean Serf gossip packets are being lost due to a misconfiguration or "
            "network issue.\nTroubleshooting tips:\n* " in text
        )
        found = json.loads(serf(agent, "reachability", "-format=json", status=1))
        assert ["b"] == found["missing"]


def test_nodes_that_should_not_answer(serf: CommandLine) -> None:
    with fake_agent(pinged("a", "b", "zz")) as agent:
        text = serf(agent, "reachability", status=1)
        assert "Received more acks than live nodes! Acks from non-live nodes:\n\tzz\n" in text
        assert "Troubleshooting tips:\n" in text


def test_one_name_that_answers_twice(serf: CommandLine) -> None:
    with fake_agent(pinged("a", "a", "b")) as agent:
        text = serf(agent, "reachability", status=1)
        assert f"{START}Duplicate response from 'a'\nDuplicate responses means there is" in text


def test_what_is_refused(serf: CommandLine) -> None:
    with fake_agent(members=Refused("Authentication required")) as agent:
        error = serf.fails(agent, "reachability")
        assert "Error getting members: Authentication required\n" == error
    with fake_agent(pinged() | {"query": Refused("Feature not supported")}) as agent:
        serf(agent, "reachability", status=1)
        assert "Error sending query: Feature not supported\n" == serf.err
