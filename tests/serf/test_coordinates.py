"""Coordinates learned from the probes of a small cluster."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.serf.clusters import address, cluster, until
from trioserf._exceptions import CoordinatesDisabled
from trioserf._vivaldi.coordinate import Coordinate
from trioserf._wire.serf_messages import CoordinateRecord, encode_ping_payload

FAST = {"probe_interval": 0.2, "probe_timeout": 0.1}


async def test_two_nodes_learn_their_coordinates(autojump_clock: MockClock) -> None:
    async with cluster(latency=0.01) as net:
        a, b = await net.joined("a", "b", **FAST, tombstone_timeout=0.001, reap_interval=1.0)
        there = a.cached_coordinate("b")
        assert there is not None
        assert 0.00002 < a.coordinate().distance_to(there)
        assert a.coordinate() == a.cached_coordinate("a")
        assert pytest.approx(0.02, rel=0.5) == a.rtt("b")
        assert a.rtt("a", "b") == a.rtt("b")
        await b.leave()
        await b.aclose()
        await until(lambda: a.cached_coordinate("b") is None)
        assert None is a.rtt("b")


async def test_without_coordinates_there_are_none(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b", **FAST, disable_coordinates=True)
        with pytest.raises(CoordinatesDisabled, match="Coordinates are disabled"):
            a.coordinate()
        with pytest.raises(CoordinatesDisabled):
            a.rtt("b")
        assert None is a.cached_coordinate("b")
        assert "coordinate_resets" not in b.stats()


@pytest.mark.parametrize(
    "payload",
    [
        b"\x02" + encode_ping_payload(CoordinateRecord((0.0,) * 8, 1.5, 0.0, 1e-5))[1:],
        encode_ping_payload(CoordinateRecord((0.0,) * 16, 1.5, 0.0, 1e-5)),
        encode_ping_payload(CoordinateRecord((float("nan"),) * 8, 1.5, 0.0, 1e-5)),
        encode_ping_payload(CoordinateRecord((1e12,) * 8, 1.5, 0.0, 1e-5)),
        b"\x01\xff\xff",
        b"\x01",
        b"",
    ],
)
async def test_an_unusable_coordinate_is_not_kept(
    autojump_clock: MockClock, payload: bytes
) -> None:
    async with cluster() as net:
        a, b = await net.start("a", probe_interval=1000.0), await net.start("b")
        await b.join([address(a)])
        node = a.memberlist.node("b")
        assert node is not None
        before = a.coordinate()
        a._delegate.coordinates.notify_ping_complete(node, 0.001, payload)
        assert None is a.cached_coordinate("b")
        assert before == a.coordinate()


async def test_a_usable_coordinate_is_kept(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, b = await net.start("a", probe_interval=1000.0), await net.start("b")
        await b.join([address(a)])
        node = a.memberlist.node("b")
        assert node is not None
        there = Coordinate(tuple(n / 100 for n in range(8)), 0.5, -0.001, 0.01)
        record = CoordinateRecord(there.vec, there.error, there.adjustment, there.height)
        a._delegate.coordinates.notify_ping_complete(node, 0.0, encode_ping_payload(record))
        assert there == a.cached_coordinate("b")
        assert 1 == a.statistics().counts["serf.coordinate.zero-rtt"]


async def test_a_member_without_a_coordinate_is_reaped_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        quick = {"tombstone_timeout": 0.001, "reap_interval": 1.0}
        a, b = await net.joined("a", "b", **FAST, **quick, disable_coordinates=True)
        await b.leave()
        await b.aclose()
        await until(lambda: "b" not in a.members().names)
        assert None is a.cached_coordinate("b")
