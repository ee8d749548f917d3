"""`event` and `query`."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.agent.fake_agent import (
    CLOSE,
    SILENCE,
    CommandLine,
    Records,
    Refused,
    fake_agent,
    member,
    members,
)

MANY = "Too many command line arguments. Only a name and payload must be specified."


def ack(node: str) -> dict[str, Any]:
    return {"Type": "ack", "From": node, "Payload": None}


def response(node: str, payload: bytes) -> dict[str, Any]:
    return {"Type": "response", "From": node, "Payload": payload}


DONE = {"Type": "done", "From": "", "Payload": None}
TWO = members(member("a"), member("b"))


# --- event --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sent", "said"),
    [
        (["deploy"], ("deploy", None, True), "Event 'deploy' dispatched! Coalescing enabled: true"),
        (
            ["-coalesce=false", "d", "v\udcff"],
            ("d", b"v\xff", False),
            "Event 'd' dispatched! Coalescing enabled: false",
        ),
        (["--", "-d", ""], ("-d", b"", True), "Event '-d' dispatched! Coalescing enabled: true"),
        (["-coalesce", "false"], ("false", None, True), "Event 'false' dispatched! Coalescing"),
    ],
)
def test_an_event_is_sent(
    serf: CommandLine, words: list[str], sent: tuple[object, ...], said: str
) -> None:
    with fake_agent() as agent:
        assert serf(agent, "event", *words).startswith(said)
        command, body = agent.asked[1]
        assert ("event", *sent) == (command, body["Name"], body["Payload"], body["Coalesce"])


def test_an_event_as_json(serf: CommandLine) -> None:
    with fake_agent() as agent:
        assert '{"event":"x","coalesce":true}\n' == serf(agent, "event", "-format=jsonl", "x")


def test_arguments_of_both(serf: CommandLine) -> None:
    assert serf.fails(None, "event").startswith("An event name must be specified.\n\nUsage: ")
    assert serf.fails(None, "query").startswith("A query name must be specified.\n\nUsage: ")
    for command in ("event", "query"):
        error = serf.fails(None, command, "a", "b", "c")
        assert error.startswith(f"{MANY}\n\nUsage: trioserf {command} [options] name [payload]\n")


def test_an_event_that_is_refused(serf: CommandLine) -> None:
    with fake_agent(event=Refused("user event exceeds configured limit")) as agent:
        error = serf.fails(agent, "event", "x")
        assert "Error sending event: user event exceeds configured limit\n" == error


# --- query --------------------------------------------------------------------------------


def answering(*records: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"query": Records(list(records)), "members-filtered": TWO} | more


def test_answers_are_printed_as_they_come(serf: CommandLine) -> None:
    answers = answering(ack("a"), response("a", b"0.42\n\n"), ack(""), response("b", b"x"), DONE)
    with fake_agent(answers) as agent:
        assert (
            "Query 'load' dispatched\nAck from 'a'\nResponse from 'a': 0.42\n\n"
            "Response from 'b': x\nTotal Acks: 1\nTotal Responses: 2\n"
            == serf(agent, "query", "load")
        )


def test_what_is_asked(serf: CommandLine) -> None:
    words = ["-node=a", "-node", "b", "-tag=x=y", "-timeout=1.5s", "-no-ack", "-relay-factor=3"]
    with fake_agent(answering(DONE)) as agent:
        text = serf(agent, "query", *words, "load", "15m")
        assert "Query 'load' dispatched\nTotal Responses: 0\n" == text
        assert {
            "Name": "load",
            "Payload": b"15m",
            "FilterNodes": ["a", "b"],
            "FilterTags": {"x": "y"},
            "RequestAck": False,
            "RelayFactor": 3,
            "Timeout": 1_500_000_000,
        } == agent.asked[-1][1] | {"Payload": b"15m"}


def test_answers_as_go_has_them_in_json(serf: CommandLine) -> None:
    answers = answering(ack("b"), ack("a"), response("b", b"\xff"), response("a", b"1\n"), DONE)
    with fake_agent(answers) as agent:
        expected = """{
  "Acks": [
    "b",
    "a"
  ],
  "Responses": {
    "a": "1\\n",
    "b": "\\ufffd"
  }
}
"""
        assert expected == serf(agent, "query", "-format=json", "load")
    with fake_agent(answering(DONE)) as agent:
        assert {"Acks": None, "Responses": {}} == json.loads(
            serf(agent, "query", "-format=json", "x")
        )


def test_answers_one_a_line(serf: CommandLine) -> None:
    with fake_agent(answering(ack("b"), response("b", b"1\n"), DONE)) as agent:
        assert (
            '{"type":"ack","from":"b"}\n'
            '{"type":"response","from":"b","payload":"1\\n"}\n'
            '{"type":"done","acks":1,"responses":1}\n'
            == serf(agent, "query", "-format=jsonl", "load")
        )


def test_a_query_ends_when_all_have_answered(serf: CommandLine) -> None:
    """There is no end of the query here: it ends because nobody is left."""
    answers = answering(ack("a"), response("a", b"1"), response("b", b"2"), ack("b"))
    with fake_agent(answers) as agent:
        began = time.monotonic()
        text = serf(agent, "query", "-timeout=30s", "load")
        assert text.endswith("Total Acks: 2\nTotal Responses: 2\n")
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("words", "filters"),
    [
        ([], {"Name": None, "Status": "alive", "Tags": None}),
        (
            ["-tag=role=w"],
            {"Name": None, "Status": "alive", "Tags": {"role": "(?s:.*)(?:w)(?s:.*)"}},
        ),
    ],
)
def test_who_can_answer_is_asked_for(
    serf: CommandLine, words: list[str], filters: dict[str, Any]
) -> None:
    with fake_agent(answering(DONE)) as agent:
        serf(agent, "query", *words, "load")
        assert filters == next(body for name, body in agent.asked if name == "members-filtered")


def test_a_pattern_that_is_none_costs_only_the_early_end(serf: CommandLine) -> None:
    answers = answering(DONE, **{"members-filtered": CLOSE})
    with fake_agent(answers) as agent:
        assert "Total Acks: 0" in serf(agent, "query", "-tag", "role=[", "load")


def test_missing_answers_are_a_failure_if_all_are_required(serf: CommandLine) -> None:
    with fake_agent(answering(ack("a"), ack("b"), response("b", b""), DONE)) as agent:
        serf(agent, "query", "-require-all", "load", status=1)
        assert "Total Responses: 1\n" in serf.out
        assert "Error: no response from: a\n" == serf.err
        serf(agent, "query", "-require-all", "-node=b", "load")
        serf(agent, "query", "-require-all", "-node=b", "-node=zz", "load", status=1)
        assert "Error: no response from: zz\n" == serf.err
    with fake_agent(answering(DONE, **{"members-filtered": Refused("no")})) as agent:
        serf(agent, "query", "-require-all", "load", status=1)
        assert "Error: the agent does not say who should answer\n" == serf.err


@pytest.mark.parametrize("factor", ["-1", "256"])
def test_relay_factors_have_a_byte(serf: CommandLine, factor: str) -> None:
    error = serf.fails(None, "query", f"-relay-factor={factor}", "x")
    assert "Relay factor must be between 0 and 255\n" == error


def test_the_order_in_which_a_query_is_looked_at(serf: CommandLine) -> None:
    """Tags, arguments, relay factor, the agent, the format: as Go's command."""
    words = ["-tag=x", "-relay-factor=999", "-format=xml"]
    assert "Error: Invalid tag: 'x'\n" == serf.fails(None, "query", *words)
    assert serf.fails(None, "query", *words[1:]).startswith("A query name")
    assert serf.fails(None, "query", *words[1:], "x").startswith("Relay factor")
    closed = "-rpc-addr=127.0.0.1:1"
    assert serf.fails(None, "query", closed, words[2], "x").startswith("Error connecting to Serf")
    with fake_agent() as agent:
        assert "Invalid format: xml\n" == serf.fails(agent, "query", words[2], "x")


