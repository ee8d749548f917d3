"""The end of a node."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._exceptions import SerfInternalError
from trioserf._serf.open import open_serf


async def test_a_failure_while_closing_is_an_internal_error(autojump_clock: MockClock) -> None:
    class Broken:
        def put(self, item: object) -> None: ...

        def close(self) -> None:
            raise ZeroDivisionError

    async with cluster() as net:
        with pytest.raises(SerfInternalError, match="ZeroDivisionError"):
            async with open_serf(net.config("a")) as a:
                a._delegate.pipeline = Broken()
        await a.wait_closed()
