"""`keys`."""

from __future__ import annotations

import io
import json

import pytest

from tests.agent.fake_agent import CLOSE, CommandLine, Refused, fake_agent

REPORT = {"Keys": {"b=": 2, "a=": 1}, "Messages": {}, "NumErr": 0, "NumNodes": 2, "NumResp": 2}
FAILED = REPORT | {"Keys": None, "Messages": {"beta": "no", "alpha1": "not here"}, "NumErr": 2}
ASKING = "==> Asking all members for installed keys...\n"


def test_keys_are_listed(serf: CommandLine) -> None:
    with fake_agent({"list-keys": REPORT}) as agent:
        listing = "==> Keys gathered, listing cluster keys...\n\na=  [1/2]\nb=  [2/2]\n"
        assert ASKING + listing == serf(agent, "keys", "-list")
        document = json.loads(serf(agent, "keys", "-list", "-format=json"))
        assert {"keys": {"a=": 1, "b=": 2}, "nodes": 2} == document
        lines = serf(agent, "keys", "-list", "-format=jsonl").splitlines()
        assert '{"key":"a=","installed":1,"nodes":2}' == lines[0]
        assert 2 == len(lines)


@pytest.mark.parametrize(
    ("flag", "command", "begins", "succeeds"),
    [
        ("install", "install-key", "Installing key", "Successfully installed key!"),
        ("use", "use-key", "Changing primary key", "Successfully changed primary key!"),
        ("remove", "remove-key", "Removing key", "Successfully removed key!"),
    ],
)
def test_keys_are_changed(
    serf: CommandLine, flag: str, command: str, begins: str, succeeds: str
) -> None:
    with fake_agent({command: REPORT}) as agent:
        text = serf(agent, "keys", f"-{flag}", "c=")
        assert f"==> {begins} on all members...\n==> {succeeds}\n" == text
        assert (command, {"Key": "c="}) == agent.asked[1]
        text = serf(agent, "keys", f"-{flag}=c=", "-format=jsonl")
        assert '{"nodes":2,"responses":2}\n' == text


def test_failures_are_a_table(serf: CommandLine) -> None:
    refused = Refused("2/2 nodes reported failure", FAILED)
    with fake_agent({"use-key": refused, "list-keys": refused}) as agent:
        serf(agent, "keys", "-use", "c=", status=1)
        assert "==> Changing primary key on all members...\n" == serf.out
        assert (
            "failed:  alpha1  not here\nfailed:  beta    no\n\n"
            "Error changing primary key: 2/2 nodes reported failure\n" == serf.err
        )
        serf(agent, "keys", "-list", status=1)
        assert serf.err.endswith("Failed to gather member keys: 2/2 nodes reported failure\n")
        document = json.loads(serf(agent, "keys", "-list", "-format=json", status=1))
        failures = {"alpha1": "not here", "beta": "no"}
        assert {"error": "2/2 nodes reported failure", "failures": failures} == document


@pytest.mark.parametrize("answer", [Refused("illegal base64", REPORT | {"Keys": None}), CLOSE])
def test_a_failure_of_nobody_in_particular(serf: CommandLine, answer: object) -> None:
    with fake_agent({"install-key": answer}) as agent:
        serf(agent, "keys", "-install", "x!", status=1)
        assert serf.err.lstrip("\n").startswith("Error installing key: ")


def test_one_action_at_a_time(serf: CommandLine) -> None:
    for words in (["-list", "-install=x"], ["-use=x", "-remove=y"]):
        error = serf.fails(None, "keys", *words)
        assert "Only one of -install, -use, -remove, or -list allowed\n" == error
    for words in ([], ["-install="]):
        assert serf.fails(None, "keys", *words).startswith("Usage: trioserf keys [options]\n")


def test_a_key_may_come_by_standard_input(
    serf: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("c=\n"))
    with fake_agent({"install-key": REPORT}) as agent:
        serf(agent, "keys", "-install", "-")
        assert ("install-key", {"Key": "c="}) == agent.asked[1]
