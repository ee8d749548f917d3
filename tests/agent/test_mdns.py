"""Which of the found addresses are joined; finding itself is tried with Go's agent."""

from __future__ import annotations

from trioserf._agent.mdns import MAX_FOUND, FoundAddresses, service_type


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
