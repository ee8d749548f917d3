"""What is found and which of it is joined; finding on a network is tried with Go's agent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from trioserf._agent import mdns
from trioserf._agent.agent_options import OptionsError
from trioserf._agent.mdns import MAX_FOUND, Discovery, FoundAddresses, service_type


def test_the_service_is_named_after_the_cluster() -> None:
    assert "_serf_clus._tcp.local." == service_type("clus")


def test_an_address_is_tried_until_it_is_reached() -> None:
    found = FoundAddresses("10.0.0.1:7946")
    assert found.add("10.0.0.2:7946")
    assert not found.add("10.0.0.2:7946")
    assert ["10.0.0.2:7946"] == found.pending() == found.pending()
    found.reached(["10.0.0.2:7946"])
    assert [] == found.pending()


def test_an_address_that_was_gone_is_new() -> None:
    found = FoundAddresses("")
    found.add("x:1")
    found.reached(["x:1"])
    found.remove("x:1")
    assert found.add("x:1")
    assert ["x:1"] == found.pending()


def test_this_node_s_address_is_never_joined() -> None:
    found = FoundAddresses("10.0.0.1:7946")
    assert not found.add("10.0.0.1:7946")
    assert [] == found.pending()


def test_so_many_addresses_are_remembered() -> None:
    found = FoundAddresses("")
    for number in range(MAX_FOUND + 10):
        found.add(f"x:{number}")
    assert MAX_FOUND == len(found.pending())


# --- finding, with a package that the tests play ---------------------------------------------


class Library:
    """As much of ``zeroconf`` as an agent uses; what is on the network is the test's."""

    Error = ZeroDivisionError
    InterfaceChoice = SimpleNamespace(All="all interfaces")
    IPVersion = SimpleNamespace(V4Only="v4", V6Only="v6")
    ServiceStateChange = SimpleNamespace(Added="added", Removed="removed")

    def __init__(self, *, no_network: bool = False) -> None:
        self.no_network = no_network
        self.options: dict[str, object] = {}
        self.announced: list[tuple[str, dict[str, Any]]] = []
        self.closed = 0
        self.addresses: dict[str, list[str]] = {}
        self.changed: Any = None
        self.Zeroconf, self.ServiceInfo = self._open, self._info
        self.ServiceBrowser = self._browse

    def _open(self, **options: object) -> object:
        if self.no_network:
            raise OSError("no route")
        self.options = options
        return SimpleNamespace(register_service=self._register, close=self._close)

    def _register(self, info: Any, **_options: object) -> None:
        self.announced.append((info.name, info.fields))
        raise self.Error("the name has an underscore")

    def _close(self) -> None:
        self.closed += 1

    def _info(self, _kind: str, name: str, **fields: Any) -> object:
        def parsed_addresses() -> list[str]:
            return self.addresses[name]

        return SimpleNamespace(
            name=name,
            fields=fields,
            port=7946,
            request=lambda _zeroconf, _limit: name in self.addresses,
            parsed_addresses=parsed_addresses,
        )

    def _browse(self, _zeroconf: object, _kind: str, handlers: list[Any]) -> object:
        [self.changed] = handlers
        return object()

    def comes(self, name: str, *addresses: str) -> None:
        self.addresses[name] = list(addresses)
        self.changed(None, "", name, self.ServiceStateChange.Added)

    def goes(self, name: str) -> None:
        del self.addresses[name]
        self.changed(None, "", name, self.ServiceStateChange.Removed)


class Joins:
    """Joins of an agent: those of ``down`` reach nobody."""

    def __init__(self, *down: str) -> None:
        self.down = set(down)
        self.tried: list[str] = []

    async def __call__(self, _serf: object, addresses: Sequence[str]) -> tuple[int, str]:
        await trio.lowlevel.checkpoint()
        self.tried += addresses
        return (0, "no") if self.down & {*addresses} else (1, "")


def discovery(
    library: Library, joins: Joins, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> Discovery:
    monkeypatch.setattr(mdns, "require_zeroconf", lambda: library)
    monkeypatch.setattr(mdns, "QUIET", 0.01)
    monkeypatch.setattr(mdns, "POLL_INTERVAL", 0.1)
    member = SimpleNamespace(name="a", addr=ip_address("10.0.0.1"), port=7946)
    serf: Any = SimpleNamespace(local_member=member)
    return Discovery(serf, "clus", settings, joins)


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


async def test_agents_that_are_found_are_joined_until_each_was_reached(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, joins = Library(), Joins("10.0.0.3:7946")
    nursery.start_soon(discovery(library, joins, monkeypatch).run)
    await until(lambda: library.changed)
    [(name, fields)] = library.announced
    assert "a._serf_clus._tcp.local." == name
    assert (7946, [bytes((10, 0, 0, 1))]) == (fields["port"], fields["addresses"])
    assert b"\x13Serf 'clus' cluster" == fields["properties"]
    library.comes("a", "10.0.0.1")  # this node itself
    library.comes("b", "10.0.0.2", "fe80::2%3")
    library.comes("c", "10.0.0.3")
    await until(lambda: joins.tried.count("10.0.0.3:7946") > 2)
    assert 1 == joins.tried.count("10.0.0.2:7946")
    assert 1 == joins.tried.count("[fe80::2]:7946")
    assert "10.0.0.1:7946" not in joins.tried
    joins.down.clear()
    await trio.sleep(0.3)
    tried = len(joins.tried)
    await trio.sleep(0.3)
    assert tried == len(joins.tried)
    library.goes("b")
    library.comes("b", "10.0.0.2")  # another run of it: joined anew
    await until(lambda: joins.tried.count("10.0.0.2:7946") > 1)
    nursery.cancel_scope.cancel()


async def test_the_announcement_is_taken_back_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(discovery(library, Joins(), monkeypatch).run)
        await until(lambda: library.changed)
        assert 0 == library.closed
        nursery.cancel_scope.cancel()
    assert 1 == library.closed


async def test_without_a_network_the_agent_goes_on_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    library = Library(no_network=True)
    await discovery(library, Joins(), monkeypatch).run()
    assert "Failed to start mDNS: no route" in caplog.text


@pytest.mark.parametrize(
    ("settings", "interfaces", "version"),
    [
        ({}, "all interfaces", "v4"),
        ({"disable_ipv4": True}, "all interfaces", "v6"),
        ({"disable_ipv6": True}, "all interfaces", "v4"),
        ({"interface": "eth7"}, ["10.0.0.1", "fe80::1"], "v4"),
    ],
)
async def test_where_it_looks_is_as_configured(
    settings: dict[str, object],
    interfaces: object,
    version: str,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = {"eth7": [ip_address("10.0.0.1"), ip_address("fe80::1")]}
    monkeypatch.setattr(mdns, "interface_addresses", addresses.__getitem__)
    library = Library()
    nursery.start_soon(discovery(library, Joins(), monkeypatch, **settings).run)
    await until(lambda: library.changed)
    assert {"interfaces": interfaces, "ip_version": version} == library.options
    nursery.cancel_scope.cancel()


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(OptionsError, match=r"pip install 'trioserf\[mdns\]'"):
        mdns.require_zeroconf()
    package = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "zeroconf", package)
    assert package is mdns.require_zeroconf()
