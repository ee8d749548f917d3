"""What the service manager gets to know."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import trio

from trioserf._agent.service_notify import (
    READY,
    ServiceNotifier,
    notify_address,
    reloading,
    watchdog_interval,
)


def test_where_messages_go() -> None:
    assert "/run/notify" == notify_address({"NOTIFY_SOCKET": "/run/notify"})
    assert "\0abstract" == notify_address({"NOTIFY_SOCKET": "@abstract"})
    assert notify_address({"NOTIFY_SOCKET": "relative"}) is None
    assert notify_address({}) is None


def test_signs_of_life_come_twice_as_often_as_they_must() -> None:
    assert 15.0 == watchdog_interval({"WATCHDOG_USEC": "30000000"}, 1)
    assert 15.0 == watchdog_interval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 1)
    assert watchdog_interval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "2"}, 1) is None
    for text in ("", "0", "-5", "soon"):
        assert watchdog_interval({"WATCHDOG_USEC": text}, 1) is None


def test_reloading_says_when_it_began() -> None:
    assert "RELOADING=1\nMONOTONIC_USEC=1500000" == reloading(1.5)


@pytest.fixture
def manager(tmp_path: Path) -> tuple[socket.socket, str]:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = str(tmp_path / "notify")
    sock.bind(path)
    sock.settimeout(5)
    return sock, path


async def test_messages_are_one_datagram(manager: tuple[socket.socket, str]) -> None:
    sock, path = manager
    with sock:
        ServiceNotifier({"NOTIFY_SOCKET": path}, 1).send(READY, "STATUS=fine")
        assert b"READY=1\nSTATUS=fine" == sock.recv(100)


async def test_the_event_loop_feeds_the_watchdog(manager: tuple[socket.socket, str]) -> None:
    sock, path = manager
    environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "20000"}
    with sock:
        with trio.move_on_after(0.1):
            await ServiceNotifier(environment, 1).feed_watchdog()
        assert [b"WATCHDOG=1", b"WATCHDOG=1"] == [sock.recv(100), sock.recv(100)]


async def test_without_a_manager_nothing_happens() -> None:
    notifier = ServiceNotifier({}, 1)
    notifier.send(READY)
    await notifier.feed_watchdog()
    ServiceNotifier({"NOTIFY_SOCKET": "/nowhere/at/all"}, 1).send(READY)
