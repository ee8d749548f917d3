"""Dropped input: counted in full, logged once in a while."""

import trio

from trioserf._memberlist.drop_log import LOG_PERIOD, DropLog
from trioserf._memberlist.node_log import node_log


async def test_a_flood_is_counted_in_full_and_logged_once_in_a_while(autojump_clock, caplog):
    bad = DropLog(node_log("memberlist", "n1"))
    for _ in range(1000):
        bad("crc", "10.0.0.9:1", "bad sum")
    assert 1000 == bad.counts["crc"]
    assert 1 == len(caplog.records)
    assert caplog.records[0].getMessage().startswith("n1: dropped input of 10.0.0.9:1 (crc)")
    await trio.sleep(LOG_PERIOD)
    bad("crc", "10.0.0.9:1", "bad sum")
    assert "[1000 such since the last line]" in caplog.records[1].getMessage()


async def test_each_layer_is_logged_on_its_own(autojump_clock, caplog):
    bad = DropLog(node_log("memberlist", "n1"))
    bad("crc", "a", "x")
    bad("label", "a", "x")
    assert 2 == len(caplog.records)


async def test_a_crash_of_a_handler_shows_its_traceback_once(autojump_clock, caplog):
    bad = DropLog(node_log("memberlist", "n1"))
    for _ in range(3):
        bad.crash("handler", "hook", ValueError("boom"))
    assert 3 == bad.counts["handler"]
    (record,) = caplog.records
    assert record.exc_info is not None