def test_a_query_that_is_refused(serf: CommandLine) -> None:
    with fake_agent(answering(query=Refused("query exceeds limit of 1024 bytes"))) as agent:
        error = serf.fails(agent, "query", "x")
        assert "Error sending query: query exceeds limit of 1024 bytes\n" == error
    refused = Refused("Authentication required")
    with fake_agent({"query": refused, "members-filtered": refused}) as agent:
        error = serf.fails(agent, "query", "x")
        assert "Error sending query: Authentication required\n" == error


def test_an_agent_that_ends_during_a_query(serf: CommandLine) -> None:
    with fake_agent(answering(query=Records([ack("a")], then_close=True))) as agent:
        serf(agent, "query", "x", status=1)
        assert "Error sending query: client closed\n" == serf.err


def test_a_long_time_is_cut_to_what_the_protocol_has(serf: CommandLine) -> None:
    with fake_agent(answering(DONE)) as agent:
        serf(agent, "query", "-timeout=2562047h47m16.854775807s", "x")
        assert 2**63 - 1 == agent.asked[-1][1]["Timeout"]


def test_silence_is_not_waited_for_without_end(serf: CommandLine) -> None:
    with fake_agent(event=SILENCE) as agent:
        error = serf.fails(agent, "event", "-timeout=100ms", "x")
        assert "Error sending event: timed out\n" == error
