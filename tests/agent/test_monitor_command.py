"""`monitor`; the Go side of `%#v` was recorded from `serf monitor` 0.9.4."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.agent.fake_agent import CLOSE, CommandLine, Records, Refused, fake_agent, member
from trioserf._agent.monitor_command import go_value

USER = {"Event": "user", "LTime": 311, "Name": "ev", "Payload": b"hi", "Coalesce": False}
QUERY = {"Event": "query", "ID": 1, "LTime": 2, "Name": "q\x1b", "Payload": None}
JOIN = {"Event": "member-join", "Members": [member("a", q="1")]}
LOG = {"Log": "2026/01/02 15:04:05 [INFO] agent: x"}


def monitored(*events: dict[str, Any]) -> dict[str, Any]:
    return {"stream": Records(list(events)), "monitor": Records([LOG], then_close=True)}


def test_events_and_log_lines_are_printed(serf: CommandLine) -> None:
    with fake_agent(monitored(USER, QUERY)) as agent:
        text = serf(agent, "monitor", "-log-level=debug", status=1)
        assert (
            """\
Event Info:
	Coalesce: false
	Event: "user"
	LTime: 0x137
	Name: "ev"
	Payload: []byte{0x68, 0x69}
Event Info:
	Event: "query"
	ID: 1
	LTime: 2
	Name: "q\\x1b"
	Payload: <nil>
2026/01/02 15:04:05 [INFO] agent: x

Remote side ended the monitor! This usually means that the
remote side has exited or crashed.
"""
            == text
        )
        assert ("stream", {"Type": "*"}) == agent.asked[1]
        assert ("monitor", {"LogLevel": "debug"}) == agent.asked[2]


def test_one_object_a_line(serf: CommandLine) -> None:
    with fake_agent(monitored(JOIN, USER)) as agent:
        lines = serf(agent, "monitor", "-format=jsonl", status=1).splitlines()
        join, user, log = map(json.loads, lines)
        assert ("event", "member-join", "a") == (
            join["type"],
            join["event"],
            join["members"][0]["name"],
        )
        assert ("ev", "hi", 311) == (user["name"], user["payload"], user["ltime"])
        assert {"type": "log", "line": LOG["Log"]} == log
        assert serf.err.startswith("Remote side ended the monitor!")


def test_members_as_go_prints_maps() -> None:
    expected = (
        '[]interface {}{map[interface {}]interface {}{"Addr":[]uint8{0xa, 0x0, 0x0, 0x1}, '
        '"DelegateCur":4, "DelegateMax":5, "DelegateMin":2, "Name":"a", "Port":0x1f0a, '
        '"ProtocolCur":2, "ProtocolMax":5, "ProtocolMin":1, "Status":"alive", '
        '"Tags":map[interface {}]interface {}{"q":"1"}}}'
    )
    assert expected == go_value("Members", JOIN["Members"])


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("Coalesce", True, "true"),
        ("LTime", 127, "127"),
        ("LTime", 128, "0x80"),
        ("Payload", b"", "<nil>"),
        ("Payload", b"\x00", "[]byte{0x0}"),
        ("Name", 'a"\n', '"a\\"\\n"'),
    ],
)
def test_values_as_go_prints_them(name: str, value: object, text: str) -> None:
    assert text == go_value(name, value)


def test_what_is_refused(serf: CommandLine) -> None:
    with fake_agent(stream=Records([]), monitor=Refused("Unknown log level: LOUD")) as agent:
        error = serf.fails(agent, "monitor", "-log-level", "loud")
        assert "Error starting monitor: Unknown log level: LOUD\n" == error
    with fake_agent(stream=Refused("Authentication required")) as agent:
        error = serf.fails(agent, "monitor")
        assert "Error starting stream: Authentication required\n" == error
    with fake_agent(stream=CLOSE) as agent:
        assert "Error starting stream: client closed\n" == serf.fails(agent, "monitor")


def test_a_monitor_ends_with_its_time(serf: CommandLine) -> None:
    with fake_agent(stream=Records([]), monitor=Records([LOG])) as agent:
        assert f"{LOG['Log']}\n" == serf(agent, "monitor", "-timeout=200ms")
