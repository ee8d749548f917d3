"""What a node shows of itself."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._serf.query_tracker import QueryTracker
from trioserf._serf.serf import Serf


async def test_a_node_shows_itself_in_one_line(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a", keyring=[bytes(16)])
        assert "<Serf 'a': alive, 1 members>" == repr(a)
        assert "<KeyManager of 'a'>" == repr(a.keys)
        assert isinstance(a._delegate.tracker, QueryTracker)


async def test_a_node_as_a_table_names_itself_and_its_state(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a, _b = await net.joined("a", "b")
        table = a._table()
        assert table.caption is not None
        assert table.caption.startswith("a, alive: ")
        assert a.members()._table().rows == table.rows


def test_a_node_is_not_made_by_hand() -> None:
    with pytest.raises(TypeError, match=r"a running node comes from 'async with trioserf\.open"):
        Serf()
