"""What a node shows of itself."""

from __future__ import annotations

from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._serf.query_tracker import QueryTracker


async def test_a_node_shows_itself_in_one_line(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", keyring=[bytes(16)])
        assert "<Serf 'a': alive, 1 members>" == repr(a)
        assert "<KeyManager of 'a'>" == repr(a.keys)
        assert isinstance(a._delegate.tracker, QueryTracker)
