"""Connections of commands: where they go, and Go's words for what goes wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.agent.fake_agent import CLOSE, SILENCE, CommandLine, Refused, fake_agent, member, members
from trioserf._agent import agent_connection

PREFIX = "Error connecting to Serf agent: "
ONE = {"members-filtered": members(member("a"))}


def test_flags_beat_the_environment(serf: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_agent(ONE) as agent:
        monkeypatch.setenv("SERF_RPC_ADDR", agent.address)
        monkeypatch.setenv("SERF_RPC_AUTH", "from the environment")
        serf(None, "members")
        assert ("auth", {"AuthKey": "from the environment"}) == agent.asked[1]
        serf(None, "members", "-rpc-auth", "s3cret")
        assert ("auth", {"AuthKey": "s3cret"}) == agent.asked[-2]
        monkeypatch.setenv("SERF_RPC_ADDR", "127.0.0.1:1")
        serf(agent, "members")


def test_nobody_listens(serf: CommandLine, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        text = f"{PREFIX}dial tcp 127.0.0.1:{port}: connect: connection refused\n"
        assert text == serf.fails(None, "members", "-rpc-addr", f"{host}:{port}")
    text = f"{PREFIX}dial unix {tmp_path}/x: connect: no such file or directory\n"
    assert text == serf.fails(None, "members", f"-rpc-addr=unix:{tmp_path}/x")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", "dial tcp: missing address"),
        ("nonsense", "dial tcp: address nonsense: missing port in address"),
        ("a:b:c", "dial tcp: address a:b:c: too many colons in address"),
        ("h:99999", "dial tcp: address 99999: invalid port"),
        ("h:x", "dial tcp: address tcp/x: unknown port"),
        ("no-such-host.invalid:1", "dial tcp: lookup no-such-host.invalid: no such host"),
    ],
)
def test_addresses_that_are_none(serf: CommandLine, address: str, text: str) -> None:
    assert f"{PREFIX}{text}\n" == serf.fails(None, "info", f"-rpc-addr={address}")


def test_a_wrong_key(serf: CommandLine) -> None:
    with fake_agent(auth=Refused("Invalid authentication token")) as agent:
        error = serf.fails(agent, "members", "-rpc-auth=wr0ng")
        assert f"{PREFIX}Invalid authentication token\n" == error


def test_something_else_listens(serf: CommandLine) -> None:
    with fake_agent(handshake=CLOSE) as agent:
        assert f"{PREFIX}client closed\n" == serf.fails(agent, "members")
    with fake_agent(handshake=SILENCE) as agent:
        error = serf.fails(agent, "members", "-timeout=100ms")
        assert f"{PREFIX}dial tcp {agent.address}: i/o timeout\n" == error
    with fake_agent(handshake=Refused("x" * 10)) as agent:
        assert f"{PREFIX}{'x' * 10}\n" == serf.fails(agent, "members")


def test_a_wrong_time_is_wrong_usage_of_what_go_has_not(serf: CommandLine) -> None:
    error = serf.fails(None, "members", "-timeout=5", status=2)
    assert error.startswith('invalid value "5" for flag -timeout: parse error\nUsage: ')
    assert serf.fails(None, "query", "-timeout=5", "x", status=1).startswith('invalid value "5"')


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (["::1", "127.0.0.1"], "127.0.0.1"),  # Go tries IPv4 first
        (["::1"], "::1"),
        (None, "web-1"),
    ],
)
def test_an_error_names_the_address_that_go_names(
    monkeypatch: pytest.MonkeyPatch, found: list[str] | None, shown: str
) -> None:
    def look_up(*_arguments: object, **_options: object) -> list[tuple[object, ...]]:
        if found is None:
            raise socket.gaierror
        return [(0, 0, 0, "", (each, 0)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert shown == agent_connection._resolved("web-1")
    assert "" == agent_connection._resolved("")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "i/o timeout"),
        (ConnectionRefusedError(111, "x"), "connect: connection refused"),
        (OSError("something else"), "something else"),
    ],
)
def test_the_reason_of_a_failed_connection_is_in_go_s_words(error: Exception, text: str) -> None:
    assert text == agent_connection._reason(error)
