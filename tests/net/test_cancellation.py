"""Calls that open or use sockets, cut off at each of their checkpoints on real ones.

The same table as on the simulated network; here the descriptors are those of sockets as well,
and the port of a node that was cut off is bound by the next one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cancellation import (
    ROWS,
    Loopback,
    Manner,
    Row,
    cancelled,
    cut_at_some,
    cut_everywhere,
)

SOCKETS = {
    "open",
    "peek",
    "open_client",
    "Serf.aclose",
    "Memberlist.send_reliable",
    "RPCClient.aclose",
}
"""What opens or closes some: cut at each checkpoint.  The rest is cut at some on real sockets, and
everywhere on the simulated network."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.name in SOCKETS], ids=lambda row: row.name
)
async def test_a_call_on_real_sockets_may_be_cancelled_at_every_checkpoint(
    row: Row, tmp_path: Path
) -> None:
    await cut_everywhere(row, cancelled, Loopback(), tmp_path, manners=[Manner.WAITING], samples=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.name not in SOCKETS], ids=lambda row: row.name
)
async def test_a_call_on_real_sockets_may_be_cancelled_first_midway_and_last(
    row: Row, tmp_path: Path
) -> None:
    reached = await cut_at_some(row, cancelled, Loopback(), tmp_path)
    assert reached[0], "the first checkpoint is always there"
